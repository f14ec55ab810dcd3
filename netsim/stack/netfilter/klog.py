"""The line that the LOG target writes: devices, addresses, header fields, as dmesg shows it.

Source: net/netfilter/nf_log_syslog.c nf_log_ip_packet(), dump_ipv4_packet(), dump_mac_header() (6.x).
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.addr import BROADCAST_MAC, ip_str
from netsim.stack.device import ETHER
from netsim.stack.netfilter.hooks import NF_INET_PRE_ROUTING, HookContext
from netsim.stack.netfilter.rulespec import (
    JumpTarget,
    LogTarget,
    MasqTarget,
    RejectTarget,
    RuleSpec,
    SideTarget,
    VerdictTarget,
)
from netsim.stack.skb import PACKET_BROADCAST, Skb
from netsim.wire.icmp import (
    ICMP_DEST_UNREACH,
    ICMP_ECHO,
    ICMP_ECHOREPLY,
    ICMP_FRAG_NEEDED,
    ICMP_HLEN,
    ICMP_PARAMETERPROB,
    ICMP_REDIRECT,
    IcmpHeader,
    parse_icmp,
)
from netsim.wire.ipv4 import (
    IP_CE,
    IP_DF,
    IP_HLEN,
    IP_MF,
    IPPROTO_ICMP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPTOS_PREC_MASK,
    IPTOS_TOS_MASK,
    parse_ipv4,
)
from netsim.wire.octets import Octets
from netsim.wire.tcp import TCP_HLEN, option_octets, parse_tcp
from netsim.wire.udp import UDP_HLEN, parse_udp

XT_LOG_TCPSEQ = 0x01
XT_LOG_TCPOPT = 0x02
XT_LOG_IPOPT = 0x04
XT_LOG_UID = 0x08
XT_LOG_MACDECODE = 0x20

_REQUIRED = MappingProxyType({3: 28, 4: 28, 5: 28, 11: 28, 12: 28, 13: 20, 14: 20, 17: 12, 18: 12})
"""Octets of an ICMP message by type, where more than a header. Source: required_len[], dump_ipv4_packet()."""
_TCP_FLAGS = ((0x80, "CWR"), (0x40, "ECE"), (0x20, "URG"), (0x10, "ACK"), (0x08, "PSH"), (0x04, "RST"), (0x02, "SYN"),
              (0x01, "FIN"))  # fmt: skip


def packet_line(skb: Skb, ctx: HookContext, target: LogTarget) -> str:
    """Print a packet at a hook."""
    line = f"{target.prefix}IN={ctx.indev.name if ctx.indev else ''} OUT={ctx.outdev.name if ctx.outdev else ''} "
    if ctx.indev is not None:
        line += f"MAC={_mac(skb, ctx)} "
    line += _packet(skb.data, target.flags)
    if skb.mark:
        line += f"MARK=0x{skb.mark:x} "
    return line


def chains_line(skb: Skb, ctx: HookContext, chain: str, spec: RuleSpec, number: int) -> str:
    """Print a packet as ipchains logs it: verdict, device, ends, and the header's fields in hexadecimal.

    Source: dump_packet(), net/ipv4/ip_fw.c (2.2); IPCHAINS-HOWTO section 4.1.6.
    """
    device = ctx.indev if ctx.hook == NF_INET_PRE_ROUTING else ctx.outdev
    data, at = skb.data, skb.ihl
    ends = (skb.sport, skb.dport)
    flags = data[at + 13] if skb.proto == IPPROTO_TCP and not skb.fragment_offset and len(data) > at + 13 else 0
    if skb.proto == IPPROTO_ICMP and not skb.fragment_offset and len(data) > at + 1:
        ends = (data[at], data[at + 1])
    ip = parse_ipv4(data)
    opening = "SYN " if flags & 0x12 == 0x02 else ""
    return (
        f"Packet log: {chain} {_chains_target(spec)} {device.name if device is not None else '-'} PROTO={skb.proto} "
        f"{ip_str(skb.saddr)}:{ends[0]} {ip_str(skb.daddr)}:{ends[1]} L={ip.tot_len} S=0x{ip.tos:02X} I={ip.id} "
        f"F=0x{ip.frag_off:04X} T={ip.ttl} {opening}(#{number})"
    )


def _chains_target(spec: RuleSpec) -> str:
    then = spec.target.then if isinstance(spec.target, SideTarget) else None
    if isinstance(then, VerdictTarget):
        return "DENY" if then.name == "DROP" else then.name
    if isinstance(then, JumpTarget):
        return then.chain
    return "REJECT" if isinstance(then, RejectTarget) else "MASQ" if isinstance(then, MasqTarget) else "-"


def _mac(skb: Skb, ctx: HookContext) -> str:
    """Print the link header; a multicast destination follows from the address, as the sender made it."""
    if ctx.indev is None or ctx.indev.kind != ETHER or not skb.src_mac:
        return ""
    to = BROADCAST_MAC if skb.pkt_type == PACKET_BROADCAST else ctx.indev.mac
    return f"{to.hex(':')}:{skb.src_mac.hex(':')}:08:00"


def _packet(data: Octets, flags: int, *, quoted: bool = False) -> str:
    """Print an IP packet, or the part of one that an ICMP error quotes: "Only recurse once"."""
    if len(data) < IP_HLEN:
        return "TRUNCATED"
    ip = parse_ipv4(data)
    line = (
        f"SRC={ip_str(ip.saddr)} DST={ip_str(ip.daddr)} LEN={ip.tot_len} TOS=0x{ip.tos & IPTOS_TOS_MASK:02X} "
        f"PREC=0x{ip.tos & IPTOS_PREC_MASK:02X} TTL={ip.ttl} ID={ip.id} "
    )
    for bit, name in ((IP_CE, "CE"), (IP_DF, "DF"), (IP_MF, "MF")):
        line += f"{name} " if ip.frag_off & bit else ""
    if ip.offset:
        line += f"FRAG:{ip.offset // 8} "
    if flags & XT_LOG_IPOPT and ip.ihl > IP_HLEN:
        line += f"OPT ({bytes(data[IP_HLEN : ip.ihl]).hex().upper()}) "
    if ip.protocol == IPPROTO_TCP:
        return line + _tcp(data, ip.ihl, ip.offset, flags)
    if ip.protocol == IPPROTO_UDP:
        return line + _udp(data, ip.ihl, ip.offset)
    if ip.protocol == IPPROTO_ICMP:
        return line + _icmp(data, ip.ihl, ip.offset, flags, quoted=quoted)
    return f"{line}PROTO={ip.protocol} "


def _incomplete(data: Octets, at: int) -> str:
    return f"INCOMPLETE [{len(data) - at} bytes] "


def _tcp(data: Octets, at: int, offset: int, flags: int) -> str:
    if offset:
        return "PROTO=TCP "
    if len(data) < at + TCP_HLEN:
        return "PROTO=TCP " + _incomplete(data, at)
    tcp = parse_tcp(data, at)
    line = f"PROTO=TCP SPT={tcp.sport} DPT={tcp.dport} "
    if flags & XT_LOG_TCPSEQ:
        line += f"SEQ={tcp.seq} ACK={tcp.ack} "
    line += f"WINDOW={tcp.window} RES=0x{(data[at + 12] & 0x0E) << 2:02x} "
    line += "AE " if data[at + 12] & 0x01 else ""
    line += "".join(f"{name} " for bit, name in _TCP_FLAGS if tcp.flags & bit)
    line += f"URGP={tcp.urg_ptr} "
    if flags & XT_LOG_TCPOPT and tcp.doff > TCP_HLEN:
        whole = tcp.doff <= len(data) - at
        line += f"OPT ({option_octets(data, at).hex().upper()}) " if whole else "OPT (TRUNCATED)"
    return line


def _udp(data: Octets, at: int, offset: int) -> str:
    if offset:
        return "PROTO=UDP "
    if len(data) < at + UDP_HLEN:
        return "PROTO=UDP " + _incomplete(data, at)
    udp = parse_udp(data, at)
    return f"PROTO=UDP SPT={udp.sport} DPT={udp.dport} LEN={udp.length} "


def _icmp(data: Octets, at: int, offset: int, flags: int, *, quoted: bool) -> str:
    if offset:
        return "PROTO=ICMP "
    have = len(data) - at
    if have < ICMP_HLEN:
        return "PROTO=ICMP " + _incomplete(data, at)
    icmp: IcmpHeader = parse_icmp(data, at)
    line = f"PROTO=ICMP TYPE={icmp.type} CODE={icmp.code} "
    if have < _REQUIRED.get(icmp.type, 0):
        return line + _incomplete(data, at)
    if icmp.type in (ICMP_ECHO, ICMP_ECHOREPLY):
        return f"{line}ID={icmp.id} SEQ={icmp.seq} "
    if icmp.type == ICMP_PARAMETERPROB:
        return f"{line}PARAMETER={icmp.rest >> 24} "
    if icmp.is_error:
        if icmp.type == ICMP_REDIRECT:
            line += f"GATEWAY={ip_str(icmp.rest)} "
        if not quoted:
            line += f"[{_packet(data[at + ICMP_HLEN :], flags, quoted=True)}] "
        if icmp.type == ICMP_DEST_UNREACH and icmp.code == ICMP_FRAG_NEEDED:
            line += f"MTU={icmp.mtu} "
    return line
