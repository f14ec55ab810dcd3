"""Neighbours: from an IPv4 address on a device to a link address, and what is known of its being alive.

Read nud.py first: the transition table with its era columns. entry.py holds what is known of one neighbour, machine.py
applies rows to entries, table.py is the room's door, gc.py the periodic pass and the table's bounds, arp.py with
policy.py and proxy.py the protocol, admin.py the netlink requests. May import the stack's foundation (device, skb, dst,
sysctl, profile, timers, outbox, requests, errno, ports) and wire; the FIB, ICMP and the device come in as Protocols.
"""

from netsim.stack.neigh.table import NeighTable

__all__ = ["NeighTable"]
