"""The books of tables: nothing comes or goes unrecorded, and the check finds it where it does."""

from __future__ import annotations

import pytest

from netsim.errors import InternalError
from netsim.lab import Lab
from netsim.observe.meters.tables import TableBooks
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.holdings import Holdings
from netsim.trace.records import NeighChange, Record, RouteEvent, Tracked, WorldEvent
from netsim.units import ms, sec


def holding(neighbours=(), routes=0, connections=(), mapped=()) -> Holdings:
    return Holdings(frozenset(neighbours), routes, frozenset(connections), frozenset(mapped))


def neigh(old: str, new: str, dst: str = "10.0.1.1") -> Record:
    return NeighChange(0, "router", "wan0", dst, old, new, "", "test")


def route(event: str) -> Record:
    return RouteEvent(0, "router", event, "default via 10.0.1.1 dev wan0", True)


def tracked(serial: int, *, mapped: bool = False, gone: bool = False) -> Record:
    return Tracked(0, "router", serial, mapped, gone)


@pytest.mark.parametrize(
    ("records", "held"),
    [
        ([], holding()),
        ([neigh("NONE", "INCOMPLETE"), neigh("INCOMPLETE", "FAILED")], holding(neighbours=[("wan0", "10.0.1.1")])),
        ([neigh("NONE", "INCOMPLETE"), neigh("FAILED", "NONE")], holding()),
        ([route("new"), route("new"), route("replaced"), route("deleted")], holding(routes=1)),
        ([tracked(1), tracked(2, mapped=True), tracked(1, gone=True)], holding(connections=[2], mapped=[2])),
        ([tracked(2, mapped=True), tracked(2, mapped=True, gone=True)], holding()),
        ([neigh("NONE", "STALE"), route("new"), tracked(1), WorldEvent(1, "", "crash", "router")], holding()),
    ],
)
def test_what_the_records_leave_is_what_is_held(records, held):
    bus = Bus()
    books = TableBooks(bus)
    for record in records:
        bus.publish(record)
    books.check({"router": held})
    books.check(None)  # the kernel's boxes do not tell


@pytest.mark.parametrize(
    ("records", "held", "fault"),
    [
        ([neigh("NONE", "STALE")], holding(), "1 neighbours of router went without a record: ('wan0', '10.0.1.1')"),
        ([], holding(neighbours=[("wan0", "10.0.1.1")]), "1 neighbours of router came without a record"),
        ([route("new")], holding(routes=2), "router holds 2 routes, and its records leave 1"),
        ([tracked(1), tracked(2)], holding(connections=[2]), "1 connections of router went without a record: 1"),
        ([], holding(connections=[3, 4]), "2 connections of router came without a record: 3, 4"),
        ([tracked(1)], holding(connections=[1], mapped=[1]), "1 NAT mappings of router came without a record: 1"),
    ],
)
def test_what_comes_or_goes_unrecorded_is_told(records, held, fault):
    bus = Bus()
    books = TableBooks(bus)
    for record in records:
        bus.publish(record)
    with pytest.raises(InternalError) as caught:
        books.check({"router": held})
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    ("records", "fault"),
    [
        ([tracked(1), tracked(1)], "connection 1 of router came twice"),
        ([tracked(1, gone=True)], "connection 1 of router went twice, or never came"),
    ],
)
def test_a_connection_comes_and_goes_once(records, fault):
    bus = Bus()
    TableBooks(bus)
    *before, last = records
    for record in before:
        bus.publish(record)
    with pytest.raises(InternalError, match=fault):
        bus.publish(last)


def topology(kernel: str) -> Topology:
    """Return host -- router -- world; the router masquerades."""
    nodes = {
        "host": {"addr": {"eth0": ["192.168.0.3/24"]}, "default": "192.168.0.1"},
        "router": {
            "kernel": kernel,
            "addr": {"lan0": ["192.168.0.1/24"], "wan0": ["10.0.1.2/24"]},
            "default": "10.0.1.1",
            "run": "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE",
        },
        "world": {"addr": {"eth0": ["10.0.1.1/24"]}},
    }
    links = {"lan": {"ends": ["host:eth0", "router:lan0"]}, "wan": {"ends": ["router:wan0", "world:eth0"]}}
    return Topology.model_validate({"nodes": nodes, "links": links})


STEPS = (
    "ip route add 20.0.0.0/8 via 10.0.1.1",
    "ip route replace 20.0.0.0/8 dev wan0",
    "ip route append 20.0.0.0/8 via 10.0.1.1",
    "ip neigh add 10.0.1.7 lladdr 02:00:00:00:00:07 dev wan0",
    "ip neigh del 10.0.1.7 dev wan0",
    "ip addr add 10.0.9.1/24 dev wan0",
    "ip link set wan0 down",
    "ip link set wan0 up",
    "ip route flush table main",
    "ip addr flush dev lan0",
    "ip neigh flush all",
)


@pytest.mark.parametrize("kernel", ["linux-2.4", "linux-2.4-routes", "linux-6"])
def test_the_tables_of_a_box_balance_after_each_change(kernel):
    kept: list[TableBooks] = []
    with Lab(topology(kernel), bus_ready=lambda bus: kept.append(TableBooks(bus))) as lab:
        lab.flow("talk", source="host", to="world:9", every=ms(100), size=50, flows=3)
        for number, line in enumerate(STEPS):
            lab.run(until=sec(number + 1))
            assert lab["router"].sh(line).rc == 0, line
            kept[0].check(lab.world.holdings())
        lab.run(until=sec(700))
        kept[0].check(lab.world.holdings())
        assert lab.world.holdings()["router"].connections == frozenset()  # all timed out, and told
