"""A route as a table holds it: paths, the part that equal routes share, and the entry in a prefix's list.

Source: include/net/ip_fib.h struct fib_nh, fib_info; net/ipv4/fib_lookup.h struct fib_alias; for 2.4 struct fib_node.
"""

from __future__ import annotations

from collections.abc import Iterator

from netsim.addr import Ip
from netsim.stack.device import Device
from netsim.stack.metrics import Metrics
from netsim.stack.requests import RTNH_F_DEAD, RTNH_F_LINKDOWN
from netsim.units import Ns

RTNH_F_SUSPECT = 8
"""The alt_routes patch's mark: the neighbour of this path is not known to be there."""
RTNH_F_BADSTATE = RTNH_F_DEAD | RTNH_F_SUSPECT
STATE_FLAGS = RTNH_F_DEAD | RTNH_F_SUSPECT | RTNH_F_LINKDOWN
"""Flags that change in a route's life and do not tell one route from another."""
NO_BOUND = -1
"""The upper bound of a path that takes no part in the hash."""


class Lesson:
    """What ICMP taught about one destination (struct fib_nh_exception); `gateway` and `mtu` are 0 for nothing."""

    __slots__ = ("expires", "gateway", "mtu", "mtu_locked", "stamp")

    def __init__(self) -> None:
        self.gateway: Ip = 0
        self.mtu = 0
        self.mtu_locked = False
        self.expires: Ns = 0
        self.stamp: Ns = 0


class Nexthop:
    """One path. `dev` is None for error types; `scope` is the nexthop's own (host direct, link through a gateway).

    `bound` is mainline's upper bound in the hash, `credit` the 2.4 scheduler's; `source` the address a packet gets that
    asked for none, valid while the devices' addresses stand at `source_at`.
    """

    __slots__ = ("bound", "credit", "dev", "flags", "gw", "lessons", "scope", "source", "source_at", "weight")

    def __init__(self, dev: Device | None, gw: Ip, scope: int, weight: int, flags: int) -> None:
        self.dev = dev
        self.gw = gw
        self.scope = scope
        self.weight = weight
        self.flags = flags
        self.bound = NO_BOUND
        self.credit = 0
        self.source: Ip = 0
        self.source_at = -1
        self.lessons: dict[Ip, Lesson] = {}

    @property
    def identity(self) -> tuple[int, Ip, int, int, int]:
        """What nh_comp() compares: device, gateway, scope, weight, flags but for those of its state."""
        index = self.dev.ifindex if self.dev is not None else 0
        return (index, self.gw, self.scope, self.weight, self.flags & ~STATE_FLAGS)


class FibInfo:
    """What identical routes share: attributes and paths; one object for all of them.

    `home` is (kind, scope, table) where these count as attributes (mainline) and () where they do not (2.4, where one
    info serves several tables). `credit` is the scheduler's total; `users` counts the entries that hold it.
    """

    __slots__ = (
        "credit", "filed", "flags", "home", "metric", "metrics", "multipath", "nexthops", "prefsrc", "protocol",
        "serial", "users",
    )  # fmt: skip

    def __init__(
        self, *, home: tuple[int, ...], protocol: int, prefsrc: Ip, metric: int, nexthops: list[Nexthop], flags: int,
        multipath: bool, metrics: Metrics,
    ) -> None:  # fmt: skip
        self.home = home
        self.protocol = protocol
        self.prefsrc = prefsrc
        self.metric = metric
        self.nexthops = nexthops
        self.flags = flags
        self.multipath = multipath
        self.metrics = metrics
        self.credit = 0
        self.users = 0
        self.serial = 0
        self.filed: tuple[object, ...] = ()

    @property
    def identity(self) -> tuple[object, ...]:
        """What fib_find_info() compares."""
        return (
            self.home, self.protocol, self.prefsrc, self.metric, self.metrics, self.flags & ~STATE_FLAGS,
            tuple(nexthop.identity for nexthop in self.nexthops),
        )  # fmt: skip

    def uses(self, dev: Device) -> bool:
        """Tell whether any path leaves by `dev`, in whatever state."""
        return any(nexthop.dev is dev for nexthop in self.nexthops)


class Infos:
    """Every FibInfo of a box (fib_info_list), found by identity, walked newest first."""

    __slots__ = ("_by_identity", "_by_serial", "_serial")

    def __init__(self) -> None:
        self._by_serial: dict[int, FibInfo] = {}
        self._by_identity: dict[tuple[object, ...], list[FibInfo]] = {}
        self._serial = 0

    def __iter__(self) -> Iterator[FibInfo]:
        """Yield the infos newest first; what happens to the list meanwhile does not disturb the walk."""
        return iter(list(reversed(self._by_serial.values())))

    def find(self, info: FibInfo) -> FibInfo | None:
        """Return the newest identical info in use, or None. Mirrors fib_find_info()."""
        same = self._by_identity.get(info.identity)
        return same[-1] if same else None

    def hold(self, info: FibInfo) -> None:
        """Count one more entry with this info, and list it with the first."""
        if not info.users:
            self._serial += 1
            info.serial = self._serial
            self._by_serial[info.serial] = info
            self._file(info)
        info.users += 1

    def release(self, info: FibInfo) -> None:
        """Count one entry less; the last one takes the info off the list."""
        info.users -= 1
        if not info.users:
            del self._by_serial[info.serial]
            self._unfile(info)

    def renew(self, info: FibInfo) -> None:
        """File an info anew after a path's scope changed."""
        if info.users:
            self._unfile(info)
            self._file(info)

    def _file(self, info: FibInfo) -> None:
        info.filed = info.identity
        same = self._by_identity.setdefault(info.filed, [])
        same.append(info)
        same.sort(key=lambda each: each.serial)

    def _unfile(self, info: FibInfo) -> None:
        same = self._by_identity[info.filed]
        same.remove(info)
        if not same:
            del self._by_identity[info.filed]


class Alias:
    """One entry of a prefix's list (struct fib_alias; 2.4 struct fib_node).

    `last` is the choice remembered on the first of a group (-1 none). `accessed`: a lookup came by since it was made.
    `zombie`: deleted, kept as the last of its (prefix, tos) until the next flush (2.4).
    """

    __slots__ = ("accessed", "info", "kind", "last", "scope", "tos", "zombie")

    def __init__(self, info: FibInfo, tos: int, kind: int, scope: int) -> None:
        self.info = info
        self.tos = tos
        self.kind = kind
        self.scope = scope
        self.last = -1
        self.accessed = False
        self.zombie = False
