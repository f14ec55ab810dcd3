"""SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP. Source: extensions/libxt_NAT.c, libipt_NETMAP.c (1.8.9)."""

from __future__ import annotations

from netsim.addr import ip_str, parse_ip
from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, host_mask, mask_length, number
from netsim.shell.iptables.names import service_port
from netsim.stack.netfilter.nat_range import (
    NF_NAT_RANGE_MAP_IPS,
    NF_NAT_RANGE_NETMAP,
    NF_NAT_RANGE_PERSISTENT,
    NF_NAT_RANGE_PROTO_OFFSET,
    NF_NAT_RANGE_PROTO_RANDOM,
    NF_NAT_RANGE_PROTO_RANDOM_FULLY,
    NF_NAT_RANGE_PROTO_SPECIFIED,
    NatRange,
)
from netsim.stack.netfilter.rulespec import NatTarget

_NEED_PORTS = "Need TCP, UDP, SCTP or DCCP with port specification"
_FLAGS = (
    ("random", NF_NAT_RANGE_PROTO_RANDOM), ("random-fully", NF_NAT_RANGE_PROTO_RANDOM_FULLY),
    ("persistent", NF_NAT_RANGE_PERSISTENT),
)  # fmt: skip


def _port(text: str) -> tuple[int, str]:
    """Read the port that a text begins with, and what follows it. Raises MisuseError."""
    end = len(text)
    for char in "-/":
        at = text.find(char)
        end = min(end, at) if at >= 0 else end
    value = number(text[:end], 0, 0xFFFF)
    if value is None:
        value = service_port(text[:end])
        if value is None and "-" not in text[:end]:
            # A service's name may hold a dash itself ("ftp-data").
            value = service_port(text)
            end = len(text) if value is not None else end
    if value is None:
        raise MisuseError(f"Port `{text[:end]}' not valid")
    return value, text[end:]


def _ports(text: str, shifted: bool) -> tuple[int, int, int, int]:
    """Read "80", "80-90", "80-90/1000"; answers low, high, base and the flags. Source: parse_ports()."""
    low, rest = _port(text)
    if not rest:
        return low, low, 0, NF_NAT_RANGE_PROTO_SPECIFIED
    if not rest.startswith("-"):
        raise MisuseError(f"Garbage after port value: `{rest}'")
    high, rest = _port(rest[1:])
    if low > high:
        raise MisuseError(f"Port range `{high}' funky")
    flags = NF_NAT_RANGE_PROTO_SPECIFIED
    if not rest:
        return low, high, 0, flags
    if not rest.startswith("/"):
        raise MisuseError(f"Garbage after port range: `{rest}'")
    base, rest = _port(rest[1:])
    if rest:
        raise MisuseError(f"Garbage after base port value: `{rest}'")
    # SNAT knows no shifted range: the kernel's option is kept, its base is not.
    return low, high, base if shifted else 0, flags | NF_NAT_RANGE_PROTO_OFFSET


def _addresses(text: str) -> tuple[int, int]:
    first, dash, second = text.partition("-")
    ends = []
    for part in (first, second if dash else first):
        try:
            ends.append(parse_ip(part))
        except ValueError:
            raise MisuseError(f'Bad IP address "{part}"') from None
    return ends[0], ends[1]


def _ports_need_a_protocol(text: str, head: RuleHead) -> None:
    if not head.proto:
        raise MisuseError(_NEED_PORTS)


def _address_ports_need_a_protocol(text: str, head: RuleHead) -> None:
    if ":" in text:
        _ports_need_a_protocol(text, head)


def read_range(text: str, shifted: bool) -> NatRange:
    """Read "IP[-IP][:port[-port[/base]]]". Raises MisuseError. Source: parse_to()."""
    addresses, colon, ports = text.partition(":")
    low = high = base = flags = 0
    if colon:
        if ":" in ports:
            raise MisuseError(f'Bad IP address "{text}"')
        low, high, base, flags = _ports(ports, shifted)
        if not addresses:
            return NatRange(flags, 0, 0, low, high, base)
    first, last = _addresses(addresses)
    return NatRange(flags | NF_NAT_RANGE_MAP_IPS, first, last, low, high, base)


def _range_text(wanted: NatRange) -> str:
    out = ""
    if wanted.flags & NF_NAT_RANGE_MAP_IPS:
        out = ip_str(wanted.min_ip)
        if wanted.max_ip != wanted.min_ip:
            out += f"-{ip_str(wanted.max_ip)}"
    if wanted.flags & NF_NAT_RANGE_PROTO_SPECIFIED:
        out += f":{_ports_text(wanted)}"
    return out


def _ports_text(wanted: NatRange) -> str:
    out = str(wanted.min_proto)
    if wanted.max_proto != wanted.min_proto:
        out += f"-{wanted.max_proto}"
    if wanted.flags & NF_NAT_RANGE_PROTO_OFFSET:
        out += f"/{wanted.base_proto}"
    return out


def _flag_text(flags: int, dashes: str) -> str:
    return "".join(f" {dashes}{name}" for name, bit in _FLAGS if flags & bit)


def _flag_bits(uses: Uses) -> int:
    return sum(bit for name, bit in _FLAGS if name in uses)


class AddressExtension:
    """`-j SNAT` and `-j DNAT`."""

    def __init__(self, name: str, option: str, flags: tuple[str, ...]) -> None:
        self.name = name
        self._option = option
        self.options: tuple[Option, ...] = (
            Option(owner=name, name=option, mandatory=True, check=_address_ports_need_a_protocol),
            *(Option(owner=name, name=flag, args=0) for flag in flags),
        )

    def build(self, uses: Uses, head: RuleHead) -> NatTarget:
        """Make the spec."""
        text = uses.value(self._option)[0]
        wanted = read_range(text, self.name == "DNAT")
        flags = wanted.flags | _flag_bits(uses)
        return NatTarget(
            self.name,
            NatRange(flags, wanted.min_ip, wanted.max_ip, wanted.min_proto, wanted.max_proto, wanted.base_proto),
        )

    def save(self, spec: NatTarget) -> str:
        """Print range and flags."""
        return f" --{self._option} {_range_text(spec.range)}{_flag_text(spec.range.flags, '--')}"

    def show(self, spec: NatTarget, numeric: bool) -> str:
        """Print "to:10.0.0.1:80 random"."""
        return f" to:{_range_text(spec.range)}{_flag_text(spec.range.flags, '')}"


def _read_ports(option: Option, text: str) -> tuple[int, int]:
    if ":" in text:
        raise MisuseError("Invalid port:port syntax - use dash")
    low, high, _, _ = _ports(text, False)
    return low, high


class PortExtension:
    """`-j MASQUERADE` and `-j REDIRECT`: ports alone."""

    def __init__(self, name: str, label: str, flags: tuple[str, ...]) -> None:
        self.name = name
        self._label = label
        self.options: tuple[Option, ...] = (
            Option(owner=name, name="to-ports", read=_read_ports, check=_ports_need_a_protocol),
            *(Option(owner=name, name=flag, args=0) for flag in flags),
        )

    def build(self, uses: Uses, head: RuleHead) -> NatTarget:
        """Make the spec."""
        flags = _flag_bits(uses)
        if "to-ports" not in uses:
            return NatTarget(self.name, NatRange(flags))
        low, high = uses.value("to-ports")
        return NatTarget(self.name, NatRange(flags | NF_NAT_RANGE_PROTO_SPECIFIED, 0, 0, low, high))

    def save(self, spec: NatTarget) -> str:
        """Print ports and flags."""
        ports = f" --to-ports {_ports_text(spec.range)}" if spec.range.flags & NF_NAT_RANGE_PROTO_SPECIFIED else ""
        return f"{ports}{_flag_text(spec.range.flags, '--')}"

    def show(self, spec: NatTarget, numeric: bool) -> str:
        """Print "masq ports: 1000-2000 random", "redir ports 8080"."""
        ports = f" {self._label} {_ports_text(spec.range)}" if spec.range.flags & NF_NAT_RANGE_PROTO_SPECIFIED else ""
        return f"{ports}{_flag_text(spec.range.flags, '')}"


class NetmapExtension:
    """`-j NETMAP`."""

    name = "NETMAP"
    options = (Option(owner="NETMAP", name="to", read=host_mask, mandatory=True),)

    def build(self, uses: Uses, head: RuleHead) -> NatTarget:
        """Make the spec: the whole network as a range."""
        addr, mask = uses.value("to")
        network = addr & mask
        return NatTarget(
            self.name,
            NatRange(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_NETMAP, network, network | ~mask & 0xFFFFFFFF),
        )

    def save(self, spec: NatTarget) -> str:
        """Print the network, /32 too."""
        return f" --to {self._network(spec)}"

    def show(self, spec: NatTarget, numeric: bool) -> str:
        """Print "to:10.0.0.0/24"."""
        return f" to:{self._network(spec)}"

    @staticmethod
    def _network(spec: NatTarget) -> str:
        mask = ~(spec.range.min_ip ^ spec.range.max_ip) & 0xFFFFFFFF
        length = mask_length(mask)
        return f"{ip_str(spec.range.min_ip)}/{ip_str(mask) if length is None else length}"


EXTENSIONS = (
    AddressExtension("SNAT", "to-source", ("random", "random-fully", "persistent")),
    AddressExtension("DNAT", "to-destination", ("random", "persistent")),
    PortExtension("MASQUERADE", "masq ports:", ("random", "random-fully")),
    PortExtension("REDIRECT", "redir ports", ("random",)),
    NetmapExtension(),
)
