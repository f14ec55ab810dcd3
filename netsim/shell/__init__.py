"""Command text and typed requests, there and back: ip, sysctl, ifconfig, route, arp, iptables, ipchains, conntrack.

What lives here: the reading of command lines as sh and each tool read them, the requests they become, and the printing
of dumps as the real tool's text or JSON. Texts are iproute2 6.1's, procps 4's, net-tools 2.10's and iptables 1.8.9's in
every profile. Heads up: dispatch.py is the entry; tool.py is what a tool must be. May be imported by sim, observe, lab
and above; imports stack and below.
"""
