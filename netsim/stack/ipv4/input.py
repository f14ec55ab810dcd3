"""A packet arrives: header checks, PRE_ROUTING, routing, and then local delivery, forwarding or an error.

Source: net/ipv4/ip_input.c ip_rcv_core(), ip_rcv_finish(), ip_local_deliver(); linux-kernel note 4.1.
"""

from __future__ import annotations

from netsim.stack.device import Device
from netsim.stack.dst import RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, Refused
from netsim.stack.ipv4.context import Ipv4Context
from netsim.stack.ipv4.flows import Trail
from netsim.stack.ipv4.fragment import LOCAL_USER
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING
from netsim.stack.skb import IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, PACKET_HOST, PACKET_OTHERHOST, Skb
from netsim.trace.records import Consumed
from netsim.units import Ns
from netsim.wire import drop
from netsim.wire.icmp import ICMP_DEST_UNREACH, ICMP_PROT_UNREACH
from netsim.wire.ipv4 import IP_HLEN, header_error


class Input:
    """The receiving side of a box's IPv4."""

    def __init__(self, ctx: Ipv4Context) -> None:
        self._ctx = ctx

    def receive(
        self, dev: Device, data: bytearray, pkt_type: int, *, now: Ns, uid: int, parent: int = 0, src_mac: bytes = b"",
        bad: bool = False, trail: Trail | None = None,
    ) -> None:  # fmt: skip
        """Take the IP packet of a frame. Mirrors ip_rcv()."""
        reason = header_error(data)
        if reason:
            self._ctx.exit.drop(unparsed(data, dev, uid), reason, now=now)
            return
        length = data[2] << 8 | data[3]
        if len(data) > length:
            del data[length:]
        skb = Skb(data, dev, uid, parent)
        skb.pkt_type = pkt_type
        skb.src_mac = src_mac
        skb.bad = bad
        skb.trail = trail
        if pkt_type == PACKET_OTHERHOST:
            self._ctx.exit.drop(skb, drop.OTHERHOST, now=now)
            return
        self.inject(skb, now=now)

    def inject(self, skb: Skb, *, now: Ns) -> None:
        """Walk PRE_ROUTING and routing with a checked packet. Mirrors ip_rcv_finish()."""
        ctx = self._ctx
        hooks = ctx.hooks
        dev = skb.dev
        assert dev is not None
        if not hooks.idle[NF_INET_PRE_ROUTING]:
            verdict = hooks.run(NF_INET_PRE_ROUTING, skb, dev, None, now=now)
            if verdict != NF_ACCEPT:
                if verdict == NF_DROP:
                    ctx.exit.drop(skb, skb.drop_reason or drop.NETFILTER_DROP, now=now, detail=skb.drop_detail)
                return
        route = skb.route
        if route is None:
            answer = ctx.routing.input(skb.daddr, skb.saddr, skb.tos, dev, now=now, mark=skb.mark, skb=skb)
            if isinstance(answer, Refused):
                ctx.exit.drop(skb, answer.reason, now=now)
                return
            skb.route = route = answer
            if not route.steady:
                skb.trail = None
        else:
            skb.trail = None
        if (
            skb.pkt_type != PACKET_HOST
            and route.kind not in (RTN_BROADCAST, RTN_MULTICAST)
            and dev.conf.drop_unicast_in_l2_multicast | ctx.sysctl.conf_all.drop_unicast_in_l2_multicast
        ):
            ctx.exit.drop(skb, drop.UNICAST_IN_L2_MULTICAST, now=now)
            return
        if route.error:
            ctx.icmp.route_error(skb, route.error, now=now)
        elif route.kind in (RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST):
            self.deliver(skb, now=now)
        else:
            ctx.forward.forward(skb, now=now)

    def deliver(self, skb: Skb, *, now: Ns) -> None:
        """Reassemble, walk LOCAL_IN and hand the payload up. Mirrors ip_local_deliver()."""
        ctx = self._ctx
        if skb.fragment and not ctx.reassembly.gather(skb, LOCAL_USER, now=now):
            return
        if not ctx.hooks.idle[NF_INET_LOCAL_IN]:
            verdict = ctx.hooks.run(NF_INET_LOCAL_IN, skb, skb.dev, None, now=now)
            if verdict != NF_ACCEPT:
                if verdict == NF_DROP:
                    ctx.exit.drop(skb, skb.drop_reason or drop.NETFILTER_DROP, now=now, detail=skb.drop_detail)
                return
        taken = ctx.sockets.deliver_raw(skb, now=now)
        proto = skb.proto
        if proto == IPPROTO_UDP:
            if ctx.sockets.deliver_udp(skb, now=now) and skb.trail is not None and not taken:
                ctx.memory.delivered(skb, now=now)
        elif proto == IPPROTO_ICMP:
            ctx.icmp.receive(skb, now=now)
        elif proto == IPPROTO_TCP:
            ctx.sockets.deliver_tcp(skb, now=now)
        elif taken:
            self.consumed(skb, now=now)
        else:
            ctx.icmp.send(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, now=now)
            ctx.exit.drop(skb, drop.IP_NOPROTO, now=now)

    def consumed(self, skb: Skb, *, now: Ns) -> None:
        """Note that a received frame ended well here."""
        if skb.uid and Consumed in self._ctx.outbox.wants:
            dev = skb.dev.name if skb.dev is not None else ""
            self._ctx.outbox.records.append(Consumed(now, self._ctx.node, dev, skb.uid))


def unparsed(data: bytearray, dev: Device, uid: int) -> Skb:
    """Wrap octets that are no IP packet, for their drop record alone."""
    skb = Skb(bytearray(IP_HLEN), dev, uid)
    skb.data = data
    return skb
