"""Explanations: the life of one packet, of one neighbour, and one routing decision, as a person would tell them.

Followers subscribe to the bus and build plain values (facts.py); text.py tells them, `as_json` gives them to programs.
Nothing here asks a box: what a record does not say is not told. May import trace, wire, base.
"""
