"""The old commands of net-tools 2.10: ifconfig, route, arp; each one file, turning ioctl habits into today's requests.

What an ioctl did in several steps becomes several requests in the same order. Imported by shell.dispatch only.
Source: net-tools 2.10 observed on the real tool; net/ipv4/devinet.c devinet_ioctl(), fib_frontend.c
rtentry_to_fib_config(), arp.c arp_ioctl() for what the ioctls do.
"""
