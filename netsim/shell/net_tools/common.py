"""What the three commands share: addresses as inet_aton reads them, errors, and the classes of the old Internet."""

from __future__ import annotations

import re
from typing import TypeVar

from netsim.addr import MASKS, Ip
from netsim.shell.iproute2.names import c_number
from netsim.shell.tool import Box, Failure, Word
from netsim.stack.errno import Refusal
from netsim.stack.requests import Request
from netsim.units import Ns

T = TypeVar("T")


def aton(text: str) -> Ip:
    """Read an address as inet_aton() does: the last part fills the rest, so "10.1" is 10.0.0.1. Raises ValueError."""
    parts = [c_number(part) for part in text.split(".")]
    rest = 5 - len(parts)
    if rest < 1 or max(parts[:-1], default=0) > 255 or parts[-1] >= 1 << 8 * rest:
        raise ValueError(f"{text!r} is not an IPv4 address")
    return int.from_bytes(bytes(parts[:-1]) + parts[-1].to_bytes(rest, "big"), "big")


def resolve(word: Word, rc: int, *, after: str = "") -> Ip:
    """Read an address; names are unknown here. Raises Failure in the resolver's words."""
    if word.text == "default":
        return 0
    try:
        return aton(word.text)
    except ValueError:
        why = "Unknown host" if re.fullmatch(r"[0-9.]+", word.text) else "Host name lookup failure"
        raise Failure(f"{word.text}: {why}{after}", rc, word) from None


def class_length(addr: Ip) -> int:
    """Mirror inet_abc_len(): the prefix length of an address's class, -1 for class D."""
    if not addr >> 24:
        return 0
    if addr >> 31 == 0:
        return 8
    if addr >> 30 == 2:
        return 16
    return 24 if addr >> 29 == 6 else -1


def mask_length(mask: Ip) -> int:
    """Return the length of a netmask. Raises ValueError when it has holes."""
    return MASKS.index(mask)


class Ioctl:
    """Requests said to be ioctls: a refusal is reported under the ioctl's name."""

    def __init__(self, box: Box, now: Ns) -> None:
        self.box = box
        self.now = now

    def do(self, name: str, req: Request[T], rc: int) -> T:
        """Ask. Raises Failure as `NAME: words`."""
        answer = self.box.request(req, now=self.now)
        if isinstance(answer, Refusal):
            raise Failure(f"{name}: {answer.strerror}", rc)
        return answer

    def list(self, req: Request[tuple[T, ...]]) -> tuple[T, ...]:
        """Ask for a list; a refused one is empty."""
        answer = self.box.request(req, now=self.now)
        return () if isinstance(answer, Refusal) else answer
