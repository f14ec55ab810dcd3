"""The world on simpy: clock, nodes, links, failures and applications. The only floor that imports simpy.

On a packet's way there are light events and no processes; processes are for stories, the applications and timelines.
May import shell, stack, trace, wire and base.
"""
