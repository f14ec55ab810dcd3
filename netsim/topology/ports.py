"""The interfaces a topology implies: which devices a node has, in which order, with which MAC, on which link.

Source: design/scenario-format.md, "MACs not given are 02:NN:NN:NN:NN:PP, node number as 32 bits, then the port";
"A node with more than one addressed Ethernet device and no `ip_forward` of its own forwards".
"""

from __future__ import annotations

from dataclasses import dataclass

from netsim.topology.model import Interface, Node, Topology

_FORWARD = "net.ipv4.ip_forward"
_PLAIN = Interface.model_validate({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One interface of one node, everything decided."""

    node: str
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    addresses: tuple[str, ...]
    link: str

    @property
    def end(self) -> str:
        """The interface as files name it: NODE:IFACE."""
        return f"{self.node}:{self.name}"


def default_mac(node: int, port: int) -> str:
    """Return the MAC of port `port` (from 1) of node number `node` (from 1).

    The 256th port of a node and those after it go on in the node bits' top, far from any real number of nodes.
    """
    number = node.to_bytes(4, "big")
    spill, low = divmod(port, 256)
    return ":".join(f"{octet:02x}" for octet in (0x02, number[0] ^ spill, *number[1:], low))


def ports_of(topology: Topology) -> dict[str, tuple[Port, ...]]:
    """Return each node's interfaces but lo: first those of `addr`, then of `interfaces`, then of links, as listed."""
    on_link: dict[str, str] = {}
    devices: dict[str, dict[str, None]] = {}
    for name, node in topology.nodes.items():
        devices[name] = dict.fromkeys(dev for dev in (*node.addr, *node.interfaces) if dev != "lo")
    for link, spec in topology.links.items():
        for end in spec.ends:
            name, _, dev = end.partition(":")
            on_link[end] = link
            devices.setdefault(name, {})[dev] = None
    out: dict[str, tuple[Port, ...]] = {}
    for number, (name, node) in enumerate(topology.nodes.items(), 1):
        ports = []
        for port, dev in enumerate(devices[name], 1):
            own = node.interfaces.get(dev, _PLAIN)
            addresses = node.addr.get(dev, ())
            ports.append(Port(
                node=name, name=dev, kind=own.kind, mac=own.mac or default_mac(number, port), mtu=own.mtu,
                up=bool(addresses) if own.up is None else own.up, addresses=addresses,
                link=on_link.get(f"{name}:{dev}", ""),
            ))  # fmt: skip
        out[name] = tuple(ports)
    return out


def forwards(node: Node) -> bool:
    """Tell whether a node without its own word on ip_forward forwards: more than one addressed Ethernet device."""
    if _FORWARD in node.sysctl:
        return node.sysctl[_FORWARD].strip() != "0"
    addressed = [dev for dev in node.addr if dev != "lo" and node.interfaces.get(dev, _PLAIN).kind == "ether"]
    return len(addressed) > 1


def first_address(node: Node) -> str | None:
    """Return the address a node in `to:` stands for: its first on lo, else its first."""
    for dev in ("lo", *node.addr):
        for text in node.addr.get(dev, ()):
            return text.partition("/")[0]
    return None
