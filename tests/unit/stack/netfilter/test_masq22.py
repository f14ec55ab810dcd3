"""ipchains' MASQ: 2.2's own masquerading and 2.4's compatibility layer.

Source: route-patches 7; seed sections 4 and 6.
"""

from __future__ import annotations

import pytest

from netsim.addr import ip_str
from netsim.stack.dst import RTCF_MASQ, RTN_UNICAST, Refused, Route
from netsim.stack.netfilter.requests import AppendRules
from netsim.stack.netfilter.rulespec import MasqTarget, RuleSpec
from netsim.stack.requests import DONE
from netsim.units import sec


def masq_router(kit, kernel="linux-2.2"):
    router = kit.Router(kernel)
    rule = RuleSpec(src=(0xC0A80000, 0xFFFF0000), target=MasqTarget())
    assert router.nf.request(AppendRules(table="ipchains", chain="forward", rules=(rule,)), now=0) == DONE
    return router


@pytest.mark.parametrize("kernel", ["linux-2.2", "linux-2.2-routes", "linux-2.4", "linux-2.4-routes"])
def test_masq_maps_and_its_answers_come_back(kit, kernel):
    router = masq_router(kit, kernel)
    out = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    assert (ip_str(out.saddr), out.sport) == ("10.0.1.2", 61000)
    assert kit.sound(out)
    back = router.receive(kit.udp("203.0.113.10", 53, "10.0.1.2", 61000), "wan0", sec(2))
    assert (ip_str(back.daddr), back.dport, back.out.name) == ("192.168.0.3", 6000, "lan0")
    assert kit.sound(back)


def test_each_new_connection_of_2_2_takes_the_next_port(kit):
    router = masq_router(kit)
    ports = [
        router.receive(kit.udp("192.168.0.3", 6000, f"203.0.113.{n}", 53), "lan0", sec(1)).sport for n in (1, 2, 1, 3)
    ]
    assert ports == [61000, 61001, 61000, 61002]


def test_the_compatibility_layer_reuses_a_port_for_another_destination(kit):
    router = masq_router(kit, "linux-2.4")
    ports = [
        router.receive(kit.udp("192.168.0.3", 6000, f"203.0.113.{n}", 53), "lan0", sec(1)).sport for n in (1, 2, 1, 3)
    ]
    assert ports == [61000, 61000, 61000, 61000]


@pytest.mark.parametrize(
    ("proto", "seconds"), [("udp", 300), ("tcp", 120), ("icmp", 60)], ids=["UDP", "TCP SYN_SENT", "ICMP"]
)
def test_time_outs_are_2_2s(kit, proto, seconds):
    router = masq_router(kit)
    packet = {
        "udp": kit.udp("192.168.0.3", 6000, "203.0.113.10", 53),
        "tcp": kit.tcp("192.168.0.3", 6000, "203.0.113.10", 80, "S", 1),
        "icmp": kit.icmp("192.168.0.3", "203.0.113.10", 8, 7),
    }[proto]
    router.receive(packet, "lan0", sec(1))
    assert router.listing(sec(1))[0].split()[2] == str(seconds)


def test_nothing_but_masqueraded_traffic_is_tracked(kit):
    router = masq_router(kit)
    router.receive(kit.udp("203.0.113.10", 53, "10.0.1.2", 5000), "wan0", sec(1))
    router.send(kit.udp("10.0.1.2", 5000, "203.0.113.10", 53), sec(1))
    assert router.listing(sec(1)) == []


@pytest.mark.parametrize(("kernel", "verdict"), [("linux-2.2", "FORWARD"), ("linux-2.2-routes", "forwarded")])
def test_damage_is_dropped_before_it_would_be_summed_anew_and_kept_by_incremental_sums(kit, kernel, verdict):
    """route-patches 7, "bad incoming checksum"."""
    router = masq_router(kit, kernel)
    packet = bytearray(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53))
    packet[-1] ^= 1
    out = router.receive(bytes(packet), "lan0", sec(1))
    if verdict == "FORWARD":
        assert out == "FORWARD"
    else:
        assert ip_str(out.saddr) == "10.0.1.2"
        assert not kit.sound(out)


def test_an_ip_rule_with_nat_0_masquerades_without_any_chain(kit):
    """seed section 2: "by adding "nat 0" to the ip rules"."""
    router = kit.Router("linux-2.2")
    wan = router.dev("wan0")
    found = router.routing.find

    def marked(daddr, oif=None):
        route = found(daddr, oif)
        if isinstance(route, Route) and route.dev is wan:
            route.flags |= RTCF_MASQ
        return route

    router.routing.find = marked
    out = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    assert (ip_str(out.saddr), out.sport) == ("10.0.1.2", 61000)


@pytest.mark.parametrize(
    ("kernel", "dev"), [("linux-2.2", "wan1"), ("linux-2.2-routes", "wan0"), ("linux-2.4-routes", "wan0")]
)
def test_with_the_patch_later_packets_follow_their_masqueraded_source(kit, kernel, dev):
    """seed section 6: "we try to select the right route for each packet"."""
    router = masq_router(kit, kernel)
    wan0 = router.dev("wan0")
    router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    router.route("0.0.0.0/0", "wan1", "10.0.2.1")

    def by_source(daddr, *, now, saddr=0, **rest):
        assert ip_str(saddr) == "10.0.1.2"
        return Route(RTN_UNICAST, wan0, 0x0A000101, saddr, 0, 0)

    router.routing.output = by_source
    out = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(2))
    assert (ip_str(out.saddr), out.route.dev.name) == ("10.0.1.2", dev)


@pytest.mark.parametrize(("kernel", "dropped"), [("linux-2.2-routes", False), ("linux-2.4-routes", True)])
def test_a_failed_rerouting_is_survived_by_2_2_only(kit, kernel, dropped):
    router = masq_router(kit, kernel)
    router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(1))
    router.routing.output = lambda *args, **kwargs: Refused(101, "IP_OUTNOROUTES")
    out = router.receive(kit.udp("192.168.0.3", 6000, "203.0.113.10", 53), "lan0", sec(2))
    assert (out == "FORWARD") is dropped
