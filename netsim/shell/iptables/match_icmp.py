"""icmp: types by number or name, whole or begun. Source: extensions/libipt_icmp.c, libxt_icmp.h (1.8.9)."""

from __future__ import annotations

from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, bang
from netsim.stack.netfilter.matchspec import (
    ICMP_ANY,
    IcmpMatch,
)

NAMES: tuple[tuple[str, int, int, int], ...] = (
    ("any", 0xFF, 0, 0xFF),
    ("echo-reply", 0, 0, 0xFF), ("pong", 0, 0, 0xFF),
    ("destination-unreachable", 3, 0, 0xFF),
    ("network-unreachable", 3, 0, 0), ("host-unreachable", 3, 1, 1), ("protocol-unreachable", 3, 2, 2),
    ("port-unreachable", 3, 3, 3), ("fragmentation-needed", 3, 4, 4), ("source-route-failed", 3, 5, 5),
    ("network-unknown", 3, 6, 6), ("host-unknown", 3, 7, 7), ("network-prohibited", 3, 9, 9),
    ("host-prohibited", 3, 10, 10), ("TOS-network-unreachable", 3, 11, 11), ("TOS-host-unreachable", 3, 12, 12),
    ("communication-prohibited", 3, 13, 13), ("host-precedence-violation", 3, 14, 14), ("precedence-cutoff", 3, 15, 15),
    ("source-quench", 4, 0, 0xFF),
    ("redirect", 5, 0, 0xFF), ("network-redirect", 5, 0, 0), ("host-redirect", 5, 1, 1),
    ("TOS-network-redirect", 5, 2, 2), ("TOS-host-redirect", 5, 3, 3),
    ("echo-request", 8, 0, 0xFF), ("ping", 8, 0, 0xFF),
    ("router-advertisement", 9, 0, 0xFF), ("router-solicitation", 10, 0, 0xFF),
    ("time-exceeded", 11, 0, 0xFF), ("ttl-exceeded", 11, 0, 0xFF),
    ("ttl-zero-during-transit", 11, 0, 0), ("ttl-zero-during-reassembly", 11, 1, 1),
    ("parameter-problem", 12, 0, 0xFF), ("ip-header-bad", 12, 0, 0), ("required-option-missing", 12, 1, 1),
    ("timestamp-request", 13, 0, 0xFF), ("timestamp-reply", 14, 0, 0xFF),
    ("address-mask-request", 17, 0, 0xFF), ("address-mask-reply", 18, 0, 0xFF),
)  # fmt: skip


def read_type(option: Option, text: str) -> tuple[int, int, int]:
    """Read "8", "3/4" or a name that is begun unambiguously; answers type and the two ends of the code."""
    found: tuple[str, int, int, int] | None = None
    for entry in NAMES:
        if entry[0].lower().startswith(text.lower()) and text:
            if found is not None and found[1:] != entry[1:]:
                raise MisuseError(f"Ambiguous ICMP type `{text}': `{found[0]}' or `{entry[0]}'?")
            found = found or entry
    if found is not None:
        return found[1:]
    kind, slash, code = text.partition("/")
    if not (kind.isascii() and kind.isdigit() and int(kind) <= 255):
        raise MisuseError(f"Unknown ICMP type `{kind}'")
    if not slash:
        return int(kind), 0, 0xFF
    if not (code.isascii() and code.isdigit() and int(code) <= 255):
        raise MisuseError(f"Unknown ICMP code `{text}'")
    return int(kind), int(code), int(code)


class IcmpExtension:
    """`-m icmp`."""

    name = "icmp"
    options = (Option(owner="icmp", name="icmp-type", read=read_type, mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> IcmpMatch:
        """Make the spec."""
        kind, low, high = uses.value("icmp-type")
        return IcmpMatch(type=kind, codes=(low, high), invert=uses.inverted("icmp-type"))

    def save(self, spec: IcmpMatch) -> str:
        """Print the type in numbers."""
        if spec.type == ICMP_ANY:
            text = "any"
        else:
            text = str(spec.type) if spec.codes == (0, 0xFF) else f"{spec.type}/{spec.codes[0]}"
        return f"{bang(spec.invert)} --icmp-type {text}"

    def show(self, spec: IcmpMatch, numeric: bool, head: RuleHead) -> str:
        """Print "icmptype 8", or "icmp echo-request"."""
        sign = " !" if spec.invert else ""
        if not numeric:
            name = next((entry[0] for entry in NAMES if entry[1:] == (spec.type, *spec.codes)), "")
            if name:
                return f" icmp {sign.strip()}{name}"
        out = f" icmp{sign}type {spec.type}"
        if spec.codes == (0, 0xFF):
            return out
        low, high = spec.codes
        return f"{out} code {low}" if low == high else f"{out} codes {low}-{high}"


EXTENSIONS = (IcmpExtension(),)
