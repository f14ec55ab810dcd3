"""What every request shares: the generic base, the answer of a change, netlink flags and route constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800

RTNH_F_DEAD = 1
RTNH_F_PERVASIVE = 2
RTNH_F_ONLINK = 4
RTNH_F_LINKDOWN = 16

RTPROT_UNSPEC = 0
RTPROT_REDIRECT = 1
RTPROT_KERNEL = 2
RTPROT_BOOT = 3
RTPROT_STATIC = 4


class Request(Generic[T]):
    """Something a box answers with a T, or a Refusal."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The answer of a request that only changes something."""


DONE = Done()
