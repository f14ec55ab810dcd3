"""What `ifconfig` prints of a device, long and short. Source: net-tools 2.10 lib/interface.c, observed."""

from __future__ import annotations

from netsim.addr import MASKS, ip_str, mac_str
from netsim.shell.net_tools.common import Ioctl
from netsim.shell.tool import Failure
from netsim.stack import device as d
from netsim.stack.requests import AddrInfo, DumpAddrs, DumpLinks, LinkInfo

_FLAGS = (
    (d.IFF_UP, "UP", "U"), (d.IFF_BROADCAST, "BROADCAST", "B"), (d.IFF_LOOPBACK, "LOOPBACK", "L"),
    (d.IFF_POINTOPOINT, "POINTOPOINT", "P"), (d.IFF_RUNNING, "RUNNING", "R"), (d.IFF_NOARP, "NOARP", "O"),
    (d.IFF_PROMISC, "PROMISC", "p"), (d.IFF_MULTICAST, "MULTICAST", "M"),
)  # fmt: skip
_SHORT_ORDER = "BLMOPpRU"
_UNITS = ((1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_UNSPEC = "-".join(["00"] * 16)


def show(ioctl: Ioctl, name: str, *, everything: bool, short: bool) -> str:
    """Print one device or label, or all that are up (`everything`: all). Raises Failure for a missing one."""
    links = {link.name: link for link in ioctl.list(DumpLinks())}
    addrs = ioctl.list(DumpAddrs())
    if name:
        link = links.get(name.partition(":")[0])
        if link is None:
            raise Failure(f"{name}: error fetching interface information: Device not found", 1)
        return _header(short=short) + _one(link, name, addrs, short=short)
    names = sorted({*links, *(info.label for info in addrs)})
    shown = [each for each in names if everything or links[each.partition(":")[0]].flags & d.IFF_UP]
    return _header(short=short) + "".join(
        _one(links[each.partition(":")[0]], each, addrs, short=short) for each in shown
    )


def _header(*, short: bool) -> str:
    columns = "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
    return columns if short else ""


def _one(link: LinkInfo, name: str, addrs: tuple[AddrInfo, ...], *, short: bool) -> str:
    if short:
        return _short(link, name)
    flags = link.flags & 0xFFFF
    words = ",".join(word for bit, word, _ in _FLAGS if flags & bit)
    lines = [f"{name}: flags={flags}<{words}>  mtu {link.mtu}"]
    info = next((info for info in addrs if info.dev == link.name and info.label == name), None)
    if info is not None:
        lines.append(_inet(link, info))
    lines.append(_hardware(link))
    if ":" not in name:
        lines += [
            f"        RX packets {link.rx_packets}  bytes {link.rx_bytes} ({human(link.rx_bytes)})",
            "        RX errors 0  dropped 0  overruns 0  frame 0",
            f"        TX packets {link.tx_packets}  bytes {link.tx_bytes} ({human(link.tx_bytes)})",
            "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0",
        ]
    return "\n".join(lines) + "\n\n"


def _inet(link: LinkInfo, info: AddrInfo) -> str:
    text = f"        inet {ip_str(info.local)}  netmask {ip_str(MASKS[info.plen])}"
    if link.flags & d.IFF_BROADCAST:
        text += f"  broadcast {ip_str(info.broadcast)}"
    if link.flags & d.IFF_POINTOPOINT:
        text += f"  destination {ip_str(info.peer or info.local)}"
    return text


def _hardware(link: LinkInfo) -> str:
    if link.kind == d.LOOPBACK:
        return "        loop  txqueuelen 1000  (Local Loopback)"
    if link.kind == d.PPP:
        return "        ppp  txqueuelen 3  (Point-to-Point Protocol)"
    if link.kind == d.TUN:
        return f"        unspec {_UNSPEC}  txqueuelen 500  (UNSPEC)"
    return f"        ether {mac_str(link.mac)}  txqueuelen 1000  (Ethernet)"


def _short(link: LinkInfo, name: str) -> str:
    letters = {letter for bit, _, letter in _FLAGS if link.flags & bit}
    flags = "".join(letter for letter in _SHORT_ORDER if letter in letters)
    received = f"{link.rx_packets:>8} {0:>6} {0:>6} {0:<6}"
    return f"{name:<8} {link.mtu:>12} {received} {link.tx_packets:>8} {0:>6} {0:>6} {0:>6} {flags}\n"


def human(octets: int) -> str:
    """Print octets in the largest binary unit, one decimal cut off."""
    for size, unit in _UNITS:
        if octets > size:
            tenths = octets * 10 // size
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{octets}.0 B"
