"""Packet filter, connection tracking and NAT: five hooks with the kernel's priorities, and who is called at each.

May import stack's shared modules (skb, dst, device, interfaces, sysctl, profile, ports, requests, errno), wire, trace
and base; never fib, neigh, sockets or ipv4: routing, ICMP and local output come in through stack/ports.py.
Begin with hooks.py (constants, what a target may use), then core.py (Netfilter, what netns.py builds).
"""

from netsim.stack.netfilter.core import Netfilter

__all__ = ["Netfilter"]
