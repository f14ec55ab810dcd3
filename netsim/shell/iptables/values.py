"""Values of the rule itself: lists of addresses, and header matches that load as one.

Source: libxtables/xtables.c xtables_ipparse_multiple(), parse_ipnet() (1.8.9); recorded in tests/golden/iptables.
"""

from __future__ import annotations

from dataclasses import replace

from netsim.addr import LOOPBACK, parse_ip
from netsim.shell.iptables.extension import MisuseError, read_mask
from netsim.stack.netfilter.matchspec import (
    MatchSpec,
    TcpMatch,
    UdpMatch,
)
from netsim.stack.skb import IPPROTO_TCP, IPPROTO_UDP


def read_hosts(text: str) -> list[tuple[int, int]]:
    """Read "10.0.0.0/8,10.1" into (address, mask) pairs, host bits cleared. Raises MisuseError."""
    hosts = []
    for part in text.split(","):
        addr, slash, mask = part.rpartition("/") if "/" in part else (part, "", "")
        try:
            value = read_mask(mask) if slash else 0xFFFFFFFF
        except ValueError:
            raise MisuseError(f"invalid mask `{mask}' specified") from None
        host = _host(addr, bool(slash))
        if host is None:
            raise MisuseError(f"host/network `{addr}' not found")
        hosts.append((host & value, value))
    return hosts


def _host(text: str, network: bool) -> int | None:
    """Read an address, "10.1" filled up with zeros, or localhost; None for a name nobody knows.

    "10.1" is 10.1.0.0 here, unlike inet_aton().
    """
    if text == "localhost" and not network:
        return LOOPBACK
    parts = text.split(".")
    if len(parts) > 4 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    try:
        return parse_ip(".".join([*(str(int(part)) for part in parts), *["0"] * (4 - len(parts))]))
    except ValueError:
        return None


def merged(first: MatchSpec, second: TcpMatch | UdpMatch) -> MatchSpec:
    """Let what `second` says differ from a bare match stand in `first`, which is of the same kind."""
    bare = type(second)()
    names = [name for name in second.__dataclass_fields__ if name != "invert"]
    changed = {name: getattr(second, name) for name in names if getattr(second, name) != getattr(bare, name)}
    invert = getattr(first, "invert", 0) | second.invert
    return replace(first, **changed, invert=invert)  # type: ignore[arg-type]  # both are of one class, checked by the caller


def check_transport(matches: tuple[MatchSpec, ...], proto: int) -> None:
    """Refuse ports and flags in a rule of another protocol, which nft could not load. Raises MisuseError."""
    for match in matches:
        if isinstance(match, TcpMatch) and match != TcpMatch() and proto != IPPROTO_TCP:
            raise MisuseError("TCP match requires '-p tcp'")
        if isinstance(match, UdpMatch) and match != UdpMatch() and proto != IPPROTO_UDP:
            raise MisuseError("UDP match requires '-p udp'")
