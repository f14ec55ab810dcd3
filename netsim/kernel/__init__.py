"""Real boxes: the running kernel's, in namespaces of their own, on the wires and the timeline of a world.

The kernel box answers the port of `stack.Netns` (frames, requests, carrier), so that links, failures, applications,
meters and verdicts are the emulator's own code, here on the real clock. Wires carry octets alone: a veth pair leads
each interface to a packet socket of this process, so nothing that Linux hangs on a packet beside its octets
(confirmation marks, socket hashes) crosses from box to box as it does over a plain veth. May import everything up to
lab; the referee (oracle) and live build on it.
"""
