"""Links carry frames: who gets them, which frame it is, what a cut, an unplugged connector or a mute end does."""

from __future__ import annotations

import pytest

from netsim.seeds import Seed
from netsim.sim import failures
from netsim.sim.impair import LineSpec
from netsim.sim.world import World
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink, SetLink
from netsim.trace.records import Dropped, FrameCopied, FrameDelivered, FrameSent
from netsim.units import ms
from netsim.wire.frame import Frame


class Bench:
    """Boxes a, b, c ... with eth0 each on one link; frames are sent by hand."""

    def __init__(self, kind: str, names: str = "ab", **spec) -> None:
        self.world = World(Seed(1))
        self.log: list = []
        self.world.bus.subscribe((FrameSent, FrameDelivered, FrameCopied, Dropped), self.log.append)
        for number, name in enumerate(names, 1):
            node = self.world.add_node(name, profile("linux-6"))
            node.request(NewLink(name="eth0", mac=bytes((2, 0, 0, 0, 0, number))))
            node.request(SetLink(dev="eth0", up=True))
        self.link = self.world.add_link("net", kind, [(name, "eth0") for name in names], LineSpec(**spec))

    def send(self, name: str, to: int = 0xFF) -> Frame:
        end = self.world.end(name, "eth0")
        number = "abcdef".index(name) + 1
        dst = b"\xff" * 6 if to == 0xFF else bytes((2, 0, 0, 0, 0, to))
        frame = Frame(dst + bytes((2, 0, 0, 0, 0, number)) + b"\x88\xb5" + bytes(46), self.world.next_uid())
        self.world.bus.publish(FrameSent(self.world.env.now, name, "eth0", frame))
        self.link.send(end, frame, self.world.env.now)
        return frame

    def delivered(self) -> list[tuple[str, int]]:
        return [(r.node, r.t) for r in self.log if isinstance(r, FrameDelivered)]

    def lost(self) -> list[str]:
        """Reasons of frames that ended before a box had them: what a box does with a delivery is its own matter."""
        arrived = {r.frame.uid for r in self.log if isinstance(r, FrameDelivered)}
        return [r.reason for r in self.log if isinstance(r, Dropped) and r.uid not in arrived]


def test_a_cable_delivers_the_very_frame_after_serialisation_and_delay():
    bench = Bench("cable", rate=8_000_000, delay=ms(3))
    frame = bench.send("a")
    bench.world.env.run_to(ms(10))
    (delivery,) = [r for r in bench.log if isinstance(r, FrameDelivered)]
    assert (delivery.node, delivery.t, delivery.link) == ("b", ms(3) + 60_000, "net")
    assert delivery.frame is frame


def test_an_idle_cable_costs_one_event_a_hop():
    bench = Bench("cable", delay=ms(1))
    before = bench.world.env.events_run
    bench.send("a")
    bench.world.env.run_to(ms(2))
    assert bench.world.env.events_run - before == 1


def test_a_hub_gives_the_frame_to_the_first_other_end_and_copies_to_the_rest():
    bench = Bench("hub", "abcd")
    frame = bench.send("b")
    bench.world.env.run_to(ms(1))
    assert [node for node, _ in bench.delivered()] == ["a", "c", "d"]
    copies = [r.frame for r in bench.log if isinstance(r, FrameCopied)]
    assert [copy.parent for copy in copies] == [frame.uid, frame.uid]
    sent = 1 + len(copies)
    assert sent == len(bench.delivered())


def test_a_hub_is_one_medium_on_which_frames_take_turns():
    bench = Bench("hub", "abc", rate=480_000)
    bench.send("a")
    bench.send("b")
    bench.world.env.run_to(ms(10))
    assert sorted({t for _, t in bench.delivered()}) == [ms(1), ms(2)]


def test_a_switch_floods_until_it_has_seen_the_destination():
    bench = Bench("switch", "abc")
    bench.send("a", to=2)
    bench.send("b", to=1)
    bench.send("a", to=2)
    bench.world.env.run_to(ms(1))
    assert [node for node, _ in bench.delivered()] == ["b", "c", "a", "b"]


def test_a_switch_forgets_an_address_after_three_hundred_seconds():
    bench = Bench("switch", "abc")
    bench.send("b", to=1)
    bench.world.env.run_to(300_000_000_001)
    bench.log.clear()
    bench.send("a", to=2)
    bench.world.env.run_to(301_000_000_000)
    assert [node for node, _ in bench.delivered()] == ["b", "c"]


def test_a_cut_loses_what_is_under_way_and_takes_both_carriers():
    bench = Bench("cable", delay=ms(10))
    bench.send("a")
    bench.world.env.run_to(ms(5))
    failures.cut(bench.world, bench.link)
    bench.world.env.run_to(ms(20))
    assert bench.delivered() == []
    assert bench.lost() == ["LINK_DOWN"]
    assert [node.box.interfaces.named("eth0").carrier for node in bench.world.nodes.values()] == [False, False]
    failures.join(bench.world, bench.link)
    bench.world.env.run_to(ms(21))
    assert all(node.box.interfaces.named("eth0").carrier for node in bench.world.nodes.values())


def test_an_unplugged_hub_port_leaves_the_others_their_carrier():
    bench = Bench("hub", "abc")
    failures.unplug(bench.world, bench.world.end("c", "eth0"))
    bench.world.env.run_to(ms(1))
    carriers = {name: node.box.interfaces.named("eth0").carrier for name, node in bench.world.nodes.items()}
    assert carriers == {"a": True, "b": True, "c": False}
    bench.send("a")
    bench.world.env.run_to(ms(2))
    assert [node for node, _ in bench.delivered()] == ["b"]


@pytest.mark.parametrize("muted", ["a", "b"])
def test_nothing_passes_a_mute_end_and_its_carrier_stays(muted):
    bench = Bench("cable")
    failures.mute(bench.world.end(muted, "eth0"))
    bench.send("a")
    bench.world.env.run_to(ms(1))
    assert bench.delivered() == []
    assert bench.lost() == ["IFACE_MUTE"]
    assert bench.world.nodes[muted].box.interfaces.named("eth0").carrier
    failures.unmute(bench.world.end(muted, "eth0"))
    bench.send("a")
    bench.world.env.run_to(ms(2))
    assert [node for node, _ in bench.delivered()] == ["b"]


def test_a_silent_node_takes_nothing_but_its_clock_runs():
    bench = Bench("cable")
    failures.silence(bench.world.nodes["b"])
    bench.send("a")
    bench.world.env.run_to(ms(1))
    assert (bench.delivered(), bench.lost()) == ([], ["NODE_SILENT"])
    failures.revive(bench.world.nodes["b"])
    bench.send("a")
    bench.world.env.run_to(ms(2))
    assert [node for node, _ in bench.delivered()] == ["b"]


def test_an_impairment_is_taken_back_by_a_repair():
    bench = Bench("cable", delay=ms(1))
    original = bench.link.spec()
    failures.impair(bench.link, loss=1.0, delay=ms(9))
    bench.send("a")
    failures.repair(bench.link, original)
    bench.send("a")
    bench.world.env.run_to(ms(20))
    assert (bench.lost(), bench.delivered()) == (["LINK_LOSS"], [("b", ms(1))])


def test_a_flap_cuts_and_joins_as_often_as_it_says():
    bench = Bench("cable")
    failures.flap(bench.world, bench.link, down=ms(10), up=ms(20), times=2)
    states = []
    for t in (5, 15, 35, 45, 70):
        bench.world.env.run_to(ms(t))
        states.append(bench.link.cut)
    assert states == [True, False, True, False, False]


@pytest.mark.parametrize(("kind", "names"), [("cable", "ab"), ("hub", "abcd"), ("switch", "abcd")])
def test_every_frame_sent_or_copied_is_delivered_lost_or_in_flight(kind, names):
    bench = Bench(kind, names, rate=1_000_000, delay=ms(2), jitter=ms(1), loss=0.2, duplicate=0.2, corrupt=0.1, queue=3)
    for n in range(200):
        if not bench.link.cut:
            bench.send(names[n % len(names)], to=0xFF if n % 3 else 1)
        if n == 100:
            failures.cut(bench.world, bench.link)
        if n == 130:
            failures.join(bench.world, bench.link)
        bench.world.env.run_to(ms(n))
    sent = sum(isinstance(r, (FrameSent, FrameCopied)) for r in bench.log)
    assert sent == len(bench.delivered()) + len(bench.lost()) + bench.world.in_flight()
