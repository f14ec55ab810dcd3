"""Kernel refusals as values: the errno, and the kernel's own sentence where it has one (extack).

Constants carry the kernel's names and values. Source: include/uapi/asm-generic/errno-base.h, errno.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

EPERM = 1
ENOENT = 2
ESRCH = 3
E2BIG = 7
EAGAIN = EWOULDBLOCK = 11
ENOMEM = 12
EACCES = 13
EBUSY = 16
EEXIST = 17
EXDEV = 18
ENODEV = 19
EINVAL = 22
ENOSPC = 28
EMLINK = 31
EPIPE = 32
ERANGE = 34
ENOTEMPTY = 39
ELOOP = 40
ENOPROTOOPT = 92
EPROTONOSUPPORT = 93
EOPNOTSUPP = 95
EAFNOSUPPORT = 97
EADDRINUSE = 98
EADDRNOTAVAIL = 99
ENETDOWN = 100
ENETUNREACH = 101
ECONNABORTED = 103
ECONNRESET = 104
ENOBUFS = 105
EISCONN = 106
ENOTCONN = 107
ETIMEDOUT = 110
ECONNREFUSED = 111
EHOSTDOWN = 112
EHOSTUNREACH = 113
EALREADY = 114
EINPROGRESS = 115
EMSGSIZE = 90
EDESTADDRREQ = 89
ENONET = 64

STRERROR = MappingProxyType({
    EPERM: "Operation not permitted", ENOENT: "No such file or directory", ESRCH: "No such process",
    E2BIG: "Argument list too long", EAGAIN: "Resource temporarily unavailable", ENOMEM: "Cannot allocate memory",
    EACCES: "Permission denied", EBUSY: "Device or resource busy", EEXIST: "File exists",
    EXDEV: "Invalid cross-device link", ENODEV: "No such device", EINVAL: "Invalid argument",
    ENOSPC: "No space left on device", EMLINK: "Too many links", EPIPE: "Broken pipe",
    ERANGE: "Numerical result out of range", ENOTEMPTY: "Directory not empty",
    ELOOP: "Too many levels of symbolic links", ENOPROTOOPT: "Protocol not available",
    EPROTONOSUPPORT: "Protocol not supported", EOPNOTSUPP: "Operation not supported",
    EAFNOSUPPORT: "Address family not supported by protocol", EADDRINUSE: "Address already in use",
    EADDRNOTAVAIL: "Cannot assign requested address", ENETDOWN: "Network is down",
    ENETUNREACH: "Network is unreachable", ECONNABORTED: "Software caused connection abort",
    ECONNRESET: "Connection reset by peer", ENOBUFS: "No buffer space available",
    EISCONN: "Transport endpoint is already connected", ENOTCONN: "Transport endpoint is not connected",
    ETIMEDOUT: "Connection timed out", ECONNREFUSED: "Connection refused", EHOSTDOWN: "Host is down",
    EHOSTUNREACH: "No route to host", EALREADY: "Operation already in progress",
    EINPROGRESS: "Operation now in progress", EMSGSIZE: "Message too long",
    EDESTADDRREQ: "Destination address required", ENONET: "Machine is not on the network",
})  # fmt: skip

NAMES = MappingProxyType({
    EPERM: "EPERM", ENOENT: "ENOENT", ESRCH: "ESRCH", E2BIG: "E2BIG", EAGAIN: "EAGAIN", ENOMEM: "ENOMEM",
    EACCES: "EACCES", EBUSY: "EBUSY", EEXIST: "EEXIST", EXDEV: "EXDEV", ENODEV: "ENODEV", EINVAL: "EINVAL",
    ENOSPC: "ENOSPC", EMLINK: "EMLINK", EPIPE: "EPIPE", ERANGE: "ERANGE", ENOTEMPTY: "ENOTEMPTY",
    ELOOP: "ELOOP", ENOPROTOOPT: "ENOPROTOOPT",
    EPROTONOSUPPORT: "EPROTONOSUPPORT", EOPNOTSUPP: "EOPNOTSUPP", EAFNOSUPPORT: "EAFNOSUPPORT",
    EADDRINUSE: "EADDRINUSE", EADDRNOTAVAIL: "EADDRNOTAVAIL", ENETDOWN: "ENETDOWN", ENETUNREACH: "ENETUNREACH",
    ECONNABORTED: "ECONNABORTED", ECONNRESET: "ECONNRESET", ENOBUFS: "ENOBUFS", EISCONN: "EISCONN",
    ENOTCONN: "ENOTCONN", ETIMEDOUT: "ETIMEDOUT", ECONNREFUSED: "ECONNREFUSED", EHOSTDOWN: "EHOSTDOWN",
    EHOSTUNREACH: "EHOSTUNREACH", EALREADY: "EALREADY", EINPROGRESS: "EINPROGRESS", EMSGSIZE: "EMSGSIZE",
    EDESTADDRREQ: "EDESTADDRREQ",
    ENONET: "ENONET",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """The kernel said no: nothing changed.

    `message` is the extack sentence ("Nexthop has invalid gateway"), "" where the kernel gives only a number.
    """

    errno: int
    message: str = ""

    @property
    def name(self) -> str:
        """The errno's name, "EEXIST"."""
        return NAMES[self.errno]

    @property
    def strerror(self) -> str:
        """The C library's words, "File exists"."""
        return STRERROR[self.errno]
