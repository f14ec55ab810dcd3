"""The FTP helper: data connections are expected, and under NAT announced with the address the far end can reach.

Theory. Only text right after a line's end is read, so the places where lines ended are remembered for each direction. A
command cut off by the segment's end drops the packet: its retransmission will carry all of it. An endpoint other than
the speaker's own is no business of ours. Rewriting changes lengths, and all later numbers with it (seqadj.py).
Source: help(), net/netfilter/nf_conntrack_ftp.c; nf_nat_ftp(), nf_nat_ftp.c; nf_nat_mangle_tcp_packet(),
nf_nat_follow_master(), nf_nat_exp_find_port(), nf_nat_helper.c (6.x); linux-kernel 5.10.
"""

from __future__ import annotations

from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.expect import Expectation, Expectations
from netsim.stack.netfilter.ftp_text import Partial, command, search
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, Services
from netsim.stack.netfilter.nat_range import (
    NF_NAT_MANIP_DST,
    NF_NAT_MANIP_SRC,
    NF_NAT_RANGE_MAP_IPS,
    NF_NAT_RANGE_PROTO_SPECIFIED,
    NatRange,
)
from netsim.stack.netfilter.seqadj import SeqAdjust
from netsim.stack.netfilter.status import (
    IP_CT_ESTABLISHED,
    IP_CT_ESTABLISHED_REPLY,
    IPS_NAT_MASK,
    IPS_SEQ_ADJUST,
)
from netsim.stack.skb import IPPROTO_TCP, Skb
from netsim.units import Ns
from netsim.wire.rewrite import resum
from netsim.wire.tcp import before

FTP_PORT = 21
NUM_SEQ_TO_REMEMBER = 2
NF_NAT_EXP_ATTEMPTS = 128


class LineEnds:
    """Sequence numbers right behind a line's end, the newest two of each direction (struct nf_ct_ftp_master)."""

    __slots__ = ("_after",)

    def __init__(self) -> None:
        self._after: tuple[list[int], list[int]] = ([], [])

    def follows(self, direction: int, seq: int) -> bool:
        """Tell whether a segment that begins at `seq` begins a line. Source: find_nl_seq()."""
        return seq in self._after[direction]

    def note(self, direction: int, seq: int) -> None:
        """Remember that a line ended before `seq`. Source: update_nl_seq()."""
        known = self._after[direction]
        if seq in known:
            return
        if len(known) < NUM_SEQ_TO_REMEMBER:
            known.append(seq)
            return
        oldest = 0 if before(known[0], known[1]) else 1
        if before(known[oldest], seq):
            known[oldest] = seq


class FtpHelper:
    """The helper called "ftp"."""

    name = "ftp"
    port = FTP_PORT

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def _expectations(self) -> Expectations:
        return self._services.conntrack.expectations

    def help(self, skb: Skb, ct: Conntrack, now: Ns) -> int:
        """Read one segment of the control connection, at the last hook: addresses are translated, numbers not yet."""
        if skb.ctinfo not in (IP_CT_ESTABLISHED, IP_CT_ESTABLISHED_REPLY):
            return NF_ACCEPT
        data = skb.data
        at = skb.ihl
        start = at + (data[at + 12] >> 4) * 4
        text = bytes(data[start:])
        if not text:
            return NF_ACCEPT
        direction = 1 if skb.ctinfo == IP_CT_ESTABLISHED_REPLY else 0
        if ct.line_ends is None:
            ct.line_ends = LineEnds()
        seq = int.from_bytes(data[at + 4 : at + 8], "big")
        verdict = NF_ACCEPT
        if ct.line_ends.follows(direction, seq):
            found = search(text, direction)
            if isinstance(found, Partial):
                skb.drop_detail = "ftp: a command cut off by the end of the segment"
                return NF_DROP
            if found is not None and found.addr in (0, ct.tuple(direction).src):
                verdict = self._expect(skb, ct, direction, found.kind, found.port, start + found.at, found.length, now)
        if text.endswith(b"\n"):
            ct.line_ends.note(direction, seq + len(text) & 0xFFFFFFFF)
        return verdict

    def _expect(
        self, skb: Skb, ct: Conntrack, direction: int, kind: int, port: int, at: int, length: int, now: Ns
    ) -> int:
        """Expect the announced connection; under NAT write the endpoint that the other side is to use."""
        other = ct.tuple(not direction)
        expected = Expectation(ct, not direction, other.src, other.dst, port, IPPROTO_TCP)
        if not ct.status & IPS_NAT_MASK:
            return NF_ACCEPT if self._add(expected, now) else NF_DROP
        expected.expectfn = self._follow_master
        if not self._find_port(expected, now):
            skb.drop_detail = "ftp: all ports in use"
            return NF_DROP
        self._mangle(skb, ct, direction, at, length, command(kind, other.dst, expected.dport))
        return NF_ACCEPT

    def _add(self, expected: Expectation, now: Ns) -> bool:
        free = self._expectations.free(expected.dst, expected.dport, expected.proto, expected.master, now)
        return free and self._expectations.add(expected, now)

    def _find_port(self, expected: Expectation, now: Ns) -> bool:
        """Keep the port when nobody else expects it, else try random ones. Source: nf_nat_exp_find_port()."""
        if self._add(expected, now):
            return True
        start = self._services.rng.getrandbits(16)
        for step in range(NF_NAT_EXP_ATTEMPTS):
            expected.dport = 1024 + (start + step & 0xFFFF) % (65536 - 1024)
            if self._add(expected, now):
                return True
        return False

    def _mangle(self, skb: Skb, ct: Conntrack, direction: int, at: int, length: int, text: bytes) -> None:
        """Replace text and sum afresh; a change of length shifts what follows. Source: nf_nat_mangle_tcp_packet()."""
        seq = int.from_bytes(skb.data[skb.ihl + 4 : skb.ihl + 8], "big")
        skb.data[at : at + length] = text
        resum(skb.data)
        if len(text) != length:
            if ct.seqadj is None:
                ct.seqadj = SeqAdjust()
            ct.seqadj.note(direction, seq, len(text) - length)
            ct.status |= IPS_SEQ_ADJUST

    def _follow_master(self, ct: Conntrack, expected: Expectation, now: Ns) -> None:
        """Map a data connection as its control connection is: from whom the client spoke to, to the announcer.

        Source: nf_nat_follow_master(). The announcer's own port is the one it wrote.
        """
        master = expected.master.tuple(not expected.direction)
        nat = self._services.nat
        source = NatRange(NF_NAT_RANGE_MAP_IPS, master.dst, master.dst)
        nat.setup(ct, source, NF_NAT_MANIP_SRC, now, "ftp")
        there = NatRange(
            NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED, master.src, master.src, expected.saved_port,
            expected.saved_port,
        )  # fmt: skip
        nat.setup(ct, there, NF_NAT_MANIP_DST, now)
