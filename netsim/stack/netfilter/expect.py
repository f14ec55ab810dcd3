"""Expectations: a connection that a helper announced, and what becomes of it when it comes.

Source: net/netfilter/nf_conntrack_expect.c, nf_conntrack_helper.c (6.x); linux-kernel 5.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netsim.addr import Ip
from netsim.stack.netfilter.conntrack import Conntrack, CtTemplate
from netsim.stack.netfilter.helper import Helper
from netsim.stack.netfilter.hooks import Services
from netsim.stack.netfilter.status import IPS_HELPER
from netsim.stack.netfilter.tuples import Key
from netsim.stack.skb import IPPROTO_TCP
from netsim.units import NS_PER_S, Ns

EXPECT_TIMEOUT: Ns = 300 * NS_PER_S


class Expectation:
    """One awaited connection: from `src` (0 any) and any port to `dst`:`dport`. Used up by the first that fits.

    `direction` is that of the master's packet which announced it; `saved_ip` and `saved_port` are the endpoint as the
    announcer wrote it, before NAT; `expectfn` is called with the new connection.
    """

    __slots__ = (
        "direction", "dport", "dst", "expectfn", "expires", "helper", "master", "proto", "saved_ip", "saved_port",
        "src", "zone",
    )  # fmt: skip

    def __init__(self, master: Conntrack, direction: int, src: Ip, dst: Ip, dport: int, proto: int) -> None:
        self.master = master
        self.direction = direction
        self.src = src
        self.dst = dst
        self.dport = dport
        self.proto = proto
        self.zone = master.zone
        self.saved_ip = dst
        self.saved_port = dport
        self.expires: Ns = 0
        self.helper: Helper | None = None
        self.expectfn: Callable[[Conntrack, Expectation, Ns], None] = no_nat

    @property
    def place(self) -> tuple[int, int, int, int]:
        """What a first packet is matched by."""
        return (self.dst, self.dport, self.proto, self.zone)


def no_nat(ct: Conntrack, expected: Expectation, now: Ns) -> None:
    """Do nothing more: the master is not translated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationInfo:
    """One listed expectation, for `conntrack -L expect`; `timeout` in whole seconds left."""

    timeout: int
    proto: int
    src: Ip
    dst: Ip
    dport: int
    master_src: Ip
    master_dst: Ip
    master_sport: int
    master_dport: int
    helper: str


class Expectations:
    """The expectations of one box, and the helpers that make them.

    `automatic`: connections to a helper's port get it unasked (before 6.0).
    """

    def __init__(self, services: Services, helpers: Mapping[str, Helper], *, automatic: bool) -> None:
        self._conf = services.sysctl.conntrack
        self._helpers = helpers
        self._automatic = automatic
        self._awaited: dict[tuple[int, int, int, int], list[Expectation]] = {}
        self.count = 0

    def helper_for(self, ct: Conntrack, template: CtTemplate | None) -> Helper | None:
        """Return the helper of a new connection. Source: __nf_ct_try_assign_helper()."""
        if template is not None and template.helper:
            ct.status |= IPS_HELPER
            return self._helpers.get(template.helper)
        if self._automatic and ct.proto == IPPROTO_TCP:
            for helper in self._helpers.values():
                if helper.port == ct.tuple_orig.dport:
                    return helper
        return None

    def known(self, name: str) -> bool:
        """Tell whether there is a helper of that name."""
        return name in self._helpers

    def take(self, key: Key, now: Ns) -> Expectation | None:
        """Return the expectation a first packet fulfils, and forget it. Source: nf_ct_find_expectation()."""
        if not self.count:
            return None
        src, _, dst, dport, proto, zone = key
        for expected in self._awaited.get((dst, dport, proto, zone), ()):
            if expected.expires > now and expected.src in (0, src):
                self.remove(expected)
                return expected
        return None

    def awaits(self, key: Key, now: Ns) -> bool:
        """Tell whether `take` would find one."""
        if not self.count:
            return False
        src, _, dst, dport, proto, zone = key
        awaited = self._awaited.get((dst, dport, proto, zone), ())
        return any(expected.expires > now and expected.src in (0, src) for expected in awaited)

    def free(self, dst: Ip, dport: int, proto: int, master: Conntrack, now: Ns) -> bool:
        """Tell whether nobody else expects a connection to that endpoint. Source: __nf_ct_expect_check()."""
        return all(
            expected.master is master or expected.expires <= now
            for expected in self._awaited.get((dst, dport, proto, master.zone), ())
        )

    def add(self, expected: Expectation, now: Ns, *, limit: int = 1) -> bool:
        """Await a connection, evicting the master's oldest when it has `limit` already; False when there are too many.

        Source: nf_ct_expect_related_report(), evict_oldest_expect().
        """
        same = [e for e in self._awaited.get(expected.place, ()) if e.master is expected.master]
        for old in same:
            self.remove(old)
        mine = [e for each in self._awaited.values() for e in each if e.master is expected.master]
        if len(mine) >= limit:
            self.remove(mine[0])
        if self.count >= self._conf.expect_max:
            return False
        expected.expires = now + EXPECT_TIMEOUT
        self._awaited.setdefault(expected.place, []).append(expected)
        self.count += 1
        expected.master.expecting += 1
        return True

    def remove(self, expected: Expectation) -> None:
        """Forget one."""
        awaited = self._awaited[expected.place]
        awaited.remove(expected)
        if not awaited:
            del self._awaited[expected.place]
        self.count -= 1
        expected.master.expecting -= 1

    def forget(self, master: Conntrack) -> None:
        """Forget all of a connection that ended. Source: nf_ct_remove_expectations()."""
        if not master.expecting:
            return
        for expected in [e for each in self._awaited.values() for e in each if e.master is master]:
            self.remove(expected)

    def dump(self, now: Ns) -> tuple[ExpectationInfo, ...]:
        """List what is awaited, oldest first."""
        return tuple(
            ExpectationInfo(
                timeout=(e.expires - now) // NS_PER_S, proto=e.proto, src=e.src, dst=e.dst, dport=e.dport,
                master_src=e.master.tuple_orig.src, master_dst=e.master.tuple_orig.dst,
                master_sport=e.master.tuple_orig.sport, master_dport=e.master.tuple_orig.dport,
                helper=e.master.helper.name if e.master.helper is not None else "",
            )
            for each in self._awaited.values() for e in each if e.expires > now
        )  # fmt: skip
