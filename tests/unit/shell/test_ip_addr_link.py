"""`ip addr` and `ip link`; texts of observed-linux 14 and of iproute2 6.1 itself."""

from __future__ import annotations

import json

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.stack import device as d
from netsim.stack.errno import EEXIST, Refusal
from netsim.stack.requests import (
    DelAddr,
    DelLink,
    DumpAddrs,
    DumpLinks,
    NewAddr,
    NewLink,
    SetLink,
)

A = parse_ip("10.0.1.3")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("addr add 10.0.1.3/24 dev eth0", NewAddr(dev="eth0", local=A, plen=24)),
        ("a a 10.0.1.3 dev eth0", NewAddr(dev="eth0", local=A, plen=32)),
        (
            "addr add 10.0.1.3/24 brd + dev eth0",
            NewAddr(dev="eth0", local=A, plen=24, broadcast=parse_ip("10.0.1.255")),
        ),
        ("addr add 10.0.1.3/24 brd - dev eth0", NewAddr(dev="eth0", local=A, plen=24, broadcast=parse_ip("10.0.1.0"))),
        (
            "addr add 10.0.1.3/24 broadcast 10.0.1.7 scope link label eth0:1 dev eth0",
            NewAddr(dev="eth0", local=A, plen=24, broadcast=parse_ip("10.0.1.7"), scope=253, label="eth0:1"),
        ),
        ("addr add 10.0.1.3 peer 10.0.1.4 dev eth0", NewAddr(dev="eth0", local=A, plen=32, peer=parse_ip("10.0.1.4"))),
        ("addr add 127.0.0.2/8 dev lo", NewAddr(dev="lo", local=parse_ip("127.0.0.2"), plen=8, scope=254)),
        (
            "addr add 10.1/16 dev eth0 noprefixroute",
            NewAddr(dev="eth0", local=parse_ip("10.1.0.0"), plen=16, noprefixroute=True),
        ),
        ("addr replace 10.0.1.3/24 dev eth0", NewAddr(dev="eth0", local=A, plen=24, flags=0x500)),
        ("addr change 10.0.1.3/24 dev eth0 valid_lft forever", NewAddr(dev="eth0", local=A, plen=24, flags=0x100)),
        ("addr del 10.0.1.3/24 dev eth0", DelAddr(dev="eth0", local=A, plen=24, peer=A)),
        ("addr del 10.0.1.3 peer 10.0.1.4 dev eth0", DelAddr(dev="eth0", local=A, plen=32, peer=parse_ip("10.0.1.4"))),
        ("link set eth0 up", SetLink(dev="eth0", up=True)),
        (
            "link set dev eth0 down mtu 1400 arp off promisc on",
            SetLink(dev="eth0", up=False, mtu=1400, arp=False, promisc=True),
        ),
        ("l set eth0 address 2:0:0:0:0:99", SetLink(dev="eth0", mac=parse_mac("02:00:00:00:00:99"))),
        ("link set eth0 name lan0", SetLink(dev="eth0", new_name="lan0")),
        ("link add d0 type dummy", NewLink(name="d0", kind="dummy")),
        (
            "link add name d0 mtu 1400 address 02:00:00:00:00:05 type dummy",
            NewLink(name="d0", kind="dummy", mtu=1400, mac=parse_mac("02:00:00:00:00:05")),
        ),
        ("link del eth0", DelLink(dev="eth0")),
    ],
)
def test_words_become_one_request(box, sh, line, expected):
    assert sh(f"ip {line}").stderr == ""
    assert box.changes() == [expected]


def test_deleting_without_a_length_warns_and_deletes_any(box, sh):
    result = sh("ip addr del 10.0.1.3 dev eth0")
    assert result.rc == 0
    assert result.stderr == (
        "Warning: Executing wildcard deletion to stay compatible with old scripts.\n"
        "         Explicitly specify the prefix length (10.0.1.3/32) to avoid this warning.\n"
        "         This special behaviour is likely to disappear in further releases,\n"
        "         fix your scripts!\n"
    )
    assert box.changes() == [DelAddr(dev="eth0", local=A)]


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        ("addr flush", 1, "Flush requires arguments.\n"),
        ("addr foo", 255, 'Command "foo" is unknown, try "ip address help".\n'),
        ("addr add 10.0.1.3/24 dev eth0 foo", 255, 'Error: either "local" is duplicate, or "foo" is a garbage.\n'),
        ("addr add foo dev eth0", 1, 'Error: any valid prefix is expected rather than "foo".\n'),
        ("addr add 10.0.1.3/24 dev eth0 scope foo", 255, 'Error: argument "foo" is wrong: invalid scope value.\n'),
        (
            "addr add 10.0.1.3/24 brd 10.0.1.300 dev eth0",
            1,
            'Error: inet address is expected rather than "10.0.1.300".\n',
        ),
        ("link add d0 type foo", 2, "Error: Unknown device type.\n"),
    ],
)
def test_wrong_words_are_refused_in_iproute2s_words(box, sh, line, rc, err):
    result = sh(f"ip {line}")
    assert (rc, err) == (result.rc, result.stderr)
    assert box.changes() == []


def test_a_refusal_of_the_kernel_is_said_with_a_full_stop(box, sh):
    box.answers[NewAddr] = Refusal(EEXIST, "ipv4: Address already assigned")
    result = sh("ip addr add 10.0.1.2/24 dev eth0")
    assert (result.rc, result.stderr) == (2, "Error: ipv4: Address already assigned.\n")


LO = (
    "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN {}group default qlen 1000\n"
    "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n"
)
ETH0 = (
    "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP {}group default qlen 1000\n"
    "    link/ether 02:00:00:00:01:02 brd ff:ff:ff:ff:ff:ff\n"
)
ETH1 = (
    "3: eth1: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN {}group default qlen 1000\n"
    "    link/ether 02:00:00:00:02:02 brd ff:ff:ff:ff:ff:ff\n"
)
TUN0 = (
    "4: tun0: <POINTOPOINT,MULTICAST,NOARP> mtu 1500 qdisc noop state DOWN {}group default qlen 500\n    link/none \n"
)
INET = "    inet 10.0.1.2/24 brd 10.0.1.255 scope global eth0\n       valid_lft forever preferred_lft forever\n"
INET_LO = "    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n"


def test_links_print_as_iproute2_prints_them(sh):
    mode = "mode DEFAULT "
    assert sh("ip link").stdout == "".join(text.format(mode) for text in (LO, ETH0, ETH1, TUN0))
    assert sh("ip link show up").stdout == LO.format(mode) + ETH0.format(mode)
    assert sh("ip link show dev eth1").stdout == ETH1.format(mode)
    assert sh("ip -o link show eth1").stdout == ETH1.format(mode).replace("\n    link", "\\    link")


def test_addresses_print_as_iproute2_prints_them(sh):
    assert sh("ip addr").stdout == LO.format("") + INET_LO + ETH0.format("") + INET + ETH1.format("") + TUN0.format("")
    assert sh("ip addr show dev eth0").stdout == ETH0.format("") + INET
    head_lo, head_eth0 = LO.format("").split("\n")[0], ETH0.format("").split("\n")[0]
    assert sh("ip -4 addr").stdout == f"{head_lo}\n{INET_LO}{head_eth0}\n{INET}"
    assert sh("ip -o addr").stdout == (
        "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n"
        "2: eth0    inet 10.0.1.2/24 brd 10.0.1.255 scope global eth0\\       valid_lft forever preferred_lft forever\n"
    )


def test_brief_forms_are_padded(sh):
    assert sh("ip -br link").stdout == (
        "lo               UNKNOWN        00:00:00:00:00:00 <LOOPBACK,UP,LOWER_UP> \n"
        "eth0             UP             02:00:00:00:01:02 <BROADCAST,MULTICAST,UP,LOWER_UP> \n"
        "eth1             DOWN           02:00:00:00:02:02 <BROADCAST,MULTICAST> \n"
        "tun0             DOWN           <POINTOPOINT,MULTICAST,NOARP> \n"
    )
    assert sh("ip -br addr").stdout == (
        "lo               UNKNOWN        127.0.0.1/8 \n"
        "eth0             UP             10.0.1.2/24 \n"
        "eth1             DOWN           \n"
        "tun0             DOWN           \n"
    )


def test_a_device_without_carrier_says_so(box, sh, makers):
    link, _ = makers
    lost = link(2, "eth0", d.ETHER, d.IFF_UP, "02:00:00:00:01:02", carrier=False)
    flags = lost.flags & ~(d.IFF_RUNNING | d.IFF_LOWER_UP)
    box.answers[DumpLinks] = (type(lost)(**{f: getattr(lost, f) for f in lost.__slots__} | {"flags": flags}),)
    assert sh("ip link").stdout.startswith(
        "2: eth0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN mode DEFAULT "
    )


def test_secondary_peer_and_label_are_shown(box, sh, makers):
    _, addr = makers
    box.answers[DumpAddrs] = (
        addr("eth0", 2, "10.0.1.3", 24, secondary=True, label="eth0:1", noprefixroute=True),
        addr("eth0", 2, "10.8.0.1", 32, peer=parse_ip("10.8.0.2")),
    )
    lines = sh("ip addr show eth0").stdout.splitlines()
    assert lines[2] == "    inet 10.0.1.3/24 scope global secondary noprefixroute eth0:1"
    assert lines[4] == "    inet 10.8.0.1 peer 10.8.0.2/32 scope global eth0"
    info = json.loads(sh("ip -j addr show eth0").stdout)[0]["addr_info"]
    assert info[1] == {
        "family": "inet",
        "local": "10.8.0.1",
        "address": "10.8.0.2",
        "prefixlen": 32,
        "scope": "global",
        "label": "eth0",
        "valid_life_time": 4294967295,
        "preferred_life_time": 4294967295,
    }
    assert info[0]["secondary"] is True


def test_json_has_the_recorded_keys_in_order(sh):
    assert sh("ip -j addr show dev eth0").stdout == (
        '[{"ifindex":2,"ifname":"eth0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue",'
        '"operstate":"UP","group":"default","txqlen":1000,"link_type":"ether","address":"02:00:00:00:01:02",'
        '"broadcast":"ff:ff:ff:ff:ff:ff","addr_info":[{"family":"inet","local":"10.0.1.2","prefixlen":24,'
        '"broadcast":"10.0.1.255","scope":"global","label":"eth0","valid_life_time":4294967295,'
        '"preferred_life_time":4294967295}]}]\n'
    )
    assert sh("ip -j -s link show lo").stdout == (
        '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue",'
        '"operstate":"UNKNOWN","linkmode":"DEFAULT","group":"default","txqlen":1000,"link_type":"loopback",'
        '"address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00","stats64":{"rx":{"bytes":0,"packets":0,'
        '"errors":0,"dropped":0,"over_errors":0,"multicast":0},"tx":{"bytes":0,"packets":0,"errors":0,"dropped":0,'
        '"carrier_errors":0,"collisions":0}}}]\n'
    )


def test_statistics_stand_in_columns(box, sh, makers):
    link, _ = makers
    box.answers[DumpLinks] = (
        link(2, "eth0", d.ETHER, d.IFF_UP, "02:00:00:00:01:02", rx_bytes=90, rx_packets=1, tx_bytes=90, tx_packets=1),
    )
    assert sh("ip -s link show eth0").stdout.split("ff:ff\n")[1] == (
        "    RX:  bytes packets errors dropped  missed   mcast           \n"
        "            90       1      0       0       0       0 \n"
        "    TX:  bytes packets errors dropped carrier collsns           \n"
        "            90       1      0       0       0       0 \n"
    )


def test_flush_deletes_each_address_it_takes(box, sh):
    sh("ip addr flush dev eth0")
    assert box.changes() == [
        DelAddr(dev="eth0", local=parse_ip("10.0.1.2"), plen=24, peer=parse_ip("10.0.1.2"), label="eth0")
    ]
