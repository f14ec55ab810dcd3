"""iptables-restore: read the text of iptables-save and load its tables, each whole or not at all.

A command line here has no standard input, so this is a function for those who have the text.
Source: iptables/xtables-restore.c (1.8.9); recorded in tests/golden/iptables.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netsim.shell import tokens
from netsim.shell.iptables.commands import TABLES, VERSION
from netsim.shell.iptables.parser import Parser
from netsim.shell.tool import Box, CommandResult, Failure, Word
from netsim.stack.errno import Refusal
from netsim.stack.netfilter.requests import DumpTables, RestoreTable
from netsim.stack.netfilter.rulespec import RuleSpec
from netsim.units import Ns

NAME = "iptables-restore"
_TRY = f"Try `{NAME} -h' or '{NAME} --help' for more information."


@dataclass(slots=True)
class _Table:
    """A table between *TABLE and COMMIT."""

    name: str
    chains: list[tuple[str, str, int, int]] = field(default_factory=list)
    rules: list[tuple[str, RuleSpec, tuple[int, int]]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def restore(
    box: Box, text: str, *, now: Ns, counters: bool = False, flush: bool = True, test: bool = False
) -> CommandResult:
    """Load `text`. `counters` keeps its numbers (-c), not `flush` adds to what is there (-n), `test` only reads."""
    table: _Table | None = None
    number = 0
    try:
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if table is None:
                table = _open(line, number)
            elif line.strip() == "COMMIT":
                if not test:
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
