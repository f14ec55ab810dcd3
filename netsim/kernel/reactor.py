"""Who waits for which descriptor: edge-triggered epoll, so that what nobody reads does not wake the loop again."""

from __future__ import annotations

import select
from collections.abc import Callable

from netsim.units import NS_PER_S, Ns

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP

Callback = Callable[[int], None]
"""callback(mask): what epoll says of the descriptor."""


class Reactor:
    """Descriptors and what to call when they have news."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}

    def add(self, fd: int, callback: Callback, mask: int = READABLE) -> None:
        """Call `callback` at each news of a descriptor; what is there already counts as news."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, mask | select.EPOLLET)

    def remove(self, fd: int) -> None:
        """Forget a descriptor, before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def poll(self, timeout: Ns) -> bool:
        """Wait for news, call who waits for it, and tell whether there was any.

        epoll counts in milliseconds and rounds up; select, asked about the epoll itself, waits to the microsecond.
        """
        if timeout > 0:
            select.select((self._epoll,), (), (), timeout / NS_PER_S)
        events = self._epoll.poll(0)
        for fd, mask in events:
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback(mask)
        return bool(events)

    def close(self) -> None:
        """Let go of everything."""
        self._callbacks.clear()
        self._epoll.close()
