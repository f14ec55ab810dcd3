"""Rules and chains as ipchains 1.3.10 lists them, and a rule as the words that make it.

Source: ipchains.c print_firewall(), list_entries(), print_masq() (1.3.9); listings by 1.3.10 in linux-kernel mails.
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import LOOPBACK, ip_str
from netsim.shell.iptables.extension import mask_length, mask_text
from netsim.shell.iptables.match_icmp import NAMES as ICMP_NAMES
from netsim.shell.iptables.names import protocol_name, service_name
from netsim.stack.netfilter.ct_text import ConntrackInfo
from netsim.stack.netfilter.matchspec import (
    ANY_PORT,
    ICMP_ANY,
    XT_TCP_INV_DSTPT,
    XT_TCP_INV_FLAGS,
    XT_TCP_INV_SRCPT,
    IcmpMatch,
    TcpMatch,
    UdpMatch,
    ViaMatch,
)
from netsim.stack.netfilter.requests import ChainInfo, RuleInfo, TableInfo
from netsim.stack.netfilter.rulespec import (
    IPT_INV_DSTIP,
    IPT_INV_FRAG,
    IPT_INV_PROTO,
    IPT_INV_SRCIP,
    JumpTarget,
    MasqTarget,
    RejectTarget,
    RuleSpec,
    SideTarget,
    VerdictTarget,
)

ICMP, TCP, UDP = 1, 6, 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What -n, -v, -x and --line-numbers ask for."""

    numeric: bool = False
    verbose: bool = False
    exact: bool = False
    line_numbers: bool = False


def target_name(spec: RuleSpec) -> str:
    """Return the target's word, "-" for none."""
    then = spec.target.then if isinstance(spec.target, SideTarget) else None
    if isinstance(then, VerdictTarget):
        return "DENY" if then.name == "DROP" else then.name
    if isinstance(then, JumpTarget):
        return then.chain
    return "REJECT" if isinstance(then, RejectTarget) else "MASQ" if isinstance(then, MasqTarget) else "-"


def chain_lists(table: TableInfo, style: Style, chain: str = "") -> str:
    """Print `ipchains -L`: the columns' heading comes before a chain's first rule."""
    out = ""
    for each in table.chains:
        if chain in ("", each.name):
            out += f"Chain {each.name} ({_about(each, style)}):\n"
            for at, rule in enumerate(each.rules, 1):
                out += (_heading(style) if at == 1 else "") + _row(rule, at, style)
    return out


def _about(chain: ChainInfo, style: Style) -> str:
    if not chain.policy:
        return f"{chain.references} references"
    counters = f": {chain.packets} packets, {chain.bytes} bytes" if style.verbose else ""
    return f"policy {chain.policy}{counters}"


def _heading(style: Style) -> str:
    out = "num  " if style.line_numbers else ""
    if style.verbose:
        out += "    pkts      bytes " if style.exact else " pkts bytes "
    out += "target     prot opt    "
    if style.verbose:
        out += f"tosa tosx  {'ifname':<10} {'mark':<10} {'outsize':<7} "
    return f"{out} {'source':<20}  {'destination':<20}  ports\n"


def _count(value: int) -> str:
    if value <= 99_999:
        return f"{value:5} "
    for unit in "KM":
        value = (value + 500) // 1000
        if value <= 9_999:
            return f"{value:4}{unit} "
    return f"{(value + 500) // 1000:4}G "


def _row(rule: RuleInfo, number: int, style: Style) -> str:
    spec = rule.spec
    out = f"{number:<4} " if style.line_numbers else ""
    if style.verbose:
        out += f"{rule.packets:8} {rule.bytes:10} " if style.exact else _count(rule.packets) + _count(rule.bytes)
    proto = protocol_name(spec.proto) if spec.proto else "all"
    out += f"{target_name(spec):<9} {'!' if spec.invert & IPT_INV_PROTO else ' '}{proto:<5}{_flags(spec)} "
    if style.verbose:
        out += _verbose(spec, style)
    out += f"{'!' if spec.invert & IPT_INV_SRCIP else ' '}{_address(spec.src, style.numeric):<20} "
    out += f"{'!' if spec.invert & IPT_INV_DSTIP else ''}{_address(spec.dst, style.numeric):<20}"
    return f"{out}{_ports(spec, style.numeric)}\n"


def _flags(spec: RuleSpec) -> str:
    tcp = next((match for match in spec.matches if isinstance(match, TcpMatch)), TcpMatch())
    side = spec.target
    log = isinstance(side, SideTarget) and side.log
    return (
        f"{'!' if tcp.invert & XT_TCP_INV_FLAGS else '-'}{'y' if tcp.flags_mask else '-'}"
        f"{'!' if spec.invert & IPT_INV_FRAG else '-'}{'f' if spec.fragment else '-'}{'l' if log else '-'}-"
    )


def _verbose(spec: RuleSpec, style: Style) -> str:
    side = spec.target if isinstance(spec.target, SideTarget) else SideTarget(then=None)
    via = next((match for match in spec.matches if isinstance(match, ViaMatch)), None)
    name = via.name if via is not None else "*" if style.numeric else "any"
    mark = f"{'':<11}"
    if side.mark is not None:
        value = side.mark - 0x1_0000_0000 if side.mark_relative and side.mark >> 31 else side.mark
        mark = f"0x{value:<+10x} " if side.mark_relative else f"0x{value:<10x} "
    sign = "!" if via is not None and via.invert else " "
    return f"0x{side.tos_and:02X} 0x{side.tos_xor:02X} {sign}{name:<10} {mark}{'':<8}"


def _address(net: tuple[int, int], numeric: bool) -> str:
    addr, mask = net
    if not numeric:
        if not mask:
            return "anywhere"
        if addr == LOOPBACK and mask == 0xFFFFFFFF:
            return "localhost"
    return f"{ip_str(addr)}{mask_text(mask)}"


def _ports(spec: RuleSpec, numeric: bool) -> str:
    """Print the last column: "n/a", an ICMP name, or "source -> destination"."""
    if spec.proto not in (ICMP, TCP, UDP):
        return "  n/a"
    everything = "*" if numeric else "any"
    if spec.proto == ICMP:
        icmp = next((match for match in spec.matches if isinstance(match, IcmpMatch)), IcmpMatch(type=ICMP_ANY))
        name = next((each[0] for each in ICMP_NAMES if each[1:] == (icmp.type, *icmp.codes)), "")
        if name and not numeric and icmp.type != ICMP_ANY:
            return f"  {name}"
        kind = everything if icmp.type == ICMP_ANY else str(icmp.type)
        code = everything if icmp.codes == (0, 0xFF) else str(icmp.codes[0])
        return f"  {kind} ->   {code}"
    match = next((each for each in spec.matches if isinstance(each, TcpMatch | UdpMatch)), UdpMatch())
    proto = "" if numeric else protocol_name(spec.proto)
    source = f"{' !' if match.invert & XT_TCP_INV_SRCPT else '  '}{_range(match.sports, proto, everything)}"
    return f"{source} -> {' !' if match.invert & XT_TCP_INV_DSTPT else '  '}{_range(match.dports, proto, everything)}"


def _range(ports: tuple[int, int], proto: str, everything: str) -> str:
    if ports == ANY_PORT:
        return everything
    low, high = (service_name(port, proto) if proto else str(port) for port in ports)
    return low if ports[0] == ports[1] else f"{low}:{high}"


def save_text(spec: RuleSpec) -> str:
    """Print a rule as the words behind `-A CHAIN`, with a blank before each. Source: ipchains-save(8)."""
    out = ""
    ports = next((match for match in spec.matches if isinstance(match, TcpMatch | UdpMatch)), UdpMatch())
    for letter, net, bit, range_, port_bit in (
        ("s", spec.src, IPT_INV_SRCIP, ports.sports, XT_TCP_INV_SRCPT),
        ("d", spec.dst, IPT_INV_DSTIP, ports.dports, XT_TCP_INV_DSTPT),
    ):
        if net[1] or range_ != ANY_PORT:
            length = mask_length(net[1])
            sign = "! " if spec.invert & bit else ""
            out += f" -{letter} {sign}{ip_str(net[0])}/{ip_str(net[1]) if length is None else length}"
        if range_ != ANY_PORT:
            out += f" {'! ' if ports.invert & port_bit else ''}{_range(range_, '', '')}"
    for match in spec.matches:
        if isinstance(match, ViaMatch):
            out += f" -i {'! ' if match.invert else ''}{match.name}"
        elif isinstance(match, IcmpMatch) and match.type != ICMP_ANY:
            out += f" --icmp-type {match.type}" + (f" --dport {match.codes[0]}" if match.codes != (0, 0xFF) else "")
        elif isinstance(match, TcpMatch) and match.flags_mask:
            out += f"{' !' if match.invert & XT_TCP_INV_FLAGS else ''} -y"
    if spec.proto:
        out += f" -p {'! ' if spec.invert & IPT_INV_PROTO else ''}{protocol_name(spec.proto)}"
    if spec.fragment:
        out += f"{' !' if spec.invert & IPT_INV_FRAG else ''} -f"
    return out + _save_target(spec)


def _save_target(spec: RuleSpec) -> str:
    side = spec.target
    if not isinstance(side, SideTarget):
        return ""
    out = " -l" if side.log else ""
    if side.mark is not None:
        value = side.mark - 0x1_0000_0000 if side.mark_relative and side.mark >> 31 else side.mark
        out += f" -m {value:+}" if side.mark_relative else f" -m {value}"
    if (side.tos_and, side.tos_xor) != (0xFF, 0):
        out += f" -t {side.tos_and:02x} {side.tos_xor:02x}"
    return out + (f" -j {target_name(spec)}" if side.then is not None else "")


def masquerading(entries: tuple[ConntrackInfo, ...], numeric: bool) -> str:
    """Print `ipchains -M -L`: what is masqueraded, with the port that stands outside in brackets."""
    out = "IP masquerading entries\n"
    if entries:
        out += f"prot {'expire':<8} {'source':<20} {'destination':<20} ports\n"
    for entry in entries:
        proto = protocol_name(entry.proto)
        minutes, seconds = divmod(entry.timeout, 60)
        ends = [
            service_name(port, proto) if not numeric and proto in ("tcp", "udp") else str(port)
            for port in (entry.orig.sport, entry.orig.dport)
        ]
        out += (
            f"{proto.upper():<5}{minutes:02}:{seconds:02}.00 {ip_str(entry.orig.src):<20} {ip_str(entry.orig.dst):<20} "
        )
        out += f"{ends[0]} ({entry.reply.dport}) -> {ends[1]}\n"
    return out
