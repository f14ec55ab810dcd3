"""The kernels a box can run: linux-2.2 (2.2.20), linux-2.4 (2.4.20), their patched forms, and linux-6.

Source: decision 9 of the design; route-patches section 0, "Profiles".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from netsim.stack.profile import fib, ip, neigh, netfilter
from netsim.stack.profile.fib import FibEra
from netsim.stack.profile.ip import IpEra
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.profile.netfilter import NetfilterEra
from netsim.stack.profile.patches import NO_PATCHES, REQUIRES_22, REQUIRES_24, Patches, select


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Everything that makes one kernel differ from another, in one frozen value.

    `linkwatch` tells whether carrier events wait for each other (2.6 and later).
    """

    name: str
    patches: Patches
    takes: Mapping[str, tuple[str, ...]]
    neigh: NeighEra
    fib: FibEra
    ip: IpEra
    netfilter: NetfilterEra
    linkwatch: bool = True

    def with_patches(self, names: Iterable[str]) -> Profile:
        """Return the same kernel with exactly these patches. Raises ValueError in words."""
        return replace(self, patches=select(self.name, self.takes, names))


_LINUX_6 = Profile(
    name="linux-6", patches=NO_PATCHES, takes=MappingProxyType({}),
    neigh=neigh.MAINLINE, fib=fib.MAINLINE, ip=ip.MAINLINE, netfilter=netfilter.MAINLINE,
)  # fmt: skip
_LINUX_24 = Profile(
    name="linux-2.4", patches=NO_PATCHES, takes=REQUIRES_24,
    neigh=neigh.LINUX_24, fib=fib.LINUX_24, ip=ip.LINUX_24, netfilter=netfilter.LINUX_24, linkwatch=False,
)  # fmt: skip
_LINUX_22 = Profile(
    name="linux-2.2", patches=NO_PATCHES, takes=REQUIRES_22,
    neigh=neigh.LINUX_22, fib=fib.LINUX_22, ip=ip.LINUX_22, netfilter=netfilter.LINUX_22, linkwatch=False,
)  # fmt: skip

KERNELS: Mapping[str, Profile] = MappingProxyType(
    {
        "linux-2.2": _LINUX_22,
        "linux-2.2-routes": replace(_LINUX_22.with_patches(REQUIRES_22), name="linux-2.2-routes"),
        "linux-2.4": _LINUX_24,
        "linux-2.4-routes": replace(_LINUX_24.with_patches(REQUIRES_24), name="linux-2.4-routes"),
        "linux-6": _LINUX_6,
    }
)


def profile(kernel: str, patches: Iterable[str] | None = None) -> Profile:
    """Return a kernel by name, with exactly `patches` if given. Raises ValueError in words."""
    if kernel not in KERNELS:
        raise ValueError(f"no kernel {kernel!r}; there are: {', '.join(KERNELS)}")
    chosen = KERNELS[kernel]
    return chosen if patches is None else chosen.with_patches(patches)
