"""A segment that was sent and is not acknowledged, and what one acknowledgement tells of such segments. Values only.

Source: struct tcp_skb_cb, struct tcp_sacktag_state, struct rate_sample (include/net/tcp.h, net/ipv4/tcp_input.c, 6.x).
"""

from __future__ import annotations

from netsim.units import Ns


class Sent:
    """One segment in the queue. `end` counts payload, SYN and FIN; `sent_at` is its last transmission.

    `order` numbers transmissions: many leave at one instant of virtual time, where the kernel's clock tells them apart.
    `retrans`: a retransmission of it is under way; `ever`: it was retransmitted at some time; `acked`: it left the
    queue; `ends_skb`: it is the last of those that left in one skb. `prior` counts what had been delivered when it was
    last sent.
    """

    __slots__ = (
        "acked",
        "end",
        "ends_skb",
        "ever",
        "flags",
        "lost",
        "order",
        "payload",
        "prior",
        "retrans",
        "sacked",
        "sent_at",
        "seq",
    )

    def __init__(self, seq: int, end: int, flags: int, payload: bytes, sent_at: Ns) -> None:
        self.seq = seq
        self.end = end
        self.flags = flags
        self.payload = payload
        self.sent_at = sent_at
        self.order = self.prior = 0
        self.sacked = self.lost = self.retrans = self.ever = self.acked = self.ends_skb = False


class Delivered:
    """What one ACK told: counts of segments, and the instants that measures are taken from (-1 none).

    `first_at` and `last_at` are transmissions of never retransmitted segments that left the queue, `sack_at` and
    `last_sack_at` of the first and last newly sacked; `orig_end` is the lowest end of these. `first_seq` is where the
    first of those that left begins, `overtaken_seq` the lowest that SACK tells of after higher ones. `acked` counts
    what left, `sacked` what was newly sacked, `delivered` both without counting any twice, and duplicates. `lone`: the
    one segment that left was alone under way. `prior` is the latest one's. `prior_una` is what was acknowledged before.
    `duplicate`: a SACK tells of a duplicate, `probe_twice` of the tail loss probe's.
    """

    __slots__ = (
        "_latest", "acked", "delivered", "duplicate", "first_at", "first_seq", "last_at", "last_sack_at", "lone",
        "orig_end", "overtaken_seq", "prior", "prior_una", "probe_twice", "retrans_acked", "sack_at", "sacked",
    )  # fmt: skip

    def __init__(self, prior_una: int = 0) -> None:
        self.prior_una = prior_una
        self.acked = self.sacked = self.delivered = 0
        self.first_at = self.last_at = self.sack_at = self.last_sack_at = self.orig_end = -1
        self.prior = self.first_seq = self.overtaken_seq = -1
        self._latest = 0
        self.retrans_acked = self.lone = self.duplicate = self.probe_twice = False

    def arrived(self, sent: Sent) -> None:
        """Note a delivered segment: what counts is the latest transmission. Mirrors tcp_rate_skb_delivered()."""
        if sent.order > self._latest:
            self._latest = sent.order
            self.prior = sent.prior

    def original(self, end: int) -> None:
        """Note a segment that arrived as it was first sent. Source: FLAG_ORIG_SACK_ACKED."""
        if self.orig_end < 0 or end < self.orig_end:
            self.orig_end = end

    def overtaken(self, seq: int) -> None:
        """Note a segment that SACK tells of after higher ones. Source: `reord` of struct tcp_sacktag_state."""
        if self.overtaken_seq < 0 or seq < self.overtaken_seq:
            self.overtaken_seq = seq
