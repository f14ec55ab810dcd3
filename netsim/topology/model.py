"""The model of a topology file: nodes, their interfaces, and the links between them.

Frozen values by types alone: cross references and command lines are the scenario floor's checks, which work on the
located tree. Source: design/scenario-format.md, "Topology".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from netsim.topology.fields import (
    Address,
    DeviceName,
    Duration,
    End,
    MacText,
    Model,
    NodeName,
    PrefixText,
    Rate,
    Share,
    shown,
    wrong,
)

Kernel: TypeAlias = Literal["linux-2.2", "linux-2.2-routes", "linux-2.4", "linux-2.4-routes", "linux-6"]
Patch: TypeAlias = Literal["static_routes", "alt_routes", "arp_prefsrc", "masq_csum_reroute", "key_gw", "nf_reroute"]
InterfaceKind: TypeAlias = Literal["ether", "ppp", "dummy", "tun"]
LinkKind: TypeAlias = Literal["cable", "hub", "switch"]


def as_list(value: Any) -> Any:  # Any: pydantic hands over whatever the file holds
    """Let a lone value stand for a list of one; lists become tuples, which is how a frozen model holds them."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def frozen_list(value: Any) -> Any:  # Any: as above
    """Turn a list into a tuple and leave everything else to the type."""
    return tuple(value) if isinstance(value, list) else value


def sysctl_text(value: Any) -> str:  # Any: as above
    """Take a sysctl's value as text, whether the file has a number or a text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise wrong(f"{shown(value)} is not a sysctl value", "write it as a number or text")
    return str(value)


SysctlValue: TypeAlias = Annotated[str, BeforeValidator(sysctl_text, json_schema_input_type=int | str)]
Sysctls: TypeAlias = dict[str, SysctlValue]


class Interface(Model):
    """What differs from a plain Ethernet interface that comes up when it gets an address."""

    kind: InterfaceKind = "ether"
    mac: MacText | None = Field(None, description="default 02:NN:NN:NN:NN:PP: node number, then port")
    mtu: Annotated[int, Field(ge=68, le=65535)] = 1500
    up: bool | None = Field(None, description="default: up when it has an address")


class Node(Model):
    """A Linux box."""

    about: str = Field("", description="a sentence for people")
    kernel: Kernel = "linux-6"
    patches: Annotated[tuple[Patch, ...], BeforeValidator(as_list, json_schema_input_type=list[Patch])] | None = Field(
        None, description="exactly these patches of the seed instead of the kernel's own set"
    )
    sysctl: Sysctls = Field(default_factory=dict, description="net.ipv4.ip_forward: 1, ...")
    addr: dict[
        DeviceName,
        Annotated[
            tuple[PrefixText, ...], BeforeValidator(as_list, json_schema_input_type=PrefixText | list[PrefixText])
        ],
    ] = Field(default_factory=dict, description="addresses by interface; adds them and brings the device up")
    default: Address | None = Field(None, description="short for: ip route add default via ADDRESS")
    gateway: bool | None = Field(None, description="counts as an ISP gateway; default: the name starts with isp or gw")
    run: str = Field("", description="Linux command lines, verbatim, in order")
    interfaces: dict[DeviceName, Interface] = Field(default_factory=dict, description="only what differs")


class Direction(Model):
    """What a link does to the frames of one direction; what is not given is as for the link."""

    rate: Rate | None = None
    delay: Duration | None = None
    jitter: Duration | None = None
    loss: Share | None = None
    corrupt: Share | None = None
    duplicate: Share | None = None
    reorder: Share | None = None
    queue: Annotated[int, Field(ge=1)] | None = Field(None, description="frames that wait for the line; default 100")


class Link(Direction):
    """A cable between two interfaces, or a hub or switch between more."""

    ends: Annotated[tuple[End, ...], BeforeValidator(as_list, json_schema_input_type=list[End])] = Field(
        description="NODE:IFACE, two for a cable, three or more for a hub"
    )
    kind: LinkKind | None = Field(None, description="default: cable with two ends, hub with more")
    a_to_b: Direction | None = Field(None, description="only for frames from the first end to the second")
    b_to_a: Direction | None = Field(None, description="only for frames from the second end to the first")

    @property
    def is_cable(self) -> bool:
        """Tell whether the link is a cable, said or by its number of ends."""
        return self.kind == "cable" or (self.kind is None and len(self.ends) == 2)

    def direction(self, end: int) -> Direction:
        """Return the settings of frames that leave from `ends[end]`, the link's own filled in."""
        special = self.a_to_b if end == 0 else self.b_to_a
        own = {name: getattr(self, name) for name in Direction.model_fields}
        if special is not None:
            own |= {name: getattr(special, name) for name in special.model_fields_set}
        return Direction.model_construct(**own)


class Topology(Model):
    """Nodes and links, in the order of the file, which is the order of numbering."""

    name: str = ""
    about: str = ""
    nodes: dict[NodeName, Node]
    links: dict[NodeName, Link] = Field(default_factory=dict)

    def is_gateway(self, name: str) -> bool:
        """Tell whether a node counts as an ISP gateway in shares and plots."""
        said = self.nodes[name].gateway
        return said if said is not None else name.startswith(("isp", "gw"))

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateways' names, in file order."""
        return tuple(name for name in self.nodes if self.is_gateway(name))
