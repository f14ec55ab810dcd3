"""Live: a scenario in real time, with some of its nodes real: the running kernel's, or what is behind a TAP device.

Everything else is emulated as ever, on the real clock; how late that was is measured and said. May import everything up
to scenario and kernel; cli imports it.
"""
