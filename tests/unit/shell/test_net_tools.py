"""ifconfig, route, arp: texts and requests; every text was printed by net-tools 2.10 on a real machine."""

from __future__ import annotations

import pytest

from netsim.addr import MASKS, parse_ip, parse_mac, parse_prefix
from netsim.shell.net_tools.common import aton, class_length, mask_length
from netsim.shell.net_tools.ifconfig_show import human
from netsim.stack import device as d
from netsim.stack.errno import EEXIST, ENETUNREACH, ENODEV, ENOENT, ESRCH, Refusal
from netsim.stack.metrics import RTAX_ADVMSS, Metrics
from netsim.stack.requests import (
    NLM_F_CREATE,
    DelAddr,
    DelNeigh,
    DelRoute,
    DumpAddrs,
    DumpLinks,
    DumpNeighs,
    DumpRoutes,
    GetRoute,
    NeighInfo,
    NewAddr,
    NewNeigh,
    NewRoute,
    NexthopInfo,
    NexthopSpec,
    RouteAnswer,
    RouteInfo,
    SetLink,
)

GW = parse_ip("10.0.1.1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.1", "10.0.0.1"),
        ("10.1.2", "10.1.0.2"),
        ("0", "0.0.0.0"),
        ("0x0a000001", "10.0.0.1"),
    ],
)
def test_addresses_are_read_as_inet_aton_reads_them(text, address):
    assert parse_ip(address) == aton(text)


@pytest.mark.parametrize("text", ["", "foo", "10.0.1.300", "1.2.3.4.5", "300.1", "10..1"])
def test_what_inet_aton_refuses_is_refused(text):
    with pytest.raises(ValueError, match="not"):
        aton(text)


def test_classes_and_masks():
    assert [class_length(parse_ip(ip)) for ip in ("10.0.0.1", "172.16.0.1", "192.168.0.1", "224.0.0.1", "0.0.0.0")] == [
        8,
        16,
        24,
        -1,
        0,
    ]
    assert mask_length(parse_ip("255.255.255.0")) == 24
    with pytest.raises(ValueError, match="not in"):
        mask_length(parse_ip("255.0.255.0"))


def test_ifconfig_shows_a_device(box, sh, makers):
    link, _ = makers
    box.answers[DumpLinks] = (
        link(1, "lo", d.LOOPBACK, d.IFF_UP),
        link(2, "eth0", d.ETHER, d.IFF_UP, "62:29:96:33:20:6a", rx_packets=9, rx_bytes=726, tx_packets=5, tx_bytes=354),
        link(3, "tun0", d.TUN, 0),
    )
    eth0 = (
        "eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500\n"
        "        inet 10.0.1.2  netmask 255.255.255.0  broadcast 10.0.1.255\n"
        "        ether 62:29:96:33:20:6a  txqueuelen 1000  (Ethernet)\n"
        "        RX packets 9  bytes 726 (726.0 B)\n"
        "        RX errors 0  dropped 0  overruns 0  frame 0\n"
        "        TX packets 5  bytes 354 (354.0 B)\n"
        "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
        "\n"
    )
    lo = (
        "lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536\n"
        "        inet 127.0.0.1  netmask 255.0.0.0\n"
        "        loop  txqueuelen 1000  (Local Loopback)\n"
        "        RX packets 0  bytes 0 (0.0 B)\n"
        "        RX errors 0  dropped 0  overruns 0  frame 0\n"
        "        TX packets 0  bytes 0 (0.0 B)\n"
        "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
        "\n"
    )
    assert eth0 == sh("ifconfig eth0").stdout
    assert eth0 + lo == sh("ifconfig").stdout
    assert sh("ifconfig -s").stdout == (
        "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
        "eth0             1500        9      0      0 0             5      0      0      0 BMRU\n"
        "lo              65536        0      0      0 0             0      0      0      0 LRU\n"
    )
    assert sh("ifconfig -a").stdout.endswith(
        "tun0: flags=4240<POINTOPOINT,NOARP,MULTICAST>  mtu 1500\n"
        "        unspec 00-00-00-00-00-00-00-00-00-00-00-00-00-00-00-00  txqueuelen 500  (UNSPEC)\n"
        "        RX packets 0  bytes 0 (0.0 B)\n"
        "        RX errors 0  dropped 0  overruns 0  frame 0\n"
        "        TX packets 0  bytes 0 (0.0 B)\n"
        "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n\n"
    )


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0.0 B"), (1024, "1024.0 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB")]
)
def test_octets_are_printed_in_binary_units(octets, text):
    assert text == human(octets)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "eth0:0 192.168.0.1",
            [
                NewAddr(
                    dev="eth0",
                    local=parse_ip("192.168.0.1"),
                    plen=24,
                    broadcast=parse_ip("192.168.0.255"),
                    label="eth0:0",
                )
            ],
        ),
        (
            "eth0 10.33.1.1",
            [
                DelAddr(dev="eth0", local=parse_ip("10.0.1.2"), plen=24, peer=parse_ip("10.0.1.2"), label="eth0"),
                NewAddr(
                    dev="eth0", local=parse_ip("10.33.1.1"), plen=8, broadcast=parse_ip("10.255.255.255"), label="eth0"
                ),
                SetLink(dev="eth0", up=True),
            ],
        ),
        (
            "eth0 0",
            [
                DelAddr(dev="eth0", local=parse_ip("10.0.1.2"), plen=24, peer=parse_ip("10.0.1.2"), label="eth0"),
                SetLink(dev="eth0", up=True),
            ],
        ),
        ("eth0 10.0.1.2", [SetLink(dev="eth0", up=True)]),
        (
            "eth0 netmask 255.255.0.0",
            [
                DelAddr(dev="eth0", local=parse_ip("10.0.1.2"), plen=24, peer=parse_ip("10.0.1.2"), label="eth0"),
                NewAddr(
                    dev="eth0",
                    local=parse_ip("10.0.1.2"),
                    peer=parse_ip("10.0.1.2"),
                    plen=16,
                    broadcast=parse_ip("10.0.255.255"),
                    label="eth0",
                ),
            ],
        ),
        ("eth0 netmask 255.255.255.0", []),
        (
            "eth0 broadcast 10.0.1.127",
            [
                DelAddr(dev="eth0", local=parse_ip("10.0.1.2"), plen=24, peer=parse_ip("10.0.1.2"), label="eth0"),
                NewAddr(
                    dev="eth0",
                    local=parse_ip("10.0.1.2"),
                    peer=parse_ip("10.0.1.2"),
                    plen=24,
                    broadcast=parse_ip("10.0.1.127"),
                    label="eth0",
                ),
            ],
        ),
        (
            "tun0 10.77.0.1",
            [NewAddr(dev="tun0", local=parse_ip("10.77.0.1"), plen=32, label="tun0"), SetLink(dev="tun0", up=True)],
        ),
        ("eth0 down", [SetLink(dev="eth0", up=False)]),
        (
            "eth0 mtu 1400 -arp promisc up",
            [
                SetLink(dev="eth0", mtu=1400),
                SetLink(dev="eth0", arp=False),
                SetLink(dev="eth0", promisc=True),
                SetLink(dev="eth0", up=True),
            ],
        ),
        ("eth0 hw ether 02:00:00:00:00:99", [SetLink(dev="eth0", mac=parse_mac("02:00:00:00:00:99"))]),
        ("eth0 multicast txqueuelen 100", []),
    ],
)
def test_ifconfig_does_what_the_ioctls_do(box, sh, line, expected):
    """Source: devinet_ioctl(): an address set on a label replaces the first one that carries it."""
    assert sh(f"ifconfig {line}").stderr == ""
    assert box.changes() == expected


def test_downing_an_alias_deletes_its_address(box, sh, makers):
    _, addr = makers
    box.answers[DumpAddrs] = (addr("eth0", 2, "192.168.0.1", 24, label="eth0:0"),)
    sh("ifconfig eth0:0 down")
    assert box.changes() == [
        DelAddr(dev="eth0", local=parse_ip("192.168.0.1"), plen=24, peer=parse_ip("192.168.0.1"), label="eth0:0")
    ]


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        ("ifconfig nosuch0", 1, "nosuch0: error fetching interface information: Device not found\n"),
        ("ifconfig nosuch0 up", 255, "nosuch0: ERROR while getting interface flags: No such device\n"),
        (
            "ifconfig nosuch0 1.2.3.4",
            255,
            "SIOCSIFADDR: No such device\nnosuch0: ERROR while getting interface flags: No such device\n",
        ),
        ("ifconfig eth0 foo", 1, "foo: Host name lookup failure\nifconfig: `--help' gives usage information.\n"),
        ("ifconfig eth0 1.2.3.4 netmask foo", 1, "foo: Host name lookup failure\n"),
        (
            "ifconfig --foo",
            1,
            "ifconfig: option `--foo' not recognised.\nifconfig: `--help' gives usage information.\n",
        ),
        ("ifconfig eth0 hw ether zz", 1, "zz: invalid ether address.\n"),
        ("ifconfig eth0 netmask 255.0.255.0", 1, "SIOCSIFNETMASK: Invalid argument\n"),
        ("ifconfig eth0:3 up", 255, "SIOCSIFFLAGS: Cannot assign requested address\n"),
        ("route add -net 10.73.0.0/16 gw 10.0.1.300", 6, "10.0.1.300: Unknown host\n"),
        ("route add -net foo gw 10.0.1.1", 6, "foo: Host name lookup failure\n"),
        ("route add -net 10.72.0.0 gw 10.0.1.1", 7, "SIOCADDRT: Invalid argument\n"),
        ("route add -net 10.73.0.0/16 dev nosuch", 7, "SIOCADDRT: No such device\n"),
        ("route add -net 10.73.0.0/16 foo", 7, "SIOCADDRT: No such device\n"),
        ("arp -s 10.0.1.50", 255, "arp: need hardware address\n"),
        ("arp -s 10.0.1.50 zz", 255, "arp: invalid hardware address\n"),
        ("arp -s 10.0.1.53 02:00:00:00:00:52 pub", 255, "SIOCSARP: No such device\n"),
        ("arp -d", 255, "arp: need host name\n"),
    ],
)
def test_wrong_words_are_refused_in_net_tools_words(box, sh, line, rc, err):
    result = sh(line)
    assert (rc, err) == (result.rc, result.stderr)
    assert box.changes() == []


@pytest.mark.parametrize(
    ("line", "rc", "first"),
    [
        ("route add -net 10.72.0.1/16 gw 10.0.1.1", 3, "route: netmask doesn't match route address"),
        ("route add -host 10.75.0.0/16 gw 10.0.1.1", 3, "route: netmask 0000ffff doesn't make sense with host route"),
        ("route add -net 10.76.0.0 netmask 255.0.255.0 gw 10.0.1.1", 3, "route: bogus netmask 255.0.255.0"),
        (
            "route add -net 10.74.0.0/16 metric foo",
            3,
            "Usage: inet_route [-vF] del {-host|-net} Target[/prefix] [gw Gw] [metric M] [[dev] If]",
        ),
        ("route flush", 3, "Flushing `inet' routing table not supported"),
        ("route foo", 3, "Usage: route [-nNvee] [-FC] [<AF>]           List kernel routing tables"),
        ("ifconfig eth0 1.2.3.4 netmask", 3, "Usage:"),
    ],
)
def test_usage_follows_some_errors(sh, line, rc, first):
    result = sh(line)
    assert (rc, first) == (result.rc, result.stderr.split("\n")[0])


def new(dst: str, **fields: object) -> NewRoute:
    values: dict[str, object] = {"flags": NLM_F_CREATE, "dst": parse_prefix(dst), **fields}
    return NewRoute(**values)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("add -net 10.66.0.0 netmask 255.255.0.0 gw 10.0.1.1", new("10.66.0.0/16", nexthops=(NexthopSpec(via=GW),))),
        (
            "add -net 10.67.0.0/16 gw 10.0.1.1 dev eth0",
            new("10.67.0.0/16", nexthops=(NexthopSpec(via=GW, dev="eth0"),)),
        ),
        ("add -net 10.68.0.0/16 eth0", new("10.68.0.0/16", scope=253, nexthops=(NexthopSpec(dev="eth0"),))),
        ("add -host 10.69.0.1 gw 10.0.1.1 metric 5", new("10.69.0.1/32", metric=5, nexthops=(NexthopSpec(via=GW),))),
        ("add default gw 10.0.1.1", new("0.0.0.0/0", nexthops=(NexthopSpec(via=GW),))),
        ("add 10.71.0.0 gw 10.0.1.1", new("10.71.0.0/32", nexthops=(NexthopSpec(via=GW),))),
        (
            "add -net 10.70.0.0/16 gw 10.0.1.2",
            new("10.70.0.0/16", scope=253, nexthops=(NexthopSpec(via=parse_ip("10.0.1.2")),)),
        ),
        (
            "add -net 10.74.0.0/16 gw 10.0.1.1 mss 1400",
            new("10.74.0.0/16", metrics=Metrics.of((RTAX_ADVMSS, 1360)), nexthops=(NexthopSpec(via=GW),)),
        ),
        ("add -net 10.77.0.0 netmask 255.255.0.0 reject", new("10.77.0.0/16", kind=7, scope=254)),
        ("del default", DelRoute(dst=parse_prefix("0.0.0.0/0"), kind=1)),
        (
            "del default gw 10.0.1.1",
            DelRoute(dst=parse_prefix("0.0.0.0/0"), kind=1, scope=0, nexthops=(NexthopSpec(via=GW),)),
        ),
        ("del -net 10.77.0.0/16 reject", DelRoute(dst=parse_prefix("10.77.0.0/16"), kind=7, scope=254)),
    ],
)
def test_route_asks_as_rtentry_to_fib_config_does(box, sh, line, expected):
    assert sh(f"route {line}").stderr == ""
    assert box.changes() == [expected]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(EEXIST), "File exists"),
        (Refusal(ENETUNREACH, "Nexthop has invalid gateway"), "Network is unreachable"),
        (Refusal(ENODEV), "No such device"),
    ],
)
def test_route_tells_the_errno_and_never_the_kernels_sentence(box, sh, refusal, words):
    box.answers[NewRoute] = refusal
    result = sh("route add default gw 10.0.1.1")
    assert (7, f"SIOCADDRT: {words}\n") == (result.rc, result.stderr)


def test_route_del_of_nothing(box, sh):
    box.answers[DelRoute] = Refusal(ESRCH)
    result = sh("route del default")
    assert (result.rc, result.stderr) == (7, "SIOCDELRT: No such process\n")


def info(dst: str, via: str, dev: str, **fields: object) -> RouteInfo:
    values: dict[str, object] = {
        "table": 254,
        "tos": 0,
        "metric": 0,
        "scope": 0,
        "protocol": 3,
        "kind": 1,
        "prefsrc": 0,
        **fields,
    }
    paths = (NexthopInfo(via=parse_ip(via) if via else 0, dev=dev, weight=1, flags=0),) if dev else ()
    return RouteInfo(dst=parse_prefix(dst), nexthops=paths, **values)  # type: ignore[arg-type]  # a test's shorthand


TABLE = (
    info("0.0.0.0/0", "10.0.1.1", "eth0", metric=9),
    info("10.0.1.0/24", "", "eth0"),
    info("10.71.0.0/32", "10.0.1.1", "eth0"),
    info("10.74.0.0/16", "10.0.1.1", "eth0", metrics=Metrics.of((RTAX_ADVMSS, 1360))),
    info("10.77.0.0/16", "", "", kind=7),
    info("10.79.0.0/16", "", "", kind=6),
)


def test_route_prints_table_main(box, sh):
    box.answers[DumpRoutes] = TABLE
    assert sh("route -n").stdout == (
        "Kernel IP routing table\n"
        "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
        "0.0.0.0         10.0.1.1        0.0.0.0         UG    9      0        0 eth0\n"
        "10.0.1.0        0.0.0.0         255.255.255.0   U     0      0        0 eth0\n"
        "10.71.0.0       10.0.1.1        255.255.255.255 UGH   0      0        0 eth0\n"
        "10.74.0.0       10.0.1.1        255.255.0.0     UG    0      0        0 eth0\n"
        "10.77.0.0       -               255.255.0.0     !     0      -        0 -\n"
        "10.79.0.0       0.0.0.0         255.255.0.0     U     0      0        0 *\n"
    )
    assert (
        sh("route").stdout.splitlines()[2]
        == "default         10.0.1.1        0.0.0.0         UG    9      0        0 eth0"
    )
    assert sh("route -ne").stdout.splitlines()[5:7] == [
        "10.74.0.0       10.0.1.1        255.255.0.0     UG     1400 0          0 eth0",
        "10.77.0.0       -               255.255.0.0     !         - -          - -",
    ]
    assert sh("route -nee").stdout.splitlines()[3] == (
        "10.0.1.0        0.0.0.0         255.255.255.0   U     0      0        0 eth0     0     0      0"
    )
    assert sh("cat /proc/net/route").stdout.splitlines()[4] == (
        "eth0\t00004A0A\t0101000A\t0003\t0\t0\t0\t0000FFFF\t1400\t0\t0".ljust(127)
    )


MAC = parse_mac("02:00:00:00:00:52")


def entry(dst: str, state: int, mac: bytes = b"", *, proxy: bool = False) -> NeighInfo:
    return NeighInfo(
        dst=parse_ip(dst),
        dev="eth0",
        lladdr=mac,
        state=state,
        refcnt=0,
        used=0,
        confirmed=0,
        updated=0,
        probes=0,
        proxy=proxy,
    )


ENTRIES = (
    entry("10.0.1.52", 0x04, MAC),
    entry("10.0.1.1", 0x01),
    entry("10.0.1.50", 0x80, MAC),
    entry("10.0.1.60", 0x20, MAC),
    entry("10.0.1.61", 0x40, MAC),
)


def test_arp_prints_the_cache(box, sh):
    """NOARP entries are hidden, FAILED ones incomplete, proxies last."""
    box.answers[DumpNeighs] = lambda req: (entry("10.0.1.53", 0, proxy=True),) if req.proxy else ENTRIES
    assert sh("arp -n").stdout == (
        "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
        "10.0.1.52                ether   02:00:00:00:00:52   C                     eth0\n"
        "10.0.1.1                         (incomplete)                              eth0\n"
        "10.0.1.50                ether   02:00:00:00:00:52   CM                    eth0\n"
        "10.0.1.60                        (incomplete)                              eth0\n"
        "10.0.1.53                *       <from_interface>    MP                    eth0\n"
    )
    assert sh("arp -an").stdout == (
        "? (10.0.1.52) at 02:00:00:00:00:52 [ether] on eth0\n"
        "? (10.0.1.1) at <incomplete> on eth0\n"
        "? (10.0.1.50) at 02:00:00:00:00:52 [ether] PERM on eth0\n"
        "? (10.0.1.60) at <incomplete> on eth0\n"
        "? (10.0.1.53) at <from_interface> PERM PUB on eth0\n"
    )
    assert sh("arp -nv").stdout.endswith("Entries: 5\tSkipped: 0\tFound: 5\n")
    assert sh("arp -n 10.0.1.99").stdout == "10.0.1.99 (10.0.1.99) -- no entry\n"
    assert sh("arp -an 10.0.1.99").stdout == "arp: in 5 entries no match found.\n"
    assert sh("cat /proc/net/arp").stdout.splitlines()[1:4] == [
        "10.0.1.52        0x1         0x2         02:00:00:00:00:52     *        eth0",
        "10.0.1.1         0x1         0x0         00:00:00:00:00:00     *        eth0",
        "10.0.1.50        0x1         0x6         02:00:00:00:00:52     *        eth0",
    ]


def test_arp_of_an_empty_cache_prints_nothing(sh):
    assert sh("arp -n").stdout == ""


def lan(req: GetRoute) -> RouteAnswer:
    return RouteAnswer(
        dst=req.dst, kind=1, via=0, dev="eth0", table=254, prefsrc=0, src_asked=0, iif="", mark=0, tos=0, cache=()
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-s 10.0.1.50 02:00:00:00:00:52", NewNeigh(dev="eth0", dst=parse_ip("10.0.1.50"), lladdr=MAC, flags=0x500)),
        (
            "-s 10.0.1.50 02:00:00:00:00:52 temp",
            NewNeigh(dev="eth0", dst=parse_ip("10.0.1.50"), lladdr=MAC, state=4, flags=0x500),
        ),
        (
            "-i eth0 -s 10.0.1.50 02:00:00:00:00:52 pub",
            NewNeigh(dev="eth0", dst=parse_ip("10.0.1.50"), flags=0x500, proxy=True),
        ),
        ("-Ds 10.0.1.50 eth0 pub", NewNeigh(dev="eth0", dst=parse_ip("10.0.1.50"), flags=0x500, proxy=True)),
        ("-d 10.0.1.50", DelNeigh(dev="eth0", dst=parse_ip("10.0.1.50"))),
    ],
)
def test_arp_finds_the_device_by_route(box, sh, line, expected):
    box.answers[GetRoute] = lan
    assert sh(f"arp {line}").stderr == ""
    assert box.changes() == [expected]


def test_arp_tells_what_is_not_there_or_not_reachable(box, sh):
    box.answers[GetRoute] = Refusal(ENETUNREACH)
    assert sh("arp -s 10.99.1.50 02:00:00:00:00:50").stderr == "SIOCSARP: Network is unreachable\n"
    assert sh("arp -d 10.99.1.50").stderr == "SIOCDARP(dontpub): Network is unreachable\n"
    box.answers[GetRoute] = lan
    box.answers[DelNeigh] = Refusal(ENOENT)
    result = sh("arp -d 10.0.1.99")
    assert (result.rc, result.stdout) == (255, "No ARP entry for 10.0.1.99\n")


def test_every_mask_has_its_length():
    assert [mask_length(mask) for mask in MASKS] == list(range(33))
