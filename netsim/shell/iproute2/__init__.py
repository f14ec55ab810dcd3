"""The `ip` command of iproute2 6.1, one file an object: each parses its commands and prints its lists.

What lives here: args.py and names.py read words, output.py prints text and JSON, command.py finds the object and runs
it. Parsing never asks a box; what it returns is run on one. Imported by shell.dispatch only.
Source: iproute2 6.1, observed on the real tool; design/scenario-format.md.
"""
