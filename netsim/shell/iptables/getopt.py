"""Cut a command line into options as getopt_long(3) does, with extensions adding options while it runs.

Clusters of short options (`-nvL`), values that hang on (`-tnat`, `--table=nat`), beginnings of long names, words that
are no options in their place. What an option means is the parser's.
Source: getopt_long(3) with "-" and ":" in front of the short options, as iptables calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from netsim.shell.iptables.extension import MisuseError, Option, Uses
from netsim.shell.tool import Word

NO, REQUIRED, OPTIONAL = 0, 1, 2

_LONG: Mapping[str, tuple[str, int]] = MappingProxyType({
    "append": ("A", REQUIRED), "delete": ("D", REQUIRED), "check": ("C", REQUIRED), "insert": ("I", REQUIRED),
    "replace": ("R", REQUIRED), "list": ("L", OPTIONAL), "list-rules": ("S", OPTIONAL), "flush": ("F", OPTIONAL),
    "zero": ("Z", OPTIONAL), "new-chain": ("N", REQUIRED), "delete-chain": ("X", OPTIONAL),
    "rename-chain": ("E", REQUIRED), "policy": ("P", REQUIRED), "source": ("s", REQUIRED),
    "destination": ("d", REQUIRED), "src": ("s", REQUIRED), "dst": ("d", REQUIRED), "protocol": ("p", REQUIRED),
    "in-interface": ("i", REQUIRED), "jump": ("j", REQUIRED), "table": ("t", REQUIRED), "match": ("m", REQUIRED),
    "numeric": ("n", NO), "out-interface": ("o", REQUIRED), "verbose": ("v", NO), "wait": ("w", OPTIONAL),
    "wait-interval": ("W", REQUIRED), "exact": ("x", NO), "fragments": ("f", NO), "version": ("V", NO),
    "help": ("h", OPTIONAL), "line-numbers": ("0", NO), "modprobe": ("M", REQUIRED), "set-counters": ("c", REQUIRED),
    "goto": ("g", REQUIRED), "ipv4": ("4", NO), "ipv6": ("6", NO),
})  # fmt: skip
_SHORT = MappingProxyType({letter: args for letter, args in _LONG.values() if letter != "0"})


class Extra(NamedTuple):
    """An extension's option in a rule: where its uses are noted."""

    uses: Uses
    option: Option


class Token(NamedTuple):
    """One step: `letter` of a known option, `extra` of an extension's, or a bare word (both empty).

    `value` is what came with it. `word` is the last word taken: what iptables shows when it complains.
    """

    letter: str
    value: str
    word: Word
    extra: Extra | None = None


class UnknownOptionError(Exception):
    """No option of that name now; a protocol's match may bring it."""

    def __init__(self, text: str, word: Word) -> None:
        self.text = text
        self.word = word
        super().__init__(text)


class Getopt:
    """The reader of one line; `known` are its long options, `extras` grows while it runs, newest first."""

    def __init__(self, words: Sequence[Word], known: Mapping[str, tuple[str, int]] = _LONG) -> None:
        self.words = words
        self.at = 0
        self._known = known
        self._letters = _SHORT if known is _LONG else dict(known.values())
        self._cluster = ""
        self.extras: list[Extra] = []

    @property
    def last(self) -> Word:
        """The last word taken."""
        return self.words[self.at - 1] if self.at else Word("", 1)

    def next(self) -> Token | None:
        """Take the next option or word; None at the end. Raises UnknownOptionError, MisuseError for a missing value."""
        if self._cluster:
            return self._short()
        if self.at == len(self.words):
            return None
        word = self.words[self.at]
        self.at += 1
        if word.text.startswith("--") and len(word.text) > 2:
            return self._long(word)
        if word.text.startswith("-") and len(word.text) > 1:
            self._cluster = word.text[1:]
            return self._short()
        return Token("", word.text, word)

    def again(self) -> None:
        """Go back by one word: its option is known now."""
        self.at -= 1

    def argument(self) -> Word | None:
        """Take the following word if it is neither an option nor "!" (xs_has_arg())."""
        if self.at == len(self.words) or self.words[self.at].text[:1] in ("-", "!"):
            return None
        self.at += 1
        return self.words[self.at - 1]

    def _short(self) -> Token:
        letter, self._cluster = self._cluster[0], self._cluster[1:]
        if letter not in self._letters:
            self._cluster = ""
            raise UnknownOptionError(f"-{letter}", self.last)
        args = self._letters[letter]
        if args == NO:
            return Token(letter, "", self.last)
        value, self._cluster = self._cluster, ""
        if not value and args == REQUIRED:
            value = self._required(f"-{letter}")
        return Token(letter, value, self.last)

    def _required(self, name: str) -> str:
        if self.at == len(self.words):
            raise MisuseError(f'option "{name}" requires an argument')
        self.at += 1
        return self.words[self.at - 1].text

    def _long(self, word: Word) -> Token:
        name, equals, value = word.text[2:].partition("=")
        found = self._find(name)
        if found is None:
            raise UnknownOptionError(word.text, word)
        if isinstance(found, str):
            letter, args = self._known[found]
            if not equals and args == REQUIRED:
                value = self._required(word.text)
            return Token(letter, value, self.last)
        if not equals and found.option.args:
            value = self._required(word.text)
        return Token("", value, self.last, found)

    def _find(self, name: str) -> str | Extra | None:
        """Find a long option by its whole name, else by an unambiguous beginning."""
        if name in self._known:
            return name
        for extra in self.extras:
            if name in (extra.option.name, *extra.option.aliases):
                return extra
        begun: list[str | Extra] = [each for each in self._known if each.startswith(name)]
        begun += [
            extra
            for extra in self.extras
            if any(each.startswith(name) for each in (extra.option.name, *extra.option.aliases))
        ]
        meanings = {self._known[each] if isinstance(each, str) else id(each.option) for each in begun}
        return begun[0] if len(meanings) == 1 else None
