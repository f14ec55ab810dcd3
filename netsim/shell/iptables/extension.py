"""What a match or a target of iptables is: options, a spec made of them, and the spec's two texts.

Options behave as xtables's guided option parser has them: once each, inverted where allowed, excluding one another,
mandatory; values are read when met. The sentences are its own.
Source: libxtables/xtoptions.c (1.8.9); recorded in tests/golden/iptables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from netsim.addr import ip_str, parse_ip
from netsim.shell.iptables.names import service_port
from netsim.stack.netfilter.matchspec import (
    MatchSpec,
)
from netsim.stack.netfilter.rulespec import (
    TargetSpec,
)


class MisuseError(Exception):
    """A parameter problem: `what` is said after the tool's name, exit status 2."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


Reader = Callable[["Option", str], Any]
"""Reads one value; Any: each option has its own type of value."""


@dataclass(frozen=True, slots=True)
class RuleHead:
    """What an extension may ask of the rule it stands in."""

    proto: int
    proto_inverted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. `name` is the canonical one; `aliases` share its slot; `args` words follow (0, 1 or 2).

    `owner` is the extension's name, for its sentences. `repeated` replaces the usual sentence for a second use.
    `check` looks at the value and at what the line has said of the protocol so far, before the value is read.
    """

    owner: str
    name: str
    aliases: tuple[str, ...] = ()
    args: int = 1
    read: Reader | None = None
    check: Callable[[str, RuleHead], None] | None = None
    invert: bool = False
    mandatory: bool = False
    excludes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    repeated: str = ""
    missing: str = ""

    def value(self, words: tuple[str, ...]) -> Any:  # Any: see Reader
        """Read the words that follow."""
        if self.read is None or not words:
            return words
        return self.read(self, words[0])


@dataclass(frozen=True, slots=True)
class Given:
    """One use of an option: its value and whether ! stood before it."""

    value: Any  # Any: see Reader
    inverted: bool = False


class Uses:
    """The uses of an extension's options in one rule, by canonical name, in order."""

    def __init__(self, owner: str, options: tuple[Option, ...]) -> None:
        self.owner = owner
        self.options = options
        self._given: dict[str, Given] = {}
        self.warnings: list[str] = []

    def add(self, option: Option, words: tuple[str, ...], inverted: bool, head: RuleHead) -> None:
        """Note one use; `head` is the rule's as far as it was read. Raises MisuseError.

        Source: xtables_option_parse().
        """
        if option.name in self._given:
            raise MisuseError(option.repeated or f'{self.owner}: option "--{option.name}" can only be used once.\n')
        if inverted and not option.invert:
            raise MisuseError(f'{self.owner}: option "--{option.name}" cannot be inverted.\n')
        if option.check is not None:
            option.check(words[0], head)
        if option.check is not None:
            option.check(words[0], head)
        self._given[option.name] = Given(option.value(words), inverted)

    def finish(self) -> None:
        """Check what belongs together. Raises MisuseError. Source: xtables_options_fcheck()."""
        for option in self.options:
            if option.name not in self._given:
                if option.mandatory:
                    raise MisuseError(option.missing or f'{self.owner}: option "--{option.name}" must be specified\n')
                continue
            for other in option.also:
                if other not in self._given:
                    raise MisuseError(f'{self.owner}: option "--{option.name}" also requires "--{other}".\n')
            for other in option.excludes:
                if other in self._given:
                    raise MisuseError(
                        f'{self.owner}: option "--{option.name}" cannot be used together with "--{other}".\n'
                    )

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def __bool__(self) -> bool:
        return bool(self._given)

    def value(self, name: str, default: Any = None) -> Any:  # Any: see Reader
        """Return an option's value."""
        given = self._given.get(name)
        return default if given is None else given.value

    def inverted(self, name: str) -> bool:
        """Tell whether ! stood before an option."""
        given = self._given.get(name)
        return given is not None and given.inverted


class MatchExtension(Protocol):
    """One match: `-m name`."""

    @property
    def name(self) -> str:
        """The name behind -m or -j."""
        ...

    @property
    def options(self) -> tuple[Option, ...]:
        """Its options, in the order in which they are checked."""
        ...

    def build(self, uses: Uses, head: RuleHead) -> MatchSpec:
        """Make the spec. Raises MisuseError."""
        ...

    def save(self, spec: Any) -> str:  # Any: the extension's own spec
        """Print the options as iptables-save does, each with a blank before it."""
        ...

    def show(self, spec: Any, numeric: bool, head: RuleHead) -> str:  # Any: the extension's own spec
        """Print the extra column of -L, with a blank before it."""
        ...


class TargetExtension(Protocol):
    """One target: `-j name`."""

    @property
    def name(self) -> str:
        """The name behind -m or -j."""
        ...

    @property
    def options(self) -> tuple[Option, ...]:
        """Its options, in the order in which they are checked."""
        ...

    def build(self, uses: Uses, head: RuleHead) -> TargetSpec:
        """Make the spec. Raises MisuseError."""
        ...

    def save(self, spec: Any) -> str:  # Any: the extension's own spec
        """Print the options as iptables-save does, each with a blank before it."""
        ...

    def show(self, spec: Any, numeric: bool) -> str:  # Any: the extension's own spec
        """Print the extra column of -L, with a blank before it."""
        ...


# Values

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")


def number(text: str, low: int = 0, high: int = 0xFFFFFFFF) -> int | None:
    """Read a C number (decimal, 0x, 0 octal) between bounds, None otherwise. Source: xtables_strtoui()."""
    if _NUMBER.fullmatch(text) is None:
        return None
    value = int(text, 8) if text[0] == "0" and text.isdigit() else int(text, 0)
    return value if low <= value <= high else None


def integer(low: int, high: int) -> Reader:
    """Make a reader of one number."""

    def read(option: Option, text: str) -> int:
        value = number(text, low, high)
        if value is None:
            raise MisuseError(
                f'{option.owner}: bad value for option "--{option.name}", or out of range ({low}-{high}).\n'
            )
        return value

    return read


def integer_range(high: int) -> Reader:
    """Make a reader of "a", "a:b", ":b" or "a:"; answers both ends."""

    def read(option: Option, text: str) -> tuple[int, int]:
        first, colon, second = text.partition(":")
        ends = []
        for part, default in ((first, 0), (second if colon else first, high)):
            value = number(part, 0, high) if part else default if colon else None
            if value is None:
                raise MisuseError(
                    f'{option.owner}: bad value for option "--{option.name}" near "{part}", '
                    f"or out of range (0-{high}).\n"
                )
            ends.append(value)
        return ends[0], ends[1]

    return read


def mark_mask(option: Option, text: str) -> tuple[int, int]:
    """Read "value[/mask]". Source: xtopt_parse_markmask()."""
    first, slash, second = text.partition("/")
    value = number(first)
    mask = number(second) if slash else 0xFFFFFFFF
    if value is None or mask is None:
        raise MisuseError(f'{option.owner}: bad integer value for option "--{option.name}", or out of range.\n')
    return value, mask


def integer32(option: Option, text: str) -> int:
    """Read a 32-bit number, with mark_mask's sentence."""
    value = number(text)
    if value is None:
        raise MisuseError(f'{option.owner}: bad integer value for option "--{option.name}", or out of range.\n')
    return value


def string(low: int, high: int) -> Reader:
    """Make a reader of a text; a longer one is cut, as strncpy() does."""

    def read(option: Option, text: str) -> str:
        if len(text) < low:
            raise MisuseError(f"Argument must have a minimum length of {low} characters\n")
        return text[:high]

    return read


def host_mask(option: Option, text: str) -> tuple[int, int]:
    """Read an address with an optional mask; names are not looked up. Source: xtopt_parse_hostmask()."""
    addr, slash, mask = text.partition("/")
    try:
        return parse_ip(addr), read_mask(mask) if slash else 0xFFFFFFFF
    except ValueError:
        raise MisuseError("getaddrinfo: Temporary failure in name resolution\n") from None


def read_mask(text: str) -> int:
    """Read "24" or "255.255.255.0". Raises ValueError."""
    if text.isascii() and text.isdigit():
        length = int(text)
        if length <= 32:
            return 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF
        raise ValueError(text)
    return parse_ip(text)


def port(text: str, proto: str = "") -> int:
    """Read a port's number or service. Raises MisuseError. Source: xtables_parse_port()."""
    value = number(text, 0, 0xFFFF)
    if value is None:
        value = service_port(text, proto)
    if value is None:
        raise MisuseError(f"invalid port/service `{text}' specified")
    return value


# Texts


def mask_length(mask: int) -> int | None:
    """Return the prefix length of a mask, None for one with holes."""
    length = mask.bit_count()
    return length if mask == 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF else None


def mask_text(mask: int) -> str:
    """Print "/24", "" for a full mask, or "/255.0.255.0". Source: xtables_ipmask_to_numeric()."""
    length = mask_length(mask)
    if length == 32:
        return ""
    return f"/{ip_str(mask) if length is None else length}"


def quoted(text: str) -> str:
    """Print a text as iptables-save does: in double quotes where sh would need them. Source: xtables_save_string()."""
    bare = "_-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    if text and all(char in bare for char in text):
        return text
    escaped = "".join(f"\\{char}" if char in "\"\\'" else char for char in text)
    return f'"{escaped}"'


def bang(inverted: bool) -> str:
    """Print " !" for an inverted option."""
    return " !" if inverted else ""
