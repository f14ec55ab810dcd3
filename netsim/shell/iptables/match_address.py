"""addrtype, iprange, comment. Source: extensions/libxt_addrtype.c, libxt_iprange.c, libxt_comment.c (1.8.9)."""

from __future__ import annotations

from netsim.addr import ip_str, parse_ip
from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, bang, quoted, string
from netsim.stack.netfilter.matchspec import (
    AddrtypeMatch,
    CommentMatch,
    IprangeMatch,
)

_TYPES = (
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
    "NAT", "XRESOLVE",
)  # fmt: skip
"""By RTN_ number."""


def _read_types(option: Option, text: str) -> int:
    mask = 0
    for name in text.split(","):
        if name.upper() not in _TYPES:
            raise MisuseError(f'addrtype: bad type "{name}"')
        mask |= 1 << _TYPES.index(name.upper())
    return mask


class AddrtypeExtension:
    """`-m addrtype`."""

    name = "addrtype"
    options = (
        Option(owner="addrtype", name="src-type", read=_read_types, invert=True),
        Option(owner="addrtype", name="dst-type", read=_read_types, invert=True),
        Option(owner="addrtype", name="limit-iface-in", args=0, excludes=("limit-iface-out",)),
        Option(owner="addrtype", name="limit-iface-out", args=0, excludes=("limit-iface-in",)),
    )

    def build(self, uses: Uses, head: RuleHead) -> AddrtypeMatch:
        """Make the spec."""
        if "src-type" not in uses and "dst-type" not in uses:
            raise MisuseError("addrtype: you must specify --src-type or --dst-type")
        return AddrtypeMatch(
            src=uses.value("src-type", 0),
            dst=uses.value("dst-type", 0),
            invert_src=uses.inverted("src-type"),
            invert_dst=uses.inverted("dst-type"),
            limit="in" if "limit-iface-in" in uses else "out" if "limit-iface-out" in uses else "",
        )

    def save(self, spec: AddrtypeMatch) -> str:
        """Print the types in the kernel's order."""
        out = f"{bang(spec.invert_src)} --src-type {_names(spec.src)}" if spec.src else ""
        out += f"{bang(spec.invert_dst)} --dst-type {_names(spec.dst)}" if spec.dst else ""
        return out + (f" --limit-iface-{spec.limit}" if spec.limit else "")

    def show(self, spec: AddrtypeMatch, numeric: bool, head: RuleHead) -> str:
        """Print "ADDRTYPE match dst-type LOCAL"."""
        out = " ADDRTYPE match"
        out += f" src-type {'!' if spec.invert_src else ''}{_names(spec.src)}" if spec.src else ""
        out += f" dst-type {'!' if spec.invert_dst else ''}{_names(spec.dst)}" if spec.dst else ""
        return out + (f" limit-{spec.limit}" if spec.limit else "")


def _names(mask: int) -> str:
    return ",".join(name for number, name in enumerate(_TYPES) if mask >> number & 1)


def _read_range(option: Option, text: str) -> tuple[int, int]:
    first, dash, second = text.partition("-")
    ends = []
    for part in (first, second if dash else first):
        try:
            ends.append(parse_ip(part))
        except ValueError:
            raise MisuseError(f'iprange: Bad value for "--{option.name}" option: "{part}"') from None
    return ends[0], ends[1]


class IprangeExtension:
    """`-m iprange`."""

    name = "iprange"
    options = (
        Option(owner="iprange", name="src-range", read=_read_range, invert=True),
        Option(owner="iprange", name="dst-range", read=_read_range, invert=True),
    )

    def build(self, uses: Uses, head: RuleHead) -> IprangeMatch:
        """Make the spec."""
        if not uses:
            raise MisuseError("iprange match: You must specify `--src-range' or `--dst-range'")
        for name in ("src-range", "dst-range"):
            ends = uses.value(name)
            if ends and ends[0] > ends[1]:
                uses.warnings.append(f"xt_iprange: range {_ends(ends)} is reversed and will never match")
        return IprangeMatch(
            src=uses.value("src-range"),
            dst=uses.value("dst-range"),
            invert_src=uses.inverted("src-range"),
            invert_dst=uses.inverted("dst-range"),
        )

    def save(self, spec: IprangeMatch) -> str:
        """Print both ranges."""
        out = f"{bang(spec.invert_src)} --src-range {_ends(spec.src)}" if spec.src else ""
        return out + (f"{bang(spec.invert_dst)} --dst-range {_ends(spec.dst)}" if spec.dst else "")

    def show(self, spec: IprangeMatch, numeric: bool, head: RuleHead) -> str:
        """Print "source IP range A-B"."""
        out = f" source IP range{bang(spec.invert_src)} {_ends(spec.src)}" if spec.src else ""
        return out + (f" destination IP range{bang(spec.invert_dst)} {_ends(spec.dst)}" if spec.dst else "")


def _ends(ends: tuple[int, int]) -> str:
    return f"{ip_str(ends[0])}-{ip_str(ends[1])}"


class CommentExtension:
    """`-m comment`."""

    name = "comment"
    options = (Option(owner="comment", name="comment", read=string(0, 255), mandatory=True),)

    def build(self, uses: Uses, head: RuleHead) -> CommentMatch:
        """Make the spec."""
        return CommentMatch(comment=uses.value("comment"))

    def save(self, spec: CommentMatch) -> str:
        """Print the text, quoted where need be."""
        return f" --comment {quoted(spec.comment)}"

    def show(self, spec: CommentMatch, numeric: bool, head: RuleHead) -> str:
        """Print it between /* and */."""
        return f" /* {spec.comment} */"


EXTENSIONS = (AddrtypeExtension(), IprangeExtension(), CommentExtension())
