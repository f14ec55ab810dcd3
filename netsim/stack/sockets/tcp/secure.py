"""Initial sequence numbers and timestamp offsets: unlike for strangers, in order for those who meet again.

Theory. Both are a keyed mix of names. The offset depends on the two addresses alone, so that a later connection between
the same hosts has later stamps; the sequence number adds a clock of 64 ns to the mix of all four names, so that a later
connection of the same name starts above the earlier one and may replace it in TIME_WAIT.
Source: secure_tcp_seq(), secure_tcp_ts_off(), seq_scale() (net/core/secure_seq.c, 6.x; siphash there); RFC 6528, 7323
section 5.4.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.units import Ns

_MASK = (1 << 64) - 1


def _mix(value: int) -> int:
    """Spread 64 bits over 64 bits (the finaliser of splitmix64)."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31


def initial_sequence(secret: int, saddr: Ip, sport: int, daddr: Ip, dport: int, now: Ns) -> int:
    """Return the first sequence number of a connection."""
    names = _mix(secret ^ (saddr << 32 | daddr))
    return (_mix(names ^ (sport << 16 | dport)) + (now >> 6)) & 0xFFFFFFFF


def timestamp_offset(secret: int, saddr: Ip, daddr: Ip) -> int:
    """Return what is added to the milliseconds of a connection's stamps."""
    return _mix(~secret & _MASK ^ (saddr << 32 | daddr)) & 0xFFFFFFFF
