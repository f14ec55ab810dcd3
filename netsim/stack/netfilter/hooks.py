"""What everybody at a hook shares: hook numbers, verdicts, priorities, the packet's context and the box's services.

Source: include/uapi/linux/netfilter.h, netfilter_ipv4.h (6.x); linux-kernel 5.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from netsim.stack.device import Device
from netsim.stack.interfaces import Interfaces
from netsim.stack.outbox import Outbox
from netsim.stack.ports import Exit, IcmpSender, LocalOutput, Rng, Routing
from netsim.stack.profile.netfilter import NetfilterEra
from netsim.stack.profile.patches import Patches
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.stack.netfilter.conntrack import ConntrackTable
    from netsim.stack.netfilter.nat import Nat

NF_DROP = 0
NF_ACCEPT = 1
NF_STOLEN = 2

NF_INET_PRE_ROUTING = 0
NF_INET_LOCAL_IN = 1
NF_INET_FORWARD = 2
NF_INET_LOCAL_OUT = 3
NF_INET_POST_ROUTING = 4
HOOKS = range(5)
HOOK_CHAINS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""The built-in chain of each hook, by hook number."""

NF_IP_PRI_CONNTRACK_DEFRAG = -400
NF_IP_PRI_RAW = -300
NF_IP_PRI_CONNTRACK = -200
NF_IP_PRI_MANGLE = -150
NF_IP_PRI_NAT_DST = -100
NF_IP_PRI_FILTER = 0
NF_IP_PRI_SECURITY = 50
NF_IP_PRI_NAT_SRC = 100
NF_IP_PRI_CONNTRACK_HELPER = 300
NF_IP_PRI_CONNTRACK_CONFIRM = 0x7FFFFFFF
NF_IP_PRI_LAST = 0x7FFFFFFF

HookFn: TypeAlias = Callable[[Skb, "Device | None", "Device | None", Ns], int]
"""What is registered at a hook: (skb, indev, outdev, now) -> verdict."""


class Defrag(Protocol):
    """Who puts fragments together before connection tracking sees them (ipv4/fragment.py)."""

    def gather(self, skb: Skb, hook: int, *, now: Ns) -> bool:
        """Mirror nf_ct_ipv4_gather_frags(): True when `skb` now is the whole packet, False when it was taken away."""
        ...


class Services:
    """The collaborators of everything in this room: built once a box, never changed after.

    `nat` and `conntrack` are set by core.py while it builds the room.
    """

    __slots__ = (
        "conntrack", "defrag", "era", "exit", "icmp", "interfaces", "local_output", "nat", "node", "outbox", "patches",
        "rng", "routing", "sysctl", "timers",
    )  # fmt: skip

    conntrack: ConntrackTable
    nat: Nat

    def __init__(
        self, *, node: str, era: NetfilterEra, patches: Patches, interfaces: Interfaces, sysctl: Sysctl, timers: Timers,
        outbox: Outbox, rng: Rng, routing: Routing, icmp: IcmpSender, local_output: LocalOutput, exit: Exit,
        defrag: Defrag,
    ) -> None:  # fmt: skip
        self.node = node
        self.era = era
        self.patches = patches
        self.interfaces = interfaces
        self.sysctl = sysctl
        self.timers = timers
        self.outbox = outbox
        self.rng = rng
        self.routing = routing
        self.icmp = icmp
        self.local_output = local_output
        self.exit = exit
        self.defrag = defrag


class HookContext:
    """One packet at one hook, as matches and targets see it. Built by position, once for each table traversed."""

    __slots__ = ("hook", "indev", "now", "outdev", "services")

    def __init__(self, hook: int, indev: Device | None, outdev: Device | None, now: Ns, services: Services) -> None:
        self.hook = hook
        self.indev = indev
        self.outdev = outdev
        self.now = now
        self.services = services

    @property
    def nat(self) -> Nat:
        """Where NAT targets set up a connection's mapping."""
        return self.services.nat
