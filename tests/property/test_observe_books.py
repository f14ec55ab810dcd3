"""The books balance whatever becomes of frames: sent = delivered + dropped + in flight, and so for each gateway."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netsim.observe.meters.gateways import Gateway, GatewayMeter
from netsim.observe.meters.ledger import Ledger
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameCopied, FrameDelivered, FrameSent
from netsim.wire.ether import build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4

GATEWAY = Gateway(name="isp1", dev="eth0", mac=bytes.fromhex("020000000201"))
OCTETS = build_ether(GATEWAY.mac, bytes(6)) + build_ipv4(1, 2, IPPROTO_UDP, 80) + bytes(80)
FATES = st.lists(
    st.tuples(
        st.integers(0, 3), st.lists(st.sampled_from(["gateway", "other", "dropped", "open"]), min_size=4, max_size=4)
    ),
    max_size=30,
)


@given(FATES, st.randoms(use_true_random=False))
def test_frames_and_hub_copies_end_once_in_any_order(fates, rng):
    bus = Bus()
    ledger, meter = Ledger(bus), GatewayMeter(bus, [GATEWAY], 10)
    uid, ends, arrived, lost, flying = 0, [], 0, 0, 0
    for t, (copies, ways) in enumerate(fates):
        uid += 1
        root = uid
        bus.publish(FrameSent(t, "router", "wan0", Frame(OCTETS, root)))
        used = [
            "other" if way == "gateway" and "gateway" in ways[:n] else way for n, way in enumerate(ways[: copies + 1])
        ]
        for number, way in enumerate(used):
            frame = Frame(OCTETS, root)
            if number:
                uid += 1
                frame = Frame(OCTETS, uid, root)
                bus.publish(FrameCopied(t, "lan", frame))
            if way == "dropped":
                ends.append(Dropped(99, "lan", "", "LINK_LOSS", frame.uid, OCTETS))
            elif way != "open":
                place = ("isp1", "eth0") if way == "gateway" else ("h9", "eth0")
                ends.append(FrameDelivered(99, *place, frame, "lan"))
        arrived += "gateway" in used
        lost += "gateway" not in used and "open" not in used
        flying += "gateway" not in used and "open" in used
    rng.shuffle(ends)
    for end in ends:
        bus.publish(end)
    books = ledger.as_result()
    assert books["sent"] == books["delivered"] + books["dropped"] + books["in_flight"] == uid
    totals = meter.totals["isp1"]
    assert (totals.tx_packets, totals.lost_packets, meter.in_flight) == (len(fates), lost, flying)
    assert sum(totals.tx_bins) == 100 * len(fates)
    assert sum(totals.lost_bins) == 100 * lost
    assert arrived + lost + flying == len(fates)
