"""The multi-WAN scenarios fail without the mechanism they show: CONNMARK, or mwan3's `statistic`.

The scenarios themselves are collected by the plug-in; here each is run with the lines of its mechanism taken out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim import run

ROOT = Path(__file__).parents[2]
NEEDED = {
    "connmark-multipath": ("CONNMARK", {"every open connection survives both changes", "a connection keeps its mark"}),
    "dnat-both-uplinks": (
        "CONNMARK",
        {
            "who asks the second address is answered",
            "answers with the second address leave by the second uplink",
            "and none by the first",
        },
    ),
    "mwan3": (
        "-m statistic",
        {"new connections are balanced", "and goes on sending half of the new connections there"},
    ),
}
"""Scenario -> what is in the lines of its mechanism, and the expectations that have to fail without them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDED)
def test_without_its_mechanism_a_multi_wan_scenario_fails(name, tmp_path):
    """Issue: "expectations that fail without the mechanism"."""
    mechanism, must_fail = NEEDED[name]
    text = (ROOT / "scenarios" / "multiwan" / f"{name}.yaml").read_text()
    lines = [line for line in text.splitlines() if mechanism not in line or line.startswith(("#", "about"))]
    bare = tmp_path / "scenarios" / "multiwan" / f"{name}.yaml"
    bare.parent.mkdir(parents=True)
    bare.write_text("\n".join(lines))
    (tmp_path / "topologies").symlink_to(ROOT / "topologies")
    failed = {each.name for each in run(bare).expect if not each.passed}
    assert must_fail <= failed
