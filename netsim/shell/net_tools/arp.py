"""`arp`: show the ARP cache, set and delete entries the old way.

Without -i the device is the one a route leads to. Source: net-tools 2.10 arp.c; net/ipv4/arp.c arp_req_set(),
arp_req_delete().
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netsim.addr import Ip, Mac, ip_str, mac_str, parse_mac
from netsim.shell.net_tools.common import Ioctl, resolve
from netsim.shell.procfs import ATF_COM, ATF_PERM, ATF_PUBL, arp_entries, arp_flags
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.stack.errno import ENODEV, ENOENT, Refusal
from netsim.stack.nud_states import NUD_PERMANENT, NUD_STALE
from netsim.stack.requests import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    DelNeigh,
    DumpLinks,
    GetRoute,
    NeighInfo,
    NewNeigh,
)
from netsim.units import Ns

_EXIT = 255

_USAGE = """\
Usage:
  arp [-vn]  [-i <if>] [-a] [<hostname>]                  <-Display ARP cache
  arp [-v]   [-i <if>] -d  <host> [pub]                    <-Delete ARP entry
  arp [-vnD] [-i <if>] -s  <host> <hwaddr> [temp]                 <-Add entry
  arp [-v]   [-i <if>] -Ds <host> <if> pub                             <-''-"""


@dataclass(slots=True)
class _Call:
    """The command line, read."""

    verb: str = "show"
    bsd: bool = False
    verbose: bool = False
    use_device: bool = False
    dev: str = ""
    host: Ip | None = None
    host_text: str = ""
    mac: Mac = b""
    temp: bool = False
    pub: bool = False
    rest: list[Word] = field(default_factory=list)


def _read(argv: Sequence[Word]) -> _Call:
    """Read the words. Raises Failure."""
    call = _Call()
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if not word.text.startswith("-"):
            call.rest.append(word)
            continue
        for place, letter in enumerate(word.text[1:]):
            if letter in "iHtA":
                value = word.text[place + 2 :] or (words.pop(0).text if words else "")
                if letter == "i":
                    call.dev = value
                break
            if letter not in "navsdDe":
                raise Failure(f"arp: invalid option -- '{letter}'\n{_USAGE}", 3, word)
            _flag(call, letter)
    _complete(call)
    return call


def _flag(call: _Call, letter: str) -> None:
    if letter == "a":
        call.bsd = True
    elif letter == "v":
        call.verbose = True
    elif letter == "D":
        call.use_device = True
    elif letter in "sd":
        call.verb = "set" if letter == "s" else "delete"


def _complete(call: _Call) -> None:
    """Read the words that are no options. Raises Failure."""
    words = call.rest
    if not words:
        if call.verb != "show":
            raise Failure("arp: need host name", _EXIT)
        return
    host = words[0]
    call.host, call.host_text = resolve(host, _EXIT), host.text
    rest = words[1:]
    if call.verb == "set":
        if not rest:
            raise Failure("arp: need hardware address", _EXIT, host)
        hardware = rest.pop(0)
        if call.use_device:
            call.dev = call.dev or hardware.text
        else:
            call.mac = _hardware(hardware)
    for word in rest:
        if word.text not in ("temp", "pub", "priv", "trail", "dontpub"):
            raise Failure(_USAGE, 3, word)
        call.temp |= word.text == "temp"
        call.pub |= word.text == "pub"


def _hardware(word: Word) -> Mac:
    try:
        return parse_mac(word.text)
    except ValueError:
        raise Failure("arp: invalid hardware address", _EXIT, word) from None


def _device(ioctl: Ioctl, call: _Call, name: str) -> str:
    """Return the device the entry is for. Raises Failure."""
    if call.dev:
        if not any(link.name == call.dev for link in ioctl.list(DumpLinks())):
            raise Failure(f"{name}: {Refusal(ENODEV).strerror}", _EXIT)
        return call.dev
    if call.pub:
        raise Failure(f"{name}: {Refusal(ENODEV).strerror}", _EXIT)
    return ioctl.do(name, GetRoute(dst=call.host or 0), _EXIT).dev


def _set(ioctl: Ioctl, call: _Call) -> None:
    dev = _device(ioctl, call, "SIOCSARP")
    request = NewNeigh(
        dev=dev, dst=call.host or 0, lladdr=b"" if call.pub else call.mac,
        state=NUD_STALE if call.temp else NUD_PERMANENT, flags=NLM_F_CREATE | NLM_F_REPLACE, proxy=call.pub,
    )  # fmt: skip
    ioctl.do("SIOCSARP", request, _EXIT)


def _delete(ioctl: Ioctl, call: _Call) -> CommandResult:
    missing = CommandResult(f"No ARP entry for {call.host_text}\n", "", _EXIT)
    if call.pub and not call.dev:
        return missing
    dev = _device(ioctl, call, "SIOCDARP(dontpub)")
    request = DelNeigh(dev=dev, dst=call.host or 0, proxy=call.pub)
    answer = ioctl.box.request(request, now=ioctl.now)
    if isinstance(answer, Refusal):
        if answer.errno == ENOENT:
            return missing
        return CommandResult("", f"SIOCDARP(dontpub): {answer.strerror}\n", _EXIT)
    return CommandResult()


def _show(ioctl: Ioctl, call: _Call) -> str:
    """Print entries, in the default or (-a) the BSD form; what was asked for and is not there is said."""
    entries = arp_entries(ioctl.box, now=ioctl.now)
    shown = [info for info in entries if call.dev in ("", info.dev) and call.host in (None, info.dst)]
    text = ""
    if not call.bsd and shown:
        text = "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
    for info in shown:
        text += _bsd_line(info) if call.bsd else _line(info)
    if call.verbose:
        text += f"Entries: {len(entries)}\tSkipped: {len(entries) - len(shown)}\tFound: {len(shown)}\n"
    if not shown and (call.host is not None or call.dev):
        if call.host is not None and not call.bsd:
            text += f"{call.host_text} ({ip_str(call.host)}) -- no entry\n"
        elif entries:
            text += f"arp: in {len(entries)} entries no match found.\n"
    return text


def _line(info: NeighInfo) -> str:
    flags = arp_flags(info)
    if info.proxy:
        kind, hardware = "*", "<from_interface>"
    elif flags & ATF_COM:
        kind, hardware = "ether", mac_str(info.lladdr)
    else:
        kind, hardware = "", "(incomplete)"
    bits = ((ATF_COM, "C"), (ATF_PERM, "M"), (ATF_PUBL, "P"))
    letters = "".join(letter for bit, letter in bits if flags & bit)
    return f"{ip_str(info.dst):<23}  {kind:<8}{hardware:<20}{letters:<6}{'':<15} {info.dev}\n"


def _bsd_line(info: NeighInfo) -> str:
    flags = arp_flags(info)
    if info.proxy:
        hardware = "<from_interface> "
    elif flags & ATF_COM:
        hardware = f"{mac_str(info.lladdr)} [ether] "
    else:
        hardware = "<incomplete> "
    words = ("PERM " if flags & ATF_PERM else "") + ("PUB " if flags & ATF_PUBL else "")
    return f"? ({ip_str(info.dst)}) at {hardware}{words}on {info.dev}\n"


class ArpTool:
    """The command."""

    name = "arp"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Find the first word that `arp` itself would refuse."""
        try:
            _read(argv)
        except Failure as failure:
            return [failure.problem(argv, "arp")]
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Show, set, delete."""
        ioctl = Ioctl(box, now)
        try:
            call = _read(argv)
            if call.verb == "delete":
                return _delete(ioctl, call)
            if call.verb == "set":
                _set(ioctl, call)
                return CommandResult()
        except Failure as failure:
            return failure.result()
        return CommandResult(_show(ioctl, call))


TOOLS = (ArpTool(),)
