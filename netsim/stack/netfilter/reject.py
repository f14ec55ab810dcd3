"""REJECT: end the packet and tell its sender, by an ICMP error or a TCP reset.

Source: net/ipv4/netfilter/ipt_REJECT.c, nf_reject_ipv4.c nf_send_unreach(), nf_send_reset() (6.x); observed-linux 11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from netsim.stack.dst import RTCF_BROADCAST, RTCF_MULTICAST, RTN_LOCAL, RTN_UNICAST, Refused
from netsim.stack.netfilter.hooks import NF_DROP, HookContext, Services
from netsim.stack.netfilter.rulespec import RejectTarget
from netsim.stack.skb import IPPROTO_TCP, Skb
from netsim.units import Ns
from netsim.wire.drop import NETFILTER_DROP
from netsim.wire.icmp import (
    ICMP_DEST_UNREACH,
    ICMP_HOST_ANO,
    ICMP_HOST_UNREACH,
    ICMP_NET_ANO,
    ICMP_NET_UNREACH,
    ICMP_PKT_FILTERED,
    ICMP_PORT_UNREACH,
    ICMP_PROT_UNREACH,
)
from netsim.wire.ipv4 import IP_DF, IPDEFTTL, build_ipv4
from netsim.wire.tcp import TCP_HLEN, TCPHDR_ACK, TCPHDR_FIN, TCPHDR_RST, TCPHDR_SYN, build_tcp, parse_tcp
from netsim.wire.verify import verify

TCP_RESET = "tcp-reset"
CODES: Mapping[str, int] = MappingProxyType({
    "icmp-net-unreachable": ICMP_NET_UNREACH,
    "icmp-host-unreachable": ICMP_HOST_UNREACH,
    "icmp-proto-unreachable": ICMP_PROT_UNREACH,
    "icmp-port-unreachable": ICMP_PORT_UNREACH,
    "icmp-net-prohibited": ICMP_NET_ANO,
    "icmp-host-prohibited": ICMP_HOST_ANO,
    "icmp-admin-prohibited": ICMP_PKT_FILTERED,
})  # fmt: skip


def reject(spec: RejectTarget, services: Services) -> Callable[[Skb, HookContext], int]:
    """Compile `-j REJECT`."""

    def action(skb: Skb, ctx: HookContext) -> int:
        if spec.how == TCP_RESET:
            _send_reset(skb, services, now=ctx.now)
        else:
            _send_unreach(skb, CODES[spec.how], services, now=ctx.now)
        skb.drop_reason = NETFILTER_DROP
        return NF_DROP

    return action


def _send_unreach(skb: Skb, code: int, services: Services, *, now: Ns) -> None:
    """A later fragment and a packet with a bad checksum get no answer."""
    if not skb.fragment_offset and not verify(skb.data):
        services.icmp.send(skb, ICMP_DEST_UNREACH, code, now=now)


def _send_reset(skb: Skb, services: Services, *, now: Ns) -> None:
    """Answer a segment with a reset that its sender accepts; never a reset, a fragment, a broadcast or damaged data."""
    start = skb.ihl
    if skb.fragment_offset or skb.proto != IPPROTO_TCP or len(skb.data) < start + TCP_HLEN:
        return
    segment = parse_tcp(skb.data, start)
    if segment.flags & TCPHDR_RST or verify(skb.data):
        return
    if skb.route is not None and skb.route.flags & (RTCF_BROADCAST | RTCF_MULTICAST):
        return
    if segment.flags & TCPHDR_ACK:
        seq, ack, flags = segment.ack, 0, TCPHDR_RST
    else:
        length = len(skb.data) - start - segment.doff
        length += bool(segment.flags & TCPHDR_SYN) + bool(segment.flags & TCPHDR_FIN)
        seq, ack, flags = 0, segment.seq + length & 0xFFFFFFFF, TCPHDR_RST | TCPHDR_ACK
    tcp = build_tcp(skb.daddr, skb.saddr, skb.dport, skb.sport, seq, ack, flags, 0)
    header = build_ipv4(skb.daddr, skb.saddr, IPPROTO_TCP, len(tcp), ttl=IPDEFTTL, frag_off=IP_DF)
    reset = Skb(bytearray(header + tcp), parent=skb.uid or skb.parent)
    # ip_route_me_harder(): the source need not be ours, but must be somebody's.
    kept = services.routing.address_type(reset.saddr) in (RTN_LOCAL, RTN_UNICAST)
    route = services.routing.output(reset.daddr, now=now, saddr=reset.saddr if kept else 0, anysrc=kept)
    if isinstance(route, Refused) or route.error:
        return
    reset.route = route
    reset.out = route.dev
    services.conntrack.attach(reset, skb)
    services.local_output.send(reset, now=now)
