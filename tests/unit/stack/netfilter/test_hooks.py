"""Who is called at which hook, and what the room does around its tables. Source: linux-kernel 5.1; route-patches 6."""

from __future__ import annotations

import pytest

from netsim.addr import ip_str, parse_ip
from netsim.stack.dst import RTN_UNICAST, Refused, Route
from netsim.stack.netfilter.conntrack import CtTemplate
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_STOLEN
from netsim.stack.netfilter.requests import AppendRules
from netsim.stack.netfilter.rulespec import CtTarget, MarkTarget, RuleSpec
from netsim.stack.netfilter.status import IP_CT_NEW, IP_CT_UNTRACKED
from netsim.stack.requests import DONE
from netsim.stack.skb import Skb
from netsim.units import sec


def add(router, table, chain, **fields) -> None:
    assert router.nf.request(AppendRules(table=table, chain=chain, rules=(RuleSpec(**fields),)), now=0) == DONE


def fragment(packet: bytes, offset: int, more: bool) -> bytes:
    data = bytearray(packet)
    word = offset // 8 | (0x2000 if more else 0)
    data[6:8] = word.to_bytes(2, "big")
    return bytes(data)


def test_a_fragment_waits_for_the_others_before_anybody_sees_it(kit, router):
    asked = []

    def gather(skb, hook, *, now):
        asked.append(hook)
        return False

    router.nowhere.gather = gather
    router.nf.services.defrag.gather = gather
    piece = Skb(bytearray(fragment(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), 0, more=True)), router.dev("lan0"))
    assert router.nf.run(0, piece, router.dev("lan0"), None, now=sec(1)) == NF_STOLEN
    assert (asked, piece.ct) == ([0], None)


def test_the_piece_that_completes_a_packet_goes_on_as_the_whole(kit, router):
    whole = kit.udp("192.168.0.3", 6000, "203.0.113.10", 53)

    def gather(skb, hook, *, now):
        skb.data[:] = whole
        skb.reload()
        return True

    router.nf.services.defrag.gather = gather
    out = router.receive(fragment(whole, 8, more=False), "lan0", sec(1))
    assert ip_str(out.saddr) == "10.0.1.2"


def test_a_mark_set_in_output_routes_the_packet_again(kit):
    router = kit.Router()
    add(router, "mangle", "OUTPUT", proto=17, target=MarkTarget(mark=7, mask=0xFFFFFFFF))
    wan1 = router.dev("wan1")
    asked = []

    def output(daddr, *, now, saddr=0, mark=0, anysrc=False, **rest):
        asked.append((ip_str(saddr), mark, anysrc))
        return Route(RTN_UNICAST, wan1, 0, saddr, 0, 0)

    router.routing.output = output
    out = router.send(kit.udp("10.0.1.2", 5000, "203.0.113.10", 53), sec(1))
    assert (asked, out.out.name, ip_str(out.saddr)) == ([("10.0.1.2", 7, True)], "wan1", "10.0.1.2")


def test_a_packet_that_output_left_alone_is_not_routed_again(kit):
    router = kit.Router()
    add(router, "mangle", "OUTPUT", proto=6, target=MarkTarget(mark=7, mask=0xFFFFFFFF))
    router.routing.output = None
    assert router.send(kit.udp("10.0.1.2", 5000, "203.0.113.10", 53), sec(1)).out.name == "wan0"


def test_no_route_for_a_packet_that_output_changed_drops_it(kit):
    router = kit.Router()
    add(router, "mangle", "OUTPUT", proto=17, target=MarkTarget(mark=7, mask=0xFFFFFFFF))
    router.routing.output = lambda *args, **kwargs: Refused(101, "IP_OUTNOROUTES")
    skb = Skb(bytearray(kit.udp("10.0.1.2", 5000, "203.0.113.10", 53)))
    assert router.send(b"", sec(1), skb) == "OUTPUT"
    assert skb.drop_reason == "IP_OUTNOROUTES"


def test_an_untracked_packet_has_no_connection_and_no_nat(kit, router):
    add(router, "raw", "PREROUTING", proto=17, target=CtTarget(notrack=True))
    out = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    assert (out.ct, out.ctinfo, ip_str(out.saddr)) == (None, IP_CT_UNTRACKED, "192.168.0.3")


def test_zones_keep_equal_tuples_apart(kit, router):
    def zoned(skb, indev, outdev, now):
        skb.nfct_template = CtTemplate(zone=skb.mark)
        return NF_ACCEPT

    router.nf.register(0, -300, zoned)
    packet = kit.udp("192.168.0.3", 6000, "192.168.0.9", 53)
    first = router.receive(packet, "lan0", sec(1), mark=1)
    second = router.receive(packet, "lan0", sec(1), mark=2)
    assert first.ct is not second.ct
    assert [ct.zone for ct in router.nf.conntrack] == [1, 2]
    assert "zone=2" in router.listing(sec(1))[1]


def test_a_packet_delivered_here_is_confirmed_at_input(kit, router):
    router.receive(kit.udp("203.0.113.10", 53, "10.0.1.2", 5000), "wan0", sec(1))
    assert len(router.listing(sec(1))) == 1


def test_a_packet_seen_before_keeps_its_connection_over_lo(kit, router):
    out = router.send(kit.udp("10.0.1.2", 5000, "10.0.1.2", 53), sec(1))
    lo = router.dev("lo")
    assert router.nf.run(0, out, lo, None, now=sec(1)) == NF_ACCEPT
    assert out.ctinfo == IP_CT_NEW
    assert len(router.listing(sec(1))) == 1


def test_a_box_that_speaks_to_itself_from_and_to_one_port_has_one_entry(kit, router):
    router.send(kit.udp("10.0.1.2", 5000, "10.0.1.2", 5000), sec(1))
    assert len(router.listing(sec(1))) == 1
    assert router.nf.conntrack.sweep(lambda ct: True, sec(1)) == 1
    assert router.listing(sec(1)) == []


class Rerouted:
    """A 2.4 router with the patch that notes what the reroute hook asks."""

    def __init__(self, kit, kernel="linux-2.4-routes") -> None:
        self.kit = kit
        self.router = kit.Router(kernel)
        self.router.masquerade()
        self.asked: list[str] = []
        plain = self.router.routing.find

        def looked_up(daddr, saddr, tos, dev, *, now, mark=0, lsrc=0, skb=None):
            self.asked.append(ip_str(lsrc))
            return plain(daddr)

        self.router.routing.input = looked_up

    def out(self, now=1):
        return self.router.receive(self.kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(now))

    def back(self):
        return self.router.receive(self.kit.udp("203.0.113.10", 53, "10.0.1.2", 6000), "wan0", sec(1))


def test_from_the_second_packet_on_the_hook_routes_by_the_masqueraded_source(kit):
    """route-patches 6, "Pre-routing reroute hook"."""
    flow = Rerouted(kit)
    flow.out()
    assert flow.asked == []
    flow.out()
    assert flow.asked == ["10.0.1.2"]
    flow.back()
    assert flow.asked == ["10.0.1.2"]


def test_the_stock_kernel_has_no_such_hook(kit):
    flow = Rerouted(kit, "linux-2.4")
    flow.out()
    flow.out()
    assert flow.asked == []


def test_a_failed_lookup_of_the_hook_drops(kit):
    flow = Rerouted(kit)
    flow.out()
    flow.router.routing.input = lambda *args, **kwargs: Refused(101, "IP_INNOROUTES")
    assert flow.out() == "PREROUTING"


@pytest.mark.parametrize(
    ("event", "kernel", "left"),
    [
        ("down", "linux-6", 0), ("down", "linux-2.4", 0), ("removed", "linux-6", 0), ("removed", "linux-2.4", 0),
        ("other removed", "linux-6", 1), ("other removed", "linux-2.4", 0), ("added", "linux-6", 1),
        ("added", "linux-2.4", 1),
    ],
)  # fmt: skip
def test_what_ends_masqueraded_connections(kit, event, kernel, left):
    """linux-kernel 5.8; patched-nat corrections N1: 2.4.17 forgets on any address that goes, 6 on its own alone."""
    router = kit.Router(kernel)
    router.masquerade()
    other = router.add_address("wan0", "10.0.9.2")
    router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    dev = router.dev("wan0")
    if event == "down":
        router.nf.device_down(dev, now=sec(2))
    elif event == "added":
        router.nf.address_added(dev, other, now=sec(2))
    else:
        gone = other if event == "other removed" else dev.address_for(parse_ip("10.0.1.2"))
        router.nf.address_removed(dev, gone, now=sec(2))
    assert len(router.listing(sec(2))) == left
