"""What an ICMP error means to a socket. Source: icmp_err_convert[], net/ipv4/icmp.c; linux-kernel note 4.2."""

from __future__ import annotations

from netsim.stack.errno import (
    ECONNREFUSED,
    EHOSTDOWN,
    EHOSTUNREACH,
    EMSGSIZE,
    ENETUNREACH,
    ENONET,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPROTONOSUPPORT,
)
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PARAMETERPROB, ICMP_TIME_EXCEEDED

_UNREACH: tuple[tuple[int, bool], ...] = (
    (ENETUNREACH, False), (EHOSTUNREACH, False), (ENOPROTOOPT, True), (ECONNREFUSED, True), (EMSGSIZE, False),
    (EOPNOTSUPP, False), (ENETUNREACH, True), (EHOSTDOWN, True), (ENONET, True), (ENETUNREACH, True),
    (EHOSTUNREACH, True), (ENETUNREACH, False), (EHOSTUNREACH, False), (EHOSTUNREACH, True), (EHOSTUNREACH, True),
    (EHOSTUNREACH, True),
)  # fmt: skip


def convert(icmp_type: int, code: int) -> tuple[int, bool]:
    """Return (errno, fatal); errno 0 for a type that says nothing to sockets."""
    if icmp_type == ICMP_TIME_EXCEEDED:
        return EHOSTUNREACH, False
    if icmp_type == ICMP_PARAMETERPROB:
        return EPROTONOSUPPORT, True
    if icmp_type == ICMP_DEST_UNREACH:
        if code == ICMP_FRAG_NEEDED:
            return EMSGSIZE, False
        return _UNREACH[code] if code < len(_UNREACH) else (EHOSTUNREACH, False)
    return 0, False
