"""The filter against tcpdump's own verdict, on random packets and on every case of test_filter.py."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from netsim.observe.filter import FilterError, compile_filter
from netsim.observe.pcapng import PcapngWriter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed"),
]

HOSTS = ["10.0.1.1", "10.0.1.2", "10.0.2.1", "192.168.0.3"]
PORTS = [80, 443, 4000]


def quad(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def packet(rng: random.Random) -> bytes:
    """Make one IP, ARP or other frame, now and then cut short, so that loads past the end happen too."""
    ethertype = rng.choice([0x0800] * 6 + [0x0806] * 2 + [0x8035, 0x88CC])
    src, dst = quad(rng.choice(HOSTS)), quad(rng.choice(HOSTS))
    if ethertype == 0x0800:
        options = rng.choice([b"", b"", b"\x01" * 4, b"\x01" * 12])
        frag = rng.choice([0, 0, 0, 0x2000, 0x2003, 0x0005, 0x4000])
        payload = rng.choice(PORTS).to_bytes(2, "big") + rng.choice(PORTS).to_bytes(2, "big") + bytes(16)
        header = bytes([0x45 + len(options) // 4, 0]) + (20 + len(options) + len(payload)).to_bytes(2, "big")
        header += b"\0\1" + frag.to_bytes(2, "big") + bytes([64, rng.choice([1, 6, 6, 17, 17, 17, 132, 47])]) + b"\0\0"
        body = header + src + dst + options + payload
    else:
        body = bytes.fromhex("0001080006040001020000000102") + src + bytes(6) + dst
    octets = bytes.fromhex("020000000102020000000201") + ethertype.to_bytes(2, "big") + body
    return octets[: rng.randrange(14, len(octets))] if rng.random() < 0.1 else octets


def expression(rng: random.Random, depth: int = 0) -> str:
    direction = rng.choice(["", "", "src ", "dst ", "src or dst ", "src and dst "])
    pick = rng.randrange(8 if depth > 2 else 11)
    if pick < 2:
        return rng.choice(["ip", "arp", "icmp", "tcp", "udp"])
    if pick < 4:
        text = rng.choice(["", "", "ip ", "arp "]) + direction + "host " + rng.choice(HOSTS)
        return text + rng.choice(["", "", f" or {rng.choice(HOSTS)}", f" and {rng.choice(HOSTS)}"])
    if pick < 6:
        return (
            rng.choice(["", "ip "]) + direction + "net " + rng.choice(["10.0.1.0/24", "10.0", "192", "10.0.0.0", "0/0"])
        )
    if pick < 8:
        text = rng.choice(["", "", "tcp ", "udp "]) + direction + "port "
        return text + rng.choice(["80", "443", "(80 or 443)", "80 or 443", "80 or not 443", "80 or (443 or 4000)"])
    if pick == 8:
        return "not " + expression(rng, depth + 1)
    if pick == 9:
        return "(" + expression(rng, depth + 1) + ")"
    return expression(rng, depth + 1) + rng.choice([" and ", " or ", " && ", " || "]) + expression(rng, depth + 1)


def tcpdump(path: Path, text: str) -> set[int] | None:
    """Return the indices of the packets tcpdump lets pass (their time stamps), or None when it refuses the filter."""
    done = subprocess.run(["tcpdump", "-n", "-tt", "-r", str(path), text], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return {int(line.split(".")[0]) for line in done.stdout.splitlines() if line[:1].isdigit()}


def test_random_filters_let_the_same_packets_pass_as_tcpdump(tmp_path: Path) -> None:
    rng = random.Random(7)
    packets = [packet(rng) for _ in range(150)]
    path = tmp_path / "packets.pcapng"
    with path.open("wb") as file:
        writer = PcapngWriter(file)
        interface = writer.interface("h1:eth0")
        for index, octets in enumerate(packets):
            writer.packet(interface, index * 1_000_000_000, octets)
    compared = 0
    for _ in range(250):
        text = expression(rng)
        expected = tcpdump(path, text)
        try:
            compiled = compile_filter(text)
        except FilterError:
            assert expected is None, f"tcpdump takes {text!r}"
            continue
        if expected is None:
            continue  # libpcap also refuses what can never match ("expression rejects all packets")
        assert {i for i, octets in enumerate(packets) if compiled.matches(octets)} == expected, text
        compared += 1
    assert compared > 150
