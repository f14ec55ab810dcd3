"""Linkwatch: when a box hears that a carrier came or went.

The device knows at once; routes and neighbours hear of it in batches. A batch is run at once when none has been for a
second, else at the end of that second: the second of two uplinks that fail within it is found late, and a carrier that
comes back before the end is never missed. Only a carrier that returns to a device whose loss was told, and any change
of a paired device, whose peer is in a box too, does not wait.

Source: net/core/link_watch.c linkwatch_fire_event(), linkwatch_urgent_event(), __linkwatch_run_queue() (6.x);
linux-kernel 1.8.
"""

from __future__ import annotations

from typing import Protocol

from netsim.stack.device import Device
from netsim.stack.interfaces import Interfaces
from netsim.stack.timers import Timers, wheel
from netsim.units import NS_PER_S, Ns

INTERVAL: Ns = NS_PER_S


class Told(Protocol):
    """Who is told of a carrier, when it is time."""

    def carrier_told(self, dev: Device, *, now: Ns) -> None:
        """Act on NETDEV_CHANGE."""
        ...


class LinkWatch:
    """The carrier events of one box. Without `waits` each is told as it comes: of paired devices, and in 2.4."""

    def __init__(self, *, interfaces: Interfaces, timers: Timers, told: Told, waits: bool) -> None:
        self._interfaces = interfaces
        self._timers = timers
        self._told = told
        self._waits = waits
        self._pending: list[Device] = []
        self._next: Ns = 0
        self._ran: Ns = -1
        self._armed = False

    def changed(self, dev: Device, *, now: Ns) -> None:
        """Take a change of carrier. Mirrors linkwatch_fire_event()."""
        if not self._waits:
            self._tell(dev, now)
            return
        urgent = self._urgent(dev)
        if dev not in self._pending:
            self._pending.append(dev)
        elif not urgent:
            return
        if now >= self._next or now == self._ran:  # of one instant is of one batch: the work runs after both
            self._run(now)
        elif urgent:
            self._pending.remove(dev)
            self._tell(dev, now)
        elif not self._armed:
            self._armed = True
            self._timers.arm(wheel(now, self._next - now), self._due)

    def forget(self, dev: Device) -> None:
        """Tell nothing more of a device that goes. Mirrors linkwatch_forget_dev()."""
        if dev in self._pending:
            self._pending.remove(dev)

    def _urgent(self, dev: Device) -> bool:
        """Tell whether a device that was given up has its carrier again: qdisc_tx_changing()."""
        return dev.up and dev.carrier and not dev.running

    def _due(self, now: Ns) -> None:
        self._armed = False
        self._run(now)

    def _run(self, now: Ns) -> None:
        """Tell all that waits."""
        self._next, self._ran = now + INTERVAL, now
        pending, self._pending = self._pending, []
        for dev in pending:
            self._tell(dev, now)

    def _tell(self, dev: Device, now: Ns) -> None:
        """Mirror linkwatch_do_dev(): nothing is told about a device that is down."""
        if dev.up:
            self._interfaces.set_running(dev, dev.carrier)
            self._told.carrier_told(dev, now=now)
