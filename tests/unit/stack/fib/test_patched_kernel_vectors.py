"""Every recorded decision of the 2.4.27 routing code, with the "routes" patches and without, replayed op by op.

The recordings are facts: what the patched and the stock kernel answered to the same scripts, and in which state each
list of routes was afterwards. Each op's whole result is compared. The patch's leftover-credit quirk is switched on, as
the recorded kernel had it (route-patches C10); what it changes is counted in the last test here.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "data" / "patched-kernel"
_SPEC = importlib.util.spec_from_file_location("routing_machine_24", Path(__file__).parent / "machine24.py")
machine24 = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(machine24)
Machine, CacheMachine = machine24.Machine, machine24.CacheMachine


def scripts(file: str):
    with gzip.open(DATA / f"{file}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def _only_different(recorded, ours):
    """Shorten two lists to the members that are in one alone."""
    if isinstance(recorded, list) and isinstance(ours, list):
        return [each for each in recorded if each not in ours], [each for each in ours if each not in recorded]
    return recorded, ours


def first_difference(script, kernel: str, machine=Machine, **options):
    """Replay a script; return None, or the first op whose result differs and how."""
    box = machine(kernel, **options)
    for at, op in enumerate(script["ops"]):
        got = box.run(op)
        if got != op["result"]:
            wrong = {
                key: _only_different(op["result"].get(key), got.get(key))
                for key in {**op["result"], **got}
                if op["result"].get(key) != got.get(key)
            }
            asked = {key: value for key, value in op.items() if key != "result"}
            return f"{script['name']} op {at} {asked}: (recorded, ours) {wrong}"
    return None


PATCHED = {
    "commands": 207, "rules": 129, "static": 261, "alternatives": 392, "multipath": 382, "rpfilter": 196, "edge": 15,
}  # fmt: skip
"""Scripts a file, in each of the two sets."""


@pytest.mark.slow
@pytest.mark.parametrize("file", PATCHED)
@pytest.mark.parametrize("kernel", ["linux-2.4-routes", "linux-2.4"])
def test_every_recorded_decision_is_ours(kernel, file, counted):
    """patched-kernel/*.jsonl (linux-2.4-routes) and patched-kernel/stock-2.4/*.jsonl (linux-2.4)."""
    recorded = scripts(file if kernel == "linux-2.4-routes" else f"stock-2.4/{file}")
    assert len(recorded) == PATCHED[file]
    different = [text for script in recorded if (text := first_difference(script, kernel)) is not None]
    assert different == []
    counted(f"{kernel} {file}: {len(recorded)} of {len(recorded)} scripts equal")


@pytest.mark.slow
def test_every_recorded_cache_step_is_ours(counted):
    """patched-kernel/cache.jsonl: keys, stored errors, and the timer of the delayed flush."""
    recorded = scripts("cache")
    assert len(recorded) == 103
    different = [
        text for script in recorded if (text := first_difference(script, "linux-2.4-routes", CacheMachine)) is not None
    ]
    assert different == []
    counted(f"linux-2.4-routes cache: {len(recorded)} of {len(recorded)} scripts equal")


@pytest.mark.slow
@pytest.mark.parametrize("file", PATCHED)
def test_the_quirk_alone_tells_our_default_from_the_recorded_kernel(file):
    """With leftover_credit off, our default, 24 of 1582 scripts differ: each first in a lookup of a multipath route
    that has a suspect path with unspent credit, which our default does not let stand in the way of a refill (C10)."""
    different = []
    for script in scripts(file):
        text = first_difference(script, "linux-2.4-routes", quirk=False)
        if text is not None:
            different.append((script, int(text.split(" op ")[1].split()[0])))
    assert len(different) == {"multipath": 22, "rules": 1, "edge": 1}.get(file, 0)
    for script, at in different:
        after = script["ops"][at]["result"]["after"]
        assert any("S" in flags and credit for _, _, paths in after for flags, credit in paths), (script["name"], at)
