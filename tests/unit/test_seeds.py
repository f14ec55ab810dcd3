"""Seeds: a stream depends on the root and its path, and on nothing else."""

from __future__ import annotations

from netsim.seeds import Seed


def test_a_stream_is_the_same_in_every_process():
    assert Seed(7).rng("link/isp1-nat/loss").getrandbits(32) == 0x483754D8


def test_paths_and_roots_do_not_share_streams():
    draws = {Seed(root).rng(path).getrandbits(64) for root in (1, 2) for path in ("a", "b", "a/b")}
    assert len(draws) == 6
