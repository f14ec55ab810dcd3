"""Which unit of a flow an error is told of."""

from __future__ import annotations

from netsim.lab import Lab
from netsim.topology.model import Topology
from netsim.trace.records import FlowError
from netsim.units import ms

PAIR = Topology.model_validate(
    {
        "nodes": {
            "a": {
                "addr": {"eth0": "10.0.0.1/24"},
                "run": "iptables -A OUTPUT -p udp --dport 120 -j REJECT",
            },
            "b": {"addr": {"eth0": "10.0.0.2/24"}},
        },
        "links": {"l0": {"ends": ["a:eth0", "b:eth0"]}},
    }
)


def test_an_error_that_comes_back_while_a_unit_is_sent_is_that_unit_s():
    """A REJECT in OUTPUT answers before the send has returned; recorded on 6.18."""
    errors: list[FlowError] = []
    with Lab(PAIR, bus_ready=lambda bus: bus.subscribe((FlowError,), errors.append)) as lab:
        lab.flow("u", source="a", to="b:120", every=ms(100), count=2)
        lab.run(ms(150))
    assert [(each.seq, each.errno) for each in errors if each.errno == "ECONNREFUSED"] == [
        (0, "ECONNREFUSED"), (1, "ECONNREFUSED"),
    ]  # fmt: skip
