"""The states of a neighbour entry, under the kernel's names and values: what rooms and tools beside neigh/ know of it.

What moves an entry from one to another is in neigh/nud.py alone. Source: include/uapi/linux/neighbour.h,
include/net/neighbour.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NUD_NONE = 0x00
NUD_INCOMPLETE = 0x01
NUD_REACHABLE = 0x02
NUD_STALE = 0x04
NUD_DELAY = 0x08
NUD_PROBE = 0x10
NUD_FAILED = 0x20
NUD_NOARP = 0x40
NUD_PERMANENT = 0x80

NUD_CONNECTED = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE
NUD_VALID = NUD_CONNECTED | NUD_PROBE | NUD_STALE | NUD_DELAY

NAMES: Mapping[int, str] = MappingProxyType({
    NUD_NONE: "NONE", NUD_INCOMPLETE: "INCOMPLETE", NUD_REACHABLE: "REACHABLE", NUD_STALE: "STALE",
    NUD_DELAY: "DELAY", NUD_PROBE: "PROBE", NUD_FAILED: "FAILED", NUD_NOARP: "NOARP", NUD_PERMANENT: "PERMANENT",
})  # fmt: skip
