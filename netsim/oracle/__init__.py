"""The referee: the same scenario on the running kernel, in namespaces of its own, and the two runs compared.

The kernel's boxes are netsim.kernel's; links, failures, applications, meters and verdicts are the emulator's own code
on both sides. May import everything up to scenario and kernel; cli imports it.
"""
