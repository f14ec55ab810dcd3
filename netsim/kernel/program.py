"""A program on the reactor: what it says is read as it comes, and its end is news like any other.

It has ended when its own process has: whoever holds its pipes longer (a child in the background) is listened to, so
that it can go on talking, and what it says then is not kept.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from typing import IO

from netsim.kernel.reactor import Reactor
from netsim.shell.tool import CommandResult

PIECE = 1 << 16
TURNS = 32
"""How often a pipe is read at one news: more than a pipe holds, less than somebody who never stops can say."""
SIGNALLED = 128


class Program:
    """A process that was just started, its pipes if it has any. `close` it, whatever happened.

    `status` is None while it runs, then as a shell tells it: 128 and the signal where one ended it. `ended()` is called
    then. `keep` bounds what is kept of each pipe to the last octets.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], reactor: Reactor, *, keep: int | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.status: int | None = None
        self._process = process
        self._reactor = reactor
        self._keep = keep
        self._ended = ended
        self._said = (bytearray(), bytearray())
        self._pipes: dict[int, IO[bytes]] = {}
        self._pidfd = os.pidfd_open(process.pid)
        reactor.add(self._pidfd, self._over)
        for number, stream in enumerate((process.stdout, process.stderr)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._pipes[number] = stream
                reactor.add(stream.fileno(), partial(self._read, number))

    @property
    def over(self) -> bool:
        """Whether it has ended and nobody holds its pipes any more."""
        return self.status is not None and not self._pipes

    @property
    def result(self) -> CommandResult:
        """What became of it: the status of one that still runs is none, -1."""
        return CommandResult(self.stdout, self.stderr, -1 if self.status is None else self.status)

    @property
    def stdout(self) -> str:
        """What it said so far, as far as it is kept."""
        return self._said[0].decode(errors="replace")

    @property
    def stderr(self) -> str:
        """What it complained of so far, as far as it is kept."""
        return self._said[1].decode(errors="replace")

    def _read(self, number: int, _mask: int) -> None:
        stream, said = self._pipes[number], self._said[number]
        for _ in range(TURNS):
            try:
                piece = os.read(stream.fileno(), PIECE)
            except BlockingIOError:
                return
            if not piece:
                self._shut(number)
                return
            if self.status is None:
                said += piece
                if self._keep is not None:
                    del said[: -self._keep]

    def _over(self, _mask: int) -> None:
        """Take the end: what it said last is in the pipes."""
        for number in list(self._pipes):
            self._read(number, 0)
        self._reap()
        self._ended()

    def _reap(self) -> None:
        self._reactor.remove(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        self.status = SIGNALLED - code if code < 0 else code

    def _shut(self, number: int) -> None:
        stream = self._pipes.pop(number)
        self._reactor.remove(stream.fileno())
        stream.close()

    def kill(self) -> None:
        """End it, with its group where it heads one: its end is told as any."""
        if self.status is None:
            pid = self._process.pid  # not reaped yet: nobody else has this number
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                self._process.kill()

    def close(self) -> bool:
        """End it if it still runs, without calling `ended`, and listen no more. Return whether it had to be killed."""
        killed = False
        if self.status is None:
            killed = self._process.poll() is None
            if killed:
                self.kill()
            self._reap()
        for number in list(self._pipes):
            self._shut(number)
        return killed
