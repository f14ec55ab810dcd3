"""The models of `events:`: an instant, a verb and what it acts on.

Source: design/scenario-format.md, "Event verbs".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from netsim.topology.fields import Duration, End, Model, NodeName, Rate, Share

TargetKind: TypeAlias = Literal["node", "link", "end", "flow", "impair", "flap", "run", "inject"]

VERBS: Mapping[str, TargetKind] = MappingProxyType({
    "silence": "node", "revive": "node", "crash": "node", "boot": "node",
    "cut": "link", "join": "link",
    "unplug": "end", "plug": "end", "mute": "end", "unmute": "end", "down": "end", "up": "end", "remove": "end",
    "create": "end",
    "impair": "impair", "repair": "link", "flap": "flap", "run": "run", "start": "flow", "stop": "flow",
    "inject": "inject",
})  # fmt: skip
"""Each verb with what its value names."""

RESTORING = frozenset({"revive", "boot", "join", "plug", "unmute", "up", "create", "repair"})
"""The verbs that give back what another took."""


class Impairment(Model):
    """New settings of a link, until it is repaired; what is not given stays."""

    link: NodeName
    rate: Rate | None = None
    delay: Duration | None = None
    jitter: Duration | None = None
    loss: Share | None = None
    corrupt: Share | None = None
    duplicate: Share | None = None
    reorder: Share | None = None
    queue: Annotated[int, Field(ge=1)] | None = None


class Flap(Model):
    """A link that goes down and up, again and again."""

    link: NodeName
    down: Duration
    up: Duration
    times: Annotated[int, Field(ge=1, le=100_000)] = 1


class Injection(Model):
    """A frame that arrives at an interface out of nowhere, in scapy's notation: parsed, never evaluated."""

    to: End
    packet: str


class Event(Model):
    """One step of the timeline: exactly one verb."""

    at: Duration
    id_: str | None = Field(None, alias="id", description="the name that `after:` uses")
    about: str = ""
    silence: NodeName | None = Field(
        None, description="no frame leaves or enters; carriers, clock and applications run on"
    )
    revive: NodeName | None = Field(None, description="end of silence")
    crash: NodeName | None = Field(None, description="silence, and its tables are lost")
    boot: NodeName | None = Field(None, description="starts anew after a crash")
    cut: NodeName | None = Field(None, description="carrier lost at all ends of a link")
    join: NodeName | None = Field(None, description="end of a cut")
    unplug: End | None = Field(None, description="one end loses carrier")
    plug: End | None = Field(None, description="end of unplug")
    mute: End | None = Field(None, description="nothing in or out of one interface; its carrier stays")
    unmute: End | None = Field(None, description="end of mute")
    down: End | None = Field(None, description="as `ip link set DEV down`")
    up: End | None = Field(None, description="as `ip link set DEV up`")
    remove: End | None = Field(None, description="the device is unregistered")
    create: End | None = Field(None, description="the device is registered anew")
    impair: Impairment | None = Field(None, description="loss, delay, rate ... of a link from now on")
    repair: NodeName | None = Field(None, description="a link as the topology has it")
    flap: Flap | None = Field(None, description="a link that goes down and up")
    run: dict[NodeName, str] | None = Field(None, description="command lines; refusals are recorded, not errors")
    start: NodeName | None = Field(None, description="starts a flow")
    stop: NodeName | None = Field(None, description="stops a flow")
    inject: Injection | None = Field(None, description="a frame arrives at an interface")

    @property
    def verb(self) -> str:
        """The verb this event has."""
        return next(verb for verb in VERBS if getattr(self, verb) is not None)

    @property
    def argument(self) -> Any:  # Any: a name, an Impairment, a Flap, an Injection or command lines by node
        """What the verb was given."""
        return getattr(self, self.verb)

    @property
    def target(self) -> str:
        """What the verb acts on, as the result names it."""
        argument = self.argument
        if isinstance(argument, (Impairment, Flap)):
            return argument.link
        if isinstance(argument, Injection):
            return argument.to
        return ", ".join(argument) if isinstance(argument, dict) else str(argument)

    @property
    def id(self) -> str:
        """The id given, else VERB-TARGET."""
        return self.id_ or f"{self.verb}-{self.target}"
