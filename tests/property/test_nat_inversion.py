"""NAT in both directions, whatever the flow: replies invert, outsides differ, sums stay right, errors come home.

Source: design style rule 38, "NAT reply inverts NAT original"; linux-kernel 5.2, 5.6, 5.7, 5.9.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.addr import ip_str, parse_ip
from netsim.stack.netfilter.nat_range import (
    NF_NAT_RANGE_MAP_IPS,
    NF_NAT_RANGE_PERSISTENT,
    NF_NAT_RANGE_PROTO_RANDOM,
    NF_NAT_RANGE_PROTO_SPECIFIED,
    NatRange,
)
from netsim.stack.netfilter.rewrite import manip_packet
from netsim.stack.netfilter.status import IPS_SRC_NAT
from netsim.stack.skb import Skb
from netsim.units import sec
from netsim.wire.icmp import resum_icmp
from netsim.wire.rewrite import rewrite_ipv4

_SPEC = importlib.util.spec_from_file_location(
    "netfilter_kit", Path(__file__).parents[1] / "unit/stack/netfilter/conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
kit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(kit)

kernels = st.sampled_from(["linux-6", "linux-2.4"])
ports = st.integers(1, 65535)
hosts = st.integers(2, 254).map(lambda n: f"192.168.0.{n}")
servers = st.integers(1, 254).map(lambda n: f"203.0.113.{n}")
payloads = st.binary(max_size=40)
flows = st.tuples(st.sampled_from(["udp", "udp0", "tcp", "icmp"]), hosts, ports, servers, ports, payloads)
targets = st.one_of(
    st.just(("MASQUERADE", NatRange())),
    st.just(("MASQUERADE", NatRange(NF_NAT_RANGE_PROTO_RANDOM))),
    st.just(("MASQUERADE", NatRange(NF_NAT_RANGE_PROTO_SPECIFIED, 0, 0, 20000, 20999))),
    st.sampled_from([0, NF_NAT_RANGE_PERSISTENT]).map(
        lambda flag: (
            "SNAT",
            NatRange(NF_NAT_RANGE_MAP_IPS | flag, parse_ip("10.0.1.100"), parse_ip("10.0.1.110")),
        )
    ),
)


def packet(flow) -> bytes:
    kind, src, sport, dst, dport, payload = flow
    if kind == "tcp":
        return kit.tcp(src, sport, dst, dport, "S", 1, 0, payload)
    if kind == "icmp":
        return kit.icmp(src, dst, 8, sport, payload)
    return kit.udp(src, sport, dst, dport, payload, checksum=kind == "udp")


def answer(flow, out: Skb) -> bytes:
    """Build what the far end sends back for a packet as it arrived there."""
    kind, payload = flow[0], flow[5]
    src, dst = ip_str(out.daddr), ip_str(out.saddr)
    if kind == "tcp":
        return kit.tcp(src, out.dport, dst, out.sport, "SA", 9, 2, payload)
    if kind == "icmp":
        return kit.icmp(src, dst, 0, int.from_bytes(out.data[24:26], "big"), payload)
    return kit.udp(src, out.dport, dst, out.sport, payload, checksum=kind == "udp")


def made(kernel: str, target) -> object:
    router = kit.Router(kernel)
    router.rule("POSTROUTING", target[0], target[1], oif="wan0")
    return router


@pytest.mark.slow
@given(kernels, targets, st.lists(flows, min_size=1, max_size=8))
def test_a_reply_comes_back_to_whom_the_request_came_from(kernel, target, several):
    router = made(kernel, target)
    for flow in several:
        out = router.receive(packet(flow), "lan0", sec(1))
        if isinstance(out, str):
            continue  # the range is full
        assert kit.sound(out)
        assert out.saddr >> 8 == parse_ip("10.0.1.0") >> 8
        back = router.receive(answer(flow, out), "wan0", sec(1))
        assert kit.sound(back)
        assert (ip_str(back.saddr), ip_str(back.daddr)) == (flow[3], flow[1])
        if flow[0] == "icmp":
            assert int.from_bytes(back.data[24:26], "big") == flow[2]
        else:
            assert (back.sport, back.dport) == (flow[4], flow[2])


@pytest.mark.slow
@given(kernels, targets, st.lists(flows, min_size=2, max_size=12))
def test_no_two_connections_look_alike_from_outside(kernel, target, several):
    router = made(kernel, target)
    for flow in several:
        router.receive(packet(flow), "lan0", sec(1))
    live = list(router.nf.conntrack)
    assert len({ct.tuple_reply for ct in live}) == len(live)
    assert len({ct.tuple_orig for ct in live}) == len(live)


@given(kernels, flows, st.integers(28, 100), st.sampled_from([(3, 1), (3, 4), (11, 0), (4, 0)]))
def test_an_error_about_any_translated_packet_comes_home(kernel, flow, octets, kind):
    router = made(kernel, ("MASQUERADE", NatRange(NF_NAT_RANGE_PROTO_SPECIFIED, 0, 0, 20000, 20999)))
    out = router.receive(packet(flow), "lan0", sec(1))
    message = bytearray(bytes((*kind, 0, 0, 0, 0, 0, 0)) + bytes(out.data[:octets]))
    resum_icmp(message, 0)
    got = router.receive(kit.ip("10.0.1.1", ip_str(out.saddr), 1, bytes(message)), "wan0", sec(1))
    assert kit.sound(got)
    assert ip_str(got.daddr) == flow[1]
    assert ip_str(int.from_bytes(got.data[40:44], "big")) == flow[1]
    at = 52 if flow[0] == "icmp" else 48
    assert int.from_bytes(got.data[at : at + 2], "big") == flow[2]


@given(flows.filter(lambda flow: flow[0] != "icmp"))
def test_the_prepared_rewrite_equals_the_one_that_reads_the_packet(flow):
    router = made("linux-6", ("MASQUERADE", NatRange(NF_NAT_RANGE_PROTO_RANDOM)))
    out = router.receive(packet(flow), "lan0", sec(1))
    assert out.ct.status & IPS_SRC_NAT
    quick = Skb(bytearray(packet(flow)))
    assert manip_packet(quick, out.ct, 0, 0, 0xFFFF)
    slow = bytearray(packet(flow))
    assert rewrite_ipv4(slow, saddr=out.saddr, sport=out.sport)
    assert quick.data == slow
