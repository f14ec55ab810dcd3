"""The tools iptables, iptables-save and iptables-restore: run a parsed command against a box and say what came of it.

Source: iptables/xtables.c do_commandx(), xtables-save.c (1.8.9); observed-linux 15.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from netsim.shell.iptables.commands import TABLES, VERSION, Command
from netsim.shell.iptables.parser import Parser
from netsim.shell.iptables.printer import Style, chain_commands, chain_lists, echo, table_dump
from netsim.shell.iptables.restore import RestoreTool
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Tool, Word
from netsim.stack.errno import EBUSY, Refusal
from netsim.stack.netfilter.requests import (
    AppendRules,
    CheckRules,
    DeleteChain,
    DeleteRuleNumber,
    DeleteRules,
    DumpTables,
    FlushRules,
    InsertRules,
    NewChain,
    RenameChain,
    ReplaceRule,
    SetPolicy,
    TableInfo,
    ZeroCounters,
)
from netsim.stack.requests import Done, Request
from netsim.units import NS_PER_S, Ns

KERNELS = ("linux-2.4", "linux-6")
_EPOCH = datetime(1970, 1, 1)
_TRY = "Try `iptables -h' or 'iptables --help' for more information."
_HELP = f"""iptables {VERSION}

Usage: iptables -[ACD] chain rule-specification [options]
       iptables -I chain [rulenum] rule-specification [options]
       iptables -R chain rulenum rule-specification [options]
       iptables -D chain rulenum [options]
       iptables -[LS] [chain [rulenum]] [options]
       iptables -[FZ] [chain] [options]
       iptables -[NX] chain
       iptables -E old-chain-name new-chain-name
       iptables -P chain target [options]
       iptables -h (print this help information)
"""
_OPERATIONS = MappingProxyType({"A": "RULE_APPEND", "I": "RULE_INSERT", "R": "RULE_REPLACE", "D": "RULE_DELETE"})


def problems(failure: Failure, said_by: str) -> list[LineProblem]:
    """Turn a failed parse into a mistake of the line: the tool's words without its name and its hint to --help."""
    text = failure.stderr.removesuffix(_TRY).strip().removeprefix(f"{said_by}: ")
    _, name, what = text.partition(f"{VERSION}: ")
    what = " ".join((what if name else text).split())
    column = failure.word.column if failure.word is not None else 1
    return [LineProblem(column, f"{said_by}: {what}", failure.hint)]


class IptablesTool:
    """`iptables`."""

    name = "iptables"
    kernels = KERNELS

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say what is wrong with the words alone."""
        try:
            Parser(argv[1:]).parse()
        except Failure as failure:
            return problems(failure, self.name)
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Parse, ask the box, print."""
        parser = Parser(argv[1:])
        warnings = parser.command.warnings
        try:
            command = parser.parse()
        except Failure as failure:
            return CommandResult("", "".join(f"{line}\n" for line in (*warnings, failure.stderr)), failure.rc)
        if command.version:
            return CommandResult(f"iptables {VERSION}\n")
        if command.help:
            return CommandResult(_HELP)
        result = _Runner(box, now).run(command)
        return CommandResult(result.stdout, "".join(f"{line}\n" for line in warnings) + result.stderr, result.rc)


@dataclass(slots=True)
class _Runner:
    """Carries one command out."""

    box: Box
    now: Ns

    def run(self, command: Command) -> CommandResult:
        """Ask the box; the table must exist on its kernel."""
        tables = self.box.request(DumpTables(table=command.table), now=self.now)
        if isinstance(tables, Refusal):
            return CommandResult("", missing_table(command.table), 3)
        table = tables[0]
        if command.letter in "LS":
            return self._list(command, table)
        verbose = "v" in command.options
        if verbose and command.letter == "F" and not command.chain:
            for chain in table.chains:  # told to talk, iptables names every built-in chain, and so makes it
                self.box.request(FlushRules(table=command.table, chain=chain.name), now=self.now)
        answer = self.box.request(self._request(command), now=self.now)
        out = self._talk(command, table) if verbose else ""
        if isinstance(answer, Refusal):
            appended = command.letter == "A" and not answer.message.startswith("Chain '")
            kernel = (command.letter in _OPERATIONS and not answer.message) or answer.message.startswith("chain ")
            said = out if appended or kernel else ""
            return CommandResult(said, *refusal(answer, command, table))
        return CommandResult(out)

    @staticmethod
    def _request(command: Command) -> Request[Done]:
        table, chain, number = command.table, command.chain, command.number
        counters = command.counters or (0, 0)
        make: dict[str, Callable[[], Request[Done]]] = {
            "A": lambda: AppendRules(table=table, chain=chain, rules=command.rules, counters=counters),
            "I": lambda: InsertRules(table=table, chain=chain, rules=command.rules, number=number, counters=counters),
            "R": lambda: ReplaceRule(table=table, chain=chain, number=number, rule=command.rules[0], counters=counters),
            "C": lambda: CheckRules(table=table, chain=chain, rules=command.rules),
            "D": lambda: (
                DeleteRuleNumber(table=table, chain=chain, number=number)
                if number
                else DeleteRules(table=table, chain=chain, rules=command.rules)
            ),
            "F": lambda: FlushRules(table=table, chain=chain),
            "Z": lambda: ZeroCounters(table=table, chain=chain, number=number),
            "N": lambda: NewChain(table=table, chain=chain),
            "X": lambda: DeleteChain(table=table, chain=chain),
            "E": lambda: RenameChain(table=table, chain=chain, new=command.new_name),
            # nft takes no counters with a policy: `-P CHAIN TARGET -c N M` leaves them.
            "P": lambda: SetPolicy(table=table, chain=chain, policy=command.policy),
        }
        return make[command.letter]()

    def _list(self, command: Command, table: TableInfo) -> CommandResult:
        if command.chain and command.chain not in (chain.name for chain in table.chains):
            where = f"chain `{command.chain}' in table `{table.name}'"
            return CommandResult("", f"iptables {VERSION}: {where} is incompatible, use 'nft' tool.\n", 1)
        options = command.options
        if command.letter == "S":
            out = chain_commands(table, command.chain, command.number, "v" in options)
        else:
            style = Style(
                numeric="n" in options, verbose="v" in options, exact="x" in options, line_numbers="0" in options
            )
            out = chain_lists(table, style, command.chain, command.number)
        if command.zero:
            self.box.request(ZeroCounters(table=table.name, chain=command.chain, number=command.number), now=self.now)
        return CommandResult(out)

    @staticmethod
    def _talk(command: Command, table: TableInfo) -> str:
        """Print what -v adds: the rule, or the chains that are touched."""
        if command.letter in "AIRC" or (command.letter == "D" and not command.number):
            return "".join(echo(rule) for rule in command.rules)
        verb = {"F": "Flushing", "Z": "Zeroing", "X": "Deleting"}.get(command.letter)
        if verb is None:
            return ""
        named = [chain for chain in table.chains if command.chain in ("", chain.name)]
        names = [chain.name for chain in named if chain.loaded or command.letter == "F"]
        if command.letter == "X" and not command.chain:
            names = [chain.name for chain in table.chains if not chain.policy]
        return "".join(f"{verb} chain `{name}'\n" for name in names)


def missing_table(table: str) -> str:
    """Say that a kernel has no such table."""
    return (
        f"iptables {VERSION}: table '{table}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.\n"
    )


def refusal(answer: Refusal, command: Command, table: TableInfo) -> tuple[str, int]:
    """Put a refusal into words, with the exit status."""
    if answer.message.startswith("Chain '"):
        return f"iptables {VERSION}: {answer.message}\n{_TRY}\n", 2
    if command.letter == "X" and answer.errno == EBUSY and answer.message.startswith("chain "):
        return f"iptables {VERSION}:  CHAIN_DEL failed ({answer.strerror}): {answer.message}\n", 4
    if answer.message:
        return f"iptables: {answer.message}.\n", 1
    rules = next((len(chain.rules) for chain in table.chains if chain.name == command.chain), 0)
    # An insertion behind the last rule is made as an append.
    letter = "A" if command.letter == "I" and 1 < command.number == rules + 1 else command.letter
    operation = _OPERATIONS.get(letter, "COMMIT")
    return f"iptables {VERSION}:  {operation} failed ({answer.strerror}): rule in chain {command.chain}\n", 4


class SaveTool:
    """`iptables-save [-c] [-t TABLE]`. The date is the simulation's: it starts with the epoch."""

    name = "iptables-save"
    kernels = KERNELS

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say what is wrong with the words alone."""
        try:
            self._parse(argv)
        except Failure as failure:
            return problems(failure, self.name)
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Print every table that is in use, or the one asked for."""
        try:
            counters, wanted = self._parse(argv)
        except Failure as failure:
            return failure.result()
        tables = box.request(DumpTables(table=wanted), now=now)
        if isinstance(tables, Refusal):
            return CommandResult("", f"Table `{wanted}' does not exist\n", 1)
        stamp = date(now)
        return CommandResult("".join(table_dump(table, counters, stamp) for table in tables if wanted or table.used))

    @staticmethod
    def _parse(argv: Sequence[Word]) -> tuple[bool, str]:
        counters, table = False, ""
        words = list(argv[1:])
        while words:
            word = words.pop(0)
            if word.text in ("-c", "--counters"):
                counters = True
            elif word.text in ("-t", "--table"):
                if not words:
                    raise Failure(
                        f"iptables-save: option requires an argument -- '{word.text.lstrip('-')[0]}'", 1, word
                    )
                table = words.pop(0).text
                if table not in TABLES:
                    raise Failure(f"Table `{table}' does not exist", 1, word)
            elif word.text.startswith("-"):
                raise Failure(
                    f"iptables-save: invalid option -- '{word.text.lstrip('-')[:1]}'\n"
                    "Look at manual page `iptables-save.8' for more information.", 1, word,
                )  # fmt: skip
            else:
                raise Failure("Unknown arguments found on commandline", 1, word)
        return counters, table


def date(now: Ns) -> str:
    """Print an instant as ctime(3) does, in UTC and counted from the epoch, where every run begins."""
    return (_EPOCH + timedelta(seconds=now // NS_PER_S)).strftime("%a %b %e %H:%M:%S %Y")


TOOLS: tuple[Tool, ...] = (IptablesTool(), SaveTool(), RestoreTool())
