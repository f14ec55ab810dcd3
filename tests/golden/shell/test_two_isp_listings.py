"""The document's two set-ups of one router with two providers, pasted as printed, and what Linux lists for them.

    wan0 10.0.1.2/24   wan1 10.0.2.2/24   lan0 192.168.0.1/24

The answers were recorded on Linux 6.18 with iproute2 6.1.0, in a network namespace with three veth devices, IPv6 off.
Source: seed document, section 2, "masquerade through many ISPs" (first) and "there is another solution" (second).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netsim.lab import Lab
from netsim.topology.model import Topology

RECORDED = json.loads((Path(__file__).parents[2] / "data" / "shell" / "two_isp_listings.json").read_text())


@pytest.fixture(scope="module", params=list(RECORDED))
def listing(request):
    """Paste one set-up into a fresh router; hand out its recording and the router."""
    recorded = RECORDED[request.param]
    router = {
        "addr": {"lan0": "192.168.0.1/24", "wan0": "10.0.1.2/24", "wan1": "10.0.2.2/24"},
        "run": "\n".join(recorded["setup"]),  # a refused line would be a ConfigError
    }
    links = {dev: {"ends": [f"router:{dev}", f"far-{dev}:eth0"]} for dev in router["addr"]}
    nodes = {"router": router} | {f"far-{dev}": {} for dev in router["addr"]}
    with Lab(Topology.model_validate({"nodes": nodes, "links": links})) as lab:
        yield recorded["answers"], lab["router"]


def test_both_listings_load_verbatim_and_are_listed_as_linux_lists_them(listing):
    answers, router = listing
    assert len(answers) == 26
    for row in answers:
        answer = router.sh(row["line"])
        given = (answer.rc, answer.stdout, answer.stderr)
        assert given == (row["rc"], row["out"], row["err"]), row["line"]
