"""netsim: a discrete-event network emulator with Linux routers, dead gateway detection and packet-level NAT.

What `__all__` names is public, and nothing else is. A name is imported when it is first used, so that `import netsim`
stays quick (scapy alone takes half a second).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.lab import Lab
    from netsim.scenario.api import run
    from netsim.scenario.load import load
    from netsim.scenario.model import Scenario
    from netsim.scenario.result import Result
    from netsim.seeds import Seed
    from netsim.sim.callbacks import ACCEPT, DROP
    from netsim.stack.netns import Netns
    from netsim.units import ms, sec
    from netsim.wire.frame import Frame
    from netsim.wire.scapy_view import rewrite

__all__ = [
    "ACCEPT",
    "DROP",
    "Frame",
    "Lab",
    "Netns",
    "Result",
    "Scenario",
    "Seed",
    "load",
    "ms",
    "rewrite",
    "run",
    "sec",
]

_HOMES = MappingProxyType({
    "ACCEPT": "netsim.sim.callbacks", "DROP": "netsim.sim.callbacks", "Frame": "netsim.wire.frame", "Lab": "netsim.lab",
    "Netns": "netsim.stack.netns", "Result": "netsim.scenario.result", "Scenario": "netsim.scenario.model",
    "Seed": "netsim.seeds", "load": "netsim.scenario.load", "ms": "netsim.units", "rewrite": "netsim.wire.scapy_view",
    "run": "netsim.scenario.api", "sec": "netsim.units",
})  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)  # what a notebook completes, before anything is imported
