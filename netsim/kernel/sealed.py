"""Sealed namespaces: network namespaces without a name, which nothing outside can reach and nobody need clean up.

A namespace is held by descriptors of this process alone. The kernel takes it down, with every device in it, when the
last of them is closed: at `close`, at the end of the process, and just as well after a SIGKILL, so there is nothing to
find and mend at the next start. No device ever leads into the namespace the process was started in.

The processes of a box have a namespace too, of process numbers: when its first process ends, the kernel ends them all,
those in the background and those that left their group included. The first process reads from a pipe that only this
process writes to, so it ends with it, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from netsim.errors import Skipped

CLONE_NEWNET = 0x40000000
CLONE_NEWPID = 0x20000000
_OWN = "/proc/thread-self/ns/net"
_OWN_PROCESSES = "/proc/thread-self/ns/pid"
_OF_CHILDREN = "/proc/thread-self/ns/pid_for_children"
_FIRST = "trap '' CHLD; exec cat"
"""The first process of a box buries its orphans unseen, which takes no more than to ignore their end."""

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"}
)
"""What commands see: the C locale, so that the tools speak the words netsim prints."""


class Processes:
    """A namespace for process numbers with its first process. Raises Skipped where the kernel refuses."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        with self._back_home():
            if self._libc.unshare(CLONE_NEWPID):
                raise Skipped(f"no namespace for processes can be made: {os.strerror(ctypes.get_errno())}")
            self._first = subprocess.Popen(
                ["sh", "-c", _FIRST], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=dict(ENVIRONMENT), cwd="/", start_new_session=True,
            )  # fmt: skip
            self._fd = os.open(_OF_CHILDREN, os.O_RDONLY | os.O_CLOEXEC)
        self._started: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def _back_home(self) -> Iterator[None]:
        """Let what this thread starts from here on be where the thread is, as it was before."""
        home = os.open(_OWN_PROCESSES, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield
        finally:
            self._enter(home)
            os.close(home)

    def _enter(self, fd: int) -> None:
        if self._libc.setns(fd, CLONE_NEWPID):
            raise Skipped(f"setns: {os.strerror(ctypes.get_errno())}")

    def start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process, at the head of its own group: Ctrl-C is for this process, which ends it.

        No preexec_fn: with one, Python forks the whole of itself, which costs 10 ms more a command.
        """
        with self._back_home():
            self._enter(self._fd)
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(ENVIRONMENT),
                cwd="/", start_new_session=True,
            )  # fmt: skip
        self._started = [*(each for each in self._started if each.returncode is None), process]
        return process

    def close(self) -> None:
        """End them all; when this returns none is left. The first one's end waits for those that are ours to bury."""
        os.close(self._fd)
        self._first.kill()
        for process in self._started:
            process.wait()
        self._first.communicate()


class Namespace:
    """A network namespace of this process's own making. `label` is for messages only."""

    def __init__(self, label: str) -> None:
        """Make it, empty but for lo. Raises Skipped where the kernel refuses."""
        self.label = label
        self._processes: Processes | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if self._libc.unshare(CLONE_NEWNET):
                raise Skipped(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}")
            self.fd = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
            self._enter(home)
        finally:
            os.close(home)

    def _enter(self, fd: int) -> None:
        if self._libc.setns(fd, CLONE_NEWNET):
            raise Skipped(f"setns: {os.strerror(ctypes.get_errno())}")

    @property
    def path(self) -> str:
        """A path that `ip ... netns PATH` takes while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread be in the namespace: sockets it opens and processes it starts stay there."""
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(self.fd)
            try:
                yield
            finally:
                self._enter(home)
        finally:
            os.close(home)

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """Open a socket in the namespace."""
        with self.inside():
            return socket.socket(family, kind | socket.SOCK_CLOEXEC, proto)

    def start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process in the namespace; it ends with it, with all that it started."""
        if self._processes is None:
            self._processes = Processes()
        with self.inside():
            return self._processes.start(argv)

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        """Run a process to its end; return its status and what it said."""
        process = self.start(argv)
        out, err = process.communicate()
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def write(self, path: str, text: str) -> bool:
        """Write a file below /proc/sys as the namespace sees it; False when there is none or it refuses."""
        with self.inside():
            try:
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            except OSError:
                return False
        return True

    def read(self, path: str) -> str | None:
        """Read a file below /proc as the namespace sees it, None when there is none."""
        with self.inside():
            try:
                with open(path, encoding="ascii") as file:
                    return file.read().strip()
            except OSError:
                return None

    def end_processes(self) -> None:
        """End every process that was started here, and all that they started."""
        if self._processes is not None:
            self._processes.close()
            self._processes = None

    def close(self) -> None:
        """Let go of it, and end its processes."""
        self.end_processes()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
