"""Mainline's routing decisions, one a packet: martians, reverse path, the choice among paths, source selection.

Source: net/ipv4/route.c ip_route_input_slow(), ip_route_output_key_hash_rcu(), fib_frontend.c __fib_validate_source(),
fib_semantics.c fib_select_path() (6.x, 6.18 stable); linux-kernel notes 2.7 to 2.10.
"""

from __future__ import annotations

from netsim.addr import LIMITED_BROADCAST, LOOPBACK, Ip, is_loopback, is_multicast, is_zeronet
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE
from netsim.stack.device import Device
from netsim.stack.dst import (
    RTCF_BROADCAST,
    RTCF_DOREDIRECT,
    RTCF_LOCAL,
    RTCF_MULTICAST,
    RTN_BROADCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    RTN_UNICAST,
    RTN_UNREACHABLE,
    Refused,
    Route,
)
from netsim.stack.errno import EHOSTUNREACH, EINVAL, ENETUNREACH, ENODEV, EXDEV
from netsim.stack.fib.defaults import select_default
from netsim.stack.fib.explain import Story
from netsim.stack.fib.flow import FibResult, FlowKey, Miss, is_local_multicast
from netsim.stack.fib.multipath import multipath_hash, select
from netsim.stack.ipv4.exceptions import Exceptions
from netsim.stack.ipv4.reverse_path import MainlineReversePath
from netsim.stack.ipv4.route_parts import Parts
from netsim.stack.skb import IPPROTO_ICMP, Skb
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.icmp import ERROR_TYPES

MEMO_MAX = 65_536
"""How many input decisions are remembered before all are forgotten."""

ALL_HOSTS: Ip = 0xE0000001
"""224.0.0.1, IGMP_ALL_HOSTS."""


class MainlineRouting:
    """Decides for each packet anew, as the kernel does since 3.6.

    An input decision depends on its key and the FIB alone, so it is remembered until the generation moves; not where
    neighbours have a say (fib_multipath_use_neigh) or a lesson expires. Only a decision really made is recorded.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._fib = parts.fib
        self._interfaces = parts.interfaces
        self._sysctl = parts.sysctl
        self.exceptions = Exceptions(parts.sysctl)
        self._reverse = MainlineReversePath(parts)
        self._memo: dict[tuple[int, ...], Route | Refused] = {}
        self._memo_at = -1
        self._ports_count = False
        self._forced = 0

    @property
    def generation(self) -> int:
        """Count of everything that may alter an answer."""
        return self._fib.generation + self._forced

    def forget(self) -> None:
        """Make every holder ask again."""
        self._forced += 1

    # Input

    def input(
        self, daddr: Ip, saddr: Ip, tos: int, dev: Device, *, now: Ns, mark: int = 0, lsrc: Ip = 0,
        skb: Skb | None = None,
    ) -> Route | Refused:  # fmt: skip
        """Decide what becomes of a received packet; without `skb` it is an ARP question. `lsrc` means nothing here."""
        if self._fib.generation + self._forced != self._memo_at:
            self._start_memo()
        if skb is None:
            key: tuple[int, ...] = (daddr, saddr, tos, dev.ifindex, mark)
        elif self._ports_count:
            key = (daddr, saddr, tos, dev.ifindex, mark, skb.proto, skb.sport, skb.dport, skb.fragment)
        else:
            key = (daddr, saddr, tos, dev.ifindex, mark, -1)
        known = self._memo.get(key)
        quotes = skb is not None and skb.proto == IPPROTO_ICMP and _is_icmp_error(skb)
        if known is not None and not quotes:
            return known
        story = self._parts.story()
        answer, steady = self.decide_input(daddr, saddr, tos, dev, mark, skb, now, story, ip=skb is not None)
        if steady and not quotes:
            if len(self._memo) >= MEMO_MAX:
                self._memo.clear()
            self._memo[key] = answer
            if isinstance(answer, Route):
                answer.steady = True
        return answer

    def _start_memo(self) -> None:
        self._memo.clear()
        self._memo_at = self._fib.generation + self._forced
        policy = self._sysctl.ipv4.fib_multipath_hash_policy
        self._ports_count = self._fib.lookup.rules.by_ports or policy not in (0, 2)

    def decide_input(
        self, daddr: Ip, saddr: Ip, tos: int, dev: Device, mark: int, skb: Skb | None, now: Ns, story: Story | None, *,
        ip: bool, l4: tuple[int, int, int] = (0, 0, 0),
    ) -> tuple[Route | Refused, bool]:  # fmt: skip
        """Answer one input question, and whether the answer is a matter of the key and the FIB alone.

        Mirrors ip_route_input_slow(); `ip` False asks for ARP, which gets no route for broadcasts nor back the way the
        packet came. `l4` is (proto, sport, dport) of a question without a packet.
        """
        if is_multicast(daddr):
            return self._many(daddr, saddr, dev, mark, ip=ip), True
        martian = self._martian(daddr, saddr, dev)
        if martian is not None:
            return martian, True
        tos &= self._fib.era.tos_mask
        if daddr == LIMITED_BROADCAST or (not saddr and not daddr):
            return self._broadcast(daddr, saddr, tos, dev, mark, ip=ip), True
        proto, sport, dport = (skb.proto, skb.sport, skb.dport) if skb is not None else l4
        flow = FlowKey(daddr, saddr, tos, 0, dev.ifindex, mark, proto, sport, dport)
        result = self._fib.ask(flow)
        if isinstance(result, Miss):
            errno = result.errno if dev.conf.forwarding else EHOSTUNREACH
            self._parts.tell(story, "input", flow, dev, result, now, skb, errno)
            return self._error(dev, errno), True
        if result.kind == RTN_BROADCAST:
            return self._broadcast(daddr, saddr, tos, dev, mark, ip=ip), True
        if result.kind == RTN_LOCAL:
            self._parts.tell(story, "input", flow, dev, result, now, skb, 0)
            verdict = self._reverse.validate(flow, dev, None)
            return (_refuse(-verdict) if verdict < 0 else self._local(dev, result, flow)), True
        if not dev.conf.forwarding:
            return self._error(dev, EHOSTUNREACH), True
        if result.kind != RTN_UNICAST:
            return Refused(EINVAL, drop.IP_INVALID_DEST), True
        return self._forward(flow, result, dev, skb, now, story, ip=ip)

    def _martian(self, daddr: Ip, saddr: Ip, dev: Device) -> Refused | None:
        """Refuse what no route is asked for. A device without IPv4 state takes nothing."""
        if not dev.has_ip:
            return Refused(EINVAL, drop.NOT_SPECIFIED)
        if is_multicast(saddr) or saddr == LIMITED_BROADCAST:
            return Refused(EINVAL, drop.IP_INVALID_SOURCE)
        if daddr == LIMITED_BROADCAST or (not saddr and not daddr):
            return None
        if is_zeronet(saddr):
            return Refused(EINVAL, drop.IP_INVALID_SOURCE)
        if is_zeronet(daddr):
            return Refused(EINVAL, drop.IP_INVALID_DEST)
        outside = not dev.loopback and not dev.conf.route_localnet | self._sysctl.conf_all.route_localnet
        if outside and (is_loopback(daddr) or is_loopback(saddr)):
            return Refused(EINVAL, drop.IP_LOCALNET)
        return None

    def _many(self, daddr: Ip, saddr: Ip, dev: Device, mark: int, *, ip: bool) -> Route | Refused:
        """Deliver what is sent to the one group that every device is in; refuse any other without a word.

        Source: ip_route_input_rcu(), "if (ipv4_is_multicast(daddr))"; ip_route_input_mc(), ip_mc_validate_source().
        """
        if not dev.has_ip or daddr != ALL_HOSTS or not ip:
            return Refused(EINVAL, drop.IP_INVALID_DEST)
        local = dev.conf.route_localnet | self._sysctl.conf_all.route_localnet
        if is_multicast(saddr) or saddr == LIMITED_BROADCAST or (is_loopback(saddr) and not local):
            return Refused(EINVAL, drop.IP_INVALID_SOURCE)
        if not is_zeronet(saddr):
            verdict = self._reverse.validate(FlowKey(0, saddr, 0, 0, dev.ifindex, mark), dev, None)
            if verdict < 0:
                return _refuse(-verdict)
        route = Route(RTN_MULTICAST, self._interfaces.lo, 0, 0, RTCF_MULTICAST | RTCF_LOCAL, self.generation)
        route.iif = dev
        return route

    def _broadcast(self, daddr: Ip, saddr: Ip, tos: int, dev: Device, mark: int, *, ip: bool) -> Route | Refused:
        """Deliver a broadcast, its source checked; its `src` is what a reply would use (fib_compute_spec_dst())."""
        if not ip:
            return Refused(EINVAL, drop.NOT_SPECIFIED)
        flow = FlowKey(0, saddr, tos, 0, dev.ifindex, mark)
        if not is_zeronet(saddr):
            verdict = self._reverse.validate(flow, dev, None)
            if verdict < 0:
                return _refuse(-verdict)
        route = Route(
            RTN_BROADCAST, self._interfaces.lo, 0, self._answer_source(saddr, tos, dev), RTCF_BROADCAST | RTCF_LOCAL,
            self.generation,
        )  # fmt: skip
        route.iif = dev
        return route

    def _answer_source(self, saddr: Ip, tos: int, dev: Device) -> Ip:
        """Return the address that answers a broadcast from `saddr`."""
        if is_zeronet(saddr):
            return self._interfaces.select_address(dev, saddr, RT_SCOPE_LINK)
        found = self._fib.ask(FlowKey(saddr, 0, tos, 0, self._interfaces.lo.ifindex))
        if isinstance(found, FibResult):
            return self._fib.routes.source(found.info, found.index, found.alias.scope)
        return self._interfaces.select_address(dev, saddr, RT_SCOPE_UNIVERSE)

    def _local(self, dev: Device, result: FibResult, flow: FlowKey) -> Route:
        """Deliver here."""
        route = Route(RTN_LOCAL, self._interfaces.lo, 0, flow.daddr, RTCF_LOCAL, self.generation)
        route.iif = dev
        self._note_origin(route, result)
        return route

    def _error(self, dev: Device, errno: int) -> Route:
        """Make the route whose packets end in ip_error()."""
        route = Route(RTN_UNREACHABLE, self._interfaces.lo, 0, 0, 0, self.generation, errno)
        route.iif = dev
        return route

    def _forward(
        self, flow: FlowKey, result: FibResult, dev: Device, skb: Skb | None, now: Ns, story: Story | None, *, ip: bool
    ) -> tuple[Route | Refused, bool]:
        """Choose the path, check the source against it, and see whether the sender had a better first hop.

        Mirrors ip_mkroute_input(), __mkroute_input(): alternatives are never judged for forwarded packets.
        """
        several = len(result.info.nexthops) > 1
        if several:
            self._choose_path(flow, result, skb, story, forwarded=True)
        self._parts.tell(story, "input", flow, dev, result, now, skb, 0)
        out = result.nexthop.dev
        assert out is not None
        steady = not (several and self._sysctl.ipv4.fib_multipath_use_neigh)
        verdict = self._reverse.validate(flow, dev, out)
        if verdict < 0:
            return _refuse(-verdict), steady
        flags = RTCF_DOREDIRECT if ip and out is dev and verdict and self._redirects(dev, flow.saddr, result) else 0
        if not ip and out is dev and not dev.conf.proxy_arp_pvlan | self._sysctl.conf_all.proxy_arp_pvlan:
            return Refused(EINVAL, drop.NOT_SPECIFIED), steady
        route = self._route(result, out, 0, flags)
        route.iif = dev
        if result.nexthop.lessons:
            self.exceptions.apply(route, result.nexthop, flow.daddr, now)
            steady = steady and not route.expires
        return route, steady

    def _redirects(self, dev: Device, saddr: Ip, result: FibResult) -> bool:
        """Tell whether a packet that leaves the way it came earns its sender a redirect."""
        conf, everywhere = dev.conf, self._sysctl.conf_all
        if not conf.send_redirects | everywhere.send_redirects:
            return False
        if conf.shared_media | everywhere.shared_media:
            return True
        return on_link(dev, saddr, result.nexthop.gw)

    def _route(self, result: FibResult, out: Device, src: Ip, flags: int) -> Route:
        """Turn a lookup's answer into what a packet carries. Mirrors rt_set_nexthop()."""
        nexthop = result.nexthop
        gateway = nexthop.gw if nexthop.scope == RT_SCOPE_LINK else 0
        route = Route(result.kind, out, gateway, src, flags, self.generation)
        route.take(result.info.metrics)
        route.scope = nexthop.scope
        self._note_origin(route, result)
        return route

    @staticmethod
    def _note_origin(route: Route, result: FibResult) -> None:
        route.table, route.rule, route.prefixlen = result.table.id, result.rule, result.prefixlen
        route.tos = result.alias.tos

    # Output

    def output(
        self, daddr: Ip, *, now: Ns, saddr: Ip = 0, tos: int = 0, oif: Device | None = None, mark: int = 0, gw: Ip = 0,
        proto: int = 0, sport: int = 0, dport: int = 0, onlink: bool = False, anysrc: bool = False,
    ) -> Route | Refused:  # fmt: skip
        """Decide how a packet of this box leaves. `gw` means nothing here."""
        flow = FlowKey(
            daddr, saddr, tos & self._fib.era.tos_mask, oif.ifindex if oif is not None else 0,
            self._interfaces.lo.ifindex, mark, proto, sport, dport, RT_SCOPE_LINK if onlink else RT_SCOPE_UNIVERSE,
        )  # fmt: skip
        return self.decide_output(flow, oif, now, self._parts.story(), anysrc=anysrc)

    def decide_output(
        self, flow: FlowKey, oif: Device | None, now: Ns, story: Story | None, *, anysrc: bool = False
    ) -> Route | Refused:
        """Answer one output question. Mirrors ip_route_output_key_hash_rcu()."""
        daddr, saddr = flow.daddr, flow.saddr
        refused = self._bad_source(saddr, anysrc=anysrc)
        if refused is not None:
            return refused
        wide = is_multicast(daddr) or daddr == LIMITED_BROADCAST
        if saddr and oif is None and wide:
            found = self._fib.lookup.local_device(saddr)
            if found is None:
                return Refused(ENETUNREACH, drop.IP_OUTNOROUTES)
            return self._wide(daddr, found, saddr)
        if oif is not None:
            if not oif.registered:
                return Refused(ENODEV, drop.IP_OUTNOROUTES)
            if not oif.up or not oif.has_ip:
                return Refused(ENETUNREACH, drop.IP_OUTNOROUTES)
            if is_local_multicast(daddr) or daddr == LIMITED_BROADCAST:
                return self._wide(daddr, oif, saddr or self._interfaces.select_address(oif, 0, RT_SCOPE_LINK))
            if not saddr and (is_multicast(daddr) or not daddr):
                saddr = self._interfaces.select_address(oif, 0, flow.scope if daddr else RT_SCOPE_HOST)
                flow = flow._replace(saddr=saddr)
        if not daddr:
            return self._to_self(saddr or LOOPBACK)
        result = self._fib.ask(flow)
        if isinstance(result, Miss):
            self._parts.tell(story, "output", flow, None, result, now, None, 0 if oif is not None else result.errno)
            if oif is None:
                return Refused(result.errno, drop.IP_OUTNOROUTES)
            source = saddr or self._interfaces.select_address(oif, 0, RT_SCOPE_LINK)
            return self._wide(daddr, oif, source) if wide else self._on_link(oif, source, daddr)
        if result.kind == RTN_LOCAL:
            self._parts.tell(story, "output", flow, None, result, now, None, 0)
            route = self._to_self(saddr or result.info.prefsrc or daddr)
            self._note_origin(route, result)
            return route
        steady = True
        if not flow.oif:
            steady = self._choose_path(flow, result, None, story, forwarded=False)
        self._parts.tell(story, "output", flow, None, result, now, None, 0)
        answer = self._leave(flow, result, saddr, now)
        if isinstance(answer, Route):
            answer.steady = steady and not answer.expires
        return answer

    def _bad_source(self, saddr: Ip, *, anysrc: bool) -> Refused | None:
        """Refuse a bound source that is none, or not ours."""
        if not saddr:
            return None
        if is_multicast(saddr) or saddr == LIMITED_BROADCAST or is_zeronet(saddr):
            return Refused(EINVAL, drop.IP_OUTNOROUTES)
        if not anysrc and not self._interfaces.is_local(saddr) and self._fib.lookup.local_device(saddr) is None:
            return Refused(ENETUNREACH, drop.IP_OUTNOROUTES)
        return None

    def _leave(self, flow: FlowKey, result: FibResult, saddr: Ip, now: Ns) -> Route | Refused:
        """Make the route of a packet that goes out. Mirrors __mkroute_output()."""
        out = result.nexthop.dev
        assert out is not None
        daddr = flow.daddr
        source = saddr or self._fib.routes.source(result.info, result.index, result.alias.scope)
        if is_loopback(source) and not out.loopback and not out.conf.route_localnet:
            return Refused(EINVAL, drop.IP_OUTNOROUTES)
        if result.kind == RTN_BROADCAST or is_multicast(daddr) or daddr == LIMITED_BROADCAST:
            route = self._wide(daddr, out, source)
            self._note_origin(route, result)
            return route
        if is_zeronet(daddr):
            return Refused(EINVAL, drop.IP_OUTNOROUTES)
        route = self._route(result, out, source, RTCF_LOCAL if out.loopback else 0)
        if result.nexthop.lessons:
            self.exceptions.apply(route, result.nexthop, daddr, now)
        return route

    def _on_link(self, oif: Device, source: Ip, daddr: Ip) -> Route:
        """Assume the destination on the asked device: "Apparently, routing tables are wrong"."""
        return Route(RTN_UNICAST, oif, 0, source, 0, self.generation)

    def _wide(self, daddr: Ip, out: Device, source: Ip) -> Route:
        """Send to many."""
        if is_multicast(daddr):
            heard = RTCF_LOCAL if daddr == ALL_HOSTS else 0  # ip_check_mc_rcu(): every device that is up has joined it
            return Route(RTN_MULTICAST, out, 0, source, RTCF_MULTICAST | heard, self.generation)
        return Route(RTN_BROADCAST, out, 0, source, RTCF_BROADCAST | RTCF_LOCAL, self.generation)

    def _to_self(self, source: Ip) -> Route:
        """Send to ourselves."""
        return Route(RTN_LOCAL, self._interfaces.lo, 0, source, RTCF_LOCAL, self.generation)

    def path(self, flow: FlowKey) -> FibResult | Miss:
        """Look a destination up and choose its path, for what is learnt about it."""
        result = self._fib.ask(flow)
        if isinstance(result, FibResult) and not flow.oif:
            self._choose_path(flow, result, None, None, forwarded=False)
        return result

    def _choose_path(
        self, flow: FlowKey, result: FibResult, skb: Skb | None, story: Story | None, *, forwarded: bool
    ) -> bool:
        """Select among paths by hash, or among default routes; False where neighbours had a say.

        Mirrors fib_select_path().
        """
        info = result.info
        ipv4 = self._sysctl.ipv4
        if len(info.nexthops) > 1:
            value = multipath_hash(
                ipv4.fib_multipath_hash_policy, ipv4.fib_multipath_hash_fields, self._fib.seed(), flow, skb
            )
            result.index = select(
                info, value, use_neigh=bool(ipv4.fib_multipath_use_neigh), neigh=self._parts.neigh,
                saddr=0 if forwarded else flow.saddr, keep=result.index, story=story,
            )  # fmt: skip
            return not ipv4.fib_multipath_use_neigh
        if not result.prefixlen and result.table.defaults > 1 and result.kind == RTN_UNICAST:
            select_default(result, flow, self._parts.neigh, story)
            return False
        return True


def on_link(dev: Device, one: Ip, other: Ip) -> bool:
    """Tell whether `one`, and `other` unless 0, lie in one subnet of the device. Mirrors inet_addr_onlink()."""
    return any(ifa.holds(one) and (not other or ifa.holds(other)) for ifa in dev.addresses if not ifa.secondary)


def _is_icmp_error(skb: Skb) -> bool:
    """Tell whether an ICMP packet is an error: its path is that of the packet it quotes."""
    at = skb.ihl
    return len(skb.data) > at and skb.data[at] in ERROR_TYPES


def _refuse(errno: int) -> Refused:
    """Name the drop of a refused source: the reverse path's, or our own address as somebody's source."""
    return Refused(errno, drop.IP_RPFILTER if errno == EXDEV else drop.IP_LOCAL_SOURCE)
