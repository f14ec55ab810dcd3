"""ipchains 1.3.10, the packet filter's tool of Linux 2.2 (and of 2.4 with its ipchains module).

What lives here: parser.py reads a line, printer.py writes lists, command.py is the tool. Its three built-in chains are
the table "ipchains" of the box. -C, -M -S, -o and REDIRECT are refused by name. May import stack and below,
shell/tool.py and shell/iptables (names, values).
"""

from netsim.shell.ipchains.command import TOOLS

__all__ = ["TOOLS"]
