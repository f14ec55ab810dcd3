"""Put together the connection tracking and NAT of an era: the one place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from netsim.stack.netfilter.compat import Compat
from netsim.stack.netfilter.conntrack import ConntrackTable
from netsim.stack.netfilter.ct_24 import GenericTracker24, IcmpTracker24, TcpTracker24, UdpTracker24
from netsim.stack.netfilter.ct_proto import GenericTracker, GreTracker, IcmpTracker, Tracker, UdpTracker
from netsim.stack.netfilter.ct_tcp import TcpTracker
from netsim.stack.netfilter.evict import Evictor
from netsim.stack.netfilter.expect import Expectations
from netsim.stack.netfilter.ftp import FtpHelper
from netsim.stack.netfilter.helper import Helper
from netsim.stack.netfilter.hooks import NF_INET_PRE_ROUTING, NF_IP_PRI_LAST, HookFn, Services
from netsim.stack.netfilter.masq22 import MasqFtp, MasqOther, MasqPorts, MasqTcp
from netsim.stack.netfilter.masquerade import MainlineMasquerade, Masquerade, OldMasquerade
from netsim.stack.netfilter.nat import MainlineNat, Nat, Traverse
from netsim.stack.netfilter.nat24 import OldNat
from netsim.stack.netfilter.reroute import nat_reroute
from netsim.stack.netfilter.track import Tracking
from netsim.stack.netfilter.tuples import IPPROTO_GRE, IPPROTO_UDPLITE
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What core.py registers; `extra` are hooks that come with the nat table: (hook, priority, function).

    `compat` is what ipchains' table is called by, where there is one.
    """

    table: ConntrackTable
    tracking: Tracking
    nat: Nat
    extra: tuple[tuple[int, int, HookFn], ...] = ()
    compat: Compat | None = None
    tcp: TcpTracker | None = None


def build(services: Services, in_use: Callable[[bool], None], traverse: Traverse) -> Parts:
    """Build what `services.era.tracking` names. `in_use` hears when tracking starts and ends, `traverse` asks rules."""
    table = ConntrackTable(services, in_use)
    ports = MasqPorts(table) if services.era.tracking == "2.2" else None
    ftp = FtpHelper(services) if ports is None else MasqFtp(services, ports)
    helpers: Mapping[str, Helper] = MappingProxyType({ftp.name: ftp})
    table.expectations = Expectations(services, helpers, automatic=services.era.automatic_helpers)
    extra: tuple[tuple[int, int, HookFn], ...] = ()
    compat: Compat | None = None
    tcp: TcpTracker | None = None
    masquerading = _masquerade(services, table)
    generic: Tracker
    nat: Nat
    if services.era.tracking == "2.2":
        other = MasqOther(table)
        trackers: Mapping[int, Tracker] = MappingProxyType(
            {IPPROTO_TCP: MasqTcp(services, table), IPPROTO_UDP: other, IPPROTO_ICMP: other}
        )
        generic = other
        nat = OldNat(services, table, masquerading, traverse)
    elif services.era.tracking == "2.4":
        trackers = MappingProxyType({
            IPPROTO_TCP: TcpTracker24(services, table), IPPROTO_UDP: UdpTracker24(services, table),
            IPPROTO_ICMP: IcmpTracker24(services, table),
        })  # fmt: skip
        generic = GenericTracker24(services, table)
        nat = OldNat(services, table, masquerading, traverse)
        if services.patches.nf_reroute:
            extra = ((NF_INET_PRE_ROUTING, NF_IP_PRI_LAST - 1, nat_reroute(services.routing)),)
    else:
        tcp = TcpTracker(services, table)
        trackers = MappingProxyType({
            IPPROTO_TCP: tcp, IPPROTO_UDP: UdpTracker(services, table),
            IPPROTO_UDPLITE: UdpTracker(services, table), IPPROTO_ICMP: IcmpTracker(services, table),
            IPPROTO_GRE: GreTracker(services, table),
        })  # fmt: skip
        generic = GenericTracker(services, table)
        nat = MainlineNat(services, table, masquerading, traverse)
    tracking = Tracking(services, table, trackers, generic, Evictor(services, table, trackers))
    if isinstance(nat, OldNat):
        patches = services.patches
        compat = Compat(
            services, table, tracking, nat, traverse, reroutes=patches.nf_reroute or patches.masq_csum_reroute,
            ports=ports,
        )  # fmt: skip
        nat.ipchains = compat.masquerade
    return Parts(table=table, tracking=tracking, nat=nat, extra=extra, compat=compat, tcp=tcp)


def _masquerade(services: Services, table: ConntrackTable) -> Masquerade:
    era = services.era
    if era.masquerade_lookup == "address":
        return MainlineMasquerade(table, services.interfaces)
    return OldMasquerade(
        table,
        services.routing,
        by_device=era.masquerade_lookup == "device",
        by_gateway=services.patches.nf_reroute or services.patches.key_gw,
        on_removal=era.masquerade_forgets != "new-address",
    )
