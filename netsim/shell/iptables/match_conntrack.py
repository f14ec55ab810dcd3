"""state, conntrack, mark, connmark, helper: matches on what connection tracking and marks say.

Source: extensions/libxt_conntrack.c, libxt_mark.c, libxt_connmark.c, libxt_helper.c (1.8.9).
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.addr import ip_str
from netsim.shell.iptables.extension import (
    MisuseError,
    Option,
    RuleHead,
    Uses,
    bang,
    host_mask,
    integer_range,
    mark_mask,
    mask_text,
    string,
)
from netsim.shell.iptables.names import protocol_number
from netsim.stack.netfilter.matchspec import (
    ANY_PORT,
    FULL_MASK,
    XT_CONNTRACK_DIRECTION,
    XT_CONNTRACK_EXPIRES,
    XT_CONNTRACK_ORIGDST,
    XT_CONNTRACK_ORIGDST_PORT,
    XT_CONNTRACK_ORIGSRC,
    XT_CONNTRACK_ORIGSRC_PORT,
    XT_CONNTRACK_PROTO,
    XT_CONNTRACK_REPLDST,
    XT_CONNTRACK_REPLDST_PORT,
    XT_CONNTRACK_REPLSRC,
    XT_CONNTRACK_REPLSRC_PORT,
    XT_CONNTRACK_STATE,
    XT_CONNTRACK_STATE_DNAT,
    XT_CONNTRACK_STATE_ESTABLISHED,
    XT_CONNTRACK_STATE_INVALID,
    XT_CONNTRACK_STATE_NEW,
    XT_CONNTRACK_STATE_RELATED,
    XT_CONNTRACK_STATE_SNAT,
    XT_CONNTRACK_STATE_UNTRACKED,
    XT_CONNTRACK_STATUS,
    ConntrackMatch,
    HelperMatch,
    MarkMatch,
    StateMatch,
)
from netsim.stack.netfilter.status import IPS_ASSURED, IPS_CONFIRMED, IPS_EXPECTED, IPS_SEEN_REPLY

_STATES = (
    ("INVALID", XT_CONNTRACK_STATE_INVALID), ("NEW", XT_CONNTRACK_STATE_NEW),
    ("RELATED", XT_CONNTRACK_STATE_RELATED), ("ESTABLISHED", XT_CONNTRACK_STATE_ESTABLISHED),
    ("UNTRACKED", XT_CONNTRACK_STATE_UNTRACKED),
)  # fmt: skip
_CT_STATES = (*_STATES, ("SNAT", XT_CONNTRACK_STATE_SNAT), ("DNAT", XT_CONNTRACK_STATE_DNAT))
_STATUS = (
    ("EXPECTED", IPS_EXPECTED), ("SEEN_REPLY", IPS_SEEN_REPLY), ("ASSURED", IPS_ASSURED), ("CONFIRMED", IPS_CONFIRMED),
)  # fmt: skip
_STATE_LIST = '"--state" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED'


def _bits(text: str, names: tuple[tuple[str, int], ...], what: str) -> int:
    """Read a comma list, in any case of letters. Raises MisuseError."""
    value = 0
    table = dict(names)
    for name in text.split(","):
        if name.upper() not in table:
            raise MisuseError(f'Bad {what} "{name}"')
        value |= table[name.upper()]
    return value


def _names(value: int, names: tuple[tuple[str, int], ...]) -> str:
    return ",".join(name for name, bit in names if value & bit)


def _read_state(option: Option, text: str) -> int:
    if not all(text.split(",")):
        raise MisuseError(_STATE_LIST)
    return _bits(text, _STATES, "state")


class StateExtension:
    """`-m state`."""

    name = "state"
    options = (Option(owner="state", name="state", read=_read_state, mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> StateMatch:
        """Make the spec."""
        return StateMatch(states=uses.value("state"), invert=uses.inverted("state"))

    def save(self, spec: StateMatch) -> str:
        """Print the states in the tool's order."""
        return f"{bang(spec.invert)} --state {_names(spec.states, _STATES)}"

    def show(self, spec: StateMatch, numeric: bool, head: RuleHead) -> str:
        """Print "state NEW"."""
        return f"{bang(spec.invert)} state {_names(spec.states, _STATES)}"


def _read_ctstate(option: Option, text: str) -> int:
    return _bits(text, _CT_STATES, "ctstate")


def _read_ctstatus(option: Option, text: str) -> int:
    return _bits(text, (("NONE", 0), *_STATUS), "ctstatus")


def _read_proto(option: Option, text: str) -> int:
    value = protocol_number(text.lower())
    if value is None:
        raise MisuseError(f'unknown protocol "{text}" specified')
    return value


def _read_direction(option: Option, text: str) -> bool:
    if text.upper() not in ("ORIGINAL", "REPLY"):
        raise MisuseError(f'conntrack: Bad value for "--ctdir" option: "{text}"')
    return text.upper() == "REPLY"


_ADDRESSES = (
    ("ctorigsrc", XT_CONNTRACK_ORIGSRC, "origsrc"), ("ctorigdst", XT_CONNTRACK_ORIGDST, "origdst"),
    ("ctreplsrc", XT_CONNTRACK_REPLSRC, "replsrc"), ("ctrepldst", XT_CONNTRACK_REPLDST, "repldst"),
)  # fmt: skip
_PORTS = (
    ("ctorigsrcport", XT_CONNTRACK_ORIGSRC_PORT, "origsrc_port"),
    ("ctorigdstport", XT_CONNTRACK_ORIGDST_PORT, "origdst_port"),
    ("ctreplsrcport", XT_CONNTRACK_REPLSRC_PORT, "replsrc_port"),
    ("ctrepldstport", XT_CONNTRACK_REPLDST_PORT, "repldst_port"),
)
_BITS = MappingProxyType({
    "ctstate": XT_CONNTRACK_STATE, "ctproto": XT_CONNTRACK_PROTO, "ctstatus": XT_CONNTRACK_STATUS,
    "ctexpire": XT_CONNTRACK_EXPIRES, **{name: bit for name, bit, _ in (*_ADDRESSES, *_PORTS)},
})  # fmt: skip


class ConntrackExtension:
    """`-m conntrack`."""

    name = "conntrack"
    options = (
        Option(owner="conntrack", name="ctstate", read=_read_ctstate, invert=True),
        Option(owner="conntrack", name="ctproto", read=_read_proto, invert=True),
        *(Option(owner="conntrack", name=name, read=host_mask, invert=True) for name, _, _ in _ADDRESSES),
        Option(owner="conntrack", name="ctstatus", read=_read_ctstatus, invert=True),
        Option(owner="conntrack", name="ctexpire", read=integer_range(0xFFFFFFFF), invert=True),
        *(Option(owner="conntrack", name=name, read=integer_range(0xFFFF), invert=True) for name, _, _ in _PORTS),
        Option(owner="conntrack", name="ctdir", read=_read_direction),
    )

    def build(self, uses: Uses, head: RuleHead) -> ConntrackMatch:
        """Make the spec."""
        if not uses:
            raise MisuseError("conntrack: At least one option is required")
        match = invert = 0
        for name, bit in _BITS.items():
            if name in uses:
                match |= bit
                invert |= bit if uses.inverted(name) else 0
        if "ctdir" in uses:
            match |= XT_CONNTRACK_DIRECTION
            invert |= XT_CONNTRACK_DIRECTION if uses.value("ctdir") else 0
        return ConntrackMatch(
            match=match,
            invert=invert,
            states=uses.value("ctstate", 0),
            status=uses.value("ctstatus", 0),
            proto=uses.value("ctproto", 0),
            expire=uses.value("ctexpire", (0, 0)),
            **{field: uses.value(name, (0, 0)) for name, _, field in _ADDRESSES},
            **{field: uses.value(name, ANY_PORT) for name, _, field in _PORTS},
        )

    def save(self, spec: ConntrackMatch) -> str:
        """Print every part that is asked for."""
        return self._text(spec, "--")

    def show(self, spec: ConntrackMatch, numeric: bool, head: RuleHead) -> str:
        """Print the same without dashes."""
        return self._text(spec, "")

    @staticmethod
    def _text(spec: ConntrackMatch, dashes: str) -> str:
        out = ""

        def put(name: str, bit: int, text: str) -> None:
            nonlocal out
            if spec.match & bit:
                out += f"{bang(bool(spec.invert & bit))} {dashes}{name} {text}"

        put("ctstate", XT_CONNTRACK_STATE, _names(spec.states, _CT_STATES))
        put("ctproto", XT_CONNTRACK_PROTO, str(spec.proto))
        for name, bit, field in _ADDRESSES:
            addr, mask = getattr(spec, field)
            put(name, bit, f"{ip_str(addr)}{mask_text(mask)}")
        for name, bit, field in _PORTS:
            low, high = getattr(spec, field)
            put(name, bit, str(low) if low == high else f"{low}:{high}")
        put("ctstatus", XT_CONNTRACK_STATUS, _names(spec.status, _STATUS) or "NONE")
        low, high = spec.expire
        put("ctexpire", XT_CONNTRACK_EXPIRES, str(low) if low == high else f"{low}:{high}")
        if spec.match & XT_CONNTRACK_DIRECTION:
            out += f" {dashes}ctdir {'REPLY' if spec.invert & XT_CONNTRACK_DIRECTION else 'ORIGINAL'}"
        return out


class MarkExtension:
    """`-m mark` and `-m connmark`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.options: tuple[Option, ...] = (
            Option(owner=name, name="mark", read=mark_mask, mandatory=True, invert=True),
        )

    def build(self, uses: Uses, head: RuleHead) -> MarkMatch:
        """Make the spec."""
        mark, mask = uses.value("mark")
        return MarkMatch(mark=mark, mask=mask, invert=uses.inverted("mark"), conn=self.name == "connmark")

    def save(self, spec: MarkMatch) -> str:
        """Print value and mask."""
        return f"{bang(spec.invert)} --mark {self._value(spec)}"

    def show(self, spec: MarkMatch, numeric: bool, head: RuleHead) -> str:
        """Print "mark match 0x1"; connmark has one blank more."""
        blank = " " if spec.conn and not spec.invert else ""
        return f" {self.name} match {'! ' if spec.invert else ''}{blank}{self._value(spec)}"

    @staticmethod
    def _value(spec: MarkMatch) -> str:
        return f"0x{spec.mark:x}" if spec.mask == FULL_MASK else f"0x{spec.mark:x}/0x{spec.mask:x}"


class HelperExtension:
    """`-m helper`."""

    name = "helper"
    options = (Option(owner="helper", name="helper", read=string(1, 29), mandatory=True, invert=True),)

    def build(self, uses: Uses, head: RuleHead) -> HelperMatch:
        """Make the spec."""
        return HelperMatch(helper=uses.value("helper"), invert=uses.inverted("helper"))

    def save(self, spec: HelperMatch) -> str:
        """Print the name."""
        return f"{bang(spec.invert)} --helper {spec.helper}"

    def show(self, spec: HelperMatch, numeric: bool, head: RuleHead) -> str:
        """Print it in quotes."""
        return f' helper match {"! " if spec.invert else ""}"{spec.helper}"'


EXTENSIONS = (
    StateExtension(), ConntrackExtension(), MarkExtension("mark"), MarkExtension("connmark"), HelperExtension(),
)  # fmt: skip
