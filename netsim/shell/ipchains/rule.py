"""The rule that an ipchains line describes: its words become selectors, matches and a target with side effects.

Source: ipchains.c main(), parse_*(), swap_info() (1.3.9); ip_rule_match(), net/ipv4/ip_fw.c (2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from netsim.addr import parse_ip
from netsim.shell.ipchains.printer import save_text
from netsim.shell.iptables.extension import MisuseError, read_mask
from netsim.shell.iptables.match_icmp import NAMES as ICMP_NAMES
from netsim.shell.iptables.names import service_port
from netsim.stack.netfilter.matchspec import (
    ANY_PORT,
    ICMP_ANY,
    XT_TCP_INV_DSTPT,
    XT_TCP_INV_FLAGS,
    XT_TCP_INV_SRCPT,
    IcmpMatch,
    MatchSpec,
    TcpMatch,
    UdpMatch,
    ViaMatch,
)
from netsim.stack.netfilter.rulespec import (
    ACCEPT_TARGET,
    DROP_TARGET,
    IPT_INV_DSTIP,
    IPT_INV_FRAG,
    IPT_INV_PROTO,
    IPT_INV_SRCIP,
    RETURN_TARGET,
    JumpTarget,
    MasqTarget,
    RejectTarget,
    RuleSpec,
    SideTarget,
    VerdictTarget,
)

ICMP, TCP, UDP = 1, 6, 17
SYN_MASK, SYN_CMP = 0x12, 0x02
"""-y: SYN set, ACK clear."""

_TARGETS: Mapping[str, VerdictTarget | RejectTarget | MasqTarget] = MappingProxyType({
    "ACCEPT": ACCEPT_TARGET, "DENY": DROP_TARGET, "REJECT": RejectTarget(), "MASQ": MasqTarget(),
    "RETURN": RETURN_TARGET,
})  # fmt: skip


@dataclass(slots=True)
class Fields:
    """The words of the rule under way; `inverted` holds the letters of options that ! stood before."""

    src: str = "0.0.0.0/0"
    dst: str = "0.0.0.0/0"
    sports: str | None = None
    dports: str | None = None
    proto: int = 0
    via: str = ""
    target: str = ""
    mark: tuple[int, bool] | None = None
    tos: tuple[int, int] = (0xFF, 0)
    inverted: set[str] = field(default_factory=set)


def make_rule(fields: Fields, options: set[str]) -> RuleSpec:
    """Make the rule; `options` holds the letters that were used. Raises MisuseError."""
    src, dst = _network(fields.src), _network(fields.dst)
    matches = _matches(fields, options)
    invert = 0
    for letter, bit in (("s", IPT_INV_SRCIP), ("d", IPT_INV_DSTIP), ("p", IPT_INV_PROTO), ("f", IPT_INV_FRAG)):
        invert |= bit if letter in fields.inverted else 0
    spec = RuleSpec(
        src=src, dst=dst, proto=fields.proto, fragment="f" in options, invert=invert, matches=matches,
        target=_target(fields, options),
    )  # fmt: skip
    return replace(spec, text=save_text(spec).strip())


def _matches(fields: Fields, options: set[str]) -> tuple[MatchSpec, ...]:
    matches: list[MatchSpec] = []
    if fields.via:
        matches.append(ViaMatch(name=fields.via, invert="i" in fields.inverted))
    ports = fields.sports is not None or fields.dports is not None
    exact = not fields.inverted & {"p"}
    if fields.proto == ICMP and exact:
        return (*matches, *_icmp(fields))
    if ports and (not fields.proto or not exact):
        raise MisuseError("no ports allowed without specific protocol")
    if "y" in options and (fields.proto != TCP or not exact):
        raise MisuseError("-y only allowed with TCP protocol")
    whole = "f" in options and "f" not in fields.inverted
    if whole and ports:
        raise MisuseError("no ports allowed with -f")
    if whole and "y" in options:
        raise MisuseError("-y not allowed with -f")
    if not ports and "y" not in options:
        return tuple(matches)
    if fields.proto not in (TCP, UDP):
        raise MisuseError("can only specify ports for icmp, tcp or udp")
    return (*matches, _transport(fields, syn="y" in options))


def _transport(fields: Fields, *, syn: bool) -> MatchSpec:
    sports = _ports(fields.sports, fields.proto)
    dports = _ports(fields.dports, fields.proto)
    invert = (XT_TCP_INV_SRCPT if "1" in fields.inverted else 0) | (XT_TCP_INV_DSTPT if "2" in fields.inverted else 0)
    if fields.proto == UDP:
        return UdpMatch(sports=sports, dports=dports, invert=invert)
    return TcpMatch(
        sports=sports, dports=dports, flags_mask=SYN_MASK if syn else 0, flags_cmp=SYN_CMP if syn else 0,
        invert=invert | (XT_TCP_INV_FLAGS if "y" in fields.inverted else 0),
    )  # fmt: skip


def _ports(text: str | None, proto: int) -> tuple[int, int]:
    """Mirror parse_ports()."""
    if text is None:
        return ANY_PORT
    first, colon, second = text.partition(":")
    low = _port(first, proto) if first or not colon else 0
    return low, (_port(second, proto) if second else 0xFFFF) if colon else low


def _port(text: str, proto: int) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 0xFFFF:
        return int(text)
    value = service_port(text, "udp" if proto == UDP else "tcp")
    if value is None:
        raise MisuseError(f"invalid port/service `{text}' specified")
    return value


def _icmp(fields: Fields) -> tuple[MatchSpec, ...]:
    """Mirror parse_icmp(): a type's name, or type and code as ports; ranges of types are not modelled."""
    if fields.sports is None and fields.dports is None:
        return ()
    if fields.inverted & {"1", "2"}:
        raise MisuseError("Can't invert named ICMP types")
    text = fields.sports or ""
    found = [entry for entry in ICMP_NAMES if entry[0] != "any" and entry[0].lower().startswith(text.lower()) and text]
    if found and not text.isdigit():
        if len(found) > 1:
            raise MisuseError(f"Ambiguous ICMP `{text}' : `{found[0][0]}' or `{found[1][0]}'?")
        if fields.dports is not None:
            raise MisuseError("Can't use ICMP name and destination port together")
        return (IcmpMatch(type=found[0][1], codes=found[0][2:]),)
    kind = _icmp_number(text) if text else ICMP_ANY
    codes = (0, 0xFF) if fields.dports is None else (_icmp_number(fields.dports),) * 2
    return (IcmpMatch(type=kind, codes=codes),)


def _target(fields: Fields, options: set[str]) -> SideTarget:
    name = fields.target
    then = (_TARGETS.get(name) or JumpTarget(name)) if name else None
    mark, relative = fields.mark or (None, False)
    return SideTarget(
        then=then, log="l" in options, mark=mark, mark_relative=relative, tos_and=fields.tos[0],
        tos_xor=fields.tos[1],
    )  # fmt: skip


def reverse(rule: RuleSpec) -> RuleSpec:
    """Swap both ends for -b. Source: swap_info()."""
    matches: list[MatchSpec] = []
    for match in rule.matches:
        if isinstance(match, TcpMatch | UdpMatch):
            flipped = _swapped(match.invert, XT_TCP_INV_SRCPT, XT_TCP_INV_DSTPT)
            matches.append(replace(match, sports=match.dports, dports=match.sports, invert=flipped))
        else:
            matches.append(match)
    spec = replace(
        rule, src=rule.dst, dst=rule.src, matches=tuple(matches),
        invert=_swapped(rule.invert, IPT_INV_SRCIP, IPT_INV_DSTIP),
    )  # fmt: skip
    return replace(spec, text=save_text(spec).strip())


def _swapped(bits: int, one: int, two: int) -> int:
    """Return `bits` with two of them exchanged."""
    return bits & ~(one | two) | (two if bits & one else 0) | (one if bits & two else 0)


def _network(text: str) -> tuple[int, int]:
    """Read "10.0.0.0/8", "any/0"; host bits are cleared. Source: parse_hostnetworkmask()."""
    addr, slash, mask = text.rpartition("/") if "/" in text else (text, "", "")
    try:
        value = read_mask(mask) if slash else 0xFFFFFFFF
    except ValueError:
        raise MisuseError(f"invalid mask `{mask}' specified") from None
    if not value:
        return 0, 0
    try:
        return parse_ip(addr) & value, value
    except ValueError:
        raise MisuseError(f"host/network `{addr}' not found") from None


def _icmp_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 0xFF):
        raise MisuseError(f"invalid ICMP type `{text}' specified")
    return int(text)
