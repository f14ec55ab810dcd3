"""The files of /proc that people read and write in scripts: /proc/sys, /proc/net/arp, /proc/net/route.

Also the two commands that touch them, `echo` and `cat`; any other file does not exist here.
Source: net/ipv4/arp.c arp_seq_show(), net/ipv4/fib_trie.c fib_route_seq_show(), fs/proc/proc_sysctl.c; dash and
coreutils for the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.addr import MASKS, mac_str
from netsim.addr import ip_str as ip
from netsim.shell.tool import Box, CommandResult, LineProblem, Word
from netsim.stack.dst import RT_TABLE_MAIN, RTN_BROADCAST, RTN_MULTICAST, RTN_PROHIBIT, RTN_UNREACHABLE
from netsim.stack.errno import EACCES, EINVAL, EPERM, Refusal
from netsim.stack.metrics import RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW
from netsim.stack.nud_states import NUD_NOARP, NUD_PERMANENT, NUD_VALID
from netsim.stack.requests import (
    DumpNeighs,
    DumpRoutes,
    GetSysctl,
    ListSysctls,
    NeighInfo,
    RouteInfo,
    SetSysctl,
)
from netsim.units import Ns

SYS = "/proc/sys/"
ATF_COM, ATF_PERM, ATF_PUBL = 0x02, 0x04, 0x08
RTF_UP, RTF_GATEWAY, RTF_HOST, RTF_REJECT = 0x1, 0x2, 0x4, 0x200


def key_of(path: str) -> str:
    """Turn a path below /proc/sys into a dotted name; a dot inside a device's name becomes a slash."""
    return path.removeprefix(SYS).strip("/").translate(str.maketrans("./", "/."))


def path_of(key: str) -> str:
    """Turn a dotted name (dots inside a device's name written as slashes) into its path."""
    return SYS + key.translate(str.maketrans("./", "/."))


@dataclass(frozen=True, slots=True)
class FileError:
    """Why a file cannot be used, in the C library's words."""

    words: str


def read(box: Box, path: str, *, now: Ns) -> str | FileError:
    """Return what `cat` prints of a file, or why not."""
    if path.startswith(SYS):
        key = key_of(path)
        value = box.request(GetSysctl(key=key), now=now)
        if not isinstance(value, Refusal):
            return f"{value}\n"
        if value.errno in (EPERM, EACCES):
            return FileError("Permission denied")
        return FileError("Is a directory" if is_directory(box, path, now=now) else "No such file or directory")
    if path == "/proc/net/arp":
        return arp_file(box, now=now)
    if path == "/proc/net/route":
        return route_file(box, now=now)
    return FileError("No such file or directory")


def is_directory(box: Box, path: str, *, now: Ns) -> bool:
    """Tell whether any setting lies below `path`."""
    prefix = key_of(path)
    names = box.request(ListSysctls(), now=now)
    if isinstance(names, Refusal):
        return False
    return prefix == "" or any(name.startswith(f"{prefix}.") for name in names)


def write(box: Box, path: str, text: str, *, now: Ns) -> FileError | None:
    """Write a setting; None when it was taken. "I/O error" stands for whatever the kernel refused, as dash says it."""
    refusal = box.request(SetSysctl(key=key_of(path), value=text.strip()), now=now)
    return FileError("I/O error") if isinstance(refusal, Refusal) else None


def open_for_writing(box: Box, path: str, *, now: Ns) -> FileError | None:
    """Say why sh cannot open `path` for writing, None if it can (a setting, or /dev/null)."""
    if path == "/dev/null":
        return None
    if path.startswith(SYS):
        names = box.request(ListSysctls(), now=now)
        if not isinstance(names, Refusal) and key_of(path) in names:
            return None
        value = box.request(GetSysctl(key=key_of(path)), now=now)
        if not isinstance(value, Refusal) or value.errno in (EPERM, EACCES, EINVAL):
            return None
        return FileError("Is a directory" if is_directory(box, path, now=now) else "Directory nonexistent")
    if path in ("/proc/net/arp", "/proc/net/route"):
        return FileError("Permission denied")
    return FileError("Directory nonexistent")


def arp_flags(info: NeighInfo) -> int:
    """Return the ATF_ bits of an entry (arp_state_to_flags(); a proxy is PERM|PUBL)."""
    if info.proxy:
        return ATF_PERM | ATF_PUBL
    if info.state & NUD_PERMANENT:
        return ATF_PERM | ATF_COM
    return ATF_COM if info.state & NUD_VALID else 0


def arp_entries(box: Box, *, now: Ns) -> list[NeighInfo]:
    """Return what /proc/net/arp shows: entries but those that are NOARP, then proxies."""
    found: list[NeighInfo] = []
    for proxy in (False, True):
        entries = box.request(DumpNeighs(proxy=proxy), now=now)
        if not isinstance(entries, Refusal):
            found += [info for info in entries if info.proxy or (info.state and not info.state & NUD_NOARP)]
    return found


def arp_file(box: Box, *, now: Ns) -> str:
    """Return /proc/net/arp."""
    lines = ["IP address       HW type     Flags       HW address            Mask     Device"]
    for info in arp_entries(box, now=now):
        mac = mac_str(info.lladdr) if info.lladdr and info.state & NUD_VALID else "00:00:00:00:00:00"
        flags = f"0x{arp_flags(info):x}"
        lines.append(f"{ip(info.dst):<16} {'0x1':<12}{flags:<12}{mac:<17}     *        {info.dev}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class IoctlRoute:
    """One route of table main as /proc/net/route has it: the first path only."""

    dev: str
    dst: int
    via: int
    mask: int
    flags: int
    metric: int
    mss: int
    window: int
    irtt: int


def ioctl_routes(box: Box, *, now: Ns) -> list[IoctlRoute]:
    """Return table main as the old interface shows it. Source: fib_route_seq_show()."""
    routes = box.request(DumpRoutes(table=RT_TABLE_MAIN), now=now)
    if isinstance(routes, Refusal):
        return []
    return [_ioctl_route(route) for route in routes if route.kind not in (RTN_BROADCAST, RTN_MULTICAST)]


def _ioctl_route(route: RouteInfo) -> IoctlRoute:
    first = route.nexthops[0] if route.nexthops else None
    flags = RTF_UP
    if route.kind in (RTN_UNREACHABLE, RTN_PROHIBIT):
        flags = RTF_REJECT
    if first is not None and first.via:
        flags |= RTF_GATEWAY
    if route.dst.plen == 32:
        flags |= RTF_HOST
    flags |= RTF_UP
    return IoctlRoute(
        dev=first.dev if first is not None and first.dev else "*", dst=route.dst.addr,
        via=first.via if first is not None else 0, mask=MASKS[route.dst.plen], flags=flags, metric=route.metric,
        mss=route.metrics[RTAX_ADVMSS] + 40 if route.metrics[RTAX_ADVMSS] else 0,
        window=route.metrics[RTAX_WINDOW], irtt=route.metrics[RTAX_RTT] >> 3,
    )  # fmt: skip


def route_file(box: Box, *, now: Ns) -> str:
    """Return /proc/net/route: addresses in hexadecimal as they lie in memory, lines padded to 127 characters."""
    lines = ["Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT".ljust(127)]
    for route in ioctl_routes(box, now=now):
        dst, via, mask = (
            int.from_bytes(value.to_bytes(4, "big"), "little") for value in (route.dst, route.via, route.mask)
        )
        text = (
            f"{route.dev}\t{dst:08X}\t{via:08X}\t{route.flags:04X}\t0\t0\t{route.metric}\t{mask:08X}\t{route.mss}"
            f"\t{route.window}\t{route.irtt}"
        )
        lines.append(text.ljust(127))
    return "\n".join(lines) + "\n"


class Echo:
    """The `echo` of dash: words with one blank between, `-n` without the line end."""

    name = "echo"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Find nothing wrong: any words will do."""
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Print the words."""
        words = [word.text for word in argv[1:]]
        if words[:1] == ["-n"]:
            return CommandResult(" ".join(words[1:]))
        return CommandResult(" ".join(words) + "\n")


class Cat:
    """`cat` of the files above."""

    name = "cat"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Refuse by name what is no file here."""
        problems = []
        for word in argv[1:]:
            if not word.text.startswith(SYS) and word.text not in ("/proc/net/arp", "/proc/net/route", "/dev/null"):
                hint = "there are /proc/sys, /proc/net/arp and /proc/net/route"
                problems.append(LineProblem(word.column, f"cat: {word.text}: No such file or directory", hint))
        return problems

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Print the files one after another; a missing one does not stop the others."""
        out, err = [], []
        for word in argv[1:]:
            text = "" if word.text == "/dev/null" else read(box, word.text, now=now)
            if isinstance(text, FileError):
                err.append(f"cat: {word.text}: {text.words}\n")
            else:
                out.append(text)
        return CommandResult("".join(out), "".join(err), 1 if err else 0)


TOOLS = (Echo(), Cat())
