"""What a kernel did, kept in a file and read back: the same value, the same octets, and only for the same question."""

from __future__ import annotations

import gzip
import json

import pytest

from netsim.errors import ConfigError, Skipped
from netsim.kernel.ticks import Ticks
from netsim.oracle.compare import Run
from netsim.oracle.recording import Draws, Recording, fingerprint, load_recording, save
from netsim.oracle.referee import against, run_emulated
from netsim.scenario.load import load

CASE = """\
name: pair
duration: 1s
topology:
  nodes: {a: {addr: {eth0: 10.0.0.1/24}}, b: {addr: {eth0: 10.0.0.2/24}}}
  links: {l0: {ends: [a:eth0, b:eth0]}}
traffic:
  web: {from: a, to: "b:9", every: 200ms}
events:
  - {at: 300ms, run: {a: ip neigh show}}
"""
DRAWS = Draws(reachable={("a", "eth0"): 31_000}, ticks=Ticks(tick=4_000_000, count=5000, at=17), late=0)


@pytest.fixture
def case(tmp_path):
    file = tmp_path / "pair.yaml"
    file.write_text(CASE)
    return load(file)


@pytest.fixture
def recording(case):
    """What a kernel would have done that does what the emulator does."""
    run = run_emulated(case, DRAWS)
    return Recording(kernel="6.0", tools={"ip": "x"}, fingerprint=fingerprint(case), draws=DRAWS, run=run)


def test_a_recording_read_back_agrees_with_what_it_was_made_of(tmp_path, case, recording):
    save(recording, tmp_path / "new" / "folder", "pair")
    read = load_recording(tmp_path / "new" / "folder", "pair", case)
    assert (read.kernel, read.tools, read.draws) == ("6.0", {"ip": "x"}, DRAWS)
    comparison = against(case, read)
    assert comparison.differences == []
    assert comparison.agree["frames"] == 8
    assert comparison.notes == ["kernel 6.0"]


def test_the_same_recording_is_the_same_octets(tmp_path, recording):
    assert save(recording, tmp_path, "one").read_bytes() == save(recording, tmp_path, "two").read_bytes()


def test_a_difference_from_a_recording_is_found(case, recording):
    silent = Run(result=recording.run.result, records=recording.run.records[:-9])
    other = Recording(kernel="6.0", tools={}, fingerprint=recording.fingerprint, draws=DRAWS, run=silent)
    assert against(case, other).differences


def test_a_recording_that_is_not_there_is_a_skip_that_says_how_to_make_one(tmp_path, case):
    with pytest.raises(Skipped, match=r"no recording .*pair\.json\.gz: make one as root with verify --record"):
        load_recording(tmp_path, "pair", case)


def test_a_recording_of_another_wording_is_a_skip(tmp_path, recording):
    save(recording, tmp_path, "pair")
    file = tmp_path / "pair.yaml"
    file.write_text("# a comment makes no difference\n" + CASE)
    load_recording(tmp_path, "pair", load(file))
    file.write_text(CASE + "live: {b: {namespace: auto}}\nobserve: {plot: [timeline], bin: 1s}\n")
    load_recording(tmp_path, "pair", load(file))
    file.write_text(CASE.replace("200ms", "250ms"))
    with pytest.raises(Skipped, match="recorded of another wording of the scenario: record it again"):
        load_recording(tmp_path, "pair", load(file))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        gzip.compress(b"{"),
        gzip.compress(b"[]"),
        gzip.compress(b'{"schema": "netsim-recording/9"}'),
        gzip.compress(b"{}")[:10] + b"\xff" * 20,
    ],
    ids=["empty", "no gzip", "no JSON", "a list", "another schema", "no deflate"],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path, case, content):
    (tmp_path / "pair.json.gz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"pair\.json\.gz: --against: no recording of netsim verify"):
        load_recording(tmp_path, "pair", case)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ticks", []), ("ticks", [1, 2]), ("ticks", [1, None, 2]), ("late", "soon"), ("reachable_ms", [["a", "eth0"]]),
     ("result", 5), ("records", [{}]), ("records", 5)],
)  # fmt: skip
def test_a_file_with_a_part_that_is_none_of_a_recordings_is_refused(tmp_path, case, recording, key, value):
    data = {**recording.to_dict(), key: value}
    (tmp_path / "pair.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    with pytest.raises(ConfigError, match=r"pair\.json\.gz: --against: no recording of netsim verify"):
        load_recording(tmp_path, "pair", case)
