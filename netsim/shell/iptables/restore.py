"""iptables-restore: read the text of iptables-save and load its tables, each whole or not at all.

Source: iptables/xtables-restore.c (1.8.9); recorded in tests/golden/iptables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from netsim.shell import tokens
from netsim.shell.iptables.commands import TABLES, VERSION
from netsim.shell.iptables.extension import MisuseError
from netsim.shell.iptables.getopt import NO, OPTIONAL, REQUIRED, Getopt, UnknownOptionError
from netsim.shell.iptables.parser import Parser
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.stack.errno import Refusal
from netsim.stack.netfilter.requests import DumpTables, RestoreTable
from netsim.stack.netfilter.rulespec import RuleSpec
from netsim.units import Ns

NAME = "iptables-restore"
_TRY = f"Try `{NAME} -h' or '{NAME} --help' for more information."
_TRY_OPTION = f"Try `{NAME} -h' for more information."
_KNOWN = MappingProxyType({
    "counters": ("c", NO), "verbose": ("v", NO), "test": ("t", NO), "noflush": ("n", NO), "modprobe": ("M", REQUIRED),
    "table": ("T", REQUIRED), "wait": ("w", OPTIONAL), "wait-interval": ("W", OPTIONAL), "ipv4": ("4", NO),
})  # fmt: skip
_AT_LINE = re.compile(r"(?:at line:?|line) (\d+)")


@dataclass(slots=True)
class _Table:
    """A table between *TABLE and COMMIT."""

    name: str
    chains: list[tuple[str, str, int, int]] = field(default_factory=list)
    rules: list[tuple[str, RuleSpec, tuple[int, int]]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def restore(
    box: Box | None, text: str, *, now: Ns, counters: bool = False, flush: bool = True, test: bool = False,
    only: str = "",
) -> CommandResult:  # fmt: skip
    """Load `text`. `counters` keeps its numbers (-c), not `flush` adds to what is there (-n), `only` is a table (-T).

    `test` only reads, and needs no box.
    """
    table: _Table | None = None
    skipped = False
    number = 0
    try:
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            if not line.strip() or line.startswith("#") or (skipped and not line.startswith("*")):
                continue
            if table is None:
                table = _open(line, number)
                skipped = only not in ("", table.name)
                table = None if skipped else table
            elif line.strip() == "COMMIT":
                if not test and box is not None:
                    _commit(box, table, number, flush, now)
                table = None
            elif line.startswith(":"):
                _chain(table, line, number, counters)
            else:
                _rule(table, line, number, counters)
    except Failure as failure:
        return failure.result()
    if table is not None:
        return CommandResult("", f"{NAME}: COMMIT expected at line {number + 1}\n", 1)
    return CommandResult()


def _open(line: str, number: int) -> _Table:
    if not line.startswith("*"):
        raise Failure(f"{NAME}: line {number} failed", 1)
    name = line[1:].strip()
    if name not in TABLES:
        what = f"{NAME}: line {number} table name '{name}' invalid"
        raise Failure(f"{NAME} {VERSION}: {what}\nError occurred at line: {number}\n{_TRY}", 2)
    return _Table(name)


def _chain(table: _Table, line: str, number: int, counters: bool) -> None:
    """Read ":CHAIN POLICY [packets:octets]"."""
    words = line[1:].split()
    if len(words) < 2:
        raise Failure(f"{NAME}: line {number} policy invalid", 1)
    if words[1] not in ("ACCEPT", "DROP", "-"):
        raise Failure(f"{NAME}: line {number} failed: Bad policy name.", 1)
    packets, octets = _counters(words[2]) if counters and len(words) > 2 else (0, 0)
    table.chains.append((words[0], words[1], packets, octets))


def _counters(word: str) -> tuple[int, int]:
    packets, _, octets = word.strip("[]").partition(":")
    if not (packets.isdigit() and octets.isdigit()):
        return 0, 0
    return int(packets), int(octets)


def _rule(table: _Table, line: str, number: int, counters: bool) -> None:
    """Read "[packets:octets] -A CHAIN ..."; only -A stands in a saved text."""
    given = (0, 0)
    if line.startswith("["):
        word, _, line = line.partition(" ")
        given = _counters(word) if counters else given
    try:
        words: tuple[Word, ...] = tokens.parse(line.replace("$", "\\$"))[0].words
        command = Parser(words, NAME, table.name).parse()
    except Failure as failure:
        text = failure.stderr.removesuffix(_TRY).rstrip()
        raise Failure(f"{text}\nError occurred at line: {number}\n{_TRY}", failure.rc) from None
    if command.letter != "A":
        raise Failure(f"{NAME}: line {number}: only -A is read here", 2)
    for spec in command.rules:
        table.rules.append((command.chain, spec, command.counters or given))
        table.lines.append(number)


def _commit(box: Box, table: _Table, number: int, flush: bool, now: Ns) -> None:
    present = box.request(DumpTables(table=table.name), now=now)
    if isinstance(present, Refusal):
        raise Failure(f"{NAME} {VERSION}: table '{table.name}' does not exist", 3)
    known = {chain.name for chain in present[0].chains if chain.policy or not flush}
    known |= {name for name, _, _, _ in table.chains}
    for (chain, _, _), line in zip(table.rules, table.lines, strict=True):
        if chain not in known:
            raise Failure(f"{NAME}: line {line} failed: No chain/target/match by that name.", 1)
    request = RestoreTable(
        table=table.name, chains=tuple(table.chains), rules=tuple(table.rules), flush=flush
    )  # fmt: skip
    answer = box.request(request, now=now)
    if not isinstance(answer, Refusal):
        return
    if answer.message.startswith("Chain '"):
        raise Failure(f"{NAME} {VERSION}: {answer.message}\nError occurred at line: {number}\n{_TRY}", 2)
    at = int(answer.message.removeprefix("rule ")) - 1
    line, chain = table.lines[at], table.rules[at][0]
    what = f"RULE_APPEND failed ({answer.strerror}): rule in chain {chain}"
    raise Failure(f"{NAME} {VERSION}: \nline {line}: {what}", 4)


class RestoreTool:
    """`iptables-restore`: loads the text of iptables-save from a here-document. Source: xtables-restore.c (1.8.9)."""

    name = "iptables-restore"
    kernels = ("linux-2.4", "linux-6")
    _WHAT = "there is nothing to read"
    _HINT = "iptables-restore <<EOF, the text of iptables-save, and a line EOF"

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say that there is no input."""
        return [LineProblem(argv[0].column, f"{self.name}: {self._WHAT}", self._HINT)]

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Do what the tool does with an empty input: nothing."""
        return CommandResult()

    def check_text(self, argv: Sequence[Word], text: str, columns: Sequence[int]) -> list[LineProblem]:
        """Say the first thing that is wrong with the text, at its line."""
        try:
            options = _options(argv)
        except Failure as failure:
            return [failure.problem(argv, self.name)]
        said = restore(None, text, now=0, test=True, only=options.only).stderr
        if not said:
            return []
        found = _AT_LINE.search(said)
        column = columns[int(found[1]) - 1 if found else 0]
        what = next(line for line in said.splitlines() if line.strip()).removeprefix(f"{self.name} {VERSION}: ")
        return [LineProblem(column, what if what.startswith(self.name) else f"{self.name}: {what}")]

    def run_text(self, box: Box, argv: Sequence[Word], text: str, *, now: Ns) -> CommandResult:
        """Load each table of the text, whole or not at all."""
        try:
            options = _options(argv)
        except Failure as failure:
            return failure.result()
        return restore(
            box, text, now=now, counters="c" in options.letters, flush="n" not in options.letters,
            test="t" in options.letters, only=options.only,
        )  # fmt: skip


class _Options(NamedTuple):
    letters: frozenset[str]
    only: str


def _options(argv: Sequence[Word]) -> _Options:
    """Read the options; -w and -W take a number that follows, and wait for nobody. Raises Failure."""
    letters: set[str] = set()
    only = ""
    files: list[Word] = []
    reader = Getopt(argv[1:], _KNOWN)
    try:
        while (token := reader.next()) is not None:
            if token.letter in ("w", "W") and not token.value:
                reader.argument()
            elif token.letter in ("w", "W") and not token.word.text.startswith("--"):
                raise UnknownOptionError(f"-{token.value[0]}", token.word)  # its short form takes nothing that hangs on
            elif token.letter == "T":
                only = token.value
            elif not token.letter:
                files.append(token.word)
            letters.add(token.letter)
    except UnknownOptionError as unknown:
        long = unknown.text.startswith("--")
        what = f"unrecognized option '{unknown.text}'" if long else f"invalid option -- '{unknown.text[1:]}'"
        raise Failure(f"{NAME}: {what}\n{_TRY_OPTION}", 1, unknown.word) from None
    except MisuseError:
        word = reader.last
        long = word.text.startswith("--")
        what = f"option '{word}' requires an argument" if long else f"option requires an argument -- '{word.text[-1]}'"
        raise Failure(f"{NAME}: {what}\n{_TRY_OPTION}", 1, word) from None
    if len(files) > 1:
        raise Failure("Unknown arguments found on commandline", 1, files[0])
    if files:
        raise Failure(f"Can't open {files[0]}: No such file or directory", 1, files[0])
    return _Options(frozenset(letters), only)
