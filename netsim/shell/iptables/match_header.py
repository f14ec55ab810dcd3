"""mac, ttl, length, tos, dscp, tcpmss, pkttype: matches on one field each.

Source: libxt_mac.c, libipt_ttl.c, libxt_length.c, libxt_tos.c, libxt_dscp.c, libxt_tcpmss.c, libxt_pkttype.c (1.8.9).
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.addr import mac_str, parse_mac
from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, bang, integer, integer_range, number
from netsim.stack.netfilter.matchspec import (
    DscpMatch,
    LengthMatch,
    MacMatch,
    PkttypeMatch,
    TcpmssMatch,
    TosMatch,
    TtlMatch,
)
from netsim.stack.skb import PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST


def _read_mac(option: Option, text: str) -> bytes:
    try:
        return parse_mac(text)
    except ValueError:
        raise MisuseError("Invalid MAC address specified.") from None


class MacExtension:
    """`-m mac`."""

    name = "mac"
    options = (Option(owner="mac", name="mac-source", read=_read_mac, mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> MacMatch:
        """Make the spec."""
        return MacMatch(mac=uses.value("mac-source"), invert=uses.inverted("mac-source"))

    def save(self, spec: MacMatch) -> str:
        """Print the address."""
        return f"{bang(spec.invert)} --mac-source {mac_str(spec.mac)}"

    def show(self, spec: MacMatch, numeric: bool, head: RuleHead) -> str:
        """Print "MAC 02:..."."""
        return f" MAC{bang(spec.invert)} {mac_str(spec.mac)}"


_TTL_SIGNS = MappingProxyType({"eq": "==", "ne": "!=", "lt": "<", "gt": ">"})


class TtlExtension:
    """`-m ttl`."""

    name = "ttl"
    options = (
        Option(owner="ttl", name="ttl-lt", read=integer(0, 255), excludes=("ttl-gt", "ttl-eq")),
        Option(owner="ttl", name="ttl-gt", read=integer(0, 255), excludes=("ttl-lt", "ttl-eq")),
        Option(owner="ttl", name="ttl-eq", aliases=("ttl",), read=integer(0, 255), invert=True,
               excludes=("ttl-lt", "ttl-gt")),
    )  # fmt: skip

    def build(self, uses: Uses, head: RuleHead) -> TtlMatch:
        """Make the spec."""
        if "ttl-lt" in uses:
            return TtlMatch(mode="lt", ttl=uses.value("ttl-lt"))
        if "ttl-gt" in uses:
            return TtlMatch(mode="gt", ttl=uses.value("ttl-gt"))
        if "ttl-eq" not in uses:
            raise MisuseError("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt")
        return TtlMatch(mode="ne" if uses.inverted("ttl-eq") else "eq", ttl=uses.value("ttl-eq"))

    def save(self, spec: TtlMatch) -> str:
        """Print the comparison."""
        name = "eq" if spec.mode == "ne" else spec.mode
        return f"{bang(spec.mode == 'ne')} --ttl-{name} {spec.ttl}"

    def show(self, spec: TtlMatch, numeric: bool, head: RuleHead) -> str:
        """Print "TTL match TTL == 5"."""
        return f" TTL match TTL {_TTL_SIGNS[spec.mode]} {spec.ttl}"


class LengthExtension:
    """`-m length`."""

    name = "length"
    options = (Option(owner="length", name="length", read=integer_range(0xFFFF), mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> LengthMatch:
        """Make the spec."""
        return LengthMatch(length=uses.value("length"), invert=uses.inverted("length"))

    def save(self, spec: LengthMatch) -> str:
        """Print one length or both ends."""
        return f"{bang(spec.invert)} --length {_range(spec.length)}"

    def show(self, spec: LengthMatch, numeric: bool, head: RuleHead) -> str:
        """Print "length 100:200"."""
        return f" length {'!' if spec.invert else ''}{_range(spec.length)}"


def _range(ends: tuple[int, int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low}:{high}"


TOS_NAMES = MappingProxyType({
    "Minimize-Delay": 0x10, "Maximize-Throughput": 0x08, "Maximize-Reliability": 0x04, "Minimize-Cost": 0x02,
    "Normal-Service": 0x00,
})  # fmt: skip
TOS_SYMBOL_MASK = 0x3F
"""A name stands for all bits but precedence's two highest."""


def read_tos(text: str, symbol_mask: int, number_mask: int) -> tuple[int, int]:
    """Read "0x10", "0x10/0x3f" or a name; answers value and mask. Raises MisuseError. Source: tos_values.c."""
    if text[:1].isdigit():
        first, slash, second = text.partition("/")
        value, mask = number(first, 0, 255), number(second, 0, 255) if slash else number_mask
        if value is None or mask is None:
            raise MisuseError(f'Illegal value: "{text}"')
        return value, mask
    for name, each in TOS_NAMES.items():
        if name.lower() == text.lower():
            return each, symbol_mask
    raise MisuseError(f'Symbolic name "{text}" is unknown')


def tos_name(value: int, mask: int) -> str:
    """Return the name of a value under the mask of names, "" if it has none."""
    if mask != TOS_SYMBOL_MASK:
        return ""
    return next((name for name, each in TOS_NAMES.items() if each == value), "")


def _read_tos_match(option: Option, text: str) -> tuple[int, int]:
    return read_tos(text, TOS_SYMBOL_MASK, 0xFF)


class TosExtension:
    """`-m tos`."""

    name = "tos"
    options = (Option(owner="tos", name="tos", read=_read_tos_match, mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> TosMatch:
        """Make the spec."""
        value, mask = uses.value("tos")
        return TosMatch(value=value, mask=mask, invert=uses.inverted("tos"))

    def save(self, spec: TosMatch) -> str:
        """Print value and mask."""
        return f"{bang(spec.invert)} --tos 0x{spec.value:02x}/0x{spec.mask:02x}"

    def show(self, spec: TosMatch, numeric: bool, head: RuleHead) -> str:
        """Print "tos match0x10/0xff": the missing blank is the tool's."""
        name = "" if numeric else tos_name(spec.value, spec.mask)
        sign = "!" if spec.invert else ""
        return f" tos match{sign} {name}" if name else f" tos match{sign}0x{spec.value:02x}/0x{spec.mask:02x}"


DSCP_CLASSES = MappingProxyType({
    **{f"CS{n}": n << 3 for n in range(8)}, "BE": 0, "EF": 0x2E,
    **{f"AF{c}{d}": c << 3 | d << 1 for c in range(1, 5) for d in range(1, 4)},
})  # fmt: skip


def read_dscp_class(option: Option, text: str) -> int:
    """Read a class's name."""
    if text.upper() not in DSCP_CLASSES:
        raise MisuseError(f"Invalid DSCP value `{text}'")
    return DSCP_CLASSES[text.upper()]


class DscpExtension:
    """`-m dscp`."""

    name = "dscp"
    options = (
        Option(owner="dscp", name="dscp", read=integer(0, 63), invert=True, excludes=("dscp-class",)),
        Option(owner="dscp", name="dscp-class", read=read_dscp_class, invert=True, excludes=("dscp",)),
    )

    def build(self, uses: Uses, head: RuleHead) -> DscpMatch:
        """Make the spec."""
        if not uses:
            raise MisuseError("DSCP match: Parameter --dscp is required")
        name = "dscp" if "dscp" in uses else "dscp-class"
        return DscpMatch(dscp=uses.value(name), invert=uses.inverted(name))

    def save(self, spec: DscpMatch) -> str:
        """Print the value."""
        return f"{bang(spec.invert)} --dscp 0x{spec.dscp:02x}"

    def show(self, spec: DscpMatch, numeric: bool, head: RuleHead) -> str:
        """Print "DSCP match 0x0a"."""
        return f" DSCP match {'!' if spec.invert else ''}0x{spec.dscp:02x}"


class TcpmssExtension:
    """`-m tcpmss`."""

    name = "tcpmss"
    options = (Option(owner="tcpmss", name="mss", read=integer_range(0xFFFF), mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> TcpmssMatch:
        """Make the spec."""
        return TcpmssMatch(mss=uses.value("mss"), invert=uses.inverted("mss"))

    def save(self, spec: TcpmssMatch) -> str:
        """Print one value or both ends."""
        return f"{bang(spec.invert)} --mss {_range(spec.mss)}"

    def show(self, spec: TcpmssMatch, numeric: bool, head: RuleHead) -> str:
        """Print "tcpmss match 100:200"."""
        return f" tcpmss match {'!' if spec.invert else ''}{_range(spec.mss)}"


_TYPES = (("unicast", PACKET_HOST), ("broadcast", PACKET_BROADCAST), ("multicast", PACKET_MULTICAST))
_TYPE_ALIASES = MappingProxyType({"host": "unicast", "bcast": "broadcast", "mcast": "multicast"})


def _read_type(option: Option, text: str) -> int:
    word = _TYPE_ALIASES.get(text.lower(), text.lower())
    for name, value in _TYPES:
        if name.startswith(word) and word:
            return value
    raise MisuseError(f"Bad packet type '{text}'")


class PkttypeExtension:
    """`-m pkttype`."""

    name = "pkttype"
    options = (Option(owner="pkttype", name="pkt-type", read=_read_type, mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> PkttypeMatch:
        """Make the spec."""
        return PkttypeMatch(pkt_type=uses.value("pkt-type"), invert=uses.inverted("pkt-type"))

    def save(self, spec: PkttypeMatch) -> str:
        """Print the type's name."""
        return f"{bang(spec.invert)} --pkt-type {self._name(spec)}"

    def show(self, spec: PkttypeMatch, numeric: bool, head: RuleHead) -> str:
        """Print "PKTTYPE = broadcast"."""
        return f" PKTTYPE {'!=' if spec.invert else '='} {self._name(spec)}"

    @staticmethod
    def _name(spec: PkttypeMatch) -> str:
        return next(name for name, value in _TYPES if value == spec.pkt_type)


EXTENSIONS = (
    MacExtension(), TtlExtension(), LengthExtension(), TosExtension(), DscpExtension(), TcpmssExtension(),
    PkttypeExtension(),
)  # fmt: skip
