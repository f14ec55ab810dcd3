"""IPv4 in the order the kernel walks it: input, route, forward, output, ICMP, fragments.

One file a step; `context.py` holds the collaborators they share. May import the rooms below (netfilter, fib, neigh,
sockets) and the foundation; only netns.py imports this one.
"""
