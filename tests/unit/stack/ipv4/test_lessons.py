"""What ICMP and failed neighbours teach routing: exceptions on mainline, changed cache entries on 2.4."""

from __future__ import annotations

import random

import pytest

from netsim.addr import Prefix, parse_ip
from netsim.stack.dst import RTCF_REDIRECTED
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import (
    DONE,
    DumpRouteCache,
    FlushRouteCache,
    GetRoute,
    NewAddr,
    NewLink,
    NewNeigh,
    NewRoute,
    NexthopSpec,
    SetLink,
    SetSysctl,
)
from netsim.units import sec

FAR, US, OLD, NEW = (parse_ip(quad) for quad in ("8.8.8.8", "10.0.0.2", "10.0.0.1", "10.0.0.9"))
STALE = 4


def host(kernel: str, *, known: bool = True) -> Netns:
    """A host 10.0.0.2/24 on eth0 with its default by 10.0.0.1; 10.0.0.9 is a neighbour already if `known`."""
    box = Netns("h", profile(kernel), random.Random(1))
    box.request(SetLink(dev="lo", up=True), now=0)
    box.request(NewLink(name="eth0", mac=bytes([2, 0, 0, 0, 0, 1])), now=0)
    box.request(NewAddr(dev="eth0", local=US, plen=24), now=0)
    box.request(SetLink(dev="eth0", up=True), now=0)
    box.request(NewRoute(flags=0x600, dst=Prefix(0, 0), nexthops=(NexthopSpec(via=OLD, dev="eth0"),)), now=0)
    if known:
        box.request(NewNeigh(dev="eth0", dst=NEW, lladdr=bytes([2, 0, 0, 0, 0, 9]), state=STALE), now=0)
    return box


def redirect(box: Netns, now: int) -> None:
    dev = box.interfaces.named("eth0")
    assert dev is not None
    box.router.learn_redirect(OLD, FAR, US, dev, NEW, now=now)


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4"])
def test_a_redirect_from_the_gateway_in_use_is_obeyed(kernel):
    """observed-linux 10: per destination; 2.4 ip_rt_redirect()."""
    box = host(kernel)
    box.router.output(FAR, now=sec(1))
    redirect(box, sec(1))
    found = box.router.output(FAR, now=sec(2))
    assert (found.gateway, bool(found.flags & RTCF_REDIRECTED)) == (NEW, True)
    assert box.router.output(FAR + 1, now=sec(2)).gateway == OLD


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4"])
def test_a_redirect_to_an_unknown_gateway_only_asks_for_it(kernel):
    """observed-linux 10: "first redirect for a gateway not yet in its ARP cache only starts ARP"."""
    box = host(kernel, known=False)
    box.router.output(FAR, now=sec(1))
    redirect(box, sec(1))
    assert box.router.output(FAR, now=sec(1)).gateway == OLD
    assert len(box.outbox.frames) == 1


@pytest.mark.parametrize("change", ["accept_redirects", "ip_forward"])
def test_who_may_not_be_redirected_is_not(change):
    """observed-linux 10: accept_redirects=0 (all and device, on a host), or a router."""
    box = host("linux-6")
    if change == "ip_forward":
        box.request(SetSysctl(key="net.ipv4.ip_forward", value="1"), now=0)
    else:
        for dev in ("all", "eth0"):
            box.request(SetSysctl(key=f"net.ipv4.conf.{dev}.accept_redirects", value="0"), now=0)
    redirect(box, sec(1))
    assert box.router.output(FAR, now=sec(1)).gateway == OLD


def test_a_redirect_is_forgotten_after_300_seconds_and_by_a_flush():
    """observed-linux 10: `cache <redirected> expires 293sec`; `ip route flush cache` clears it."""
    box = host("linux-6")
    redirect(box, sec(1))
    answer = box.request(GetRoute(dst=FAR), now=sec(8))
    assert (answer.via, answer.cache, answer.expires) == (NEW, ("redirected",), sec(293))
    assert [each.answer.dst for each in box.request(DumpRouteCache(), now=sec(8))] == [FAR]
    assert box.request(GetRoute(dst=FAR), now=sec(302)).via == OLD
    redirect(box, sec(303))
    box.request(FlushRouteCache(), now=sec(304))
    assert box.request(GetRoute(dst=FAR), now=sec(304)).via == OLD


@pytest.mark.parametrize("kernel", ["linux-6", "linux-2.4"])
def test_a_path_mtu_is_kept_for_ten_minutes_and_never_grows(kernel):
    """mtu_expires 600 s; __ip_rt_update_pmtu(), ip_rt_frag_needed()."""
    box = host(kernel)
    box.router.output(FAR, now=sec(1))
    box.router.learn_pmtu(FAR, US, 1400, now=sec(1))
    box.router.learn_pmtu(FAR, US, 1450, now=sec(2))
    found = box.router.output(FAR, now=sec(3))
    assert (found.mtu, found.expires) == (1400, sec(601))
    box.router.learn_pmtu(FAR, US, 100, now=sec(4))
    found = box.router.output(FAR, now=sec(5))
    assert (found.mtu, found.mtu_locked) == (552, True)


def test_a_connected_socket_keeps_its_route_to_a_dead_gateway():
    """observed-linux 3.2, lab E: nobody looks at the expiry that a link failure sets."""
    box = host("linux-6")
    found = box.router.output(FAR, now=sec(1))
    before = box.router.generation
    box.router.link_failed(found, now=sec(4))
    assert (found.expires, box.router.generation) == (0, before)


def test_a_failed_route_serves_from_the_cache_until_the_sweep_takes_it():
    """route-patches 4: the entry's expiry is set to now, hits still succeed until gc removes it."""
    box = host("linux-2.4")
    box.tick(now=sec(3))  # the flush that the set-up asked for
    found = box.router.output(FAR, now=sec(3))
    box.router.link_failed(found, now=sec(4))
    assert box.router.output(FAR, now=sec(5)) is found
    box.tick(now=sec(450))
    assert found.generation == -1
    assert box.router.output(FAR, now=sec(451)) is not found


def test_a_cache_under_pressure_gives_up_its_oldest_entries():
    """rt_garbage_collect(): above gc_thresh, and never beyond max_size."""
    box = host("linux-2.4")
    box.tick(now=sec(3))
    for key, value in (("gc_thresh", "64"), ("max_size", "128"), ("gc_min_interval", "0")):
        assert box.request(SetSysctl(key=f"net.ipv4.route.{key}", value=value), now=sec(3)) == DONE
    for number in range(1000):
        box.router.output(FAR + number, now=sec(3) + number * 10_000_000)
    cached = box.request(DumpRouteCache(), now=sec(14))
    assert 64 <= len(cached) <= 129
    assert FAR + 999 in [each.answer.dst for each in cached]
