"""How often a box speaks up: the global and per-destination ICMP buckets, the error routes' extra charge, redirects.

Source: net/ipv4/icmp.c icmp_global_allow(), icmpv4_xrlim_allow(); net/ipv4/inetpeer.c inet_peer_xrlim_allow();
net/ipv4/route.c ip_error(), ip_rt_send_redirect(); linux-kernel notes 4.3, 4.4, confirmed by observed-linux 2, 10.
"""

from __future__ import annotations

from itertools import islice

from netsim.addr import Ip
from netsim.stack.ports import Rng
from netsim.stack.sysctl import Sysctl
from netsim.units import NS_PER_MS, NS_PER_S, Ns
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED

XRLIM_BURST_FACTOR = 6
"""A destination's bucket holds six times icmp_ratelimit. Source: XRLIM_BURST_FACTOR, inetpeer.c."""
GLOBAL_REFILL = 20 * NS_PER_MS
"""The global bucket refills only after 20 ms without a message (HZ / 50)."""
PEERS_MAX = 65_536
PEER_MAX_GC = 32
"""How many peers one look-up clears away above the threshold. Source: inet_peer_gc()."""
FOREVER_AGO = -(1 << 62)


class _Peer:
    """What is remembered about one address (struct inet_peer); redirects and errors share the stamp, as in Linux."""

    __slots__ = ("last", "redirects", "tokens")

    def __init__(self) -> None:
        self.tokens: Ns = 0
        self.last: Ns = FOREVER_AGO
        self.redirects = 0


class IcmpLimits:
    """The buckets of one box."""

    def __init__(self, sysctl: Sysctl, rng: Rng) -> None:
        self._sysctl = sysctl
        self._rng = rng
        self._peers: dict[Ip, _Peer] = {}
        self._credit = 0
        self._stamp: Ns = FOREVER_AGO

    def allow(self, icmp_type: int, code: int, peer: Ip, *, loopback: bool, now: Ns) -> bool:
        """Tell whether a message may go to `peer` now, and charge it."""
        if not self._sysctl.ipv4.icmp_ratemask >> icmp_type & 1:
            return True
        if icmp_type == ICMP_DEST_UNREACH and code == ICMP_FRAG_NEEDED:
            return True
        if not self._global_credit(now):
            return False
        if not loopback and not self._peer_allows(self._peer(peer, now), now):
            return False
        self._credit = max(0, self._credit - self._rng.randrange(0, 3))
        return True

    def _global_credit(self, now: Ns) -> bool:
        """Refill the namespace's bucket and tell whether anything is in it."""
        ipv4 = self._sysctl.ipv4
        elapsed = min(now - self._stamp, NS_PER_S)
        if elapsed >= GLOBAL_REFILL:
            added = ipv4.icmp_msgs_per_sec * elapsed // NS_PER_S
            if added:
                self._credit = min(self._credit + added, ipv4.icmp_msgs_burst)
                self._stamp = now
        return self._credit > 0

    def _peer_allows(self, peer: _Peer, now: Ns) -> bool:
        """Mirror inet_peer_xrlim_allow(): tokens are elapsed time, a message costs icmp_ratelimit."""
        cost = self._sysctl.ipv4.icmp_ratelimit
        peer.tokens = min(peer.tokens + now - peer.last, XRLIM_BURST_FACTOR * cost)
        peer.last = now
        if peer.tokens < cost:
            return False
        peer.tokens -= cost
        return True

    def charge(self, peer_ip: Ip, *, now: Ns) -> bool:
        """Charge the extra cost of an error route; False when the bucket is empty. Mirrors ip_error()."""
        route = self._sysctl.route
        peer = self._peer(peer_ip, now)
        peer.tokens = min(peer.tokens + now - peer.last, route.error_burst)
        peer.last = now
        if peer.tokens < route.error_cost:
            return False
        peer.tokens -= route.error_cost
        return True

    def redirect_allowed(self, peer_ip: Ip, *, now: Ns) -> bool:
        """Tell whether a redirect goes out: at once, then after 20 ms doubled each time, nine at most, then silence."""
        route = self._sysctl.route
        peer = self._peer(peer_ip, now)
        if now > peer.last + route.redirect_silence:
            peer.tokens = peer.redirects = 0
        if peer.redirects >= route.redirect_number:
            peer.last = now
            return False
        if peer.tokens and now <= peer.last + (route.redirect_load << peer.redirects):
            return False
        peer.last = now
        peer.tokens += 1
        peer.redirects += 1
        return True

    def _peer(self, ip: Ip, now: Ns) -> _Peer:
        peer = self._peers.get(ip)
        if peer is None:
            if len(self._peers) >= PEERS_MAX:  # "be aggressive": whoever came first goes, used or not
                for old in [*islice(self._peers, PEER_MAX_GC)]:
                    del self._peers[old]
            peer = self._peers[ip] = _Peer()
        return peer
