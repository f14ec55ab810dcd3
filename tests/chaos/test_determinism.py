"""One scenario, one seed, one digest: in any process, under any PYTHONHASHSEED, whoever else is in the world."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from soak.recipe import recipes

from netsim.lab import Lab
from netsim.scenario.load import load
from netsim.topology.generate import two_isps
from netsim.topology.model import Interface, Link, Node, Topology
from netsim.topology.ports import ports_of
from netsim.trace.bus import Bus
from netsim.trace.records import FrameSent, NeighChange
from netsim.units import ms, sec

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
CHUNKS = [SCENARIOS[at : at + 5] for at in range(0, len(SCENARIOS), 5)]
PRINT_DIGESTS = """
import sys
from netsim.scenario.load import load
from netsim.scenario.runner import digest_of
for path in sys.argv[1:]:
    scenario = load(path)
    print(digest_of(scenario), digest_of(scenario.model_copy(update={"seed": scenario.seed + 1})))
"""
PRINT_RECIPES = """
import ast, sys
from soak.recipe import Recipe
from soak.run import digest_of_recipe
for row in ast.literal_eval(sys.stdin.read()):
    print(digest_of_recipe(Recipe(*row)))
"""


def other_process(program: str, *args: str, hash_seed: int, given: str = "") -> list[str]:
    """Run a program in a process of its own; return the lines it prints."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "chaos")))
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program, *args], input=given, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("paths", CHUNKS, ids=lambda paths: f"{paths[0].stem} to {paths[-1].stem}")
def test_a_scenario_has_one_digest_in_every_process_and_another_with_another_seed(paths):
    """A run in two processes under two hash seeds. Every datagram's id is drawn: where traffic flows, seeds differ."""
    names = [str(path) for path in paths]
    said = [other_process(PRINT_DIGESTS, *names, hash_seed=hash_seed) for hash_seed in (0, 4242)]
    assert said[0] == said[1]
    assert len(said[0]) == 2 * len(names)
    pairs = zip(paths, said[0][::2], said[0][1::2], strict=True)
    alike = [path.stem for path, one, other in pairs if one == other and load(path).traffic]
    assert not alike


def test_generated_labs_have_one_digest_under_two_hash_seeds():
    rows: list[tuple[object, ...]] = []

    @settings(max_examples=6, database=None)
    @given(recipes())
    def collect(recipe):
        rows.append((*vars(recipe).values(),))

    collect()
    said = [other_process(PRINT_RECIPES, hash_seed=seed, given=repr(rows)) for seed in (1, 99)]
    assert said[0] == said[1]
    assert len(said[0]) == len(rows)


def behaviour(topology: Topology) -> dict[str, list[str]]:
    """Run a little traffic and return what each node of the two-provider lab sent and learnt, without uids."""
    seen: dict[str, list[str]] = {}

    def listen(bus: Bus) -> None:
        def note(r: FrameSent | NeighChange) -> None:
            told = r.frame.octets.hex() if isinstance(r, FrameSent) else f"{r.dst} {r.new} {r.lladdr}"
            seen.setdefault(r.node, []).append(f"{r.t} {r.dev} {told}")

        bus.subscribe((FrameSent, NeighChange), note)

    with Lab(topology, seed=5, bus_ready=listen) as lab:
        lab.flow("a", kind="udp", source="h1", to="world:7", every=ms(100), new_flows=True, reply=True)
        lab.flow("b", kind="ping", source="h2", to="world", every=ms(300))
        lab.event("silence", "isp1", at=sec(5))
        lab.run(until=sec(20))
    return seen


def with_a_stranger(*, first: bool) -> Topology:
    """Return the two-provider lab with two nodes more on a lossy link; the lab's MACs stay as they were."""
    lab = two_isps()
    nodes = {
        name: node.model_copy(
            update={
                "interfaces": {port.name: Interface.model_validate({"mac": port.mac}) for port in ports_of(lab)[name]}
            }
        )
        for name, node in lab.nodes.items()
    }
    strangers = {f"z{n}": Node.model_validate({"addr": {"eth0": f"172.16.0.{n}/24"}}) for n in (1, 2)}
    far = Link.model_validate({"ends": ["z1:eth0", "z2:eth0"], "loss": "10%", "jitter": "1ms"})
    together = {**strangers, **nodes} if first else {**nodes, **strangers}
    return lab.model_copy(update={"nodes": together, "links": {**lab.links, "far": far}})


@pytest.mark.slow
def test_an_idle_node_does_not_shift_anothers_draws():
    alone = behaviour(two_isps())
    for first in (False, True):
        together = behaviour(with_a_stranger(first=first))
        assert {name: lines for name, lines in together.items() if not name.startswith("z")} == alone
