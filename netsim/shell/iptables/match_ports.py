"""tcp, udp, multiport: matches on ports and TCP's header. Source: libxt_tcp.c, libxt_udp.c, libxt_multiport.c."""

from __future__ import annotations

from types import MappingProxyType

from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, bang, port
from netsim.shell.iptables.names import protocol_name, service_name
from netsim.stack.netfilter.matchspec import (
    ANY_PORT,
    XT_TCP_INV_DSTPT,
    XT_TCP_INV_FLAGS,
    XT_TCP_INV_OPTION,
    XT_TCP_INV_SRCPT,
    MultiportMatch,
    TcpMatch,
    UdpMatch,
)

TCP, UDP = 6, 17
_FLAGS = (("FIN", 0x01), ("SYN", 0x02), ("RST", 0x04), ("PSH", 0x08), ("ACK", 0x10), ("URG", 0x20))
_FLAG_VALUES = MappingProxyType({**dict(_FLAGS), "ALL": 0x3F, "NONE": 0})
SYN_MASK, SYN_CMP = 0x17, 0x02
_SYN_OR_FLAGS = "Only one of `--syn' or `--tcp-flags'  allowed"
_MULTIPORT_PROTOS = (TCP, UDP, 136, 132, 33)
_MULTIPORT_MAX = 15


def _port_range(text: str, proto: str) -> tuple[int, int]:
    """Read "80", "80:90", ":90", "80:" or a service. Raises MisuseError."""
    first, colon, second = text.partition(":")
    if not colon:
        single = port(first, proto)
        return single, single
    low = port(first, proto) if first else 0
    high = port(second, proto) if second else 0xFFFF
    if low > high:
        raise MisuseError("invalid portrange (min > max)")
    return low, high


def _port_options(owner: str) -> tuple[Option, Option]:
    def read(option: Option, text: str) -> tuple[int, int]:
        return _port_range(text, owner)

    return (
        Option(owner=owner, name="source-port", aliases=("sport",), read=read, invert=True,
               repeated="Only one `--source-port' allowed"),
        Option(owner=owner, name="destination-port", aliases=("dport",), read=read, invert=True,
               repeated="Only one `--destination-port' allowed"),
    )  # fmt: skip


def _save_ports(spec: TcpMatch | UdpMatch) -> str:
    out = ""
    for name, ports, bit in (("sport", spec.sports, XT_TCP_INV_SRCPT), ("dport", spec.dports, XT_TCP_INV_DSTPT)):
        inverted = bool(spec.invert & bit)
        if ports != ANY_PORT or inverted:
            low, high = ports
            out += f"{bang(inverted)} --{name} {low if low == high else f'{low}:{high}'}"
    return out


def _show_ports(spec: TcpMatch | UdpMatch, numeric: bool, proto: str) -> str:
    out = ""
    for name, ports, bit in (("spt", spec.sports, XT_TCP_INV_SRCPT), ("dpt", spec.dports, XT_TCP_INV_DSTPT)):
        inverted = bool(spec.invert & bit)
        if ports == ANY_PORT and not inverted:
            continue
        ends = [str(end) if numeric else service_name(end, proto) for end in ports]
        sign = "!" if inverted else ""
        out += f" {name}:{sign}{ends[0]}" if ports[0] == ports[1] else f" {name}s:{sign}{ends[0]}:{ends[1]}"
    return out


def _flags(text: str) -> int:
    """Read a comma list of TCP flags. Raises MisuseError."""
    value = 0
    for name in text.split(","):
        if name.upper() not in _FLAG_VALUES:
            raise MisuseError(f"Unknown TCP flag `{name}'")
        value |= _FLAG_VALUES[name.upper()]
    return value


def _flag_names(value: int) -> str:
    return ",".join(name for name, bit in _FLAGS if value & bit) or "NONE"


def _tcp_option(option: Option, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 255):
        raise MisuseError(f'Bad TCP option "{text}"')
    return int(text)


class TcpExtension:
    """`-m tcp`."""

    name = "tcp"
    options = (
        *_port_options("tcp"),
        Option(owner="tcp", name="syn", args=0, invert=True, repeated=_SYN_OR_FLAGS),
        Option(owner="tcp", name="tcp-flags", args=2, invert=True, repeated=_SYN_OR_FLAGS),
        Option(owner="tcp", name="tcp-option", read=_tcp_option, invert=True,
               repeated="Only one `--tcp-option' allowed"),
    )  # fmt: skip

    def build(self, uses: Uses, head: RuleHead) -> TcpMatch:
        """Make the spec."""
        if "syn" in uses and "tcp-flags" in uses:
            raise MisuseError(_SYN_OR_FLAGS)
        mask = cmp = 0
        if "syn" in uses:
            mask, cmp = SYN_MASK, SYN_CMP
        elif "tcp-flags" in uses:
            mask, cmp = (_flags(each) for each in uses.value("tcp-flags"))
        invert = (
            (XT_TCP_INV_SRCPT if uses.inverted("source-port") else 0)
            | (XT_TCP_INV_DSTPT if uses.inverted("destination-port") else 0)
            | (XT_TCP_INV_FLAGS if uses.inverted("syn") or uses.inverted("tcp-flags") else 0)
            | (XT_TCP_INV_OPTION if uses.inverted("tcp-option") else 0)
        )
        return TcpMatch(
            sports=uses.value("source-port", ANY_PORT),
            dports=uses.value("destination-port", ANY_PORT),
            flags_mask=mask,
            flags_cmp=cmp,
            option=uses.value("tcp-option", 0),
            invert=invert,
        )

    def save(self, spec: TcpMatch) -> str:
        """Print ports, option, flags in that order."""
        out = _save_ports(spec)
        if spec.option:
            out += f"{bang(bool(spec.invert & XT_TCP_INV_OPTION))} --tcp-option {spec.option}"
        if spec.flags_mask or spec.invert & XT_TCP_INV_FLAGS:
            names = f"{_flag_names(spec.flags_mask)} {_flag_names(spec.flags_cmp)}"
            out += f"{bang(bool(spec.invert & XT_TCP_INV_FLAGS))} --tcp-flags {names}"
        return out

    def show(self, spec: TcpMatch, numeric: bool, head: RuleHead) -> str:
        """Print "tcp dpt:80 flags:0x17/0x02"."""
        out = f" tcp{_show_ports(spec, numeric, 'tcp')}"
        if spec.option:
            out += f" option={'!' if spec.invert & XT_TCP_INV_OPTION else ''}{spec.option}"
        if spec.flags_mask or spec.invert & XT_TCP_INV_FLAGS:
            sign = "!" if spec.invert & XT_TCP_INV_FLAGS else ""
            if numeric:
                out += f" flags:{sign}0x{spec.flags_mask:02X}/0x{spec.flags_cmp:02X}"
            else:
                out += f" flags:{sign}{_flag_names(spec.flags_mask)}/{_flag_names(spec.flags_cmp)}"
        return out


class UdpExtension:
    """`-m udp`."""

    name = "udp"
    options = _port_options("udp")

    def build(self, uses: Uses, head: RuleHead) -> UdpMatch:
        """Make the spec."""
        return UdpMatch(
            sports=uses.value("source-port", ANY_PORT),
            dports=uses.value("destination-port", ANY_PORT),
            invert=(XT_TCP_INV_SRCPT if uses.inverted("source-port") else 0)
            | (XT_TCP_INV_DSTPT if uses.inverted("destination-port") else 0),
        )

    def save(self, spec: UdpMatch) -> str:
        """Print the ports."""
        return _save_ports(spec)

    def show(self, spec: UdpMatch, numeric: bool, head: RuleHead) -> str:
        """Print "udp dpt:53"."""
        return f" udp{_show_ports(spec, numeric, 'udp')}"


_WHICH = MappingProxyType({"source-ports": "sports", "destination-ports": "dports", "ports": "ports"})


def _check_protocol(text: str, head: RuleHead) -> None:
    if not head.proto:
        raise MisuseError("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'")
    if head.proto_inverted or head.proto not in _MULTIPORT_PROTOS:
        raise MisuseError("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP")


class MultiportExtension:
    """`-m multiport`."""

    name = "multiport"
    options = (
        Option(owner="multiport", name="source-ports", aliases=("sports",), invert=True, check=_check_protocol,
               excludes=("destination-ports", "ports")),
        Option(owner="multiport", name="destination-ports", aliases=("dports",), invert=True, check=_check_protocol,
               excludes=("source-ports", "ports")),
        Option(owner="multiport", name="ports", invert=True, check=_check_protocol,
               excludes=("source-ports", "destination-ports")),
    )  # fmt: skip

    def build(self, uses: Uses, head: RuleHead) -> MultiportMatch:
        """Make the spec."""
        if not uses:
            raise MisuseError("multiport expection an option")
        name = next(each for each in _WHICH if each in uses)
        ports = self._ports(uses.value(name)[0], protocol_name(head.proto))
        return MultiportMatch(which=_WHICH[name], ports=ports, invert=uses.inverted(name))

    @staticmethod
    def _ports(text: str, proto: str) -> tuple[tuple[int, int], ...]:
        ports: list[tuple[int, int]] = []
        used = 0
        for part in text.split(","):
            first, colon, second = part.partition(":")
            used += 2 if colon else 1
            if used > _MULTIPORT_MAX:
                raise MisuseError("too many ports specified")
            low = port(first, proto)
            high = port(second, proto) if colon else low
            if colon and low >= high:
                raise MisuseError("invalid portrange specified")
            ports.append((low, high))
        return tuple(ports)

    def save(self, spec: MultiportMatch) -> str:
        """Print the list."""
        return f"{bang(spec.invert)} --{spec.which} {self._list(spec, '')}"

    def show(self, spec: MultiportMatch, numeric: bool, head: RuleHead) -> str:
        """Print "multiport dports 80,443"."""
        proto = "" if numeric else protocol_name(head.proto)
        return f" multiport {spec.which} {' !' if spec.invert else ''}{self._list(spec, proto)}"

    @staticmethod
    def _list(spec: MultiportMatch, proto: str) -> str:
        def end(value: int) -> str:
            return service_name(value, proto) if proto else str(value)

        return ",".join(end(low) if low == high else f"{end(low)}:{end(high)}" for low, high in spec.ports)


EXTENSIONS = (TcpExtension(), UdpExtension(), MultiportExtension())
