"""The tool ipchains: run a parsed command against a box and say what came of it.

Source: ipchains.c main(), libipfwc.c ipfwc_strerror() (1.3.9 and 1.3.10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netsim.shell.ipchains.parser import TRY, Command, Parser
from netsim.shell.ipchains.printer import Style, chain_lists, masquerading
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Tool, Word
from netsim.stack.errno import EBUSY, EEXIST, Refusal
from netsim.stack.netfilter.ct_requests import ConntrackFilter, DumpConntrack
from netsim.stack.netfilter.requests import (
    AppendRules,
    DeleteChain,
    DeleteRuleNumber,
    DeleteRules,
    DumpTables,
    FlushRules,
    InsertRules,
    NewChain,
    ReplaceRule,
    SetPolicy,
    TableInfo,
    ZeroCounters,
)
from netsim.stack.netfilter.status import IPS_SRC_NAT
from netsim.stack.requests import Done, Request
from netsim.units import Ns

TABLE = "ipchains"
VERSION = "ipchains 1.3.10, 1-Sep-2000"
BAD_RULE = "bad rule (does a matching rule exist in that chain?)"


class IpchainsTool:
    """`ipchains`."""

    name = "ipchains"
    kernels = ("linux-2.2", "linux-2.4")

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say what is wrong with the words alone."""
        try:
            Parser(argv[1:]).parse()
        except Failure as failure:
            text = failure.stderr.removesuffix(TRY).strip().removeprefix("ipchains: ")
            word = failure.word if failure.word is not None else argv[-1]
            return [LineProblem(word.column, f"ipchains: {text or 'wrong arguments'}", failure.hint)]
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Parse, ask the box, print."""
        try:
            command = Parser(argv[1:]).parse()
        except Failure as failure:
            return failure.result()
        if command.version:
            return CommandResult(f"{VERSION}\n")
        tables = box.request(DumpTables(table=TABLE), now=now)
        if isinstance(tables, Refusal):
            return CommandResult("", "ipchains: Protocol not available\n", 1)
        table = tables[0]
        if command.letter == "L":
            return self._list(box, command, table, now)
        answer = box.request(self._request(command), now=now)
        if isinstance(answer, Refusal):
            return CommandResult("", f"ipchains: {_words(answer, command, table)}\n", 1)
        return CommandResult()

    @staticmethod
    def _list(box: Box, command: Command, table: TableInfo, now: Ns) -> CommandResult:
        options = command.options
        if command.masquerading:
            entries = box.request(DumpConntrack(wanted=ConntrackFilter(status_set=IPS_SRC_NAT)), now=now)
            return CommandResult(masquerading(() if isinstance(entries, Refusal) else entries, "n" in options))
        if command.chain and command.chain not in (chain.name for chain in table.chains):
            return CommandResult("", "ipchains: No chain by that name\n", 1)
        style = Style(numeric="n" in options, verbose="v" in options, exact="x" in options, line_numbers="3" in options)
        if command.zero:
            box.request(ZeroCounters(table=TABLE), now=now)
        return CommandResult(chain_lists(table, style, command.chain))

    @staticmethod
    def _request(command: Command) -> Request[Done]:
        chain, number, rules = command.chain, command.number, command.rules
        make: dict[str, Callable[[], Request[Done]]] = {
            "A": lambda: AppendRules(table=TABLE, chain=chain, rules=rules),
            "I": lambda: InsertRules(table=TABLE, chain=chain, rules=rules, number=number),
            "R": lambda: ReplaceRule(table=TABLE, chain=chain, number=number, rule=rules[0]),
            "D": lambda: (
                DeleteRuleNumber(table=TABLE, chain=chain, number=number)
                if number
                else DeleteRules(table=TABLE, chain=chain, rules=rules)
            ),
            "F": lambda: FlushRules(table=TABLE, chain=chain),
            "Z": lambda: ZeroCounters(table=TABLE, chain=chain),
            "N": lambda: NewChain(table=TABLE, chain=chain),
            "X": lambda: DeleteChain(table=TABLE, chain=chain),
            "P": lambda: SetPolicy(table=TABLE, chain=chain, policy=command.policy),
        }
        return make[command.letter]()


def _words(answer: Refusal, command: Command, table: TableInfo) -> str:
    """Put a refusal into ipchains's words."""
    if answer.message.startswith("Chain '"):
        return "No target by that name"
    if answer.errno == EEXIST:
        return "Chain already exists"
    if answer.errno == EBUSY:
        name = command.chain or answer.message.removeprefix("chain ")
        full = any(chain.rules for chain in table.chains if chain.name == name)
        return "Chain is not empty" if full else answer.strerror
    if answer.message.startswith(("Bad rule", "Index of")):
        return BAD_RULE
    if answer.message.startswith("No chain"):
        return "No chain by that name"
    return answer.strerror


TOOLS: tuple[Tool, ...] = (IpchainsTool(),)
