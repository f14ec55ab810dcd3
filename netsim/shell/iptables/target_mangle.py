"""MARK, CONNMARK, CT, NOTRACK, TCPMSS, TTL, TOS, DSCP: targets that change a packet or its marks and go on.

Source: extensions/libxt_MARK.c, libxt_CONNMARK.c, libxt_CT.c, libxt_TCPMSS.c, libipt_TTL.c, libxt_TOS.c, libxt_DSCP.c.
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.shell.iptables.extension import (
    MisuseError,
    Option,
    RuleHead,
    Uses,
    integer,
    integer32,
    mark_mask,
    number,
    string,
)
from netsim.shell.iptables.match_header import TOS_SYMBOL_MASK, read_dscp_class, read_tos, tos_name
from netsim.stack.netfilter.matchspec import (
    FULL_MASK,
)
from netsim.stack.netfilter.rulespec import (
    ConnmarkTarget,
    CtTarget,
    DscpTarget,
    MarkTarget,
    TcpmssTarget,
    TosTarget,
    TtlTarget,
)

_MARK_OPERATIONS = ("set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark")


def _mark_options(owner: str, extra: tuple[str, ...] = ()) -> tuple[Option, ...]:
    """Make the five ways to set a mark, each excluding the others."""
    every = (*_MARK_OPERATIONS, *extra)
    return tuple(
        Option(
            owner=owner,
            name=name,
            read=mark_mask if name.startswith("set") else integer32,
            excludes=tuple(other for other in every if other != name),
        )
        for name in _MARK_OPERATIONS
    )


def _xmark(uses: Uses) -> tuple[int, int] | None:
    """Turn the operation that was used into what to xor in and what to clear first."""
    if "set-xmark" in uses:
        mark, mask = uses.value("set-xmark")
        return mark, mask
    if "set-mark" in uses:
        mark, mask = uses.value("set-mark")
        return mark, mark | mask
    if "and-mark" in uses:
        return 0, ~uses.value("and-mark") & FULL_MASK
    if "or-mark" in uses:
        return uses.value("or-mark"), uses.value("or-mark")
    if "xor-mark" in uses:
        return uses.value("xor-mark"), 0
    return None


def _show_xmark(mark: int, mask: int) -> str:
    """Name the operation again. Source: mark_tg_print()."""
    if mark == 0:
        return f"and 0x{~mask & FULL_MASK:x}"
    if mark == mask:
        return f"or 0x{mark:x}"
    if mask == 0:
        return f"xor 0x{mark:x}"
    if mask == FULL_MASK:
        return f"set 0x{mark:x}"
    return f"xset 0x{mark:x}/0x{mask:x}"


class MarkExtension:
    """`-j MARK`."""

    name = "MARK"
    options = _mark_options("MARK")

    def build(self, uses: Uses, head: RuleHead) -> MarkTarget:
        """Make the spec."""
        change = _xmark(uses)
        if change is None:
            raise MisuseError("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required")
        return MarkTarget(mark=change[0], mask=change[1])

    def save(self, spec: MarkTarget) -> str:
        """Print every operation as --set-xmark."""
        return f" --set-xmark 0x{spec.mark:x}/0x{spec.mask:x}"

    def show(self, spec: MarkTarget, numeric: bool) -> str:
        """Print "MARK set 0x1"."""
        return f" MARK {_show_xmark(spec.mark, spec.mask)}"


class ConnmarkExtension:
    """`-j CONNMARK`."""

    name = "CONNMARK"
    options = (
        *_mark_options("CONNMARK", ("save-mark", "restore-mark")),
        Option(owner="CONNMARK", name="save-mark", args=0, excludes=(*_MARK_OPERATIONS, "restore-mark")),
        Option(owner="CONNMARK", name="restore-mark", args=0, excludes=(*_MARK_OPERATIONS, "save-mark")),
        Option(owner="CONNMARK", name="ctmask", read=integer32, excludes=("mask",)),
        Option(owner="CONNMARK", name="nfmask", read=integer32, excludes=("mask",)),
        Option(owner="CONNMARK", name="mask", read=integer32, excludes=("ctmask", "nfmask")),
    )

    def build(self, uses: Uses, head: RuleHead) -> ConnmarkTarget:
        """Make the spec; --mask serves both masks."""
        ctmask = uses.value("mask", uses.value("ctmask", FULL_MASK))
        nfmask = uses.value("mask", uses.value("nfmask", FULL_MASK))
        if "save-mark" in uses or "restore-mark" in uses:
            mode = "save" if "save-mark" in uses else "restore"
            return ConnmarkTarget(mode=mode, ctmask=ctmask, nfmask=nfmask)
        change = _xmark(uses)
        if change is None:
            raise MisuseError("CONNMARK target: No operation specified")
        mark, mask = change
        if "mask" in uses:
            mask = uses.value("mask")
        return ConnmarkTarget(mode="set", ctmark=mark, ctmask=mask)

    def save(self, spec: ConnmarkTarget) -> str:
        """Print the operation with its masks."""
        if spec.mode == "set":
            return f" --set-xmark 0x{spec.ctmark:x}/0x{spec.ctmask:x}"
        return f" --{spec.mode}-mark --nfmask 0x{spec.nfmask:x} --ctmask 0x{spec.ctmask:x}"

    def show(self, spec: ConnmarkTarget, numeric: bool) -> str:
        """Print "CONNMARK save mask 0xff"."""
        if spec.mode == "set":
            return f" CONNMARK {_show_xmark(spec.ctmark, spec.ctmask)}"
        if spec.nfmask == spec.ctmask:
            mask = "" if spec.nfmask == FULL_MASK else f" mask 0x{spec.nfmask:x}"
        elif spec.mode == "save":
            mask = f" nfmask 0x{spec.nfmask:x} ctmask ~0x{spec.ctmask:x}"
        else:
            mask = f" ctmask 0x{spec.ctmask:x} nfmask ~0x{spec.nfmask:x}"
        return f" CONNMARK {spec.mode}{mask}"


def _read_zone(option: Option, text: str) -> int | str:
    if text == "mark":
        return text
    value = number(text, 0, 0xFFFF)
    if value is None:
        raise MisuseError(f"Cannot parse {text} as a zone ID")
    return value


class CtExtension:
    """`-j CT`: --notrack, --helper, --zone. Zones for one direction, events and timeouts are not modelled."""

    name = "CT"
    options = (
        Option(owner="CT", name="notrack", args=0),
        Option(owner="CT", name="helper", read=string(1, 15)),
        Option(owner="CT", name="zone", read=_read_zone),
    )

    def build(self, uses: Uses, head: RuleHead) -> CtTarget:
        """Make the spec."""
        return CtTarget(notrack="notrack" in uses, helper=uses.value("helper", ""), zone=uses.value("zone"))

    def save(self, spec: CtTarget) -> str:
        """Print what is set."""
        return self._text(spec, "--")

    def show(self, spec: CtTarget, numeric: bool) -> str:
        """Print the same without dashes, after "CT"."""
        return f" CT{self._text(spec, '')}"

    @staticmethod
    def _text(spec: CtTarget, dashes: str) -> str:
        if spec.notrack:
            return f" {dashes}notrack"
        out = f" {dashes}helper {spec.helper}" if spec.helper else ""
        return out + (f" {dashes}zone {spec.zone}" if spec.zone is not None else "")


class NotrackExtension:
    """`-j NOTRACK`, which the kernel holds as CT."""

    name = "NOTRACK"
    options: tuple[Option, ...] = ()

    def build(self, uses: Uses, head: RuleHead) -> CtTarget:
        """Make the spec."""
        return CtTarget(notrack=True, alias=True)

    def save(self, spec: CtTarget) -> str:
        """Print nothing more."""
        return ""

    def show(self, spec: CtTarget, numeric: bool) -> str:
        """Print its name beside CT's."""
        return " NOTRACK"


class TcpmssExtension:
    """`-j TCPMSS`; when both options are given the clamp wins."""

    name = "TCPMSS"
    options = (
        Option(owner="TCPMSS", name="set-mss", read=integer(0, 65515)),
        Option(owner="TCPMSS", name="clamp-mss-to-pmtu", args=0),
    )

    def build(self, uses: Uses, head: RuleHead) -> TcpmssTarget:
        """Make the spec."""
        if not uses:
            raise MisuseError("TCPMSS target: At least one parameter is required")
        return TcpmssTarget(None if "clamp-mss-to-pmtu" in uses else uses.value("set-mss"))

    def save(self, spec: TcpmssTarget) -> str:
        """Print which of the two."""
        return " --clamp-mss-to-pmtu" if spec.mss is None else f" --set-mss {spec.mss}"

    def show(self, spec: TcpmssTarget, numeric: bool) -> str:
        """Print "TCPMSS clamp to PMTU"."""
        return " TCPMSS clamp to PMTU" if spec.mss is None else f" TCPMSS set {spec.mss}"


_TTL_WORDS = MappingProxyType({"set": "set to", "dec": "decrement by", "inc": "increment by"})


class TtlExtension:
    """`-j TTL`."""

    name = "TTL"
    options = (
        Option(owner="TTL", name="ttl-set", read=integer(0, 255), excludes=("ttl-inc", "ttl-dec")),
        Option(owner="TTL", name="ttl-dec", read=integer(1, 255), excludes=("ttl-inc", "ttl-set")),
        Option(owner="TTL", name="ttl-inc", read=integer(1, 255), excludes=("ttl-dec", "ttl-set")),
    )

    def build(self, uses: Uses, head: RuleHead) -> TtlTarget:
        """Make the spec."""
        for mode in _TTL_WORDS:
            if f"ttl-{mode}" in uses:
                return TtlTarget(mode, uses.value(f"ttl-{mode}"))
        raise MisuseError("TTL: You must specify an action")

    def save(self, spec: TtlTarget) -> str:
        """Print the operation."""
        return f" --ttl-{spec.mode} {spec.value}"

    def show(self, spec: TtlTarget, numeric: bool) -> str:
        """Print "TTL set to 3"."""
        return f" TTL {_TTL_WORDS[spec.mode]} {spec.value}"


def _read_set_tos(option: Option, text: str) -> tuple[int, int]:
    return read_tos(text, TOS_SYMBOL_MASK, 0xFF)


class TosExtension:
    """`-j TOS`."""

    name = "TOS"
    options = (
        Option(owner="TOS", name="set-tos", read=_read_set_tos, excludes=("and-tos", "or-tos", "xor-tos")),
        Option(owner="TOS", name="and-tos", read=integer(0, 255), excludes=("set-tos", "or-tos", "xor-tos")),
        Option(owner="TOS", name="or-tos", read=integer(0, 255), excludes=("set-tos", "and-tos", "xor-tos")),
        Option(owner="TOS", name="xor-tos", read=integer(0, 255), excludes=("set-tos", "and-tos", "or-tos")),
    )

    def build(self, uses: Uses, head: RuleHead) -> TosTarget:
        """Make the spec."""
        if "set-tos" in uses:
            return TosTarget(*uses.value("set-tos"))
        if "and-tos" in uses:
            return TosTarget(0, ~uses.value("and-tos") & 0xFF)
        if "or-tos" in uses:
            return TosTarget(uses.value("or-tos"), uses.value("or-tos"))
        if "xor-tos" in uses:
            return TosTarget(uses.value("xor-tos"), 0)
        raise MisuseError("TOS: An action is required")

    def save(self, spec: TosTarget) -> str:
        """Print every operation as --set-tos."""
        return f" --set-tos 0x{spec.value:02x}/0x{spec.mask:02x}"

    def show(self, spec: TosTarget, numeric: bool) -> str:
        """Print "TOS set 0x10/0xff"; names stand without their blank, after two of them, as in the tool."""
        if numeric:
            return f" TOS set 0x{spec.value:02x}/0x{spec.mask:02x}"
        name = tos_name(spec.value, spec.mask)
        if name:
            return f"  TOS set{name}"
        if spec.value == 0:
            return f" TOS and 0x{~spec.mask & 0xFF:02x}"
        if spec.value == spec.mask:
            return f" TOS or 0x{spec.value:02x}"
        if spec.mask == 0:
            return f" TOS xor 0x{spec.value:02x}"
        return f" TOS set 0x{spec.value:02x}/0x{spec.mask:02x}"


class DscpExtension:
    """`-j DSCP`."""

    name = "DSCP"
    options = (
        Option(owner="DSCP", name="set-dscp", read=integer(0, 63), excludes=("set-dscp-class",)),
        Option(owner="DSCP", name="set-dscp-class", read=read_dscp_class, excludes=("set-dscp",)),
    )

    def build(self, uses: Uses, head: RuleHead) -> DscpTarget:
        """Make the spec."""
        if not uses:
            raise MisuseError("DSCP target: Parameter --set-dscp is required")
        return DscpTarget(uses.value("set-dscp", uses.value("set-dscp-class")))

    def save(self, spec: DscpTarget) -> str:
        """Print the value."""
        return f" --set-dscp 0x{spec.dscp:02x}"

    def show(self, spec: DscpTarget, numeric: bool) -> str:
        """Print "DSCP set 0x0a"."""
        return f" DSCP set 0x{spec.dscp:02x}"


EXTENSIONS = (
    MarkExtension(), ConnmarkExtension(), CtExtension(), NotrackExtension(), TcpmssExtension(), TtlExtension(),
    TosExtension(), DscpExtension(),
)  # fmt: skip
