"""A parsed iptables command, and which options each command takes.

Source: iptables/xshared.c commands_v_options[], inverse_for_options[] (1.8.9).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from netsim.stack.netfilter.rulespec import RuleSpec

VERSION = "v1.8.9 (nf_tables)"
TABLES = ("filter", "nat", "mangle", "raw", "security")
CHAIN_MAX = 29
DEVICE_MAX = 15

RULE_COMMANDS = "ADCIR"
OPTION_LETTERS = "sdpjiofvnx0c"
ALLOWED = MappingProxyType({
    "I": "sdpjviofc", "D": "sdpjviof", "N": "v", "X": "v", "R": "sdpjviofc", "A": "sdpjviofc", "L": "nvx0", "F": "v",
    "Z": "v", "P": "vc", "E": "v", "S": "v", "C": "sdpjviof",
})  # fmt: skip
"""Which options a command takes. Source: commands_v_options[], with `-D N` a command of its own."""
INVERTIBLE = "sdpiof"


@dataclass(slots=True)
class Command:
    """What a line asks for. `letter` is the command's; `rules` has a member for each pair of addresses."""

    letter: str = ""
    table: str = "filter"
    chain: str = ""
    number: int = 0
    new_name: str = ""
    policy: str = ""
    zero: bool = False
    rules: tuple[RuleSpec, ...] = ()
    counters: tuple[int, int] | None = None
    options: set[str] = field(default_factory=set)
    version: bool = False
    help: bool = False
    warnings: list[str] = field(default_factory=list)
