"""The models of `expect:`: one class a row of the contract's table, told apart by the key that names it.

Source: design/scenario-format.md, "Expectations".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag

from netsim.addr import parse_ip
from netsim.scenario.fields import Count, CountOrShare, ShareBound, WindowText, Within
from netsim.topology.fields import DeviceName, Duration, Model, NodeName, reader
from netsim.topology.model import as_list

NeighState: TypeAlias = Literal[
    "NONE", "INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT"
]


def split_neigh(text: str) -> tuple[str, str, str]:
    """Split "router 10.0.1.1 dev wan0" into node, address and device. Raises ValueError."""
    words = text.split()
    if len(words) != 4 or words[2] != "dev":
        raise ValueError(f"{text!r} does not name a neighbour")
    parse_ip(words[1])
    return words[0], words[1], words[3]


def _neigh(text: str) -> str:
    split_neigh(text)
    return text


class _Expectation(Model):
    """What every expectation has."""

    kind: ClassVar[str]
    name: str
    about: str = ""
    after: str | None = Field(None, description="the event that times are counted from; default: the start")


class ShareExpectation(_Expectation):
    """Of the IP octets sent towards gateways in the window, each gateway got that part."""

    kind: ClassVar[str] = "share"
    during: WindowText | None = Field(None, description="default: the whole run")
    share: dict[NodeName, ShareBound]


class NeighExpectation(_Expectation):
    """A neighbour entry first enters a state inside the bound, or is in it at a time."""

    kind: ClassVar[str] = "neigh"
    neigh: Annotated[str, BeforeValidator(reader("a neighbour", "NODE IP dev DEV", _neigh))]
    state: NeighState
    within: Within | None = None
    at: Duration | None = None


class Failover(Model):
    """Which flow moves from where to where."""

    flow: str
    source: NodeName = Field(alias="from")
    to: NodeName


class FailoverExpectation(_Expectation):
    """From some instant inside the bound on, every new connection leaves towards the other gateway."""

    kind: ClassVar[str] = "failover"
    failover: Failover
    within: Within


class FlowExpectation(_Expectation):
    """What became of a flow's packets or connections in a window."""

    kind: ClassVar[str] = "flow"
    flow: str
    during: WindowText | None = Field(None, description="default: the whole run")
    delivered: CountOrShare | None = None
    lost: CountOrShare | None = None
    longest_gap: Within | None = None
    latency: Within | None = Field(None, description="95th percentile")
    survives: bool | None = Field(None, description="no reset, time-out or new connection")


class CaptureExpectation(_Expectation):
    """That many packets match a pcap filter at an interface or on a link."""

    kind: ClassVar[str] = "capture"
    capture: str
    filter: str = ""
    count: Count
    during: WindowText | None = Field(None, description="default: the whole run")


class CommandExpectation(_Expectation):
    """A command's answer at a time."""

    kind: ClassVar[str] = "run"
    node: NodeName
    at: Duration
    run: str
    shows: Annotated[tuple[str, ...], BeforeValidator(as_list, json_schema_input_type=str | list[str])] = ()
    not_shows: Annotated[tuple[str, ...], BeforeValidator(as_list, json_schema_input_type=str | list[str])] = ()
    matches: str | None = Field(None, description="a regular expression found in the output")
    json_: Any = Field(None, alias="json", description="a part of the JSON the command prints")  # Any: JSON values
    rc: int | None = None
    stderr: str | None = None


class DropsExpectation(_Expectation):
    """Packets ended for these reasons that often."""

    kind: ClassVar[str] = "drops"
    drops: dict[str, Count]
    during: WindowText | None = Field(None, description="default: the whole run")


class RepeatableExpectation(_Expectation):
    """A second run gives the same digest."""

    kind: ClassVar[str] = "repeatable"
    repeatable: Literal[True]


KINDS: Mapping[str, type[_Expectation]] = MappingProxyType({
    cls.kind: cls
    for cls in (
        ShareExpectation, NeighExpectation, FailoverExpectation, FlowExpectation, CaptureExpectation,
        CommandExpectation,
        DropsExpectation, RepeatableExpectation,
    )
})  # fmt: skip


def kind_of(value: Any) -> str | None:  # Any: whatever the file holds
    """Return the kind whose key the expectation has, None if it has none."""
    if isinstance(value, _Expectation):
        return value.kind
    return next((kind for kind in KINDS if kind in value), None) if isinstance(value, Mapping) else None


Expectation: TypeAlias = Annotated[
    Annotated[ShareExpectation, Tag("share")]
    | Annotated[NeighExpectation, Tag("neigh")]
    | Annotated[FailoverExpectation, Tag("failover")]
    | Annotated[FlowExpectation, Tag("flow")]
    | Annotated[CaptureExpectation, Tag("capture")]
    | Annotated[CommandExpectation, Tag("run")]
    | Annotated[DropsExpectation, Tag("drops")]
    | Annotated[RepeatableExpectation, Tag("repeatable")],
    Discriminator(kind_of),
]

__all__ = [
    "KINDS", "CaptureExpectation", "CommandExpectation", "DeviceName", "DropsExpectation", "Expectation", "Failover",
    "FailoverExpectation", "FlowExpectation", "NeighExpectation", "RepeatableExpectation", "ShareExpectation",
    "kind_of",
    "split_neigh",
]  # fmt: skip
