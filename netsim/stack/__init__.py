"""The Linux box, sans-IO: one network namespace that takes frames, requests, carrier changes and ticks with `now`.

May import wire, trace and base, and nothing else: no clock, no randomness of its own, no simpy, no scapy, no logging.
Inside: netns > ipv4 > {netfilter | fib | neigh | sockets} > {skb, device, address, interfaces, sysctl, profile, timers,
outbox, requests, errno}. Siblings meet through small Protocols that netns.py hands in.
"""
