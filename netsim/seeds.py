"""Randomness by path: every component draws from a stream of its own, so adding one never shifts another's.

Source: decision 6 of the design; blake2b keeps the derivation equal under any PYTHONHASHSEED and on any machine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Seed:
    """The root seed of a run; `Seed(7).rng("link/isp1-nat/loss")` is one component's stream."""

    root: int

    def rng(self, path: str) -> random.Random:
        """Return a generator that depends on the root seed and `path` alone."""
        digest = blake2b(f"{self.root}/{path}".encode(), digest_size=16).digest()
        return random.Random(int.from_bytes(digest, "big"))
