"""conntrack 1.4.7: list, count, delete, flush, get and mark connections, by filters, with the tool's words.

The lines themselves are stack/netfilter/ct_text.py's, because event records hold them too. Creating entries, watching
events (they are records here; `event_text` prints those as `conntrack -E` would) and XML are refused by name.
Source: conntrack-tools 1.4.7, src/conntrack.c; linux-kernel 6.4; recorded in tests/golden/conntrack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from netsim.addr import MASKS, Prefix, ip_str, parse_ip
from netsim.shell.iptables.extension import number
from netsim.shell.iptables.names import protocol_number
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Tool, Word
from netsim.stack.errno import Refusal
from netsim.stack.netfilter.ct_requests import (
    ConntrackFilter,
    ConntrackStats,
    CountConntrack,
    DeleteConntrack,
    DumpConntrack,
    DumpExpectations,
    FlushConntrack,
    SetConntrackMark,
)
from netsim.stack.netfilter.ct_text import TCP_STATES, ConntrackInfo, list_line
from netsim.stack.netfilter.expect import ExpectationInfo
from netsim.stack.netfilter.status import IPS_ASSURED, IPS_DST_NAT, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY, IPS_SRC_NAT
from netsim.trace.records import ConntrackEvent
from netsim.units import NS_PER_S, Ns

_SAYS = "conntrack v1.4.7 (conntrack-tools)"
_TRY = "Try `conntrack -h' or 'conntrack --help' for more information."
_USAGE = """Command line interface for the connection tracking system. Version 1.4.7
Usage: conntrack [commands] [options]

Commands:
  -L [table] [options]\t\tList conntrack or expectation table
  -G [table] parameters\t\tGet conntrack or expectation
  -D [table] parameters\t\tDelete conntrack or expectation
  -U [table] parameters\t\tUpdate a conntrack
  -F [table]\t\t\tFlush table
  -C [table]\t\t\tShow counter
  -S\t\t\t\tShow statistics
"""

_COMMANDS: Mapping[str, str] = MappingProxyType({
    "-L": "L", "--dump": "L", "-C": "C", "--count": "C", "-D": "D", "--delete": "D", "-F": "F", "--flush": "F",
    "-G": "G", "--get": "G", "-U": "U", "--update": "U", "-S": "S", "--stats": "S", "-I": "I", "--create": "I",
    "-A": "A", "--add": "A", "-E": "E", "--event": "E", "-V": "V", "--version": "V", "-h": "h", "--help": "h",
})  # fmt: skip
_REFUSED: Mapping[str, str] = MappingProxyType({
    "I": "creating entries is not modelled", "A": "creating entries is not modelled",
    "E": "events are ConntrackEvent records; netsim.shell.conntrack.event_text prints them",
})  # fmt: skip
_OPTIONS: Mapping[str, str] = MappingProxyType({
    "-s": "src", "--src": "src", "--orig-src": "src", "-d": "dst", "--dst": "dst", "--orig-dst": "dst",
    "-r": "reply-src", "--reply-src": "reply-src", "-q": "reply-dst", "--reply-dst": "reply-dst",
    "-p": "proto", "--proto": "proto", "--protonum": "proto", "-f": "family", "--family": "family",
    "-m": "mark", "--mark": "mark", "-u": "status", "--status": "status", "-w": "zone", "--zone": "zone",
    "-o": "output", "--output": "output", "-t": "timeout", "--timeout": "timeout",
    "-b": "buffer", "--buffer-size": "buffer",
})  # fmt: skip
_NAT: Mapping[str, str] = MappingProxyType({
    "-n": "src", "--src-nat": "src", "-g": "dst", "--dst-nat": "dst", "-j": "any", "--any-nat": "any",
})  # fmt: skip
_PORTS: Mapping[str, str] = MappingProxyType({
    "--sport": "orig_sport", "--orig-port-src": "orig_sport", "--dport": "orig_dport", "--orig-port-dst": "orig_dport",
    "--reply-port-src": "reply_sport", "--reply-port-dst": "reply_dport",
})  # fmt: skip
_ICMP: Mapping[str, str] = MappingProxyType({
    "--icmp-type": "icmp_type", "--icmp-code": "icmp_code", "--icmp-id": "icmp_id",
})  # fmt: skip
_STATUS: Mapping[str, tuple[int, int]] = MappingProxyType({
    "ASSURED": (IPS_ASSURED, 0), "SEEN_REPLY": (IPS_SEEN_REPLY, 0), "UNREPLIED": (0, IPS_SEEN_REPLY),
    "FIXED_TIMEOUT": (IPS_FIXED_TIMEOUT, 0), "SRC_NAT": (IPS_SRC_NAT, 0), "DST_NAT": (IPS_DST_NAT, 0),
})  # fmt: skip
"""Which status bits must be set, and which clear."""
_TABLES = ("conntrack", "expect", "dying", "unconfirmed")
_TCP, _ICMP_PROTO = 6, 1


def _misuse(what: str, word: Word | None, rc: int = 2) -> Failure:
    return Failure(f"{_SAYS}: {what}\n{_TRY}", rc, word)


@dataclass(slots=True)
class _Command:
    """A parsed line. `nat` lists (kind, address or 0) of -n, -g, -j; `given` are the options that were used."""

    letter: str = ""
    table: str = "conntrack"
    wanted: ConntrackFilter = field(default_factory=ConntrackFilter)
    nat: list[tuple[str, int]] = field(default_factory=list)
    mark: tuple[int, int] | None = None
    extended: bool = False
    ipv6: bool = False
    given: set[str] = field(default_factory=set)


class _Parser:
    """Reads one line."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = list(words)
        self.command = _Command()

    def parse(self) -> _Command:
        """Return the command. Raises Failure."""
        while self.words:
            word = self.words.pop(0)
            text = word.text
            if text in _COMMANDS:
                self._command(word)
            elif text in _NAT:
                value = self._optional()
                self.command.nat.append((_NAT[text], 0 if value is None else self._address(value).addr))
            elif text in _OPTIONS:
                self._option(_OPTIONS[text], word)
            elif text in _PORTS or text in _ICMP or text == "--state":
                self._protocol_option(word)
            elif text.startswith("-"):
                raise _misuse(f"unknown option `{text}'", word)
            else:
                raise _misuse("unknown arguments on command line", word)
        command = self.command
        if command.letter == "G":
            self._complete()
        if "timeout" in command.given and command.letter in "LDGCFS":
            raise _misuse("Illegal option `--timeout' with this command", None)
        return command

    def _command(self, word: Word) -> None:
        letter = _COMMANDS[word.text]
        if self.command.letter:
            raise _misuse("Invalid commands combination", word)
        self.command.letter = letter
        if letter in _REFUSED:
            raise Failure(f"{_SAYS}: {_REFUSED[letter]}", 2, word)
        if letter in "LGDUFC":
            table = self._optional()
            if table is not None:
                if table.text not in _TABLES:
                    raise _misuse(f"unknown type `{table.text}'", table)
                self.command.table = table.text

    def _optional(self) -> Word | None:
        if self.words and not self.words[0].text.startswith("-"):
            return self.words.pop(0)
        return None

    def _value(self, word: Word) -> Word:
        if not self.words:
            raise _misuse(f"option `{word.text}' requires an argument", word)
        return self.words.pop(0)

    def _set(self, **changes: object) -> None:
        self.command.wanted = replace(self.command.wanted, **changes)  # type: ignore[arg-type]  # names and types are the filter's, given in this file

    @staticmethod
    def _address(word: Word) -> Prefix:
        addr, slash, mask = word.text.partition("/")
        try:
            ip = parse_ip(addr)
        except ValueError:
            raise _misuse(f"Invalid IP address `{addr}'", word) from None
        if not slash:
            return Prefix(ip, 32)
        if mask.isascii() and mask.isdigit() and int(mask) <= 32:
            return Prefix(ip & MASKS[int(mask)], int(mask))
        raise _misuse("Invalid netmask", word)

    def _option(self, name: str, word: Word) -> None:
        value = self._value(word)
        command = self.command
        command.given.add(name)
        if name in ("src", "dst", "reply-src", "reply-dst"):
            key = {"src": "orig_src", "dst": "orig_dst"}.get(name, name.replace("-", "_"))
            self._set(**{key: self._address(value)})
        elif name == "proto":
            proto = protocol_number(value.text)
            if proto is None:
                raise _misuse(f"`{value.text}' unsupported protocol", value)
            self._set(proto=proto)
        elif name == "family":
            if value.text not in ("ipv4", "ipv6"):
                raise _misuse(f"`{value.text}' unsupported protocol", value)
            command.ipv6 = value.text == "ipv6"
        elif name == "mark":
            self._mark(value)
        elif name == "status":
            self._status(value)
        elif name == "zone":
            self._set(zone=number(value.text) or 0)
        elif name == "output":
            self._output(value)

    def _mark(self, value: Word) -> None:
        first, slash, second = value.text.partition("/")
        mark, mask = number(first) or 0, number(second) if slash else 0xFFFFFFFF
        self.command.mark = mark, mask or 0
        if self.command.letter != "U":
            self._set(mark=mark, mark_mask=mask or 0)

    def _status(self, value: Word) -> None:
        for name in value.text.split(","):
            if name not in _STATUS:
                raise _misuse(f"Bad parameter `{name}'", value)
            must, must_not = _STATUS[name]
            wanted = self.command.wanted
            self._set(status_set=wanted.status_set | must, status_clear=wanted.status_clear | must_not)

    def _output(self, value: Word) -> None:
        for name in value.text.split(","):
            if name == "extended":
                self.command.extended = True
            elif name in ("xml", "save", "timestamp", "id", "ktimestamp", "labels", "userspace"):
                raise Failure(f"{_SAYS}: -o {name} is not modelled", 2, value, "extended is")
            else:
                raise _misuse(f"Bad parameter `{name}'", value)

    def _protocol_option(self, word: Word) -> None:
        """Take an option that a protocol brings: it must come after `-p`."""
        proto = self.command.wanted.proto
        known = (
            (word.text in _ICMP and proto == _ICMP_PROTO)
            or (word.text == "--state" and proto == _TCP)
            or (word.text in _PORTS and proto in (_TCP, 17, 136, 33, 132))
        )
        if not known:
            raise _misuse(f"unknown option `{word.text}'", word)
        value = self._value(word)
        if word.text == "--state":
            if value.text not in TCP_STATES:
                raise _misuse(f"unknown TCP state `{value.text}'", value)
            self._set(state=value.text)
            return
        name = _PORTS.get(word.text) or _ICMP[word.text]
        # atoi(): what is no number is 0, what is too large loses its upper bits.
        self._set(**{name: (number(value.text) or 0) & 0xFFFF})

    def _complete(self) -> None:
        """Mirror the checks of -G: a whole tuple."""
        wanted = self.command.wanted
        if wanted.orig_src is None or wanted.orig_dst is None:
            raise _misuse("you have to specify `--src' and `--dst'", None)
        if wanted.proto in (_TCP, 17) and (wanted.orig_sport is None or wanted.orig_dport is None):
            raise _misuse("you have to specify `--sport' and `--dport'", None)


def _fits_nat(entry: ConntrackInfo, nat: list[tuple[str, int]]) -> bool:
    """Tell whether an entry is translated as -n, -g and -j ask. Source: filter_nat()."""
    for kind, address in nat:
        source = bool(entry.status & IPS_SRC_NAT) and address in (0, entry.reply.dst)
        destination = bool(entry.status & IPS_DST_NAT) and address in (0, entry.reply.src)
        if not {"src": source, "dst": destination, "any": source or destination}[kind]:
            return False
    return True


class ConntrackTool:
    """`conntrack`."""

    name = "conntrack"
    kernels = ("linux-2.4", "linux-6")

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Say what is wrong with the words alone."""
        try:
            _Parser(argv[1:]).parse()
        except Failure as failure:
            what = failure.stderr.split("\n", 1)[0].removeprefix(f"{_SAYS}: ")
            word = failure.word if failure.word is not None else argv[-1]
            return [LineProblem(word.column, f"conntrack: {what}", failure.hint)]
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Parse, ask the box, print; the count goes to standard error, as with the real tool."""
        try:
            command = _Parser(argv[1:]).parse()
        except Failure as failure:
            return failure.result()
        letter = command.letter
        if letter in ("", "h"):
            return CommandResult(_USAGE)
        if letter == "V":
            return CommandResult(f"{_SAYS}\n")
        if command.table == "expect":
            return self._expectations(box, command, now)
        if letter == "C":
            count = box.request(CountConntrack(), now=now)
            return CommandResult(f"{count}\n")
        if letter == "S":
            stats = box.request(ConntrackStats(), now=now)
            counts = {} if isinstance(stats, Refusal) else stats
            return CommandResult("cpu=0   \t" + "".join(f"{name}={value} " for name, value in counts.items()) + "\n")
        if letter == "F":
            box.request(FlushConntrack(), now=now)
            return CommandResult("", f"{_SAYS}: connection tracking table has been emptied.\n")
        return self._entries(box, command, now)

    @staticmethod
    def _expectations(box: Box, command: _Command, now: Ns) -> CommandResult:
        found = box.request(DumpExpectations(), now=now)
        entries = () if isinstance(found, Refusal) else found
        if command.letter == "C":
            return CommandResult(f"{len(entries)}\n")
        if command.letter == "L":
            lines = "".join(f"{_expectation_line(entry)}\n" for entry in entries)
            return CommandResult(lines, f"{_SAYS}: {len(entries)} expectations have been shown.\n")
        return CommandResult("", f"{_SAYS}: expectations are only listed and counted here\n", 2)

    def _entries(self, box: Box, command: _Command, now: Ns) -> CommandResult:
        found = self._found(box, command, now)
        verb = {"L": "shown", "G": "shown", "D": "deleted", "U": "updated"}[command.letter]
        if command.letter == "G" and not found:
            return CommandResult("", f"{_SAYS}: Operation failed: such conntrack doesn't exist\n", 1)
        lines = [list_line(entry, extended=command.extended) for entry in found]
        if command.letter in "GU":
            # The answer to a request for one entry holds a reference of its own.
            lines = [f"{line.removesuffix('use=1')}use=2" for line in lines]
        rc = 1 if command.letter in "DU" and not found else 0
        count = f"{_SAYS}: {len(found)} flow entries have been {verb}.\n"
        return CommandResult("".join(f"{line}\n" for line in lines), count, rc)

    @staticmethod
    def _found(box: Box, command: _Command, now: Ns) -> list[ConntrackInfo]:
        if command.ipv6 or command.table in ("dying", "unconfirmed"):
            return []
        listed = box.request(DumpConntrack(wanted=command.wanted), now=now)
        found = [] if isinstance(listed, Refusal) else [each for each in listed if _fits_nat(each, command.nat)]
        if command.letter == "D":
            for entry in found:
                box.request(DeleteConntrack(wanted=_exactly(entry)), now=now)
        elif command.letter == "U" and command.mark is not None:
            mark, mask = command.mark
            marked = []
            for entry in found:
                value = entry.mark & ~mask & 0xFFFFFFFF | mark
                box.request(SetConntrackMark(wanted=_exactly(entry), mark=value), now=now)
                marked.append(replace(entry, mark=value))
            return marked
        return found


def event_text(records: Iterable[ConntrackEvent], *, timestamp: bool = False, extended: bool = False) -> str:
    """Print events as `conntrack -E [-o timestamp,extended]` does, instants counted from the run's beginning.

    Source: event_cb(), src/conntrack.c (1.4.7); observed-linux 12 (case m1).
    """
    lines = []
    for record in records:
        stamp = f"[{record.t // NS_PER_S}.{record.t % NS_PER_S // 1000:06}]\t" if timestamp else ""
        name = f"[{record.event}]"
        lines.append(f"{stamp}{name:>9} {'ipv4     2 ' if extended else ''}{record.line}\n")
    return "".join(lines)


def _expectation_line(entry: ExpectationInfo) -> str:
    """Print an expectation. Source: libnetfilter_conntrack, src/expect/snprintf_default.c."""
    source_mask = "255.255.255.255" if entry.src else "0.0.0.0"
    return (
        f"{entry.timeout} proto={entry.proto} src={ip_str(entry.src)} dst={ip_str(entry.dst)} sport=0 "
        f"dport={entry.dport} mask-src={source_mask} mask-dst=255.255.255.255 sport=0 dport=65535 "
        f"master-src={ip_str(entry.master_src)} master-dst={ip_str(entry.master_dst)} sport={entry.master_sport} "
        f"dport={entry.master_dport} class=0 helper={entry.helper}"
    )


def _exactly(entry: ConntrackInfo) -> ConntrackFilter:
    """Return a filter that only this entry fits."""
    orig = entry.orig
    icmp = entry.proto == _ICMP_PROTO
    return ConntrackFilter(
        proto=entry.proto,
        orig_src=Prefix(orig.src, 32),
        orig_dst=Prefix(orig.dst, 32),
        orig_sport=orig.sport,
        orig_dport=None if icmp else orig.dport,
        icmp_type=orig.icmp_type if icmp else None,
        icmp_code=orig.icmp_code if icmp else None,
        zone=orig.zone,
    )


TOOLS: tuple[Tool, ...] = (ConntrackTool(),)
