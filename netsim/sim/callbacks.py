"""A person's netfilter callback: a scapy packet in, a verdict or an edited scapy packet out.

The box works on octets; only here, between its hook and the person, the packet is scapy's. A packet that a callback
edited goes out as it is: netsim mends no checksum, and marks it so that nobody answers for one.
Source: design/scenario-format.md, "In Python and pytest".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from netsim.errors import SimulationError
from netsim.stack.device import Device
from netsim.stack.netfilter.hooks import (
    NF_ACCEPT,
    NF_DROP,
    NF_INET_FORWARD,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
)
from netsim.stack.skb import Skb
from netsim.trace.bus import Bus
from netsim.trace.records import HookVerdict
from netsim.units import Ns

ACCEPT = NF_ACCEPT
DROP = NF_DROP

HOOKS: Mapping[str, int] = MappingProxyType({
    "PREROUTING": NF_INET_PRE_ROUTING, "INPUT": NF_INET_LOCAL_IN, "FORWARD": NF_INET_FORWARD,
    "OUTPUT": NF_INET_LOCAL_OUT, "POSTROUTING": NF_INET_POST_ROUTING,
})  # fmt: skip
"""The chains' names, as iptables has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackContext:
    """Where and when a callback sees its packet; `indev` or `outdev` is "" where there is none."""

    node: str
    hook: str
    indev: str
    outdev: str
    mark: int
    now: Ns


Callback: TypeAlias = Callable[[Any, CallbackContext], Any]
"""callback(packet, ctx) -> ACCEPT, DROP or the edited packet. Any: packets are scapy's, which has no types."""


def hook_number(name: str) -> int:
    """Return a hook by its chain's name. Raises SimulationError, and names those there are."""
    number = HOOKS.get(name.upper().replace("_", ""))
    if number is None:
        raise SimulationError(f"no hook {name!r}; there are: {', '.join(HOOKS)}")
    return number


def adapt(node: str, hook: str, callback: Callback, bus: Bus) -> Callable[[Skb, Device | None, Device | None, Ns], int]:
    """Wrap a person's callback as a hook function of the box."""

    def run(skb: Skb, indev: Device | None, outdev: Device | None, now: Ns) -> int:
        from netsim.wire.scapy_view import Packet, dissect

        octets = bytes(skb.data)
        packet = dissect(octets, link_header=False)
        ctx = CallbackContext(
            node=node,
            hook=hook,
            indev=indev.name if indev else "",
            outdev=outdev.name if outdev else "",
            mark=skb.mark,
            now=now,
        )
        answer = callback(packet, ctx)
        if answer is None:
            raise SimulationError(
                f"the callback at {hook} of {node} returned nothing; return ACCEPT, DROP or the packet"
            )
        verdict = DROP if isinstance(answer, int) and answer == DROP else ACCEPT
        edited = verdict == ACCEPT and _take(skb, answer if isinstance(answer, Packet) else packet, octets)
        if HookVerdict in bus.wanted:
            said = "DROP" if verdict == DROP else "ACCEPT, edited" if edited else "ACCEPT"
            name = getattr(callback, "__name__", type(callback).__name__)
            bus.publish(HookVerdict(now, node, hook, "callback", name, 0, "", said, skb.uid))
        return verdict

    return run


def _take(skb: Skb, packet: Any, before: bytes) -> bool:  # Any: a scapy packet
    """Put the callback's octets into the packet on its way; tell whether they differ."""
    from netsim.wire.scapy_view import Ether, to_octets

    if isinstance(packet, Ether):
        packet = packet.payload
    octets = to_octets(packet)
    if octets == before:
        return False
    if len(octets) < 20 or octets[0] >> 4 != 4:  # the least IPv4 header
        raise SimulationError("a callback must leave an IPv4 packet; return DROP to end it")
    skb.data[:] = octets
    skb.reload()
    skb.bad = True
    return True
