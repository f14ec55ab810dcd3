"""tshark reads every frame of every scenario and finds no bad checksum, nothing malformed, no protocol error.

Scenarios that damage or invent frames on purpose (`corrupt:`, `inject:`) are left out: their verdicts speak of that.
Source: issue "tshark finds no bad checksum in any capture of any scenario"; dns and mdns guess at payloads.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from netsim.scenario.load import load
from netsim.scenario.runner import run_scenario

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
ON_PURPOSE = ("corrupt:", "inject:")
CHECKS = [word for name in ("ip", "tcp", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]
GUESSES = [word for name in ("dns", "mdns", "llmnr", "nbns") for word in ("--disable-protocol", name)]
BAD = (
    "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0 "
    "|| icmp.checksum.status == 0 || _ws.expert.severity == 8388608"
)
"""8388608 is the severity "error"."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")]


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.relative_to(ROOT).as_posix() for path in SCENARIOS])
def test_tshark_finds_nothing_wrong(path, tmp_path):
    if any(word in path.read_text(encoding="utf-8") for word in ON_PURPOSE):
        pytest.skip("this scenario damages or invents frames on purpose")
    run_scenario(load(path, settings={"observe.pcap": "all", "observe.plot": "[]"}), out=tmp_path)
    capture = tmp_path / "capture.pcapng"
    told = subprocess.run(
        ["tshark", "-r", str(capture), *CHECKS, *GUESSES, "-Y", BAD, "-c", "5"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == ""
