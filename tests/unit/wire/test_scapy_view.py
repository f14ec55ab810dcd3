"""scapy in and out: same octets, no question to this machine, and netsim.rewrite's arithmetic."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scapy.config import conf
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

import netsim
from netsim.errors import SimulationError
from netsim.wire.frame import Frame
from netsim.wire.scapy_view import dissect, rewrite, to_octets
from netsim.wire.verify import verify

UDP_PACKET = IP(src="192.168.0.3", dst="203.0.113.10") / UDP(sport=4000, dport=80) / b"data"


def built(packet):
    """Return the packet with its open fields computed."""
    return dissect(to_octets(packet), link_header=not isinstance(packet, IP))


@pytest.fixture
def _no_machine(monkeypatch):
    """Make every question scapy could put to this machine fail the test."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("scapy asked this machine")

    monkeypatch.setattr(conf.neighbor, "resolve", refuse)
    monkeypatch.setattr(type(conf.route), "route", refuse)


@pytest.mark.usefixtures("_no_machine")
@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(Ether() / IP(dst="10.9.8.7") / UDP(), id="ip"),
        pytest.param(Ether() / IP() / TCP(), id="nothing given"),
        pytest.param(Ether() / ARP(pdst="10.0.0.1"), id="arp"),
        pytest.param(IP(dst="10.9.8.7") / ICMP() / IPerror(dst="10.0.0.1"), id="error"),
        pytest.param(IP(dst="10.9.8.7") / IP(dst="10.0.0.1") / UDP(), id="tunnel"),
    ],
)
def test_building_asks_this_machine_nothing(packet, capfd):
    first, again = to_octets(packet), to_octets(packet)
    assert first == again
    assert capfd.readouterr().err == ""


def test_open_addresses_are_zeros_and_broadcast():
    octets = to_octets(Ether() / IP(dst="10.9.8.7") / UDP())
    assert octets[:12] == b"\xff" * 6 + bytes(6)
    assert octets[26:34] == bytes(4) + bytes((10, 9, 8, 7))


def test_an_open_timestamp_is_zero_and_not_the_hour_of_the_day():
    """scapy's default is the instant of its import: two processes would send two packets."""
    assert to_octets(ICMP(type=13, id=3, seq=1))[8:] == bytes(12)
    assert to_octets(IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=14, ts_rx=7))[28:] == bytes((*[0] * 7, 7, *[0] * 4))
    assert len(to_octets(ICMP(type=8))) == 8
    cut = to_octets(IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=13, ts_tx=7))[:-5]
    assert to_octets(dissect(cut, link_header=False)) == cut


def test_building_leaves_the_argument_alone():
    packet = Ether() / IP(dst="10.9.8.7") / UDP()
    to_octets(packet)
    assert "src" not in packet.fields
    assert packet[UDP].chksum is None


def test_given_checksums_are_kept():
    assert to_octets(IP(src="1.2.3.4", dst="5.6.7.8", chksum=0x1234) / UDP())[10:12] == b"\x12\x34"


@pytest.mark.parametrize("link_header", [True, False])
@pytest.mark.parametrize("octets", [b"", b"a", b"\x45", bytes(13), b"\x45" + bytes(30), b"\xff" * 60])
def test_any_octets_dissect_and_come_back(octets, link_header):
    assert bytes(dissect(octets, link_header=link_header)) == octets


def test_frames_dissect_on_first_touch_and_once():
    frame = Frame(to_octets(UDP_PACKET), 1, link_header=False)
    assert frame.scapy[UDP].dport == 80
    assert frame.scapy is frame.scapy


def test_editing_the_view_does_not_change_the_frame():
    frame = Frame(to_octets(UDP_PACKET), 1, link_header=False)
    before = frame.octets
    frame.scapy[UDP].dport = 81
    assert frame.octets == before


def test_rewrite_gives_a_right_packet_and_leaves_its_argument_alone():
    new = rewrite(UDP_PACKET, src="10.0.1.2", sport=1025)
    assert (new.src, new.dst, new[UDP].sport, new[UDP].dport) == ("10.0.1.2", "203.0.113.10", 1025, 80)
    assert verify(bytes(new)) == ""
    assert UDP_PACKET.src == "192.168.0.3"
    assert bytes(new) == to_octets(IP(src="10.0.1.2", dst="203.0.113.10") / UDP(sport=1025, dport=80) / b"data")


def test_rewrite_is_public():
    assert netsim.rewrite is rewrite
    assert "rewrite" in netsim.__all__


def test_rewrite_keeps_the_link_header():
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / UDP_PACKET
    new = rewrite(frame, dst="192.168.0.80", dport=8080)
    assert isinstance(new, Ether)
    assert bytes(new)[:14] == to_octets(frame)[:14]
    assert verify(bytes(new)[14:]) == ""


def test_rewrite_updates_and_never_mends():
    """Incremental: a checksum that is wrong by some amount stays wrong by it."""
    wrong = built(UDP_PACKET)
    wrong[UDP].chksum ^= 1
    wrong = dissect(bytes(wrong), link_header=False)
    assert verify(bytes(rewrite(wrong, src="10.0.1.2"))).startswith("UDP checksum")


def test_rewrite_leaves_udp_checksum_zero():
    new = rewrite(IP(src="192.168.0.3", dst="203.0.113.10") / UDP(sport=1, dport=2, chksum=0), src="10.0.1.2")
    assert new[UDP].chksum == 0


def test_rewrite_of_an_echo_takes_the_port_as_id():
    new = rewrite(IP(src="192.168.0.3", dst="203.0.113.10") / ICMP(id=7, seq=1), src="10.0.1.2", sport=1025)
    assert new[ICMP].id == 1025
    assert verify(bytes(new)) == ""


def test_rewrite_of_a_padded_frame_keeps_the_padding():
    frame = Ether(to_octets(Ether() / UDP_PACKET).ljust(60, b"\0"))
    assert len(bytes(rewrite(frame, src="10.0.1.2"))) == 60


@pytest.mark.parametrize(
    ("packet", "change", "error"),
    [
        pytest.param(Ether() / ARP(), {"src": "10.0.0.1"}, SimulationError, id="ARP"),
        pytest.param(Raw(b"abc"), {"src": "10.0.0.1"}, SimulationError, id="no packet"),
        pytest.param(UDP_PACKET, {"sport": 65536}, SimulationError, id="port"),
        pytest.param(IP(src="1.2.3.4", dst="5.6.7.8", proto=6) / b"abc", {"sport": 1}, SimulationError, id="cut off"),
        pytest.param(UDP_PACKET, {"src": "10.0.1"}, ValueError, id="address"),
    ],
)
def test_rewrite_refuses(packet, change, error):
    with pytest.raises(error):
        rewrite(packet, **change)


@pytest.mark.slow
def test_the_wire_floor_does_not_import_scapy():
    code = (
        "import sys, netsim.wire.frame, netsim.wire.summary, netsim.wire.rewrite, netsim.wire.verify\n"
        "print([name for name in ('scapy', 'simpy', 'random', 'logging') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"
