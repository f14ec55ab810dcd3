"""The model of a scenario file: a topology, traffic, events, expectations, observation. Frozen after loading.

Source: design/scenario-format.md, "Scenario".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PrivateAttr

from netsim.scenario.actions import Event
from netsim.scenario.expectations import Expectation
from netsim.scenario.fields import Target
from netsim.scenario.located import Map
from netsim.topology.fields import Address, DeviceName, Duration, Model, NodeName, Port, SendRate, Size
from netsim.topology.model import Kernel, Patch, Sysctls, Topology, as_list, frozen_list
from netsim.units import NS_PER_S, Ns, parse_rate

TrafficKind: TypeAlias = Literal["udp", "tcp", "ping", "http", "ftp"]
Plot: TypeAlias = Literal["gateways", "neigh", "timeline", "flows", "latency", "topology", "ladder"]
Listing: TypeAlias = Literal["neigh", "nat", "commands", "events", "drops"]

_MINUTE: Ns = 60 * NS_PER_S
_SIZES: Mapping[str, int] = MappingProxyType({"udp": 100, "ping": 56, "tcp": 1000, "http": 10_000, "ftp": 100_000})

ONLY_FOR: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "reply": ("udp",), "hold": ("tcp",), "mode": ("ftp",), "sport": ("udp", "tcp", "http", "ftp"),
})  # fmt: skip
"""Options that only some kinds of traffic have."""


class Traffic(Model):
    """One named flow, or N like it."""

    about: str = ""
    source: Annotated[
        tuple[NodeName, ...], BeforeValidator(as_list, json_schema_input_type=NodeName | list[NodeName])
    ] = Field(alias="from", min_length=1)
    to: Annotated[tuple[Target, ...], BeforeValidator(as_list, json_schema_input_type=Target | list[Target])] = Field(
        min_length=1, description="NODE or ADDRESS with optional :PORT; a list is taken in turn"
    )
    server: NodeName | None = Field(None, description="the node that answers, where the address is translated")
    kind: TrafficKind = "udp"
    start: Duration = 0
    stop: Duration | None = Field(None, description="default: the end of the run")
    count: Annotated[int, Field(ge=1)] | None = None
    every: Annotated[Duration, Field(gt=0)] | None = None
    rate: SendRate | None = None
    size: Size | None = Field(None, description="payload; default 100 udp, 56 ping, 1000 tcp, 10 kB http, 100 kB ftp")
    flows: Annotated[int, Field(ge=1, le=10_000)] = 1
    new_flows: bool = Field(False, description="each datagram or transfer from a fresh source port")
    sport: Port | None = None
    src: Address | None = Field(None, description="bind address")
    dev: DeviceName | None = Field(None, description="bind device")
    ttl: Annotated[int, Field(ge=1, le=255)] | None = None
    tos: Annotated[int, Field(ge=0, le=255)] | None = None
    reply: bool = Field(False, description="udp: the receiver echoes")
    hold: bool = Field(False, description="tcp: one connection stays open and sends `size` each `every`")
    mode: Literal["active", "passive"] = Field("passive", description="ftp")

    @property
    def payload(self) -> int:
        """The payload in octets, the kind's default filled in."""
        return _SIZES[self.kind] if self.size is None else self.size

    @property
    def interval(self) -> Ns | None:
        """The time between two datagrams, requests or connections; None means one transfer only.

        A bit rate counts payload. udp and ping without either send once a second, a held connection too.
        """
        if self.every is not None:
            return self.every
        if isinstance(self.rate, int):
            return self.rate
        if self.rate is not None:
            return max(1, self.payload * 8 * NS_PER_S // parse_rate(self.rate))
        return NS_PER_S if self.kind in {"udp", "ping"} or self.hold else None


class Live(Model):
    """A node whose stack is a real one under `netsim live`; every other command emulates it."""

    namespace: Literal["auto"] | None = Field(None, description="auto: the running kernel's, in a namespace of its own")
    tap: DeviceName | None = Field(None, description="whatever is behind this TAP device, which you have made")
    dev: DeviceName | None = Field(None, description="the tap's interface; needed where the node has more than one")
    serve: str = Field("", description="command lines of programs that run as long as the run: real servers")


class Observe(Model):
    """What a run keeps and draws."""

    plot: Annotated[tuple[Plot, ...], BeforeValidator(as_list, json_schema_input_type=Plot | list[Plot])] = ()
    pcap: Annotated[tuple[str, ...], BeforeValidator(as_list, json_schema_input_type=str | list[str])] = ()
    bin: Annotated[Duration, Field(gt=0)] = NS_PER_S // 2
    lists: Annotated[tuple[Listing, ...], BeforeValidator(as_list, json_schema_input_type=list[Listing])] = (
        "neigh", "nat", "commands",
    )  # fmt: skip


class Scenario(Model):
    """A run as its file says it, the topology included."""

    name: str = ""
    about: str = ""
    seed: int = 1
    duration: Annotated[Duration, Field(gt=0)] = _MINUTE
    topology: Topology
    kernel: dict[NodeName, Kernel] = Field(default_factory=dict, description="overrides of the topology, by node")
    patches: dict[
        NodeName, Annotated[tuple[Patch, ...], BeforeValidator(as_list, json_schema_input_type=list[Patch])]
    ] = Field(default_factory=dict)
    sysctl: dict[NodeName, Sysctls] = Field(default_factory=dict)
    run: dict[NodeName, str] = Field(
        default_factory=dict, description="command lines after the topology's own, by node"
    )
    traffic: dict[NodeName, Traffic] = Field(default_factory=dict)
    events: Annotated[tuple[Event, ...], BeforeValidator(frozen_list, json_schema_input_type=list[Event])] = ()
    expect: Annotated[
        tuple[Expectation, ...], BeforeValidator(frozen_list, json_schema_input_type=list[Expectation])
    ] = ()
    observe: Observe = Field(default_factory=Observe)
    live: dict[NodeName, Live] = Field(default_factory=dict, description="nodes that are real under `netsim live`")
    _origin: Map | None = PrivateAttr(None)

    @property
    def origin(self) -> Map | None:
        """The located tree this scenario was read from, for problems found later; None when made in Python."""
        return self._origin

    def with_origin(self, tree: Map) -> Scenario:
        """Remember where every value was written."""
        self._origin = tree
        return self

    def effective_topology(self) -> Topology:
        """Return the topology with this scenario's kernel, patches, sysctl and run lines worked in."""
        nodes = {}
        for name, node in self.topology.nodes.items():
            changes: dict[str, Any] = {}  # Any: values of several fields
            if name in self.kernel:
                changes["kernel"] = self.kernel[name]
                changes["patches"] = None
            if name in self.patches:
                changes["patches"] = self.patches[name]
            if name in self.sysctl:
                changes["sysctl"] = {**node.sysctl, **self.sysctl[name]}
            if name in self.run:
                changes["run"] = f"{node.run.rstrip()}\n{self.run[name]}".lstrip("\n")
            nodes[name] = node.model_copy(update=changes) if changes else node
        return self.topology.model_copy(update={"nodes": nodes})
