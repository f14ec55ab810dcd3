"""Records: JSON both ways, the bus that carries them, and the digest over them."""

from __future__ import annotations

from netsim.trace.bus import Bus
from netsim.trace.digest import Digest
from netsim.trace.records import (
    RECORD_TYPES,
    Candidate,
    Dropped,
    FrameDelivered,
    FrameSent,
    NeighChange,
    RouteLookup,
    as_json,
    from_json,
)
from netsim.wire.frame import Frame


def test_records_survive_json():
    lookup = RouteLookup(
        1, "r", "input", "1.1.1.1", "2.2.2.2", "eth0", "", 0, 100, "100", "default", "10.0.1.1", "wan0",
        (Candidate("10.0.1.1", "wan0", "REACHABLE", "alive"),), -1, 0, "because",
    )  # fmt: skip
    drop = Dropped(5, "r", "wan0", "NEIGH_FAILED", 3, b"\x45\x00")
    assert from_json(as_json(lookup)) == lookup
    assert from_json(as_json(drop)) == drop
    sent = from_json(as_json(FrameSent(1, "r", "wan0", Frame(b"abc", 4, 2))))
    assert (sent.frame.octets, sent.frame.uid, sent.frame.parent) == (b"abc", 4, 2)


def test_every_record_type_is_plain_and_slotted():
    assert all("t" in dir(cls) and "__dict__" not in dir(cls) for cls in RECORD_TYPES)


def test_the_bus_knows_what_is_wanted_before_a_record_is_built():
    bus, seen = Bus(), []
    assert NeighChange not in bus.wanted
    bus.subscribe((NeighChange,), seen.append)
    assert NeighChange in bus.wanted
    record = NeighChange(1, "r", "wan0", "10.0.1.1", "NONE", "INCOMPLETE", "", "packet to send")
    bus.publish(record)
    bus.publish(Dropped(1, "r", "", "NO_SOCKET", 0, b""))
    assert seen == [record]


def test_the_digest_sees_octets_and_times_but_no_uids():
    def digest(*frames):
        bus = Bus()
        out = Digest(bus)
        for t, frame in frames:
            bus.publish(FrameSent(t, "r", "wan0", frame))
        return out.hexdigest()

    base = digest((1, Frame(b"abc", 1)))
    assert digest((1, Frame(b"abc", 9))) == base
    assert digest((2, Frame(b"abc", 1))) != base
    assert digest((1, Frame(b"abd", 1))) != base


def test_who_listens_at_an_interface_hears_of_no_other():
    bus = Bus()
    heard = []
    bus.subscribe_at((FrameSent, FrameDelivered), [("r", "wan0"), ("r", "lan0")], lambda r: heard.append(r.dev))
    bus.subscribe_at((FrameSent,), [("r", "wan0")], lambda r: heard.append("again"))
    frame = Frame(b"octets", 1)
    for node, dev in (("r", "wan0"), ("r", "wan1"), ("h", "wan0"), ("r", "lan0")):
        bus.publish(FrameSent(0, node, dev, frame))
    bus.publish(FrameDelivered(0, "r", "wan0", frame, "wan"))
    assert heard == ["wan0", "again", "lan0", "wan0"]
    assert bus.wanted == {FrameSent, FrameDelivered}
