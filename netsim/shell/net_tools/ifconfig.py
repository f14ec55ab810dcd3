"""`ifconfig`: show devices, set address, netmask, broadcast, flags; aliases as labels ("eth0:0").

An address set on a label replaces the first address that carries the label; setting one brings the device up.
Source: net-tools 2.10 ifconfig.c; net/ipv4/devinet.c devinet_ioctl(), inet_set_ifa().
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from netsim.addr import MASKS, Ip, Mac, is_loopback, parse_mac
from netsim.shell.net_tools.common import Ioctl, class_length, mask_length, resolve
from netsim.shell.net_tools.ifconfig_show import show
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.stack import device as d
from netsim.stack.address import RT_SCOPE_HOST, RT_SCOPE_UNIVERSE
from netsim.stack.errno import EADDRNOTAVAIL, EINVAL, ENODEV, Refusal
from netsim.stack.requests import AddrInfo, DelAddr, DumpAddrs, DumpLinks, LinkInfo, NewAddr, SetLink
from netsim.units import Ns

_USAGE = """\
Usage:
  ifconfig [-a] [-s] <interface> [<address>[/<prefixlen>]]
  [[-]broadcast [<address>]]  [[-]pointopoint [<address>]]
  [netmask <address>]  [dstaddr <address>]
  [hw ether <address>]  [mtu <NN>]
  [[-]arp]  [[-]allmulti] [multicast]  [[-]promisc]
  [txqueuelen <NN>]
  [up|down] ..."""
_HELP = "\nifconfig: `--help' gives usage information."
_NOTHING = ("multicast", "-multicast", "allmulti", "-allmulti", "dynamic", "-dynamic", "trailers", "-trailers", "inet")
_NUMBERS = ("txqueuelen", "metric", "mem_start", "io_addr", "irq")

Step = Callable[["_Interface"], None]
"""One thing to do, in the order of the words."""


@dataclass(slots=True)
class _Call:
    """The command line, read."""

    all: bool = False
    short: bool = False
    name: str = ""
    steps: list[Step] = field(default_factory=list)


def _read(argv: Sequence[Word]) -> _Call:
    """Read the words. Raises Failure."""
    call = _Call()
    words = list(argv[1:])
    while words and words[0].text.startswith("-"):
        word = words.pop(0)
        if word.text == "-a":
            call.all = True
        elif word.text == "-s":
            call.short = True
        elif word.text != "-v":
            raise Failure(f"ifconfig: option `{word.text}' not recognised.{_HELP}", 1, word)
    if not words:
        return call
    call.name = words.pop(0).text
    while words:
        call.steps.append(_step(words))
    return call


def _value(words: list[Word], keyword: Word) -> Word:
    if not words:
        raise Failure(_USAGE, 3, keyword, f"{keyword.text} needs a value")
    return words.pop(0)


def _step(words: list[Word]) -> Step:
    """Read one keyword, or the address."""
    word = words.pop(0)
    text = word.text
    if text in ("up", "down"):
        return lambda interface: interface.set_up(text == "up")
    if text in ("arp", "-arp"):
        return lambda interface: interface.change(arp=text == "arp")
    if text in ("promisc", "-promisc"):
        return lambda interface: interface.change(promisc=text == "promisc")
    if text == "-broadcast":
        return lambda interface: interface.set_broadcast(0)
    if text in _NOTHING:
        return lambda interface: None
    if text in _NUMBERS:
        _number(_value(words, word))
        return lambda interface: None
    if text == "mtu":
        mtu = _number(_value(words, word))
        return lambda interface: interface.change(mtu=mtu)
    if text == "netmask":
        mask = resolve(_value(words, word), 1)
        return lambda interface: interface.set_netmask(mask)
    if text == "broadcast":
        broadcast = resolve(_value(words, word), 1)
        return lambda interface: interface.set_broadcast(broadcast)
    if text in ("pointopoint", "dstaddr"):
        peer = resolve(_value(words, word), 1)
        return lambda interface: interface.set_peer(peer)
    if text == "hw":
        mac = _hardware(words, word)
        return lambda interface: interface.change(mac=mac)
    return _address(word)


def _number(word: Word) -> int:
    """Read a number as atoi does: anything else is 0, which the kernel refuses or takes."""
    return int(word.text) if word.text.isdecimal() else 0


def _hardware(words: list[Word], keyword: Word) -> Mac:
    kind = _value(words, keyword)
    if kind.text != "ether":
        raise Failure(_USAGE, 3, kind, "only ether has addresses here")
    word = _value(words, keyword)
    try:
        return parse_mac(word.text)
    except ValueError:
        raise Failure(f"{word.text}: invalid ether address.", 1, word) from None


def _address(word: Word) -> Step:
    quad, slash, length = word.text.partition("/")
    addr = resolve(Word(quad, word.column), 1, after=_HELP)
    if slash and not (length.isdecimal() and int(length) <= 32):
        raise Failure(f"{word.text}: Unknown host{_HELP}", 1, word)

    def set_address(interface: _Interface) -> None:
        interface.set_address(addr)
        if slash:
            interface.set_netmask(MASKS[int(length)])

    return set_address


class _Interface:
    """A device or one of its labels, changed step by step."""

    def __init__(self, ioctl: Ioctl, name: str) -> None:
        self.ioctl = ioctl
        self.name = name
        self.dev = name.partition(":")[0]

    def link(self) -> LinkInfo | None:
        """Return the device, None if there is none."""
        return next((link for link in self.ioctl.list(DumpLinks()) if link.name == self.dev), None)

    def labelled(self) -> AddrInfo | None:
        """Return the first address that carries this label."""
        addrs = self.ioctl.list(DumpAddrs())
        return next((info for info in addrs if info.dev == self.dev and info.label == self.name), None)

    def need(self, ioctl: str) -> AddrInfo:
        """Return the address to change. Raises Failure."""
        if self.link() is None:
            raise Failure(f"{ioctl}: {Refusal(ENODEV).strerror}", 1)
        info = self.labelled()
        if info is None:
            raise Failure(f"{ioctl}: {Refusal(EADDRNOTAVAIL).strerror}", 1)
        return info

    def set_address(self, addr: Ip) -> None:
        """Mirror SIOCSIFADDR and the SIOCSIFFLAGS that follows it."""
        link = self.link()
        if link is None:
            gone = Refusal(ENODEV).strerror
            what = f"SIOCSIFADDR: {gone}\n{self.name}: ERROR while getting interface flags: {gone}"
            raise Failure(what, 255)
        old = self.labelled()
        if old is None or old.local != addr:
            if old is not None:
                self.delete(old, "SIOCSIFADDR")
            if addr:
                self.ioctl.do("SIOCSIFADDR", self._new(link, addr), 1)
        if ":" not in self.name:
            self.set_up(True)

    def _new(self, link: LinkInfo, addr: Ip) -> NewAddr:
        plen = 32 if link.flags & d.IFF_POINTOPOINT else class_length(addr)
        if plen < 0:
            raise Failure(f"SIOCSIFADDR: {Refusal(EINVAL).strerror}", 1)
        spread = link.flags & d.IFF_BROADCAST and plen < 31
        scope = RT_SCOPE_HOST if is_loopback(addr) else RT_SCOPE_UNIVERSE
        return NewAddr(
            dev=self.dev, local=addr, plen=plen, broadcast=addr | ~MASKS[plen] & 0xFFFFFFFF if spread else 0,
            scope=scope, label=self.name,
        )  # fmt: skip

    def set_netmask(self, mask: Ip) -> None:
        """Mirror SIOCSIFNETMASK: a broadcast address that fitted the old mask follows."""
        old = self.need("SIOCSIFNETMASK")
        try:
            plen = mask_length(mask)
        except ValueError:
            raise Failure(f"SIOCSIFNETMASK: {Refusal(EINVAL).strerror}", 1) from None
        if plen == old.plen:
            return
        broadcast = old.broadcast
        if broadcast and plen < 31 and broadcast == old.local | ~MASKS[old.plen] & 0xFFFFFFFF:
            broadcast = old.local | ~mask & 0xFFFFFFFF
        self.put_again(old, replace(old, plen=plen, broadcast=broadcast), "SIOCSIFNETMASK")

    def set_broadcast(self, broadcast: Ip) -> None:
        """Mirror SIOCSIFBRDADDR."""
        old = self.need("SIOCSIFBRDADDR")
        if broadcast != old.broadcast:
            self.put_again(old, replace(old, broadcast=broadcast), "SIOCSIFBRDADDR")

    def set_peer(self, peer: Ip) -> None:
        """Mirror SIOCSIFDSTADDR."""
        old = self.need("SIOCSIFDSTADDR")
        if peer != old.peer:
            self.put_again(old, replace(old, peer=peer), "SIOCSIFDSTADDR")

    def set_up(self, up: bool) -> None:
        """Mirror SIOCSIFFLAGS; `down` of a label deletes its address."""
        if self.link() is None:
            raise Failure(f"{self.name}: ERROR while getting interface flags: {Refusal(ENODEV).strerror}", 255)
        if ":" not in self.name:
            self.ioctl.do("SIOCSIFFLAGS", SetLink(dev=self.dev, up=up), 255)
            return
        info = self.labelled()
        if info is None:
            raise Failure(f"SIOCSIFFLAGS: {Refusal(EADDRNOTAVAIL).strerror}", 255)
        if not up:
            self.delete(info, "SIOCSIFFLAGS")

    def change(
        self, *, mtu: int | None = None, mac: Mac | None = None, arp: bool | None = None, promisc: bool | None = None
    ) -> None:
        """Mirror SIOCSIFMTU, SIOCSIFHWADDR and the flags."""
        name = "SIOCSIFMTU" if mtu is not None else "SIOCSIFHWADDR" if mac is not None else "SIOCSIFFLAGS"
        if self.link() is None and name == "SIOCSIFFLAGS":
            raise Failure(f"{self.name}: ERROR while getting interface flags: {Refusal(ENODEV).strerror}", 255)
        self.ioctl.do(name, SetLink(dev=self.dev, mtu=mtu, mac=mac, arp=arp, promisc=promisc), 1)

    def delete(self, info: AddrInfo, ioctl: str) -> None:
        """Take an address away."""
        request = DelAddr(dev=info.dev, local=info.local, plen=info.plen, peer=info.peer, label=info.label)
        self.ioctl.do(ioctl, request, 1)

    def put_again(self, old: AddrInfo, new: AddrInfo, ioctl: str) -> None:
        """Delete an address and insert it changed, as the kernel does."""
        self.delete(old, ioctl)
        request = NewAddr(
            dev=new.dev, local=new.local, plen=new.plen, peer=new.peer, broadcast=new.broadcast, scope=new.scope,
            label=new.label,
        )  # fmt: skip
        self.ioctl.do(ioctl, request, 1)


class IfconfigTool:
    """The command."""

    name = "ifconfig"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Find the first word that is no option, keyword or address."""
        try:
            _read(argv)
        except Failure as failure:
            return [failure.problem(argv, "ifconfig")]
        return []

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Show, or change step by step until one is refused."""
        ioctl = Ioctl(box, now)
        try:
            call = _read(argv)
            if not call.steps:
                return CommandResult(show(ioctl, call.name, everything=call.all, short=call.short))
            interface = _Interface(ioctl, call.name)
            for step in call.steps:
                step(interface)
        except Failure as failure:
            return failure.result()
        return CommandResult()


TOOLS = (IfconfigTool(),)
