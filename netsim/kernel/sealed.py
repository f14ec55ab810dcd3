"""Sealed namespaces: network namespaces without a name, which nothing outside can reach and nobody need clean up.

A namespace is held by descriptors of this process alone. The kernel takes it down, with every device in it, when the
last of them is closed: at `close`, at the end of the process, and just as well after a SIGKILL, so there is nothing to
find and mend at the next start. No device ever leads into the namespace the process was started in.
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
_OWN = "/proc/thread-self/ns/net"

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/"}
)
"""What commands see: the C locale, so that the tools speak the words netsim prints."""


class Namespace:
    """A network namespace of this process's own making. `label` is for messages only."""

    def __init__(self, label: str) -> None:
        """Make it, empty but for lo. Raises Skipped where the kernel refuses."""
        self.label = label
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
        """Start a process in the namespace, at the head of its own group: Ctrl-C is for this process, which ends it.

        No preexec_fn: with one, Python forks the whole of itself, which costs 10 ms more a command.
        """
        with self.inside():
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(ENVIRONMENT),
                cwd="/", start_new_session=True,
            )  # fmt: skip

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

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
