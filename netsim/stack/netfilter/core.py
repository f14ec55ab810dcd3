"""The netfilter room of one box: what is registered at which hook, and the doors that netns.py comes in by.

The list at each hook is made anew whenever something registers, so that a packet walks a plain tuple of functions; a
hook with an empty tuple is `idle` and costs its caller one test.
Source: nf_hook_slow(), net/netfilter/core.c; nf_ct_netns_do_get(), nf_conntrack_proto.c (6.x); linux-kernel 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from netsim.stack.address import IfAddr
from netsim.stack.device import Device
from netsim.stack.errno import Refusal
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter import ct_text
from netsim.stack.netfilter.assembly import build
from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.ct_requests import (
    ConntrackFilter,
    ConntrackStats,
    CountConntrack,
    DeleteConntrack,
    DumpConntrack,
    DumpExpectations,
    FlushConntrack,
    SetConntrackMark,
)
from netsim.stack.netfilter.ct_tcp import TcpTracker
from netsim.stack.netfilter.ct_text import ConntrackInfo
from netsim.stack.netfilter.expect import ExpectationInfo
from netsim.stack.netfilter.helper import help_and_adjust
from netsim.stack.netfilter.hooks import (
    HOOKS,
    NF_ACCEPT,
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NF_IP_PRI_CONNTRACK,
    NF_IP_PRI_CONNTRACK_CONFIRM,
    NF_IP_PRI_CONNTRACK_DEFRAG,
    NF_IP_PRI_FILTER,
    NF_IP_PRI_MANGLE,
    NF_IP_PRI_NAT_DST,
    NF_IP_PRI_NAT_SRC,
    NF_IP_PRI_RAW,
    NF_IP_PRI_SECURITY,
    NF_STOLEN,
    Defrag,
    HookContext,
    HookFn,
    Services,
)
from netsim.stack.netfilter.reroute import route_me_harder
from netsim.stack.netfilter.status import IP_CT_UNTRACKED, IPS_NAT_MASK
from netsim.stack.netfilter.tables import Tables
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Exit, IcmpSender, LocalOutput, Rng, Routing
from netsim.stack.profile.netfilter import NetfilterEra
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import DONE, Done, Request
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import Ns

TABLE_PRIORITIES: Mapping[str, int] = MappingProxyType({
    "raw": NF_IP_PRI_RAW, "mangle": NF_IP_PRI_MANGLE, "filter": NF_IP_PRI_FILTER, "security": NF_IP_PRI_SECURITY,
})  # fmt: skip
"""Where a table's chains stand at their hooks; nat and ipchains have functions of their own."""


class Handle:
    """One registration of a user's function; `unregister` wants it back."""

    __slots__ = ("fn", "hook", "priority")

    def __init__(self, hook: int, priority: int, fn: HookFn) -> None:
        self.hook = hook
        self.priority = priority
        self.fn = fn


class Netfilter:
    """All of it. `idle[hook]` is True while nothing is registered there; `handlers` maps requests to methods.

    `by_rote[hook]` tells that only tracking and translation are, which do the same to all later packets of a flow.
    `translates` tells that the nat table is there. `tcp_by_rote` tracks TCP segments that come by rote, None in an era
    that does not. `generation` counts changes of what is registered and of rules.
    """

    def __init__(
        self, *, node: str, era: NetfilterEra, patches: Patches, interfaces: Interfaces, sysctl: Sysctl, timers: Timers,
        outbox: Outbox, rng: Rng, routing: Routing, icmp: IcmpSender, local_output: LocalOutput, exit: Exit,
        defrag: Defrag,
    ) -> None:  # fmt: skip
        self.services = Services(
            node=node, era=era, patches=patches, interfaces=interfaces, sysctl=sysctl, timers=timers, outbox=outbox,
            rng=rng, routing=routing, icmp=icmp, local_output=local_output, exit=exit, defrag=defrag,
        )  # fmt: skip
        self.idle: list[bool] = [True] * len(HOOKS)
        self.by_rote: list[bool] = [True] * len(HOOKS)
        self.translates = False
        self.generation = 0
        self._chains: list[tuple[HookFn, ...]] = [()] * len(HOOKS)
        self._handles: list[Handle] = []
        self._tracks = False
        parts = build(self.services, self._use_conntrack, self._traverse)
        self.services.conntrack = self.conntrack = parts.table
        self.services.nat = self.nat = parts.nat
        self._tracking = parts.tracking
        self._extra = parts.extra
        self._compat = parts.compat
        self.tcp_by_rote: TcpTracker | None = parts.tcp
        self.tables = Tables(self.services, self._assemble)
        self.handlers: Mapping[type, Any] = MappingProxyType({  # Any: each handler takes its own request type
            DumpConntrack: self._dump, DeleteConntrack: self._delete, FlushConntrack: self._flush,
            CountConntrack: self._count, ConntrackStats: self._stats, SetConntrackMark: self._set_mark,
            DumpExpectations: self._expectations, **self.tables.handlers,
        })  # fmt: skip
        self._assemble()

    # Packets

    def run(self, hook: int, skb: Skb, indev: Device | None, outdev: Device | None, *, now: Ns) -> int:
        """Take a packet through a hook: NF_ACCEPT, NF_DROP (the caller ends it), or NF_STOLEN."""
        for fn in self._chains[hook]:
            verdict = fn(skb, indev, outdev, now)
            if verdict != NF_ACCEPT:
                return verdict
        return NF_ACCEPT

    def tracked(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the serial numbers of the connections in the table, and of those with a NAT mapping."""
        table = self.conntrack
        return frozenset(ct.serial for ct in table), frozenset(ct.serial for ct in table if ct.status & IPS_NAT_MASK)

    def attach(self, new: Skb, old: Skb) -> None:
        """Let an ICMP error ride on the connection of the packet it is about. Source: nf_ct_attach()."""
        self.conntrack.attach(new, old)

    def _traverse(self, table: str, hook: int, skb: Skb, ctx: HookContext) -> int:
        return self.tables.traverse(table, hook, skb, ctx)

    # Registration

    def register(self, hook: int, priority: int, fn: HookFn) -> Handle:
        """Call `fn(skb, indev, outdev, now)` at a hook; equal priorities go by age."""
        handle = Handle(hook, priority, fn)
        self._handles.append(handle)
        self._assemble()
        return handle

    def unregister(self, handle: Handle) -> None:
        """Take a function away."""
        self._handles.remove(handle)
        self._assemble()

    def _use_conntrack(self, on: bool) -> None:
        self._tracks = on
        self._assemble()

    def _assemble(self) -> None:
        """List what is registered at each hook, by priority and then by age."""
        entries: list[tuple[int, int, HookFn]] = []
        era = self.services.era
        looking: set[int] = set()
        self.generation += 1
        if self._compat is not None and (era.tool == "ipchains" or self.tables.exists("ipchains")):
            # ipchains and iptables exclude each other, and what MASQ needs tracked it tracks itself.
            entries.append((NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK_DEFRAG, self._defragment(NF_INET_PRE_ROUTING)))
            entries.append((NF_INET_PRE_ROUTING, NF_IP_PRI_FILTER, self._compat.pre_routing))
            entries.append((NF_INET_FORWARD, NF_IP_PRI_FILTER, self._compat.forward))
            entries.append((NF_INET_POST_ROUTING, NF_IP_PRI_FILTER, self._compat.post_routing))
            looking.update(HOOKS)
        elif self._tracks or (era.conntrack_stays and self.tables.exists("nat")):
            entries += self._conntrack_hooks()
        for table, priority in TABLE_PRIORITIES.items():
            hooks = self.tables.hooks(table)
            entries += [(hook, priority, self._table_hook(table, hook)) for hook in hooks]
            looking.update(hooks)
        self.translates = self.tables.exists("nat")
        if self.translates:
            for hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT):
                entries.append((hook, NF_IP_PRI_NAT_DST, self.nat.at(hook)))
            for hook in (NF_INET_LOCAL_IN, NF_INET_POST_ROUTING):
                entries.append((hook, NF_IP_PRI_NAT_SRC, self.nat.at(hook)))
            entries += self._extra
            looking.update(hook for hook, _, _ in self._extra)
        entries += [(handle.hook, handle.priority, handle.fn) for handle in self._handles]
        looking.update(handle.hook for handle in self._handles)
        entries.sort(key=lambda entry: entry[1])
        for hook in HOOKS:
            self._chains[hook] = tuple(fn for at, _, fn in entries if at == hook)
            self.idle[hook] = not self._chains[hook]
            self.by_rote[hook] = hook not in looking

    def _conntrack_hooks(self) -> list[tuple[int, int, HookFn]]:
        return [
            (NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK_DEFRAG, self._defragment(NF_INET_PRE_ROUTING)),
            (NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK, self._tracking.at(NF_INET_PRE_ROUTING)),
            (NF_INET_LOCAL_OUT, NF_IP_PRI_CONNTRACK_DEFRAG, self._defragment(NF_INET_LOCAL_OUT)),
            (NF_INET_LOCAL_OUT, NF_IP_PRI_CONNTRACK, self._tracking.at(NF_INET_LOCAL_OUT)),
            (NF_INET_POST_ROUTING, NF_IP_PRI_CONNTRACK_CONFIRM, self._confirm),
            (NF_INET_LOCAL_IN, NF_IP_PRI_CONNTRACK_CONFIRM, self._confirm),
        ]

    def _table_hook(self, table: str, hook: int) -> HookFn:
        """Return the function that takes packets through a table's chain at a hook."""
        services, traverse = self.services, self.tables.traverse

        def fn(skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
            return traverse(table, hook, skb, HookContext(hook, indev, outdev, now, services))

        if table != "mangle" or hook != NF_INET_LOCAL_OUT:
            return fn

        def mangle_out(skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
            """Route again what the rules changed the ground of. Mirrors ipt_mangle_out()."""
            before = (skb.mark, skb.saddr, skb.daddr, skb.tos)
            verdict = fn(skb, indev, outdev, now)
            if verdict == NF_ACCEPT and before != (skb.mark, skb.saddr, skb.daddr, skb.tos):
                return int(route_me_harder(skb, services.routing, now))  # NF_DROP is 0, NF_ACCEPT 1
            return verdict

        return mangle_out

    def _defragment(self, hook: int) -> HookFn:
        """Return ipv4_conntrack_defrag() for a hook: tracking sees whole packets only."""
        defrag = self.services.defrag

        def fn(skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
            if not (skb.data[6] & 0x3F or skb.data[7]) or skb.ct is not None or skb.ctinfo == IP_CT_UNTRACKED:
                return NF_ACCEPT
            return NF_ACCEPT if defrag.gather(skb, hook, now=now) else NF_STOLEN

        return fn

    def _confirm(self, skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        """Let helpers read, adjust sequence numbers, and put a new connection into the table. Mirrors nf_confirm()."""
        ct: Conntrack | None = skb.ct
        if ct is None:
            return NF_ACCEPT
        if ct.helper is not None or ct.seqadj is not None:
            verdict = help_and_adjust(skb, ct, now)
            if verdict != NF_ACCEPT:
                return verdict
        return self.conntrack.confirm(skb, now)

    # Devices and addresses

    def device_down(self, dev: Device, *, now: Ns) -> None:
        """Hear that a device went down (NETDEV_DOWN)."""
        self.nat.masquerading.device_down(dev, now)

    def device_removed(self, dev: Device, *, now: Ns) -> None:
        """Hear that a device is gone: it went down before, which was all."""

    def address_added(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """Hear of a new address (NETDEV_UP of the inetaddr chain)."""
        self.nat.masquerading.address_added(dev, ifa, now)

    def address_removed(self, dev: Device, ifa: IfAddr, *, now: Ns) -> None:
        """Hear of a lost address (NETDEV_DOWN of the inetaddr chain)."""
        self.nat.masquerading.address_removed(dev, ifa, now)

    # Requests

    def request(self, req: Request[Any], *, now: Ns) -> object:  # Any: each request has its own answer
        """Answer one of this room's requests."""
        return self.handlers[type(req)](req, now=now)

    def _fitting(self, wanted: ConntrackFilter, now: Ns) -> list[tuple[Conntrack, ConntrackInfo]]:
        """List live entries that fit, dropping expired ones on the way as ctnetlink_dump_table() does."""
        fitting = []
        for ct in self.conntrack:
            if ct.timeout <= now:
                self.conntrack.kill(ct, now)
                continue
            entry = ct_text.info(ct, now)
            if wanted.fits(entry):
                fitting.append((ct, entry))
        return fitting

    def _dump(self, req: DumpConntrack, *, now: Ns) -> tuple[ConntrackInfo, ...]:
        return tuple(entry for _, entry in self._fitting(req.wanted, now))

    def _delete(self, req: DeleteConntrack, *, now: Ns) -> tuple[ConntrackInfo, ...]:
        doomed = self._fitting(req.wanted, now)
        for ct, _ in doomed:
            self.conntrack.kill(ct, now)
        return tuple(entry for _, entry in doomed)

    def _flush(self, req: FlushConntrack, *, now: Ns) -> Done | Refusal:
        self.conntrack.sweep(lambda ct: True, now)
        return DONE

    def _count(self, req: CountConntrack, *, now: Ns) -> int:
        return self.conntrack.count

    def _stats(self, req: ConntrackStats, *, now: Ns) -> dict[str, int]:
        return dict(self.conntrack.stats)

    def _set_mark(self, req: SetConntrackMark, *, now: Ns) -> int:
        fitting = self._fitting(req.wanted, now)
        for ct, _ in fitting:
            self.conntrack.set_mark(ct, req.mark)
            self.conntrack.deliver(ct, now)
        return len(fitting)

    def _expectations(self, req: DumpExpectations, *, now: Ns) -> tuple[ExpectationInfo, ...]:
        return self.conntrack.expectations.dump(now)
