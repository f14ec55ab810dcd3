"""What ICMP taught a mainline box about single destinations: a better gateway, a smaller path MTU.

Lessons lie on the path they were learnt for and go with it; each is forgotten in time, all with `ip route flush cache`.
Source: net/ipv4/route.c update_or_create_fnhe(), __ip_rt_update_pmtu(), find_exception(); linux-kernel notes 4.4, 4.5.
"""

from __future__ import annotations

from netsim.addr import Ip
from netsim.stack.dst import RTCF_REDIRECTED, Route
from netsim.stack.fib.route import FibInfo, Lesson, Nexthop
from netsim.stack.sysctl import Sysctl
from netsim.units import NS_PER_S, Ns

REDIRECT_EXPIRES = 300 * NS_PER_S
"""ip_rt_gc_timeout: how long a redirect is obeyed."""
MOST_LESSONS = 2048 * 5
"""How much one path remembers; the oldest lesson makes room. Source: FNHE_HASH_SIZE, FNHE_RECLAIM_DEPTH."""


class Exceptions:
    """The lessons of one box. `_seen` holds the paths in the order of the first lesson on each, for the dump.

    Its keys are (id of the path, destination): the paths it holds stay alive, so no id is used twice.
    """

    def __init__(self, sysctl: Sysctl) -> None:
        self._sysctl = sysctl
        self._seen: dict[tuple[int, Ip], Nexthop] = {}

    def _lesson(self, nexthop: Nexthop, daddr: Ip, now: Ns) -> Lesson:
        lesson = nexthop.lessons.get(daddr)
        if lesson is None:
            if len(nexthop.lessons) >= MOST_LESSONS:
                oldest = next(iter(nexthop.lessons))
                del nexthop.lessons[oldest], self._seen[id(nexthop), oldest]
            lesson = nexthop.lessons[daddr] = Lesson()
            self._seen[id(nexthop), daddr] = nexthop
        elif lesson.expires <= now:
            lesson.gateway = lesson.mtu = 0
            lesson.mtu_locked = False
        lesson.stamp = now
        return lesson

    def learn_pmtu(self, info: FibInfo, daddr: Ip, mtu: int, old_mtu: int, now: Ns) -> bool:
        """Remember a path MTU on every path of the route; False when it teaches nothing.

        Below min_pmtu the MTU is locked at that value: packets are then sent without DF.
        """
        route = self._sysctl.route
        if old_mtu < mtu:
            return False
        locked = mtu < route.min_pmtu
        if locked:
            mtu = min(old_mtu, route.min_pmtu)
        for nexthop in info.nexthops:
            lesson = self._lesson(nexthop, daddr, now)
            lesson.mtu, lesson.mtu_locked = mtu, locked
            lesson.expires = now + route.mtu_expires
        return True

    def learn_redirect(self, nexthop: Nexthop, daddr: Ip, gateway: Ip, now: Ns) -> None:
        """Remember a gateway."""
        lesson = self._lesson(nexthop, daddr, now)
        lesson.gateway = gateway
        lesson.expires = now + REDIRECT_EXPIRES

    @staticmethod
    def apply(route: Route, nexthop: Nexthop, daddr: Ip, now: Ns) -> None:
        """Change a fresh route by what is known of its destination."""
        lesson = nexthop.lessons.get(daddr)
        if lesson is None or lesson.expires <= now:
            return
        if lesson.gateway:
            route.gateway = lesson.gateway
            route.flags |= RTCF_REDIRECTED
        if lesson.mtu and not route.mtu_locked:
            route.mtu = min(lesson.mtu, route.mtu or route.dev.mtu)
            route.mtu_locked = lesson.mtu_locked
        route.expires = lesson.expires

    def destinations(self, now: Ns) -> list[tuple[Ip, Ns]]:
        """Return the destinations something is known of, with the age of that, in order of learning."""
        found: dict[Ip, Ns] = {}
        for (_, daddr), nexthop in self._seen.items():
            lesson = nexthop.lessons.get(daddr)
            if lesson is not None and lesson.expires > now:
                found.setdefault(daddr, now - lesson.stamp)
        return list(found.items())

    def flush(self) -> None:
        """Forget everything."""
        for nexthop in self._seen.values():
            nexthop.lessons.clear()
        self._seen.clear()
