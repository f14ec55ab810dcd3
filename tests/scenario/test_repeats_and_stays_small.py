"""A run repeats to the octet in another process, and a long one does not grow: both measured from outside.

Source: design/architecture.md, decisions 6 and 7; section 7.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO = "scenarios/detection-time.yaml"

LONG_RUN = """
import resource
from netsim import Lab, ms, sec
from netsim.topology.generate import chain

lab = Lab(chain(3))  # host, three routers, host: four hops a datagram, 1000 datagrams a second
lab.flow("load", kind="udp", source="h1", to="h2", stop=sec(SECONDS), OPTIONS)
lab.run(until=sec(10))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lab.run(until=sec(SECONDS + 1))
print(lab.world.hops, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def python(*args, **environment):
    ran = subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def digest(seed, hash_seed):
    out = python("-m", "netsim", "run", SCENARIO, "--json", "--seed", str(seed), PYTHONHASHSEED=str(hash_seed))
    return json.loads(out)["digest"]


@pytest.mark.slow
def test_one_seed_gives_one_digest_under_any_hash_seed_and_another_seed_another():
    first = digest(1, 0)
    assert digest(1, 1) == first
    assert digest(1, 4711) == first
    assert digest(2, 0) != first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "seconds"), [("every=ms(100), flows=100", 250), ("every=ms(1), new_flows=True", 100)],
    ids=["a million of a hundred flows", "four hundred thousand, each datagram a flow of its own"],
)  # fmt: skip
def test_packet_hops_without_capture_grow_the_process_by_less_than_50_mb(options, seconds):
    """What is remembered of flows is bounded, and what has passed is let go."""
    code = LONG_RUN.replace("OPTIONS", options).replace("SECONDS", str(seconds))
    hops, grown_kb = map(int, python("-c", code).split())
    assert hops >= seconds * 4000
    assert grown_kb < 50_000
