"""The seed's NAT by named cases: whole boxes, set up with the document's commands (route-patches 11, 39 to 47, 52, 53).

                      wan0 10.0.1.2/24 --- gw1 10.0.1.1
    lan0 192.168.0.1 [r]
                      wan1 10.0.2.2/24 --- gw2 10.0.2.1      (or both gateways on wan0)

Where running the patched code corrected a case (route-patches C8; patched-nat corrections N3, N9), the correction is
what is tested, and said.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from netsim.addr import ip_str, mac_str
from netsim.shell.dispatch import run
from netsim.stack.netns import Netns
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink
from netsim.stack.skb import Skb
from netsim.trace.records import Dropped, RouteLookup
from netsim.units import sec
from netsim.wire.ether import ETH_HLEN
from netsim.wire.frame import Frame
from netsim.wire.icmp import build_icmp
from netsim.wire.rewrite import resum

GATEWAYS = {"02:00:00:00:00:f1": "gw1", "02:00:00:00:00:f2": "gw2"}
INSIDE = "02:00:00:00:00:03"
HOST, SERVER = "192.168.0.3", "192.168.0.80"
OWNER = {"10.0.1.2": "gw1", "10.0.2.2": "gw2"}
RULES = """
    ip rule add prio 10 table main
    ip rule add prio 20 from 10.0.1.0/24 table 20
    ip route add default via 10.0.1.1 dev {one} src 10.0.1.2 proto static table 20
    ip rule add prio 30 from 10.0.2.0/24 table 30
    ip route add default via 10.0.2.1 dev {two} src 10.0.2.2 proto static table 30
    ip rule add prio 100 from 192.168.0.0/16 table 100
    ip route add default table 100 proto static nexthop via 10.0.1.1 dev {one} nexthop via 10.0.2.1 dev {two}
    ip rule add prio 200 table 200
    ip route append default via 10.0.1.1 dev {one} src 10.0.1.2 proto static table 200
    ip route append default via 10.0.2.1 dev {two} src 10.0.2.2 proto static table 200
"""
ALL_BUT_REROUTE = ["static_routes", "alt_routes", "arp_prefsrc"]


class Router:
    """A box, its gateways and its inside as permanent neighbours, and the packets that come out of it."""

    def __init__(self, kernel: str = "linux-2.4-routes", patches=None, *, one_device: bool = False) -> None:
        self.net = Netns("r", profile(kernel, patches), random.Random(1), {Dropped, RouteLookup})
        self.now = sec(100)
        self.devices = ("wan0", "wan0") if one_device else ("wan0", "wan1")
        self.sh("ip link set lo up")
        for name, address in (("lan0", "192.168.0.1/24"), ("wan0", "10.0.1.2/24"), (self.devices[1], "10.0.2.2/24")):
            if name not in self.net.interfaces:
                self.net.request(NewLink(name=name), now=self.now)
            self.sh(f"ip addr add {address} dev {name}\nip link set {name} up")
        for number, dev in enumerate(self.devices, 1):
            self.sh(f"ip neigh add 10.0.{number}.1 lladdr 02:00:00:00:00:f{number} dev {dev} nud permanent")
        for host in (HOST, SERVER):
            self.sh(f"ip neigh add {host} lladdr {INSIDE} dev lan0 nud permanent")
        self.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.sh(RULES.format(one=self.devices[0], two=self.devices[1]))

    def sh(self, text: str) -> str:
        """Run lines that must succeed."""
        out = []
        for line in filter(None, map(str.strip, text.splitlines())):
            result = run(self.net, line, now=self.now)
            assert result.rc == 0, (line, result)
            out.append(result.stdout)
        return "".join(out)

    def flush(self) -> None:
        """Empty the route cache, so that the next packet is looked up anew."""
        self.sh("ip route flush cache")
        self.wait(3)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + round(seconds * 1e9)
        while (deadline := self.net.next_deadline()) is not None and deadline <= until:
            self.net.tick(now=deadline)
        self.now = until

    def send(self, packet: bytes, dev: str = "lan0", *, others: list | None = None):
        """Let a packet come in; return (where it left to, packet), or the reasons it ended for.

        What else left meanwhile (errors, redirects) goes to `others` in the same form.
        """
        outbox = self.net.outbox
        outbox.frames.clear()
        outbox.records.clear()
        mac = self.net.interfaces.named(dev).mac
        sender = bytes.fromhex(INSIDE.replace(":", ""))
        self.net.receive(dev, Frame(mac + sender + b"\x08\x00" + packet, 1), now=self.now)
        own = None
        for out in outbox.frames:
            if out.octets[12:14] != b"\x08\x00":
                continue
            left = GATEWAYS.get(mac_str(out.octets[:6]), out.dev), Skb(bytearray(out.octets[ETH_HLEN:]))
            if out.through == 1:
                own = left
            elif others is not None:
                others.append(left)
        if own is not None:
            return own
        return tuple(record.reason for record in outbox.records if isinstance(record, Dropped))

    def lookups(self) -> list[RouteLookup]:
        """Return the routing decisions made for the last packet."""
        return [record for record in self.net.outbox.records if isinstance(record, RouteLookup)]

    def masquerade(self) -> Router:
        """Masquerade what the inside sends: on 2.2 by one rule, else by a rule for each device to the providers."""
        if self.net.profile.netfilter.tool == "ipchains":
            self.sh("ipchains -P forward DENY\nipchains -A forward -s 192.168.0.0/16 -j MASQ")
            return self
        for dev in dict.fromkeys(self.devices):
            self.sh(f"iptables -t nat -A POSTROUTING -o {dev} -j MASQUERADE")
        return self


def destinations(count: int) -> list[str]:
    return [f"198.18.{number >> 8}.{number & 255}" for number in range(1, count + 1)]


def wrong(sent) -> bool:
    """Tell whether a packet's source belongs to another provider than the gateway it goes to."""
    return OWNER[ip_str(sent[1].saddr)] != sent[0]


@pytest.mark.slow
@pytest.mark.parametrize(("patches", "least", "most"), [(None, 0, 0), (ALL_BUT_REROUTE, 400, 600)])
def test_the_masqueraded_source_fits_the_gateway_only_with_the_gw_key(kit, patches, least, most):
    """Case 39. Given two gateways on one device, routes with `src` of their own, when 1,000 flows begin, then with the
    gw key each gets the source of the gateway it goes to, and without it about half do not."""
    router = Router(patches=patches, one_device=True).masquerade()
    for number in (1, 2):
        router.sh(f"ip neigh change 10.0.{number}.1 dev wan0 nud reachable")
    sent = [router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(1000)]
    assert Counter(gateway for gateway, _ in sent) == {"gw1": 500, "gw2": 500}
    assert least <= sum(map(wrong, sent)) <= most


@pytest.mark.parametrize("one_device", [True, False], ids=["two gateways on one device", "a device each"])
def test_later_packets_leave_by_the_gateway_that_owns_the_source(kit, one_device):
    """Case 40. Given 20 masqueraded flows, when the cache is flushed and credits rotate between packets, then packets
    2 to 4 of each flow go where the flow's source belongs, with that source."""
    router = Router(one_device=one_device).masquerade()
    first = {to: router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(20)}
    assert {gateway for gateway, _ in first.values()} == {"gw1", "gw2"}
    for _ in range(3):
        router.flush()
        router.send(kit.udp(HOST, 4001, "203.0.113.1", 53))  # spends a credit more
        for to, (gateway, skb) in first.items():
            again = router.send(kit.udp(HOST, 4000, to, 53))
            assert (again[0], again[1].saddr) == (gateway, skb.saddr)


def test_without_the_patch_later_packets_follow_the_rotation(kit):
    """Case 40, the failure that the patch cures: the same on stock 2.4, where some packet 2 leaves by the other ISP."""
    router = Router("linux-2.4").masquerade()
    first = {to: router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(20)}
    router.flush()
    router.send(kit.udp(HOST, 4001, "203.0.113.1", 53))
    again = [router.send(kit.udp(HOST, 4000, to, 53)) for to in first]
    assert any(map(wrong, again))


def test_without_a_sourceless_table_masquerade_takes_the_devices_first_address(kit):
    """Case 41 and N9. Given no rule 200, when flows begin, then none is dropped, and all get the first primary
    address of the device, whichever gateway their first packet goes to."""
    router = Router(one_device=True).masquerade()
    router.sh("ip rule del prio 200")
    sent = [router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(20)]
    assert {ip_str(skb.saddr) for _, skb in sent} == {"10.0.1.2"}
    assert Counter(gateway for gateway, _ in sent) == {"gw1": 10, "gw2": 10}
    later = [router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(20)]
    assert {gateway for gateway, _ in later} == {"gw1"}


def test_a_dead_provider_keeps_its_connections_and_gets_no_new_ones(kit):
    """Case 42. Given flows by both providers, when gw1 fails (its device stays up), then its flows keep going to it
    with its source, and every new flow goes to gw2."""
    router = Router().masquerade()
    old = {to: router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(10)}
    router.sh("ip neigh change 10.0.1.1 dev wan0 nud failed")
    router.flush()
    for to, (gateway, skb) in old.items():
        again = router.send(kit.udp(HOST, 4000, to, 53))
        if gateway == "gw2":
            assert (again[0], again[1].saddr) == (gateway, skb.saddr)
        else:
            assert set(again) <= {"NEIGH_QUEUEFULL"}  # held for gw1, whose address is being asked for again
            assert [record.gateway for record in router.lookups() if record.lsrc] == ["10.0.1.1"]
    new = [router.send(kit.udp(HOST, 4100, to, 53)) for to in destinations(60)[10:]]
    assert {gateway for gateway, _ in new} == {"gw2"}
    assert {ip_str(skb.saddr) for _, skb in new} == {"10.0.2.2"}


@pytest.mark.parametrize(("vip", "gateway", "dev"), [("10.0.1.2", "gw1", "wan0"), ("10.0.2.2", "gw2", "wan1")])
def test_a_dnat_servers_answers_leave_by_the_provider_the_client_used(kit, vip, gateway, dev):
    """Case 43. Given a server behind both public addresses, when a client connects to one of them, then each answer
    leaves by that address's provider, with that address, whatever the multipath route would say."""
    router = Router()
    for number in (1, 2):
        router.sh(
            f"iptables -t nat -A PREROUTING -d 10.0.{number}.2 -p tcp --dport 80 -j DNAT --to-destination {SERVER}"
        )
    for number, client in enumerate(destinations(10)):
        inward = router.send(kit.tcp(client, 5000 + number, vip, 80, "S", 1), dev)
        assert (inward[0], ip_str(inward[1].daddr)) == ("lan0", SERVER)
        answer = router.send(kit.tcp(SERVER, 80, client, 5000 + number, "SA", 1, 2))
        assert (answer[0], ip_str(answer[1].saddr)) == (gateway, vip)
        assert kit.sound(answer[1])
        router.flush()


def test_a_mark_set_before_the_hook_is_honoured_by_it(kit):
    """Case 43, N8. Given a rule for mark 2 before the rules for sources, when later packets of gw1's flow are marked
    in mangle PREROUTING, then they leave by gw2 with gw1's source: the mark is stronger."""
    router = Router().masquerade()
    router.sh("ip rule add prio 15 fwmark 2 table 30")
    first = {to: router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(4)}
    router.sh("iptables -t mangle -A PREROUTING -i lan0 -j MARK --set-mark 2")
    router.flush()
    for to, (_, skb) in first.items():
        again = router.send(kit.udp(HOST, 4000, to, 53))
        assert (again[0], again[1].saddr) == ("gw2", skb.saddr)


def test_snat_without_an_out_device_gives_half_the_first_packets_the_wrong_source(kit):
    """Case 44, seed section 7. Given one SNAT rule without -o, when flows begin, then the half that the multipath
    route sends to gw2 carry gw1's address; and from packet 2 on the hook sends them all to gw1."""
    router = Router()
    router.sh("iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -j SNAT --to-source 10.0.1.2")
    first = [router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(100)]
    assert sum(map(wrong, first)) == 50
    later = [router.send(kit.udp(HOST, 4000, to, 53)) for to in destinations(100)]
    assert {gateway for gateway, _ in later} == {"gw1"}


def test_an_lsrc_lookup_that_ends_in_prohibit_is_answered_not_dropped(kit):
    """Case 45 as corrected by C8. Given flows of gw1, when `from 10.0.1.0/24` becomes prohibit and the cache is
    flushed, then later packets are answered with "communication prohibited", and the entry has no lsrc in its key:
    even new flows of that pair of hosts are refused (N11)."""
    router = Router().masquerade()
    to = next(to for to in destinations(4) if router.send(kit.udp(HOST, 4000, to, 53))[0] == "gw1")
    router.sh("ip rule add prio 15 from 10.0.1.0/24 prohibit")
    router.flush()
    errors: list = []
    assert router.send(kit.udp(HOST, 4000, to, 53), others=errors) != ()
    assert [(dev, skb.proto, bytes(skb.data[20:22])) for dev, skb in errors] == [("lan0", 1, b"\x03\x0d")]
    router.wait(2)
    assert isinstance(router.send(kit.udp(HOST, 4999, to, 53))[0], str)
    assert router.send(kit.udp(HOST, 4999, to, 53))[0] not in GATEWAYS.values()


def test_an_lsrc_lookup_that_is_refused_drops_in_pre_routing(kit):
    """Case 45, C8. Given a flow of gw1, when rp_filter finds its source behind another device, then the hook's lookup
    is refused and the packet dropped there (POST_ROUTING never sees it): no error goes back."""
    router = Router().masquerade()
    to = next(to for to in destinations(4) if router.send(kit.udp(HOST, 4000, to, 53))[0] == "gw1")
    router.sh("""ip route add 192.168.0.3 dev wan1
                 sysctl -w net.ipv4.conf.all.rp_filter=1
                 sysctl -w net.ipv4.conf.lan0.rp_filter=1""")
    router.flush()
    errors: list = []
    assert router.send(kit.udp(HOST, 4000, to, 53), others=errors) == ("IP_RPFILTER",)
    assert errors == []


def test_an_error_about_answers_takes_the_connections_way(kit):
    """Case 45, second half. Given a flow of gw1 and an answer delivered, when the inside host answers that with an
    ICMP error, then the error leaves by gw1 with gw1's address, outside and inside."""
    router = Router().masquerade()
    to = next(to for to in destinations(4) if router.send(kit.udp(HOST, 4000, to, 53))[0] == "gw1")
    answer = router.send(kit.udp(to, 53, "10.0.1.2", 4000), "wan0")[1]
    router.flush()
    router.send(kit.udp(HOST, 4001, "203.0.113.1", 53))
    quoted = bytes(answer.data[:28])
    error = router.send(kit.ip(HOST, to, 1, port_unreachable(quoted)))
    assert (error[0], ip_str(error[1].saddr)) == ("gw1", "10.0.1.2")
    assert kit.sound(error[1])
    assert any(record.lsrc == "10.0.1.2" for record in router.lookups())


def test_an_untracked_packet_is_not_touched_by_the_hook(kit):
    """Case 45, N6. Given no request, when the inside sends an ICMP answer, then it leaves by a plain lookup with its
    private source."""
    router = Router().masquerade()
    sent = router.send(kit.icmp(HOST, "198.18.0.9", 0, 77))
    assert sent[0] in GATEWAYS.values()
    assert ip_str(sent[1].saddr) == HOST
    assert [record.lsrc for record in router.lookups()] == [""]


@pytest.mark.parametrize("translated", [True, False], ids=["translated", "as it is"])
def test_a_redirect_is_sent_only_where_nothing_is_translated(kit, translated):
    """Case 46. Given an inside host whose way out is the device it came by, when it sends three packets, then without
    NAT each earns a redirect, and with NAT none does.

    N3: the first packet's route is marked all the same, since its translation is still to come. It is NAT that then
    lets no redirect about an unknown or translated connection leave (ip_nat_fn(), icmp_reply_translation())."""
    router = Router()
    router.sh(f"ip route add 203.0.113.0/24 via {SERVER} dev lan0")
    if translated:
        router.sh("iptables -t nat -A POSTROUTING -o lan0 -d 203.0.113.0/24 -j SNAT --to-source 192.168.0.1")
    told = []
    for number in range(3):
        others: list = []
        router.send(kit.udp(HOST, 4000, "203.0.113.10", 53), others=others)
        told.append(sum(skb.proto == 1 and skb.data[20] == 5 for _, skb in others))
        router.wait(20 * (number + 1))
    assert told == ([0, 0, 0] if translated else [1, 1, 1])
    assert "redirect" in router.sh(f"ip route get 203.0.113.10 from {HOST} iif lan0")


def test_a_repeated_syn_takes_the_first_ones_way(kit):
    """Case 47. Given a SYN sent to gw1 and unanswered, when the cache is flushed and another flow spends a credit,
    then the SYN sent again is looked up with lsrc and goes to gw1 again, not to the next path."""
    router = Router().masquerade()
    syn = kit.tcp(HOST, 4000, "198.18.0.1", 80, "S", 1)
    gateway, first = router.send(syn)
    for _ in range(4):
        router.flush()
        again = router.send(syn)
        assert (again[0], again[1].saddr, again[1].sport) == (gateway, first.saddr, first.sport)
        assert [record.lsrc for record in router.lookups()] == [ip_str(first.saddr)]


def error_of(packet) -> int:
    """Return how far a TCP checksum is off the right one, in the arithmetic it is made in."""
    fresh = bytearray(packet)
    resum(fresh)
    at = (packet[0] & 15) * 4 + 16
    stored, right = (int.from_bytes(octets[at : at + 2], "big") for octets in (packet, fresh))
    return (stored - right) % 0xFFFF


@pytest.mark.parametrize(("kernel", "passes"), [("linux-2.2-routes", True), ("linux-2.2", False)])
def test_a_damaged_segment_stays_damaged_by_exactly_as_much(kit, kernel, passes):
    """Case 52. Given a masquerading 2.2 router, when a segment with one bit of its payload turned comes in, then with
    the patch it leaves translated and its checksum as wrong as it was; unpatched, which sums anew, drops it."""
    router = Router(kernel).masquerade()
    packet = bytearray(kit.tcp(HOST, 4000, "198.18.0.1", 80, "PA", 1, 1, b"GET / HTTP/1.0\r\n"))
    packet[50] ^= 0x04
    sent = router.send(bytes(packet))
    if not passes:
        assert sent == ("NETFILTER_DROP",)
        return
    assert ip_str(sent[1].saddr) in OWNER
    assert not kit.sound(sent[1])
    assert error_of(sent[1].data) == error_of(packet) != 0


@pytest.mark.parametrize("kernel", ["linux-2.2", "linux-2.2-routes"])
def test_port_is_rewritten_summed_in_full_and_later_numbers_shift(kit, kernel):
    """Case 52, FTP. Given a control connection over 2.2's masquerading, when the client sends PORT, then the outside
    reads the masquerading address and a port of 61000 and up, the checksum is right, later numbers are shifted by what
    the text grew or shrank, and the data connection comes back to the client and its answers leave masqueraded."""
    router = Router(kernel).masquerade()
    server = "198.18.0.1"
    gateway, syn = router.send(kit.tcp(HOST, 4000, server, 21, "S", 99))
    dev, mine = ("wan0", "10.0.1.2") if gateway == "gw1" else ("wan1", "10.0.2.2")
    port = syn.sport
    router.send(kit.tcp(server, 21, mine, port, "SA", 499, 100), dev)
    router.send(kit.tcp(server, 21, mine, port, "PA", 500, 100, b"220 hello\r\n"), dev)
    router.send(kit.tcp(HOST, 4000, server, 21, "PA", 100, 511, b"USER x\r\n"))
    command = b"PORT 192,168,0,3,4,1\r\n"
    _, said = router.send(kit.tcp(HOST, 4000, server, 21, "PA", 108, 511, command))
    quad, high = mine.replace(".", ","), 61001 >> 8
    assert bytes(said.data[40:]) == f"PORT {quad},{high},{61001 & 255}\r\n".encode()
    assert kit.sound(said)
    grown = len(said.data) - 40 - len(command)
    _, later = router.send(kit.tcp(HOST, 4000, server, 21, "PA", 108 + len(command), 511, b"RETR f\r\n"))
    assert int.from_bytes(later.data[24:28], "big") == 108 + len(command) + grown
    _, back = router.send(kit.tcp(server, 21, mine, port, "A", 511, 108 + len(command) + grown), dev)
    assert int.from_bytes(back.data[28:32], "big") == 108 + len(command)
    assert kit.sound(later)
    assert kit.sound(back)
    data = router.send(kit.tcp(server, 20, mine, 61001, "S", 9), dev)
    assert (data[0], ip_str(data[1].daddr), data[1].dport) == ("lan0", HOST, 1025)
    answer = router.send(kit.tcp(HOST, 1025, server, 20, "SA", 9, 10))
    assert (ip_str(answer[1].saddr), answer[1].sport) == (mine, 61001)
    assert answer[0] == (gateway if kernel == "linux-2.2-routes" else answer[0])
    assert kit.sound(answer[1])


@pytest.mark.parametrize(("kernel", "follows"), [("linux-2.2-routes", True), ("linux-2.2", False)])
def test_a_masqueraded_connection_follows_the_routes_of_its_address(kit, kernel, follows):
    """Case 53. Given connections of 2.2 over two gateways of one device, when the route of gw1's address changes to
    gw2, then the next packets of those that have this address leave by gw2, still with it: the gateway of the first
    packet chose the address and binds nothing later. Unpatched 2.2 never asks by that address."""
    router = Router(kernel, one_device=True).masquerade()
    first = {to: router.send(kit.tcp(HOST, 4000, to, 80, "S", 1)) for to in destinations(10)}
    if follows:
        assert not any(map(wrong, first.values()))
    router.sh("ip route replace default via 10.0.2.1 dev wan0 src 10.0.1.2 table 20")
    router.flush()
    again = {to: router.send(kit.tcp(HOST, 4000, to, 80, "S", 1)) for to in first}
    assert {to: skb.saddr for to, (_, skb) in again.items()} == {to: skb.saddr for to, (_, skb) in first.items()}
    assert all(kit.sound(skb) for _, skb in again.values())
    ones = {gateway for gateway, skb in again.values() if ip_str(skb.saddr) == "10.0.1.2"}
    assert ones == ({"gw2"} if follows else {"gw1", "gw2"})


def port_unreachable(quoted: bytes) -> bytes:
    return build_icmp(3, 3, 0, quoted)
