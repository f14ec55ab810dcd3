"""The settings of a box: one slotted object a family, and the table that ties each sysctl name to its attribute.

Code on the packet's way reads attributes (`dev.conf.rp_filter`); text goes through `Sysctl.get` and `Sysctl.set`. Times
are held in Ns whatever unit the name has; the table knows the unit. Defaults are mainline's; a profile overrides them.
Source: net/ipv4/sysctl_net_ipv4.c, devinet.c, net/core/neighbour.c, Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from types import MappingProxyType

from netsim.stack.errno import EINVAL, ENOENT, Refusal
from netsim.stack.settings import CONGESTION_CONTROLS, ConntrackConf, DevConf, Ipv4Conf, NeighParms, RouteConf
from netsim.units import NS_PER_MS, NS_PER_S

TEN_MS = 10 * NS_PER_MS
"""A tick of USER_HZ = 100, the unit of sysctl names without a suffix."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One sysctl name: the attribute behind it, the nanoseconds of one unit (1 for plain counts), and its bounds.

    `words`, where there are any, are the values by name: the attribute holds which.
    """

    attr: str
    unit: int = 1
    low: int = 0
    high: int = 0x7FFFFFFF
    any_int: bool = False
    words: tuple[str, ...] = ()


_DEV = MappingProxyType({name: Knob(name, any_int=True) for name in (each.name for each in fields(DevConf))})
_NEIGH = MappingProxyType({
    "base_reachable_time": Knob("base_reachable_time", NS_PER_S),
    "base_reachable_time_ms": Knob("base_reachable_time", NS_PER_MS),
    "retrans_time": Knob("retrans_time", TEN_MS),
    "retrans_time_ms": Knob("retrans_time", NS_PER_MS),
    "delay_first_probe_time": Knob("delay_first_probe_time", NS_PER_S),
    "gc_stale_time": Knob("gc_stale_time", NS_PER_S),
    "locktime": Knob("locktime", TEN_MS),
    "proxy_delay": Knob("proxy_delay", TEN_MS),
    "anycast_delay": Knob("anycast_delay", TEN_MS),
    "interval_probe_time_ms": Knob("interval_probe_time", NS_PER_MS, low=1),
    "ucast_solicit": Knob("ucast_solicit"),
    "mcast_solicit": Knob("mcast_solicit"),
    "mcast_resolicit": Knob("mcast_resolicit"),
    "app_solicit": Knob("app_solicit"),
    "unres_qlen": Knob("unres_qlen"),
    "unres_qlen_bytes": Knob("unres_qlen_bytes"),
    "proxy_qlen": Knob("proxy_qlen"),
})  # fmt: skip
_NEIGH_TABLE = MappingProxyType({
    "gc_interval": Knob("gc_interval", NS_PER_S),
    "gc_thresh1": Knob("gc_thresh1"),
    "gc_thresh2": Knob("gc_thresh2"),
    "gc_thresh3": Knob("gc_thresh3"),
})  # fmt: skip
_IPV4_BOUNDS = MappingProxyType({
    "ip_default_ttl": Knob("ip_default_ttl", low=1, high=255),
    "icmp_ratelimit": Knob("icmp_ratelimit", NS_PER_MS),
    "fib_multipath_hash_policy": Knob("fib_multipath_hash_policy", high=3),
    "fib_multipath_use_neigh": Knob("fib_multipath_use_neigh", high=1),
    "fib_multipath_hash_seed": Knob("fib_multipath_hash_seed", high=0xFFFFFFFF),
    "fib_multipath_hash_fields": Knob("fib_multipath_hash_fields", low=1, high=0xFFF),
    "ipfrag_time": Knob("ipfrag_time", NS_PER_S),
    "tcp_fin_timeout": Knob("tcp_fin_timeout", NS_PER_S),
    "tcp_keepalive_time": Knob("tcp_keepalive_time", NS_PER_S),
    "tcp_keepalive_intvl": Knob("tcp_keepalive_intvl", NS_PER_S),
    "tcp_syn_retries": Knob("tcp_syn_retries", low=1, high=127),
    "tcp_frto": Knob("tcp_frto", high=255),
    "tcp_congestion_control": Knob("tcp_congestion_control", words=CONGESTION_CONTROLS),
})  # fmt: skip
_ROUTE_UNITS = MappingProxyType({
    "min_delay": NS_PER_S, "max_delay": NS_PER_S, "gc_interval": NS_PER_S, "gc_timeout": NS_PER_S,
    "gc_min_interval": NS_PER_S, "secret_interval": NS_PER_S, "mtu_expires": NS_PER_S, "redirect_load": TEN_MS,
    "redirect_silence": TEN_MS, "error_burst": TEN_MS, "error_cost": TEN_MS,
})  # fmt: skip
AVAILABLE = "net.ipv4.tcp_available_congestion_control"

__all__ = ["ConntrackConf", "DevConf", "Ipv4Conf", "Knob", "NeighParms", "RouteConf", "Sysctl"]


def _names(family: Ipv4Conf | RouteConf | ConntrackConf) -> list[str]:
    return [each.name for each in fields(family)]


class Sysctl:
    """All settings of one box, and the way from a dotted name to a value and back.

    `listen(prefix, fn)` has `fn(key)` called after each write below `prefix`: a write to ip_forward changes every
    device, one to base_reachable_time_ms draws anew. Device families are registered by Interfaces.
    """

    def __init__(self) -> None:
        self.conf_all = DevConf()
        self.conf_default = DevConf()
        self.neigh_default = NeighParms()
        self.ipv4 = Ipv4Conf()
        self.route = RouteConf()
        self.conntrack = ConntrackConf()
        self._devices: dict[str, tuple[DevConf, NeighParms]] = {}
        self._listeners: list[tuple[str, Callable[[str], None]]] = []

    def listen(self, prefix: str, fn: Callable[[str], None]) -> None:
        """Call `fn(key)` after each successful write of a key that starts with `prefix`."""
        self._listeners.append((prefix, fn))

    def add_device(self, name: str) -> tuple[DevConf, NeighParms]:
        """Give a new device its settings: copies of the defaults of this moment."""
        pair = (self.conf_default.copy(), self.neigh_default.copy())
        self._devices[name] = pair
        return pair

    def remove_device(self, name: str) -> None:
        """Forget a device's settings."""
        del self._devices[name]

    def _find(self, key: str) -> tuple[object, Knob] | None:
        """Return the object and knob behind a dotted name; a device name may hold dots written as slashes."""
        parts = key.split(".")
        if parts[:2] == ["net", "netfilter"] and len(parts) == 3 and parts[2].startswith("nf_conntrack_"):
            attr = parts[2].removeprefix("nf_conntrack_")
            if hasattr(self.conntrack, attr):
                timed = "timeout" in attr
                return self.conntrack, Knob(attr, NS_PER_S if timed else 1)
            return None
        if parts[:2] != ["net", "ipv4"] or len(parts) < 3:
            return None
        if len(parts) == 3:
            if parts[2] == "ip_forward":
                return self.conf_all, Knob("forwarding", any_int=True)
            knob = _IPV4_BOUNDS.get(parts[2]) or Knob(parts[2])
            return (self.ipv4, knob) if hasattr(self.ipv4, parts[2]) else None
        if parts[2] == "route" and len(parts) == 4:
            if hasattr(self.route, parts[3]):
                return self.route, Knob(parts[3], _ROUTE_UNITS.get(parts[3], 1))
            return None
        if len(parts) != 5:
            return None
        family, name, attr = parts[2], parts[3].replace("/", "."), parts[4]
        if family == "conf" and attr in _DEV:
            conf = {"all": self.conf_all, "default": self.conf_default}.get(name)
            if conf is None and name in self._devices:
                conf = self._devices[name][0]
            return None if conf is None else (conf, _DEV[attr])
        if family == "neigh":
            if name == "default":
                found = _NEIGH.get(attr) or _NEIGH_TABLE.get(attr)
                return None if found is None else (self.neigh_default, found)
            if name in self._devices and attr in _NEIGH:
                return self._devices[name][1], _NEIGH[attr]
        return None

    def get(self, key: str) -> str | Refusal:
        """Return a value as /proc/sys prints it, or ENOENT."""
        if key == AVAILABLE:
            return " ".join(CONGESTION_CONTROLS)
        if key == "net.ipv4.ip_local_port_range":
            return f"{self.ipv4.ip_local_port_low}\t{self.ipv4.ip_local_port_high}"
        found = self._find(key)
        if found is None:
            return Refusal(ENOENT)
        holder, knob = found
        if knob.words:
            word: int = getattr(holder, knob.attr)
            return knob.words[word]
        if knob.attr == "unres_qlen_bytes" and key.endswith("unres_qlen"):
            return str(getattr(holder, knob.attr) // 2090)
        return str(getattr(holder, knob.attr) // knob.unit)

    def set(self, key: str, text: str) -> Refusal | None:
        """Write a value given as text; EINVAL for a value out of bounds or no number, ENOENT for no such name."""
        if key == AVAILABLE:
            return Refusal(EINVAL)
        if key == "net.ipv4.ip_local_port_range":
            return self._set_port_range(text)
        if key == "net.ipv4.route.flush":
            self._tell(key)
            return None
        found = self._find(key)
        if found is None:
            return Refusal(ENOENT)
        holder, knob = found
        if knob.words:
            return self._set_word(holder, knob, text)
        try:
            value = int(text, 0)
        except ValueError:
            return Refusal(EINVAL)
        if not knob.any_int and not knob.low <= value <= knob.high:
            return Refusal(EINVAL)
        setattr(holder, knob.attr, value * knob.unit)
        if holder is self.conf_all and knob.attr == "forwarding":
            self._forward_everywhere(value)
        self._tell(key)
        return None

    @staticmethod
    def _set_word(holder: object, knob: Knob, text: str) -> Refusal | None:
        if text not in knob.words:
            return Refusal(ENOENT)  # no module of that name
        setattr(holder, knob.attr, knob.words.index(text))
        return None

    def _forward_everywhere(self, value: int) -> None:
        """Mirror inet_forward_change(): `all` writes `default` and every device, and turns redirects off or on."""
        self.conf_all.accept_redirects = int(not value)
        self.conf_default.forwarding = value
        for conf, _ in self._devices.values():
            conf.forwarding = value

    def _set_port_range(self, text: str) -> Refusal | None:
        try:
            low, high = (int(part) for part in text.split())
        except ValueError:
            return Refusal(EINVAL)
        if not 1 <= low <= high <= 65535:
            return Refusal(EINVAL)
        self.ipv4.ip_local_port_low, self.ipv4.ip_local_port_high = low, high
        return None

    def _tell(self, key: str) -> None:
        for prefix, fn in self._listeners:
            if key.startswith(prefix):
                fn(key)

    def keys(self) -> Iterator[str]:
        """Yield every name in `sysctl -a` order (sorted)."""
        names = [f"net.ipv4.{attr}" for attr in _names(self.ipv4) if not attr.startswith("ip_local_port")]
        names += [AVAILABLE, "net.ipv4.ip_forward", "net.ipv4.ip_local_port_range"]
        names += [f"net.ipv4.route.{attr}" for attr in _names(self.route)]
        names += [f"net.netfilter.nf_conntrack_{attr}" for attr in _names(self.conntrack)]
        for device in ("all", "default", *self._devices):
            names += [f"net.ipv4.conf.{device.replace('.', '/')}.{attr}" for attr in _DEV]
        for device in ("default", *self._devices):
            names += [f"net.ipv4.neigh.{device.replace('.', '/')}.{attr}" for attr in _NEIGH]
        names += [f"net.ipv4.neigh.default.{attr}" for attr in _NEIGH_TABLE]
        yield from sorted(names)
