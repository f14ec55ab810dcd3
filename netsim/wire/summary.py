"""One line about a packet, in the words of `tcpdump -nn -t -S`.

What is not the same as tcpdump's: ARP in the short words of old ("ARP who-has A tell B"), fragments named with id, size
and offset, no guessing of applications by port, and no line is longer than one. Never raises: what is cut off ends in
"[|tcp]", as there.
"""

from __future__ import annotations

from types import MappingProxyType

from netsim.addr import ZERO_MAC, ip_str, mac_str
from netsim.wire import arp, icmp, ipv4, tcp, udp
from netsim.wire.ether import ETH_HLEN, ETH_P_802_3_MIN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, parse_ether
from netsim.wire.octets import Octets, Truncated

_PROTOCOLS = MappingProxyType({
    ipv4.IPPROTO_ICMP: "icmp", ipv4.IPPROTO_TCP: "tcp", ipv4.IPPROTO_UDP: "udp", ipv4.IPPROTO_GRE: "gre",
    ipv4.IPPROTO_SCTP: "sctp", ipv4.IPPROTO_IGMP: "igmp", ipv4.IPPROTO_ESP: "esp",
})  # fmt: skip

_TCP_FLAGS = (
    (tcp.TCPHDR_FIN, "F"), (tcp.TCPHDR_SYN, "S"), (tcp.TCPHDR_RST, "R"), (tcp.TCPHDR_PSH, "P"), (tcp.TCPHDR_ACK, "."),
    (tcp.TCPHDR_URG, "U"), (tcp.TCPHDR_ECE, "E"), (tcp.TCPHDR_CWR, "W"),
)  # fmt: skip

_UNREACHABLE = MappingProxyType(
    {
        icmp.ICMP_NET_UNREACH: "net {} unreachable",
        icmp.ICMP_HOST_UNREACH: "host {} unreachable",
        icmp.ICMP_SR_FAILED: "{} unreachable - source route failed",
        icmp.ICMP_NET_UNKNOWN: "net {} unreachable - unknown",
        icmp.ICMP_HOST_UNKNOWN: "host {} unreachable - unknown",
        icmp.ICMP_HOST_ISOLATED: "{} unreachable - source host isolated",
        icmp.ICMP_NET_ANO: "net {} unreachable - admin prohibited",
        icmp.ICMP_HOST_ANO: "host {} unreachable - admin prohibited",
        icmp.ICMP_NET_UNR_TOS: "net {} unreachable - tos prohibited",
        icmp.ICMP_HOST_UNR_TOS: "host {} unreachable - tos prohibited",
        icmp.ICMP_PKT_FILTERED: "host {} unreachable - admin prohibited filter",
        icmp.ICMP_PREC_VIOLATION: "host {} unreachable - host precedence violation",
        icmp.ICMP_PREC_CUTOFF: "host {} unreachable - precedence cutoff",
    }
)

_REDIRECT = MappingProxyType(
    {
        icmp.ICMP_REDIR_NET: "redirect {} to net {}",
        icmp.ICMP_REDIR_HOST: "redirect {} to host {}",
        icmp.ICMP_REDIR_NETTOS: "redirect-tos {} to net {}",
        icmp.ICMP_REDIR_HOSTTOS: "redirect-tos {} to host {}",
    }
)

_QUERY = MappingProxyType(
    {
        icmp.ICMP_ECHO: "echo request",
        icmp.ICMP_ECHOREPLY: "echo reply",
        icmp.ICMP_TIMESTAMP: "time stamp query",
        icmp.ICMP_TIMESTAMPREPLY: "time stamp reply",
        icmp.ICMP_INFO_REQUEST: "information request",
        icmp.ICMP_INFO_REPLY: "information reply",
        icmp.ICMP_ADDRESS: "address mask request",
        icmp.ICMP_ADDRESSREPLY: "address mask reply",
    }
)


def summary(octets: Octets, link_header: bool = True) -> str:
    """Return the line for a frame, or for an IP packet when `link_header` is False. Never raises."""
    if not link_header:
        return _ip(octets)
    try:
        header = parse_ether(octets)
    except Truncated:
        return f"[|ether] {len(octets)} octets"
    payload = octets[ETH_HLEN:]
    if header.proto == ETH_P_IP:
        return _ip(payload)
    if header.proto == ETH_P_ARP:
        return _arp(payload)
    if header.proto < ETH_P_802_3_MIN:
        return f"802.3, length {header.proto}"
    name = "IPv6" if header.proto == ETH_P_IPV6 else "Unknown"
    return f"ethertype {name} (0x{header.proto:04x}), length {len(payload)}"


def _arp(data: Octets) -> str:
    try:
        packet = arp.parse_arp(data)
    except Truncated:
        return "ARP [|arp]"
    if not packet.is_ipv4_ethernet:
        return f"ARP hrd {packet.hrd} pro 0x{packet.pro:04x} hln {packet.hln} pln {packet.pln} op {packet.op}"
    if packet.op == arp.ARPOP_REQUEST:
        known = f" ({mac_str(packet.tha)})" if packet.tha != ZERO_MAC else ""
        return f"ARP who-has {ip_str(packet.tpa)}{known} tell {ip_str(packet.spa)}"
    if packet.op == arp.ARPOP_REPLY:
        return f"ARP reply {ip_str(packet.spa)} is-at {mac_str(packet.sha)}"
    return f"ARP op {packet.op}"


def _ip(data: Octets) -> str:
    try:
        header = ipv4.parse_ipv4(data)
    except Truncated:
        return "IP [|ip]"
    if header.version != 4:
        return f"IP{header.version}" if header.version == 6 else f"IP bad version {header.version}"
    if header.ihl < ipv4.IP_HLEN or header.tot_len < header.ihl:
        return f"IP bad header length {header.ihl} of {header.tot_len}"
    missing = header.tot_len - len(data)
    cut = f"truncated-ip - {missing} bytes missing! " if missing > 0 else ""
    size = header.tot_len - header.ihl
    source, dest = ip_str(header.saddr), ip_str(header.daddr)
    fragment = ""
    if header.is_fragment:
        more = "+" if header.frag_off & ipv4.IP_MF else ""
        fragment = f" (frag {header.id}:{size}@{header.offset}{more})"
    payload = data[header.ihl : header.tot_len]
    name = _PROTOCOLS.get(header.protocol, f"ip-proto-{header.protocol}")
    if header.offset:
        return f"IP {cut}{source} > {dest}: {name}{fragment}"
    if header.protocol == ipv4.IPPROTO_UDP:
        ends, text = _udp(payload)
    elif header.protocol == ipv4.IPPROTO_TCP:
        ends, text = _tcp(payload, size)
    elif header.protocol == ipv4.IPPROTO_ICMP:
        ends, text = ("", ""), _icmp(payload, size)
    else:
        ends, text = ("", ""), f"{name}, length {size}"
    return f"IP {cut}{source}{ends[0]} > {dest}{ends[1]}: {text}{fragment}"


def _ports(data: Octets) -> tuple[str, str]:
    if len(data) < 4:
        return "", ""
    return f".{data[0] << 8 | data[1]}", f".{data[2] << 8 | data[3]}"


def _udp(data: Octets) -> tuple[tuple[str, str], str]:
    try:
        header = udp.parse_udp(data)
    except Truncated:
        return _ports(data), "[|udp]"
    if header.length < udp.UDP_HLEN:
        return _ports(data), f"UDP, bad length {header.length}"
    return _ports(data), f"UDP, length {header.length - udp.UDP_HLEN}"


def _tcp(data: Octets, size: int) -> tuple[tuple[str, str], str]:
    """Describe a segment of `size` octets by the IP header, of which `data` are there."""
    try:
        header = tcp.parse_tcp(data)
    except Truncated:
        return _ports(data), "[|tcp]"
    flags = "".join(letter for bit, letter in _TCP_FLAGS if header.flags & bit) or "none"
    if header.doff < tcp.TCP_HLEN or header.doff > size:
        return _ports(data), f"Flags [{flags}], bad hdr length {header.doff}"
    length = size - header.doff
    text = f"Flags [{flags}]"
    if length:
        text += f", seq {header.seq}:{(header.seq + length) & 0xFFFFFFFF}"
    elif header.flags & (tcp.TCPHDR_FIN | tcp.TCPHDR_SYN | tcp.TCPHDR_RST):
        text += f", seq {header.seq}"
    if header.flags & tcp.TCPHDR_ACK:
        text += f", ack {header.ack}"
    text += f", win {header.window}"
    if header.flags & tcp.TCPHDR_URG:
        text += f", urg {header.urg_ptr}"
    if header.doff > tcp.TCP_HLEN:
        text += f", options [{_tcp_options(data[tcp.TCP_HLEN : header.doff], header.doff - tcp.TCP_HLEN)}]"
    return _ports(data), f"{text}, length {length}"


def _tcp_options(options: Octets, size: int) -> str:
    words: list[str] = []
    try:
        for option in tcp.iter_options(options):
            words.append(_tcp_option(option))
    except Truncated:
        words.append("[|tcp]")
        return ",".join(words)
    seen = sum(1 if option.kind == tcp.TCPOPT_NOP else len(option.data) + 2 for option in tcp.iter_options(options))
    if len(options) < size:
        words.append("[|tcp]")
    elif seen < len(options):
        words.append("eol")
    return ",".join(words)


def _tcp_option(option: tcp.TcpOption) -> str:
    kind, data, _ = option
    if kind == tcp.TCPOPT_NOP:
        return "nop"
    if kind == tcp.TCPOPT_MSS and len(data) == 2:
        return f"mss {int.from_bytes(data, 'big')}"
    if kind == tcp.TCPOPT_WINDOW and len(data) == 1:
        return f"wscale {data[0]}"
    if kind == tcp.TCPOPT_SACK_PERM and not data:
        return "sackOK"
    parsed = tcp.parse_options(bytes((kind, len(data) + 2)) + data)
    if parsed.timestamp is not None:
        return f"TS val {parsed.timestamp[0]} ecr {parsed.timestamp[1]}"
    if parsed.sack:
        return f"sack {len(parsed.sack)} " + "".join(f"{{{left}:{right}}}" for left, right in parsed.sack)
    return f"unknown-{kind} 0x{data.hex()}" if data else f"unknown-{kind}"


def _icmp(data: Octets, size: int) -> str:
    try:
        header = icmp.parse_icmp(data)
    except Truncated:
        return "[|icmp]"
    if header.type in _QUERY:
        return f"ICMP {_query(header, data)}, length {size}"
    quoted = data[icmp.ICMP_HLEN :]
    if header.type == icmp.ICMP_DEST_UNREACH:
        text = _unreachable(header, quoted)
    elif header.type == icmp.ICMP_REDIRECT:
        dest = ip_str(ipv4.addresses(quoted)[1]) if len(quoted) >= ipv4.IP_HLEN else "[|icmp]"
        form = _REDIRECT.get(header.code, f"redirect-#{header.code} {{}} to net {{}}")
        text = form.format(dest, ip_str(header.rest))
    elif header.type == icmp.ICMP_TIME_EXCEEDED:
        text = {
            icmp.ICMP_EXC_TTL: "time exceeded in-transit",
            icmp.ICMP_EXC_FRAGTIME: "ip reassembly time exceeded",
        }.get(header.code, f"time exceeded-#{header.code}")
    elif header.type == icmp.ICMP_PARAMETERPROB:
        code = f"code {header.code}" if header.code else f"octet {header.rest >> 24}"
        text = f"parameter problem - {code}"
    elif header.type == icmp.ICMP_SOURCE_QUENCH:
        text = "source quench"
    else:
        text = f"type-#{header.type}"
    return f"ICMP {text}, length {size}"


def _query(header: icmp.IcmpHeader, data: Octets) -> str:
    name = _QUERY[header.type]
    if header.type in (icmp.ICMP_ECHO, icmp.ICMP_ECHOREPLY):
        return f"{name}, id {header.id}, seq {header.seq}"
    if header.type in (icmp.ICMP_TIMESTAMP, icmp.ICMP_TIMESTAMPREPLY):
        return f"{name} id {header.id} seq {header.seq}"
    if header.type == icmp.ICMP_ADDRESSREPLY and len(data) >= 12:
        return f"{name} 0x{bytes(data[8:12]).hex()}"
    return name


def _unreachable(header: icmp.IcmpHeader, quoted: Octets) -> str:
    try:
        inner = ipv4.parse_ipv4(quoted)
    except Truncated:
        return "unreachable [|icmp]"
    dest = ip_str(inner.daddr)
    if header.code == icmp.ICMP_PROT_UNREACH:
        return f"{dest} protocol {inner.protocol} unreachable"
    if header.code == icmp.ICMP_PORT_UNREACH:
        ports = _ports(quoted[inner.ihl :])[1][1:]
        name = _PROTOCOLS.get(inner.protocol, f"protocol {inner.protocol}")
        return f"{dest} {name} port {ports} unreachable" if ports else f"{dest} {name} port unreachable"
    if header.code == icmp.ICMP_FRAG_NEEDED:
        mtu = f" (mtu {header.mtu})" if header.mtu else ""
        return f"{dest} unreachable - need to frag{mtu}"
    return _UNREACHABLE.get(header.code, f"{{}} unreachable - #{header.code}").format(dest)
