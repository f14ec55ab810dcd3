"""Proxy entries (`ip neigh add proxy`) and the answers that wait a random moment.

Source: net/core/neighbour.c pneigh_lookup(), pneigh_enqueue(), neigh_proxy_process(); kernel-2.4-neighbour, `rand` 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from netsim.addr import Ip, Mac
from netsim.stack.device import Device
from netsim.stack.neigh.gc import draw_ticks
from netsim.stack.ports import Rng
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.timers import Timer, Timers
from netsim.units import Ns


class Delayed(NamedTuple):
    """One request whose answer waits until `at`."""

    at: Ns
    dev: Device
    payload: bytes
    pkt_type: int
    src_mac: Mac
    uid: int


Redo = Callable[[Delayed, Ns], None]
"""Answer, or with a device that went down drop, one request."""


class ProxyTable:
    """The addresses we stand in for by hand, and the queue of delayed answers with its one timer."""

    def __init__(self, *, era: NeighEra, timers: Timers, rng: Rng, redo: Redo) -> None:
        self._era = era
        self._timers = timers
        self._rng = rng
        self._redo = redo
        self._entries: dict[tuple[int, Ip], Device] = {}
        self._queue: list[Delayed] = []
        self._timer: Timer | None = None

    def __contains__(self, key: tuple[int, Ip]) -> bool:
        """Tell whether (ifindex, address) is an entry."""
        return key in self._entries

    def entries(self) -> list[tuple[Device, Ip]]:
        """List entries by device index, then in order of their coming."""
        return sorted(((dev, ip) for (_, ip), dev in self._entries.items()), key=lambda pair: pair[0].ifindex)

    def add(self, dev: Device, ip: Ip) -> None:
        """Add an entry; one that is there stays."""
        self._entries.setdefault((dev.ifindex, ip), dev)

    def delete(self, dev: Device, ip: Ip) -> bool:
        """Delete an entry; False when there is none."""
        return self._entries.pop((dev.ifindex, ip), None) is not None

    def flush(self, dev: Device) -> None:
        """Delete all entries of a device."""
        for key in [key for key in self._entries if key[0] == dev.ifindex]:
            del self._entries[key]

    @property
    def held(self) -> int:
        """Count the frames that wait."""
        return len(self._queue)

    def enqueue(self, frame: Delayed, *, now: Ns) -> bool:
        """Let a request wait uniformly in [0, proxy_delay); False when the queue is full. Source: pneigh_enqueue().

        `frame.at` is filled in here.
        """
        parms = frame.dev.neigh
        shared = self._era.proxy_queue_shared
        wait = draw_ticks(self._rng, parms.proxy_delay, self._era.draw_step)
        if sum(shared or each.dev is frame.dev for each in self._queue) > parms.proxy_qlen:
            return False
        tick = self._era.tick
        stamp = now - now % tick if tick else now
        self._queue.append(frame._replace(at=stamp + wait))
        self._arm(max(stamp + wait, stamp + tick))
        return True

    def purge(self, dev: Device | None) -> list[Delayed]:
        """Forget what waits for a device, or with None for any; returned for the caller to account for."""
        gone = [each for each in self._queue if dev is None or each.dev is dev]
        self._queue = [each for each in self._queue if dev is not None and each.dev is not dev]
        if not self._queue and self._timer is not None:
            self._timer.cancel()
        return gone

    def _arm(self, at: Ns) -> None:
        if self._timer is not None and self._timer.pending:
            if self._timer.at <= at:
                return
            self._timer.cancel()
        self._timer = self._timers.arm(at, self._run)

    def _run(self, at: Ns) -> None:
        """Mirror neigh_proxy_process()."""
        due = [each for each in self._queue if each.at <= at]
        self._queue = [each for each in self._queue if each.at > at]
        for frame in due:
            self._redo(frame, at)
        if self._queue:
            self._arm(min(each.at for each in self._queue))
