"""Sequence adjustment: a helper changed a payload's length, so all later numbers of that stream are shifted.

Source: net/netfilter/nf_conntrack_seqadj.c (6.x); linux-kernel 5.10.
"""

from __future__ import annotations

from netsim.stack.netfilter.ct_window import ACK, U32
from netsim.stack.skb import IPPROTO_TCP, Skb
from netsim.wire.octets import Truncated
from netsim.wire.rewrite import patch32
from netsim.wire.tcp import TCP_HLEN, TCPOPT_SACK, after, iter_options, option_octets


class Shift:
    """One direction: from `correction_pos` on numbers are shifted by `offset_after`, up to it by `offset_before`."""

    __slots__ = ("correction_pos", "offset_after", "offset_before")

    def __init__(self) -> None:
        self.correction_pos = self.offset_before = self.offset_after = 0


class SeqAdjust:
    """Both directions of one connection (struct nf_conn_seqadj)."""

    __slots__ = ("shifts",)

    def __init__(self) -> None:
        self.shifts = (Shift(), Shift())

    def offset(self, direction: int, seq: int) -> int:
        """Return what was added to `seq` of this direction. Source: nf_ct_seq_offset()."""
        shift = self.shifts[direction]
        return shift.offset_after if after(seq, shift.correction_pos) else shift.offset_before

    def note(self, direction: int, seq: int, change: int) -> None:
        """Remember that the payload at `seq` grew by `change`; a retransmission of it is not counted twice.

        Source: nf_ct_seqadj_set().
        """
        shift = self.shifts[direction]
        if shift.offset_before == shift.offset_after or after(seq, shift.correction_pos):
            shift.correction_pos = seq
            shift.offset_before = shift.offset_after
            shift.offset_after += change

    def adjust(self, skb: Skb, direction: int) -> bool:
        """Shift sequence, acknowledgement and SACK numbers; False for a broken segment, which ends there.

        An ICMP error that rides on the connection is left alone (Linux would write into it what is no sequence number).
        Source: nf_ct_seq_adjust(), nf_ct_sack_adjust().
        """
        if skb.proto != IPPROTO_TCP:
            return True
        data = skb.data
        at = (data[0] & 15) * 4
        if len(data) < at + TCP_HLEN:
            return False
        check_at = at + 16
        seq = int.from_bytes(data[at + 4 : at + 8], "big")
        shift = self.offset(direction, seq)
        if shift:
            patch32(data, at + 4, check_at, seq + shift & U32)
        if not data[at + 13] & ACK:
            return True
        ack = int.from_bytes(data[at + 8 : at + 12], "big")
        back = self._unshift(not direction, ack)
        if back:
            patch32(data, at + 8, check_at, ack - back & U32)
        try:
            self._shift_sacks(data, at, check_at, direction)
        except Truncated:
            return False  # "no partial options"
        return True

    def _shift_sacks(self, data: bytearray, at: int, check_at: int, direction: int) -> None:
        for option in iter_options(option_octets(data, at)):
            if option.kind != TCPOPT_SACK:
                continue
            for edge in range(0, len(option.data) - len(option.data) % 8, 4):
                where = at + 20 + option.at + 2 + edge
                value = int.from_bytes(data[where : where + 4], "big")
                back = self._unshift(not direction, value)
                if back:
                    patch32(data, where, check_at, value - back & U32)

    def _unshift(self, direction: int, value: int) -> int:
        """Return what to take from a number that acknowledges the shifted stream of `direction`."""
        shift = self.shifts[direction]
        if after(value - shift.offset_before & U32, shift.correction_pos):
            return shift.offset_after
        return shift.offset_before
