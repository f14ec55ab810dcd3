"""When a box hears of carriers: the batches of linkwatch. Source: net/core/link_watch.c; linux-kernel 1.8."""

from __future__ import annotations

import pytest

from netsim.lab import Lab
from netsim.stack.device import Device
from netsim.stack.interfaces import Interfaces
from netsim.stack.linkwatch import LinkWatch
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.topology.model import Topology
from netsim.units import NS_PER_MS, Ns, ms, sec


class Bench:
    """A watch over two devices that are up; `said` is what it told: milliseconds, device, carrier."""

    def __init__(self, *, waits: bool = True) -> None:
        self.interfaces = Interfaces(Sysctl(), ip_from_birth=True)
        self.timers = Timers()
        self.said: list[tuple[int, str, bool]] = []
        self.devices = {name: self.interfaces.add(name, "ether", b"\x02" + bytes(5), 1500) for name in ("a", "b")}
        for dev in self.devices.values():
            self.interfaces.set_up(dev, True)
        self.watch = LinkWatch(interfaces=self.interfaces, timers=self.timers, told=self, waits=waits)

    def carrier_told(self, dev: Device, *, now: Ns) -> None:
        self.said.append((now // NS_PER_MS, dev.name, dev.carrier))

    def at(self, millisecond: int, name: str, carrier: bool) -> None:
        now = ms(millisecond)
        self.timers.run(now)
        dev = self.devices[name]
        self.interfaces.set_carrier(dev, carrier)
        self.watch.changed(dev, now=now)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        pytest.param([(5000, "a", False)], [(5000, "a", False)], id="the first is told at once"),
        pytest.param(
            [(5000, "a", False), (5000, "b", False)], [(5000, "a", False), (5000, "b", False)],
            id="what happens in one instant is one batch",
        ),
        pytest.param(
            [(5000, "a", False), (5300, "b", False)], [(5000, "a", False), (6016, "b", False)],
            id="the second within a second waits for its end, a slot of the wheel late",
        ),
        pytest.param(
            [(5000, "a", False), (6000, "b", False)], [(5000, "a", False), (6000, "b", False)],
            id="after a second nothing waits",
        ),
        pytest.param(
            [(5000, "a", False), (5200, "a", True)], [(5000, "a", False), (5200, "a", True)],
            id="a carrier that returns after its loss was told is urgent",
        ),
        pytest.param(
            [(5000, "a", False), (5200, "b", False), (5400, "b", True)], [(5000, "a", False), (6016, "b", True)],
            id="a loss that is over before its turn was never one",
        ),
        pytest.param(
            [(5000, "a", False), (5200, "a", True), (5400, "a", False)],
            [(5000, "a", False), (5200, "a", True), (6016, "a", False)],
            id="an urgent event opens no second of its own",
        ),
        pytest.param(
            [(5000, "a", False), (5300, "b", False), (6500, "a", True), (6700, "b", True)],
            [(5000, "a", False), (6016, "b", False), (6500, "a", True), (6700, "b", True)],
            id="two carriers return, each at once",
        ),
    ],
)  # fmt: skip
def test_carriers_are_told_in_batches_a_second_apart(steps, told):
    bench = Bench()
    for step in steps:
        bench.at(*step)
    bench.timers.run(sec(60))
    assert bench.said == told


def test_without_linkwatch_each_is_told_as_it_comes():
    bench = Bench(waits=False)
    for step in ((5000, "a", False), (5100, "b", False), (5200, "b", True)):
        bench.at(*step)
    assert bench.said == [(5000, "a", False), (5100, "b", False), (5200, "b", True)]


def test_nothing_is_told_of_a_device_that_is_down_or_gone():
    bench = Bench()
    bench.at(5000, "a", False)
    bench.at(5100, "a", True)
    bench.at(5200, "a", False)
    bench.at(5200, "b", False)
    bench.interfaces.set_up(bench.devices["a"], False)
    bench.watch.forget(bench.devices["b"])
    bench.timers.run(sec(60))
    assert bench.said == [(5000, "a", False), (5100, "a", True)]


def lab(kernel: str) -> Lab:
    """Return a router with two uplinks."""
    nodes = {
        "r": {"kernel": kernel, "addr": {"wan0": ["10.0.1.2/24"], "wan1": ["10.0.2.2/24"]}},
        "isp1": {"addr": {"eth0": ["10.0.1.1/24"]}},
        "isp2": {"addr": {"eth0": ["10.0.2.1/24"]}},
    }
    links = {"one": {"ends": ["r:wan0", "isp1:eth0"]}, "two": {"ends": ["r:wan1", "isp2:eth0"]}}
    return Lab(Topology.model_validate({"nodes": nodes, "links": links}))


def test_the_second_uplink_that_fails_within_a_second_is_found_at_its_end():
    """Its device knows at once: LOWER_UP is gone while RUNNING still stands, and so is no NO-CARRIER."""
    world = lab("linux-6")
    world.run(until=sec(5))
    world.event("cut", "one")
    world.run(until=sec(5) + ms(300))
    world.event("cut", "two")
    world.run(until=sec(5) + ms(600))
    routes = world["r"].sh("ip route").stdout
    assert "dev wan0 proto kernel scope link src 10.0.1.2 linkdown" in routes
    assert "dev wan1 proto kernel scope link src 10.0.2.2 \n" in routes
    assert "wan1: <BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state UP" in world["r"].sh("ip link show wan1").stdout
    world.run(until=sec(7))
    assert "dev wan1 proto kernel scope link src 10.0.2.2 linkdown" in world["r"].sh("ip route").stdout
    assert "NO-CARRIER" in world["r"].sh("ip link show wan1").stdout
