"""Forwarding information: rules, tables, and who wins among several routes.

`fib.py` is the room's door; `ipv4/route.py` asks it. May import the foundation only; neighbours are seen through
ports.NeighView.
"""

from netsim.stack.fib.fib import DELAYED, Fib

__all__ = ["DELAYED", "Fib"]
