"""Commands that take time: ping, arping, traceroute. They run on the world's clock, beside the box they ask.

The shell knows their syntax through `WORLD_TOOLS`; running one is a simpy story (script.py). May be imported by lab and
above.
"""
