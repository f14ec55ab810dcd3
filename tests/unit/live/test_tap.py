"""A node behind a TAP device: what goes into the device, and what does not. A pair of sockets stands for the device."""

from __future__ import annotations

import socket

import pytest

from netsim.addr import parse_mac
from netsim.kernel.lateness import Lateness
from netsim.live.world import LiveLab, LiveWorld
from netsim.scenario.model import Live
from netsim.seeds import Seed
from netsim.topology.model import Topology
from netsim.trace.records import CommandRun, Dropped

ROUTER = Topology.model_validate({
    "nodes": {
        "host": {"addr": {"eth0": "192.168.0.3/24"}},
        "nat": {"addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.0.1/24"}},
        "isp": {"addr": {"eth0": "10.0.0.2/24"}},
    },
    "links": {"lan": {"ends": ["host:eth0", "nat:lan0"]}, "wan": {"ends": ["nat:wan0", "isp:eth0"]}},
})  # fmt: skip
FRAME = bytes(6) + parse_mac("02:00:00:00:00:01") + b"\x08\x06" + bytes(28)


@pytest.fixture
def device(monkeypatch):
    """Return what is behind the device, one frame a read."""
    ours, behind = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    behind.setblocking(False)
    monkeypatch.setattr("netsim.live.tap.open_tap", lambda _name: ours.detach())
    yield behind
    behind.close()


@pytest.fixture
def lab(device):
    """Return a lab whose router is behind the device, at its lan0, and what was recorded."""
    records = []
    world = LiveWorld(Seed(1), {"nat": Live(tap="tap7", dev="lan0")}, Lateness())
    heard = (CommandRun, Dropped)
    with LiveLab(ROUTER, bus_ready=lambda bus: bus.subscribe(heard, records.append), world=world) as made:
        yield made, records


def frames(device):
    out = []
    while True:
        try:
            out.append(device.recv(2000))
        except BlockingIOError:
            return out


def test_a_frame_to_the_taps_interface_goes_into_the_device(lab, device):
    lab[0].inject("nat:lan0", FRAME)
    assert frames(device) == [FRAME]


def test_a_frame_to_another_interface_of_the_node_does_not(lab, device):
    lab[0].inject("nat:wan0", FRAME)
    assert frames(device) == []
    assert [(each.dev, each.reason) for each in lab[1]] == [("wan0", "DEV_READY")]


def test_a_carrier_of_another_interface_is_none_of_the_devices(lab):
    """A TAP's carrier is set by an ioctl that a socket refuses."""
    nat = lab[0]["nat"].node
    nat.carrier("wan0", False)
    assert nat.box.interfaces.named("lan0").carrier
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        nat.carrier("lan0", False)


def test_a_command_is_refused_and_the_refusal_recorded(lab):
    answer = lab[0]["nat"].sh("ip link")
    assert answer.rc == 255
    assert [(each.node, each.line, each.rc, each.stderr) for each in lab[1]] == [("nat", "ip link", 255, answer.stderr)]
