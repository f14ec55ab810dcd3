"""The seed's patches as switches, with the dependencies it states.

Source: seed section 0, "Patches for Linux 2.2", "Patches for Linux 2.4", and the "Requires" lines there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

REQUIRES_22: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "static_routes": (),
        "alt_routes": (),
        "arp_prefsrc": (),
        "masq_csum_reroute": ("alt_routes",),
        "key_gw": ("static_routes", "alt_routes", "arp_prefsrc", "masq_csum_reroute"),
    }
)
REQUIRES_24: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "static_routes": (),
        "alt_routes": (),
        "arp_prefsrc": (),
        "nf_reroute": ("static_routes", "alt_routes", "arp_prefsrc"),
    }
)
PATCHES_22 = tuple(REQUIRES_22)
PATCHES_24 = tuple(REQUIRES_24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Which of the seed's patches a kernel carries.

    `nf_reroute` brings the gw and lsrc keys of 2.4; `key_gw` is the gw key of 2.2.
    """

    static_routes: bool = False
    alt_routes: bool = False
    arp_prefsrc: bool = False
    masq_csum_reroute: bool = False
    key_gw: bool = False
    nf_reroute: bool = False


NO_PATCHES = Patches()


def select(kernel: str, requires: Mapping[str, tuple[str, ...]], names: Iterable[str]) -> Patches:
    """Switch on exactly `names`. Raises ValueError in words: not this kernel's patch, a requirement missing."""
    chosen = tuple(names)
    for name in chosen:
        if name not in requires:
            known = ", ".join(requires) or "none"
            raise ValueError(f"kernel {kernel} has no patch {name!r}; it takes: {known}")
        missing = [need for need in requires[name] if need not in chosen]
        if missing:
            raise ValueError(f"patch {name} requires {', '.join(missing)}")
    return Patches(**dict.fromkeys(chosen, True))
