"""Read one ipchains command into what it asks for, in the order and with the words of ipchains 1.3.10.

Source: ipchains.c main(), parse_*() (1.3.9 and 1.3.10); ipchains(8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from netsim.shell.ipchains.rule import Fields, make_rule, reverse
from netsim.shell.iptables.extension import MisuseError
from netsim.shell.iptables.names import protocol_number
from netsim.shell.tool import Failure, Word
from netsim.stack.netfilter.rulespec import (
    RuleSpec,
)

TRY = "Try `ipchains -h' or 'ipchains --help' for more information."
LABEL_MAX = 8
BUILT_IN = ("input", "forward", "output")

_LONG: Mapping[str, str] = MappingProxyType({
    "append": "A", "add": "A", "delete": "D", "insert": "I", "replace": "R", "list": "L", "flush": "F", "zero": "Z",
    "check": "C", "new-chain": "N", "new": "N", "delete-chain": "X", "policy": "P", "masquerading": "M", "set": "S",
    "bidirectional": "b", "source": "s", "destination": "d", "src": "s", "dst": "d", "source-port": "1",
    "destination-port": "2", "icmp-type": "1", "sport": "1", "dport": "2", "protocol": "p", "proto": "p",
    "interface": "i", "jump": "j", "TOS": "t", "mark": "m", "numeric": "n", "log": "l", "output": "o", "verbose": "v",
    "exact": "x", "fragments": "f", "syn": "y", "version": "V", "help": "h", "line-numbers": "3", "no-warnings": "W",
})  # fmt: skip
_COMMANDS = "ADCRILFZNXPMS"
_WITH_VALUE = "ADCRINPS12psdjimto"
_REFUSED: Mapping[str, str] = MappingProxyType({
    "C": "testing a packet against a chain is not modelled", "S": "setting masquerading time-outs is not modelled",
    "o": "copying packets to a netlink device is not modelled",
})  # fmt: skip
_LEGAL: Mapping[str, str] = MappingProxyType({
    "I": "spdjybvltifm12W", "A": "spdjybvltifm12W", "D": "spdjybvltifm12W", "R": "spdjyvltifm12W", "L": "nvx3W",
    "F": "vW", "Z": "vW", "N": "vW", "X": "vW", "P": "vW", "#": "vW",
})  # fmt: skip
_CHECKED = "nsdpjybvlxtifm123"


@dataclass(slots=True)
class Command:
    """What a line asks for; `rules` has two members with -b."""

    letter: str = ""
    chain: str = ""
    number: int = 0
    policy: str = ""
    masquerading: bool = False
    zero: bool = False
    rules: tuple[RuleSpec, ...] = ()
    options: set[str] = field(default_factory=set)
    version: bool = False


class Parser:
    """Reads one line."""

    def __init__(self, words: Sequence[Word]) -> None:
        self._words = list(words)
        self._at = 0
        self._invert = False
        self._last = Word("", 1)
        self.command = Command()
        self.fields = Fields()

    def parse(self) -> Command:
        """Return the command. Raises Failure."""
        try:
            while self._at < len(self._words) and not self.command.version:
                self._step()
            return self.command if self.command.version else self._finish()
        except MisuseError as misuse:
            raise Failure(f"ipchains: {misuse.what}\n{TRY}", 2, self._last) from None

    # Words

    def _take(self) -> str:
        self._last = self._words[self._at]
        self._at += 1
        return self._last.text

    def _peek(self) -> str:
        return self._words[self._at].text if self._at < len(self._words) else "-"

    def _argument(self) -> str | None:
        """Take the next word if it is neither an option nor "!"."""
        return None if self._peek()[:1] in ("-", "!", "") else self._take()

    def _step(self) -> None:
        word = self._take()
        if word == "!":
            if self._invert:
                raise MisuseError("multiple consecutive ! not allowed\n")
            self._invert = True
            return
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            letters = {letter for long, letter in _LONG.items() if long == name} or {
                letter for long, letter in _LONG.items() if long.startswith(name)
            }
            if len(letters) != 1:
                raise Failure(f"ipchains: unrecognized option '{word}'\n{TRY}", 2, self._last)
            self._option(letters.pop(), value if equals else None)
        elif word.startswith("-") and len(word) > 1:
            self._cluster(word[1:])
        else:
            raise Failure(TRY, 2, self._last)
        self._invert = False

    def _cluster(self, letters: str) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter not in _LONG.values() or letter in "123W":
                raise Failure(f"ipchains: invalid option -- '{letter}'\n{TRY}", 2, self._last)
            if letter in _WITH_VALUE or letter in "LFZX":
                self._option(letter, letters or None)
                return
            self._option(letter, None)

    def _value(self, letter: str, given: str | None) -> str:
        """Return an option's value; a "!" before it inverts the option."""
        if given is None:
            if self._at == len(self._words):
                raise Failure(f"ipchains: option requires an argument -- '{letter}'\n{TRY}", 2, self._last)
            given = self._take()
        if given == "!":
            if self._invert:
                raise MisuseError("Multiple `!' flags not allowed")
            self._invert = True
            return self._value(letter, None)
        return given

    # Options

    def _option(self, letter: str, given: str | None) -> None:
        if letter in _REFUSED:
            raise Failure(f"ipchains: {_REFUSED[letter]}\n{TRY}", 2, self._last)
        if letter in _COMMANDS:
            self._command(letter, given)
        elif letter == "V":
            self.command.version = True
        elif letter == "h":
            raise Failure(TRY, 2, self._last)
        elif letter == "W":
            self.command.options.add(letter)
        else:
            self._field(letter, given)

    def _command(self, letter: str, given: str | None) -> None:
        command = self.command
        if self._invert:
            raise MisuseError("unexpected ! flag")
        if letter == "M":
            command.masquerading = True
            return
        if letter == "Z" and command.letter == "L":
            command.zero = True
        elif letter == "L" and command.letter == "Z":
            command.letter, command.zero = "L", True
        elif command.letter:
            raise MisuseError(f"Can't use -{letter} with -{command.letter}\n")
        else:
            command.letter = letter
        if letter in "LFZX":
            command.chain = given or self._argument() or command.chain
        else:
            command.chain = self._value(letter, given)
        if letter in "DIR":
            self._rule_number(letter)
        elif letter == "P":
            policy = self._argument()
            if policy is None:
                raise MisuseError("-P requires a chain and a policy")
            command.policy = self._policy(policy)

    def _rule_number(self, letter: str) -> None:
        text = self._argument()
        if text is None:
            if letter == "R":
                raise MisuseError("-R requires a rule number")
            self.command.number = 1 if letter == "I" else 0
        elif not (text.isascii() and text.isdigit() and int(text) >= 1):
            raise MisuseError(f"Invalid rule number `{text}'")
        else:
            self.command.number = int(text)

    def _policy(self, policy: str) -> str:
        """Mirror parse_policy()."""
        chain = self.command.chain
        if policy == "MASQ":
            if chain != "forward":
                raise MisuseError("`-P MASQ' only valid for `forward' chain.")
            return policy
        if chain not in BUILT_IN:
            raise MisuseError("Can only set policy in built-in chains.")
        if policy not in ("ACCEPT", "DENY", "REJECT"):
            raise MisuseError(f"Invalid policy `{policy}' for -P")
        return policy

    def _once(self, letter: str) -> None:
        """Mirror set_option()."""
        shown = {"1": "s", "2": "d"}.get(letter, letter)
        if letter in self.command.options:
            raise MisuseError(f"multiple -{shown} flags not allowed\n")
        self.command.options.add(letter)
        if self._invert:
            if letter not in "sdpyif12":
                raise MisuseError(f"cannot have ! before -{shown}\n")
            self.fields.inverted.add(letter)
            self._invert = False

    def _field(self, letter: str, given: str | None) -> None:
        fields = self.fields
        text = self._value(letter, given) if letter in _WITH_VALUE else ""
        self._once(letter)
        if letter in "sd":
            self._end(letter, text)
        elif letter == "1":
            fields.sports = text
        elif letter == "2":
            fields.dports = text
        elif letter == "p":
            proto = protocol_number(text.lower())
            if proto is None:
                raise MisuseError(f"unknown protocol `{text}' specified")
            if not proto and "p" in fields.inverted:
                raise MisuseError("rule would never match protocol")
            fields.proto = proto
        elif letter == "i":
            fields.via = text
        elif letter == "j":
            self._jump(text)
        elif letter == "m":
            fields.mark = self._mark(text)
        elif letter == "t":
            second = self._argument()
            if second is None:
                raise MisuseError("-t requires 2 hexbyte arguments")
            fields.tos = (_hexbyte(text), _hexbyte(second))

    def _end(self, letter: str, text: str) -> None:
        """Take an address and, behind it, ports: `-s 10.0.0.0/8 1024:` or `-d 0/0 ! 80`."""
        fields = self.fields
        if letter == "s":
            fields.src = text
        else:
            fields.dst = text
        if self._peek() == "!" and self._at + 1 < len(self._words) and self._words[self._at + 1].text[:1] not in "-!":
            self._take()
            self._invert = True
        ports = self._argument()
        if ports is None:
            return
        self._once("1" if letter == "s" else "2")
        if letter == "s":
            fields.sports = ports
        else:
            fields.dports = ports

    def _jump(self, text: str) -> None:
        if len(text) > LABEL_MAX:
            raise MisuseError(f"Invalid target name `{text}' ({LABEL_MAX} chars max)")
        if text == "REDIRECT":
            raise MisuseError("redirecting to local ports is not modelled")
        self.fields.target = text

    @staticmethod
    def _mark(text: str) -> tuple[int, bool]:
        digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
        try:
            value = int(digits, 0)
        except ValueError:
            raise MisuseError(f"Bad value `{text}' for -m.\n") from None
        return (-value if text.startswith("-") else value) & 0xFFFFFFFF, text[:1] in ("-", "+")

    # The whole line

    def _finish(self) -> Command:
        command, fields, options = self.command, self.fields, self.command.options
        if not command.letter:
            if command.masquerading:
                raise MisuseError("-M/--masquerading requires -L/--list or -S/--set")
            raise MisuseError("no command specified")
        if self._invert:
            raise MisuseError("nothing appropriate following !")
        if command.letter in "ADIR":
            rule = make_rule(fields, options)
            command.rules = (rule, reverse(rule)) if "b" in options else (rule,)
        if fields.target == "MASQ" and command.chain in ("input", "output"):
            raise MisuseError("masquerading not allowed for input and output chains")
        letter = "#" if command.letter == "D" and command.number else command.letter
        for each in _CHECKED:
            if each in options and each not in _LEGAL[letter]:
                raise MisuseError(
                    f"Illegal option `-{dict(zip('12', 'sd', strict=True)).get(each, each)}' with this command\n"
                )
        if len(command.chain) > LABEL_MAX:
            raise MisuseError(f"chain name `{command.chain}' too long (must be under {LABEL_MAX} chars)")
        return command


def _hexbyte(text: str) -> int:
    try:
        value = int(text, 16)
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFF:
        raise MisuseError(f"invalid hexbyte `{text}' specified")
    return value
