"""Which segments count in their connection (nf_conntrack_acct): those that renew it, and the reset that ends it.

Recorded on 6.18 between two raw peers, packets of both directions after each segment. Source: nf_ct_refresh_acct(),
nf_ct_kill_acct(), nf_conntrack_proto_tcp.c.
"""

from __future__ import annotations

import re

import pytest

OPEN = (("c", "S", 100), ("s", "SA", 500, 101), ("c", "A", 101, 501))


def counts(kit, router, segments):
    """Return (state, packets of the original, of the reply) after each segment, None once the entry is gone."""
    router.sysctl.conntrack.acct = 1
    seen, now = [], 0
    for side, flags, seq, *rest in segments:
        now += 10_000_000
        ack, payload = [*rest, 0, b""][:2] if len(rest) < 2 else rest
        ends = ("192.168.0.3", 5000, "203.0.113.10", 80) if side == "c" else ("203.0.113.10", 80, "10.0.1.2", 5000)
        packet = kit.tcp(*ends, flags, seq % 2**32, ack % 2**32, payload or b"", window=1000)
        router.receive(packet, "lan0" if side == "c" else "wan0", now)
        lines = router.listing(now)
        seen.append((lines[0].split()[3], *map(int, re.findall(r"packets=(\d+)", lines[0]))) if lines else None)
    return seen


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((("c", "S", 100), ("c", "S", 100), ("s", "SA", 500, 101)), [("SYN_SENT", 1, 0)] * 2 + [("SYN_RECV", 1, 1)]),
        (
            (
                *OPEN,
                ("c", "PA", 101, 501, bytes(100)),
                ("s", "A", 501, 201),
                ("c", "A", 101 - 60000, 501),
                ("c", "A", 201, 501 - 70000),
                ("c", "A", 201, 501),
            ),
            [
                ("SYN_SENT", 1, 0), ("SYN_RECV", 1, 1), ("ESTABLISHED", 2, 1), ("ESTABLISHED", 3, 1),
                ("ESTABLISHED", 3, 2), ("ESTABLISHED", 3, 2), ("ESTABLISHED", 3, 2), ("ESTABLISHED", 4, 2),
            ],
        ),
        (
            (*OPEN, ("c", "PA", 1001, 501, bytes(400)), ("c", "PA", 1200, 501, bytes(400))),
            [
                ("SYN_SENT", 1, 0), ("SYN_RECV", 1, 1), ("ESTABLISHED", 2, 1), ("ESTABLISHED", 3, 1),
                ("ESTABLISHED", 3, 1),
            ],
        ),
        (
            (*OPEN, ("s", "SA", 500, 101)),
            [("SYN_SENT", 1, 0), ("SYN_RECV", 1, 1), ("ESTABLISHED", 2, 1), ("ESTABLISHED", 2, 1)],
        ),
        ((("c", "PA", 101, 501, bytes(10)), ("c", "R", 150)), [("ESTABLISHED", 1, 0), None]),
        (
            (*OPEN, ("s", "A", 501, 101), ("s", "R", 600), ("s", "R", 501)),
            [
                ("SYN_SENT", 1, 0), ("SYN_RECV", 1, 1), ("ESTABLISHED", 2, 1), ("ESTABLISHED", 2, 2),
                ("ESTABLISHED", 2, 3), ("CLOSE", 2, 4),
            ],
        ),
    ],
    ids=["SYN again", "under both left edges", "beyond the right edge", "SYN-ACK again", "RST unanswered", "RSTs"],
)  # fmt: skip
def test_packets_that_only_pass_are_not_counted(kit, router, segments, expected):
    assert counts(kit, router, segments) == expected


def test_a_reset_of_a_connection_picked_up_ends_it_though_its_number_is_not_exact(kit, router):
    """Recorded: CLOSE, 10 s. Only an ASSURED one waits for a challenge. Source: nf_conntrack_tcp_established()."""
    seen = counts(kit, router, (("c", "A", 101, 501), ("s", "A", 501, 101), ("c", "R", 150)))
    assert seen == [("ESTABLISHED", 1, 0), ("ESTABLISHED", 1, 1), ("CLOSE", 2, 1)]
