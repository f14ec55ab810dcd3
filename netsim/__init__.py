"""netsim: a discrete-event network emulator with Linux routers, dead gateway detection and packet-level NAT.

What `__all__` names is public, and nothing else is. A name is imported when it is first used, so that `import netsim`
stays quick (scapy alone takes half a second).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.wire.scapy_view import rewrite

__all__ = ["rewrite"]

_HOMES = MappingProxyType({"rewrite": "netsim.wire.scapy_view"})


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
