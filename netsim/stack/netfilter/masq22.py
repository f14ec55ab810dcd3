"""Masquerading of 2.2: its own states and time-outs, and a port counter that moves with every new connection.

Theory. 2.2 tracks nothing but what it masquerades. It is told by ipchains' MASQ, or by an ip rule with `nat 0`, which
marks routes (RTCF_MASQ). The table is compat.py's, the answers found the same way; what differs is here. Without the
masq_csum_reroute patch a transport checksum is verified before it is computed anew: damage is dropped, not passed on.
Source: net/ipv4/ip_masq.c masq_tcp_states[], masq_timeout_table, ip_masq_new(); net/ipv4/ip_forward.c (2.2.20);
seed sections 2 and 6; route-patches 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from netsim.stack.netfilter.conntrack import Conntrack, ConntrackTable
from netsim.stack.netfilter.ct_24 import LI, TcpTracker24
from netsim.stack.netfilter.ct_proto import INVALID
from netsim.stack.netfilter.ct_tcp import CL, CW, ES, FW, LA, SR, SS, TW
from netsim.stack.netfilter.expect import Expectation
from netsim.stack.netfilter.ftp import FtpHelper
from netsim.stack.netfilter.hooks import NF_ACCEPT, Services
from netsim.stack.netfilter.tuples import invert
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, Skb
from netsim.units import NS_PER_S, Ns
from netsim.wire.icmp import REPLY_TYPE
from netsim.wire.verify import verify

PORT_MASQ_BEGIN = 61000
PORT_MASQ_END = PORT_MASQ_BEGIN + 4096

MASQ_TCP_STATES = (
    (  # output        NO  SS  SR  ES  FW  CW  LA  TW  CL  LI
        (SS, SS, SR, ES, SS, SS, SS, SS, SS, LI),  # SYN
        (TW, SS, TW, FW, FW, TW, LA, TW, CL, LI),  # FIN
        (ES, SS, SR, ES, FW, CW, LA, TW, CL, ES),  # ACK
        (CL, SS, CL, CL, CL, CL, CL, TW, CL, CL),  # RST
    ),
    (  # input         NO  SS  SR  ES  FW  CW  LA  TW  CL  LI
        (SR, ES, SR, ES, SR, SR, SR, SR, SR, SR),  # SYN
        (CL, SS, TW, CW, TW, CW, LA, TW, CL, LI),  # FIN
        (CL, SS, SR, ES, FW, CW, CL, TW, CL, LI),  # ACK
        (CL, CL, SR, CL, CL, CL, LA, CL, CL, LI),  # RST
    ),
)
"""[direction][segment kind][old state] -> new state; output is from the inside."""

MASQ_TIMEOUTS: Mapping[int, Ns] = MappingProxyType({
    0: 1800 * NS_PER_S, SS: 120 * NS_PER_S, SR: 60 * NS_PER_S, ES: 900 * NS_PER_S, FW: 120 * NS_PER_S,
    CW: 60 * NS_PER_S, LA: 30 * NS_PER_S, TW: 120 * NS_PER_S, CL: 10 * NS_PER_S, LI: 120 * NS_PER_S,
})  # fmt: skip
MASQ_UDP_TIMEOUT: Ns = 300 * NS_PER_S
MASQ_ICMP_TIMEOUT: Ns = 60 * NS_PER_S


class MasqTcp(TcpTracker24):
    """TCP of 2.2: the same shape as 2.4's, other cells, and no early end by a RST."""

    states = MASQ_TCP_STATES
    timeouts = MASQ_TIMEOUTS
    reset_ends = False


class MasqOther:
    """UDP (300 s) and ICMP queries (60 s) of 2.2: each packet renews."""

    def __init__(self, table: ConntrackTable) -> None:
        self._table = table

    def packet(self, ct: Conntrack, skb: Skb, hook: int, now: Ns) -> int:
        """Renew the entry."""
        if ct.proto == IPPROTO_ICMP:
            if ct.tuple_orig.icmp_type not in REPLY_TYPE:
                return INVALID
            self._table.refresh(ct, MASQ_ICMP_TIMEOUT, now)
        else:
            self._table.refresh(ct, MASQ_UDP_TIMEOUT, now)
        return NF_ACCEPT

    def can_early_drop(self, ct: Conntrack) -> bool:
        """Never."""
        return False


class MasqPorts:
    """`masq_port`: every new connection takes the next free port of the range, whatever its own was."""

    def __init__(self, table: ConntrackTable) -> None:
        self._table = table
        self._next = PORT_MASQ_BEGIN

    def __iter__(self) -> Iterator[int]:
        """Yield each port of the range once, the next one first; what was yielded is used up."""
        for _ in range(PORT_MASQ_END - PORT_MASQ_BEGIN):
            port = self._next
            self._next = port + 1 if port + 1 < PORT_MASQ_END else PORT_MASQ_BEGIN
            yield port

    def take(self, ct: Conntrack, source: int, now: Ns) -> int:
        """Return the port (or ICMP id) for a connection masqueraded with `source`, 0 when none is free.

        Source: ip_masq_new().
        """
        for port in self:
            reply = invert(ct.tuple_orig._replace(src=source, sport=port))
            if reply is not None and not self._table.taken(reply, ct, now):
                return port
        return 0


class MasqFtp(FtpHelper):
    """ip_masq_ftp: only what the inside announces (PORT) needs an entry, and it gets a port as any other does.

    What a server announces (PASV) the inside connects to by a masqueraded connection like all others.
    """

    def __init__(self, services: Services, ports: MasqPorts) -> None:
        super().__init__(services)
        self._ports = ports

    def _expect(
        self, skb: Skb, ct: Conntrack, direction: int, kind: int, port: int, at: int, length: int, now: Ns
    ) -> int:
        if direction:
            return NF_ACCEPT
        return super()._expect(skb, ct, direction, kind, port, at, length, now)

    def _find_port(self, expected: Expectation, now: Ns) -> bool:
        """Source: masq_ftp_out(), net/ipv4/ip_masq_ftp.c (2.2): ip_masq_new() with IP_MASQ_F_NO_DPORT."""
        for port in self._ports:
            expected.dport = port
            if self._add(expected, now):
                return True
        return False


def damaged(skb: Skb) -> bool:
    """Tell whether a packet's transport checksum is wrong: the unpatched kernel drops it before it sums anew."""
    return skb.proto in (IPPROTO_TCP, IPPROTO_ICMP, 17) and bool(verify(skb.data))
