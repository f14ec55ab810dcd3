"""Small collectors, one question each, fed by the bus: memory grows with bins, changes and connections, not packets.

A window (`a <= t < b`, by sending time) is asked for before the run with `watch`; totals are read after it. May import
trace, wire and base; metrics.py puts them together.
"""
