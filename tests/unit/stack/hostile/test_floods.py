"""Floods: what an attacker can fill has a limit, the limit is Linux's, and what does not fit ends with its name."""

from __future__ import annotations

import pytest
from hostile_kit.victims import LAN_MAC, PEER_MAC, Victim

from netsim.addr import parse_ip, parse_mac
from netsim.shell.dispatch import run
from netsim.stack.ipv4.exceptions import MOST_LESSONS
from netsim.stack.ipv4.limits import PEERS_MAX
from netsim.stack.requests import TakeErrors
from netsim.units import ms, sec
from netsim.wire import drop
from netsim.wire.arp import build_request
from netsim.wire.icmp import build_icmp
from netsim.wire.ipv4 import IP_MF, build_ipv4
from netsim.wire.udp import build_udp

ME, PEER, FAR = parse_ip("192.168.0.1"), parse_ip("192.168.0.5"), parse_ip("203.0.113.10")
HEADER = parse_mac(LAN_MAC) + parse_mac(PEER_MAC) + b"\x08\x00"
OLD_KERNELS = ("linux-2.2", "linux-2.4", "linux-2.4-routes")


def ip(src: int, dst: int, proto: int, payload: bytes, **fields) -> bytes:
    """Return a frame from the peer's MAC on the LAN."""
    return HEADER + build_ipv4(src, dst, proto, len(payload), **fields) + payload


def udp(src: int, dst: int, sport: int, dport: int, data: bytes = b"x") -> bytes:
    return ip(src, dst, 17, build_udp(src, dst, sport, dport, data))


@pytest.mark.slow
def test_conntrack_stops_at_nf_conntrack_max():
    """nf_conntrack_alloc(): "table full, dropping packet", unless early_drop() finds an entry without an answer."""
    victim = Victim("linux-6", "nat")
    assert run(victim.box, "sysctl -w net.netfilter.nf_conntrack_max=100", now=0).rc == 0
    for number in range(500):
        victim.take("eth0", udp(PEER, FAR, 1024 + number, 53))
    assert victim.box.netfilter.conntrack.count == 100
    evicted = victim.box.netfilter.conntrack.stats["early_drop"]
    assert victim.drops == {drop.NETFILTER_DROP: 400 - evicted}
    assert victim.balanced()


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "most"), [*((kernel, 1024) for kernel in OLD_KERNELS), ("linux-6", 1025)])
def test_neighbours_stop_at_gc_thresh3(kernel, most):
    """neigh_alloc(): above gc_thresh3 (1024) only what a forced collection frees can be taken (6.x counts one late)."""
    victim = Victim(kernel, "router")
    for number in range(1300):
        asker = parse_ip("192.168.0.2") + number if number < 200 else parse_ip("10.0.0.0") + number
        frame = b"\xff" * 6 + parse_mac(PEER_MAC) + b"\x08\x06" + build_request(parse_mac(PEER_MAC), asker, ME)
        victim.take("eth0", frame)
    assert len(victim.box.neigh) <= most
    assert victim.balanced()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "high"), [*((kernel, 256 * 1024) for kernel in OLD_KERNELS), ("linux-6", 4_194_304)]
)
def test_fragments_stop_at_ipfrag_high_thresh(kernel, high):
    """Old kernels give up the oldest packets (ip_evictor), mainline begins no further one (inet_frag_alloc)."""
    victim = Victim(kernel, "host")
    frames = 4_500
    for number in range(frames):
        victim.take("eth0", ip(PEER + number % 50, ME, 17, bytes(64), frag_off=IP_MF, ident=number))
    held = victim.box.held()
    assert high // 1400 < held <= high // 900
    assert victim.drops == {drop.NOMEM: frames - held}
    assert victim.balanced()
    victim.take("eth0", ip(PEER, ME, 17, bytes(64), frag_off=IP_MF, ident=9))
    assert (victim.box.held() > held) == (victim.box.held() - held == 1)
    victim.drain()
    assert victim.box.held() == 0
    victim.take("eth0", ip(PEER, ME, 17, bytes(64), frag_off=IP_MF, ident=9))
    assert victim.box.held() == 1


def test_icmp_errors_are_limited_by_peer_and_in_all():
    """icmp_ratelimit: six at once to one peer, then one a second; icmp_msgs_burst: 50 to all together."""
    victim = Victim("linux-6", "host")
    assert run(victim.box, f"ip neigh replace 192.168.0.5 dev eth0 lladdr {PEER_MAC} nud permanent", now=0).rc == 0
    victim.wait(sec(10))
    before = victim.sent
    for _ in range(1000):
        victim.take("eth0", udp(PEER, ME, 7, 99))
    assert victim.sent - before == 6
    assert victim.drops[drop.NO_SOCKET] == 1000


def test_a_sockets_errors_share_its_receive_buffer():
    """sock_queue_err_skb(): no room, no error."""
    victim = Victim("linux-6", "host")
    inner = build_ipv4(ME, PEER, 17, 8) + build_udp(ME, PEER, 5000, 7)
    for _ in range(1000):
        victim.take("eth0", ip(PEER, ME, 1, build_icmp(3, 3, 0, inner)))
    errors = victim.box.request(TakeErrors(fd=victim.connected), now=victim.now)
    assert 200 < len(errors) < 300
    assert victim.consumed >= 1000


@pytest.mark.slow
def test_path_mtu_lessons_are_bounded():
    """FNHE_HASH_SIZE times FNHE_RECLAIM_DEPTH for each path, the oldest makes room."""
    victim = Victim("linux-6", "host")
    gateway = parse_ip("192.168.0.254")
    for number in range(MOST_LESSONS + 300):
        far = parse_ip("11.0.0.0") + number
        inner = build_ipv4(ME, far, 17, 8) + build_udp(ME, far, 5000, 7)
        victim.take("eth0", ip(gateway, ME, 1, build_icmp(3, 4, 600, inner)))
    shown = run(victim.box, "ip route show cache", now=victim.now).stdout
    assert shown.count("mtu 600") == MOST_LESSONS
    assert "11.0.0.0 " not in shown
    assert "11.0.1.44 " in shown


@pytest.mark.slow
def test_peers_are_bounded():
    """inet_peer_threshold: whoever came first is forgotten, one look-up never clears more than 32."""
    victim = Victim("linux-6", "host")
    assert (
        run(victim.box, "sysctl -w net.ipv4.icmp_msgs_per_sec=1000000000 net.ipv4.icmp_msgs_burst=100000", now=0).rc
        == 0
    )
    assert run(victim.box, "ip route replace default via 192.168.0.5 dev eth0", now=0).rc == 0
    assert run(victim.box, f"ip neigh replace 192.168.0.5 dev eth0 lladdr {PEER_MAC} nud permanent", now=0).rc == 0
    for number in range(PEERS_MAX + 500):
        victim.take("eth0", udp(parse_ip("11.0.0.0") + number, ME, 7, 99))
        if number % 256 == 0:
            victim.wait(ms(20))
    assert PEERS_MAX - 32 < len(victim.box._ip.icmp._limits._peers) <= PEERS_MAX
