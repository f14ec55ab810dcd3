"""A streamed capture of a dead gateway, read back from its pcapng and printed: what a person sees in Wireshark.

    h1 (192.168.0.3) -- lan -- router -- wan0 (10.0.1.0/24) -- isp1 (10.0.1.1)

The records are literal: this pins the capture, the file and the words, not the stack.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from struct import unpack_from

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.observe.capture import Capture, resolve_points
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameDelivered, FrameSent, NatMapped, RouteLookup
from netsim.units import ms, sec
from netsim.wire.arp import ARPOP_REPLY, ARPOP_REQUEST, build_arp
from netsim.wire.ether import ETH_P_ARP, build_ether
from netsim.wire.frame import Frame
from netsim.wire.ipv4 import IPPROTO_UDP, build_ipv4
from netsim.wire.summary import summary
from netsim.wire.udp import build_udp

HERE = Path(__file__).parent
H1, LAN0, WAN0, ISP1 = (parse_mac(f"02:00:00:00:0{n}") for n in ("1:01", "2:01", "2:02", "3:01"))
LINKS = {"lan": [("h1", "eth0"), ("router", "lan0")], "wan0": [("router", "wan0"), ("isp1", "eth0")]}
ADDRESSES = {"router:lan0": "192.168.0.1/24", "router:wan0": "10.0.1.2/24", "isp1:eth0": "10.0.1.1/24"}


def datagram(to: bytes, sender: bytes, src: str, sport: int) -> bytes:
    source, world = parse_ip(src), parse_ip("203.0.113.10")
    udp = build_udp(source, world, sport, 80, b"x" * 20)
    return build_ether(to, sender) + build_ipv4(source, world, IPPROTO_UDP, len(udp)) + udp


def arp(to: bytes, op: int, sha: bytes, spa: str, tha: bytes, tpa: str) -> bytes:
    return build_ether(to, sha, ETH_P_ARP) + build_arp(op, sha, parse_ip(spa), tha, parse_ip(tpa))


def capture() -> bytes:
    bus, out = Bus(), io.BytesIO()
    stream = Capture(
        bus, resolve_points(["lan", "wan0"], LINKS), file=out, describe=lambda n, d: ADDRESSES.get(f"{n}:{d}", "")
    )
    uid = 0

    def cross(t: int, link: str, octets: bytes, parent: int = 0, *, back: bool = False, lost: str = "") -> int:
        nonlocal uid
        uid += 1
        (node, dev), (far, far_dev) = LINKS[link][::-1] if back else LINKS[link]
        bus.publish(FrameSent(t, node, dev, Frame(octets, uid, parent)))
        if lost:
            bus.publish(Dropped(t + ms(2), far, far_dev, lost, uid, octets))
        else:
            bus.publish(FrameDelivered(t + ms(2), far, far_dev, Frame(octets, uid, parent), link))
        return uid

    def translated(t: int, came: int, sport: int) -> None:
        why = "10.0.1.1 is REACHABLE"
        bus.publish(RouteLookup(t, "router", "input", "203.0.113.10", "192.168.0.3", "lan0", "", 0, 100, "100",
                                "default via 10.0.1.1 dev wan0", "10.0.1.1", "wan0", (), 0, 0, why, came))  # fmt: skip
        bus.publish(NatMapped(t, "router", "udp", f"192.168.0.3:{sport}>203.0.113.10:80",
                              f"203.0.113.10:80>10.0.1.2:{sport}", came, "MASQUERADE"))  # fmt: skip

    came = cross(sec(59), "lan", datagram(LAN0, H1, "192.168.0.3", 4000))
    translated(sec(59) + ms(2), came, 4000)
    asked = cross(
        sec(59) + ms(2), "wan0", arp(b"\xff" * 6, ARPOP_REQUEST, WAN0, "10.0.1.2", bytes(6), "10.0.1.1"), came
    )
    cross(sec(59) + ms(4), "wan0", arp(WAN0, ARPOP_REPLY, ISP1, "10.0.1.1", WAN0, "10.0.1.2"), asked, back=True)
    cross(sec(59) + ms(6), "wan0", datagram(ISP1, WAN0, "10.0.1.2", 4000), came)
    came = cross(sec(60), "lan", datagram(LAN0, H1, "192.168.0.3", 4001))
    translated(sec(60) + ms(2), came, 4001)
    cross(sec(60) + ms(2), "wan0", datagram(ISP1, WAN0, "10.0.1.2", 4001), came, lost="NODE_SILENT")
    came = cross(sec(96), "lan", datagram(LAN0, H1, "192.168.0.3", 4002))
    bus.publish(Dropped(sec(99) + ms(2), "router", "wan0", "NEIGH_FAILED", came, b"", "10.0.1.1"))
    stream.close()
    return out.getvalue()


def printed(data: bytes) -> str:
    """Print each packet as time, interface, direction and summary, its comments below."""
    names: list[str] = []
    lines: list[str] = []
    at = 0
    while at < len(data):
        kind, total = unpack_from("<II", data, at)
        body = data[at + 8 : at + total - 4]
        if kind == 1:
            options = read_options(body[8:])
            names.append(options[0][1].decode())
            description = "".join(value.decode() for code, value in options if code == 3)
            lines.append(f"interface {len(names) - 1}: {names[-1]} {description}".rstrip())
        elif kind == 6:
            interface, high, low, length, _ = unpack_from("<IIIII", body)
            t = high << 32 | low
            options = read_options(body[20 + (length + 3) // 4 * 4 :])
            flags = next(value[0] for code, value in options if code == 2)
            way = {1: "In ", 2: "Out"}[flags]
            words = summary(body[20 : 20 + length])
            lines.append(f"{t // 10**9:>4}.{t % 10**9:09d} {names[interface]:<11} {way} {words}")
            lines += [f"{'':>19}# {value.decode()}" for code, value in options if code == 1]
        at += total
    return "\n".join(lines) + "\n"


def read_options(data: bytes) -> list[tuple[int, bytes]]:
    at, options = 0, []
    while at < len(data):
        code, length = unpack_from("<HH", data, at)
        if code:
            options.append((code, data[at + 4 : at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return options


def test_a_capture_reads_back_with_its_explanations(golden: Callable[[str, Path], None]) -> None:
    golden(printed(capture()), HERE / "observe" / "capture.txt")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_finds_nothing_wrong_in_it(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(capture())
    options = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    wrong = "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 || _ws.expert.severity == error"
    command = ["tshark", "-n", "-r", str(path), *options, "-Y", wrong]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    listed = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "frame.number"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True)
    packets = [line for line in printed(capture()).splitlines() if " In  " in line or " Out " in line]
    assert len(done.stdout.split()) == len(packets)
