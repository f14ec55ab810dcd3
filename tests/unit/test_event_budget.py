"""What a packet-hop costs, in things that repeat exactly where seconds do not: simpy events, objects, memory.

h -- nat -- r1 -- r2 -- s        idle cables, one UDP flow through masquerading and two plain routers
"""

from __future__ import annotations

import gc
import resource
import sys

import pytest

from netsim import Lab
from netsim.topology.model import Topology
from netsim.trace.records import RECORD_TYPES
from netsim.units import ms, sec, us

HOPS = 4
WARM = ms(50)


def chain() -> Topology:
    nodes = {
        "h": {"addr": {"eth0": "192.168.0.3/24"}, "default": "192.168.0.1"},
        "nat": {
            "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.1.2/24"}, "default": "10.0.1.1",
            "run": "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE",
        },
        "r1": {"addr": {"eth0": "10.0.1.1/24", "eth1": "10.0.2.1/24"}, "default": "10.0.2.2"},
        "r2": {"addr": {"eth0": "10.0.2.2/24", "eth1": "10.0.3.1/24"}, "run": "ip route add 10.0.1.0/24 via 10.0.2.1"},
        "s": {"addr": {"eth0": "10.0.3.2/24"}, "default": "10.0.3.1"},
    }  # fmt: skip
    links = {
        "a": {"ends": ["h:eth0", "nat:lan0"]}, "b": {"ends": ["nat:wan0", "r1:eth0"]},
        "c": {"ends": ["r1:eth1", "r2:eth0"]}, "d": {"ends": ["r2:eth1", "s:eth0"]},
    }  # fmt: skip
    return Topology.model_validate({"nodes": nodes, "links": links})


def loaded(count: int) -> Lab:
    """Return a lab whose flow of one datagram each 100 us is past resolution, tracking and its first packets."""
    lab = Lab(chain())
    lab.flow("load", source="h", to="s", every=us(100), count=count + WARM // us(100), size=72)
    lab.run(until=WARM - us(50))
    return lab


def test_a_hop_over_an_idle_cable_is_one_event():
    """Architecture 1.4, "one simpy event a hop": four a datagram, and one for its sender's next."""
    lab = loaded(1000)
    events, hops = lab.env.events_run, lab.world.hops
    lab.run(until=WARM + us(100) * 500 - us(50))
    assert lab.world.hops - hops == 500 * HOPS
    assert lab.env.events_run - events == 500 * (HOPS + 1)


def test_packets_that_have_passed_leave_no_objects_behind():
    """Blocks allocated after a thousand more packets, when the last has arrived: none, but for a list's slack."""
    lab = loaded(3000)
    gc.collect()
    before = sys.getallocatedblocks()
    lab.run(until=WARM + us(100) * 1000 - us(50))
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


def test_a_record_type_nobody_wants_is_never_built(monkeypatch):
    """Architecture 1.7: boxes are told which types somebody wants and build no others."""
    lab = loaded(1000)

    def refuse(self, *args, **kwargs):
        raise AssertionError(f"{type(self).__name__} was built, and nobody subscribed")

    for cls in RECORD_TYPES:
        monkeypatch.setattr(cls, "__init__", refuse)
    lab.run(until=WARM + us(100) * 100)


@pytest.mark.slow
def test_two_hundred_thousand_hops_without_capture_grow_the_process_by_little():
    """Issue 10: a million packet-hops stay under 50 MB; a fifth of them under 10."""
    lab = loaded(50_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lab.run(until=WARM + us(100) * 50_000 + sec(1))
    assert lab.world.hops > 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10 * 1024
