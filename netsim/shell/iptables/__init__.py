"""iptables 1.8.9 as a user meets it: the command line, the lists it prints, and one module for a family of extensions.

Heads up: command.py is the tool (parser.py reads, printer.py writes, restore.py reads iptables-save's text); an
extension (extension.py) is one match or target: its options, its save text, its -L text. May import stack and below,
and shell/tool.py.
"""
