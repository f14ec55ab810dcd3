"""`ip neigh` and `ip ntable`; texts of observed-linux 14 and of iproute2 6.1 itself."""

from __future__ import annotations

import json

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.stack.requests import (
    DelNeigh,
    DumpNeighParms,
    DumpNeighs,
    NeighInfo,
    NeighParmsInfo,
    NewNeigh,
    SetSysctl,
)
from netsim.units import ms, sec

MAC = parse_mac("02:00:00:00:00:01")
GW = parse_ip("10.0.1.1")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("add 10.0.1.1 dev eth0 lladdr 02:00:00:00:00:01", NewNeigh(dev="eth0", dst=GW, lladdr=MAC)),
        ("a to 10.0.1.1 lladdr 2:0:0:0:0:1 nud stale dev eth0", NewNeigh(dev="eth0", dst=GW, lladdr=MAC, state=4)),
        ("add 10.0.1.1 dev eth0 lladdr 2:0:0:0:0:1g nud perm", NewNeigh(dev="eth0", dst=GW, lladdr=MAC)),
        ("add 10.0.1.1 dev eth0 lladdr 02:00:00:00:01", NewNeigh(dev="eth0", dst=GW, lladdr=bytes([2, 0, 0, 0, 1]))),
        ("add 10.0.1.1 dev eth0 lladdr 020000000001", NewNeigh(dev="eth0", dst=GW, lladdr=b"\x01")),
        ("change 10.0.1.1 dev eth0 nud failed", NewNeigh(dev="eth0", dst=GW, state=0x20, flags=0x100)),
        ("replace 10.0.1.1 dev eth0 nud 4", NewNeigh(dev="eth0", dst=GW, state=4, flags=0x500)),
        ("add 10.0.1.1 dev eth0 nud none", NewNeigh(dev="eth0", dst=GW, state=0)),
        ("add 10.0.1.1 dev eth0 use", NewNeigh(dev="eth0", dst=GW, state=0, use=True)),
        ("add 10.0.1.1 dev eth0 managed", NewNeigh(dev="eth0", dst=GW, state=0, managed=True)),
        (
            "add 10.0.1.1 dev eth0 lladdr 2:0:0:0:0:1 extern_learn",
            NewNeigh(dev="eth0", dst=GW, lladdr=MAC, extern_learn=True),
        ),
        ("add proxy 10.0.1.1 dev eth0", NewNeigh(dev="eth0", dst=GW, proxy=True)),
        ("del 10.0.1.1 dev eth0", DelNeigh(dev="eth0", dst=GW)),
        ("del proxy 10.0.1.1 dev eth0", DelNeigh(dev="eth0", dst=GW, proxy=True)),
    ],
)
def test_words_become_one_request(box, sh, line, expected):
    result = sh(f"ip neigh {line}")
    assert result.stderr == ""
    assert box.changes() == [expected]


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        (
            "add 10.0.1.300 dev eth0 lladdr 2:0:0:0:0:1",
            1,
            'Error: any valid address is expected rather than "10.0.1.300".\n',
        ),
        ("add 10.0.1.14 foo dev eth0", 255, 'Error: either "to" is duplicate, or "foo" is a garbage.\n'),
        ("add 10.0.1.14 dev nosuch lladdr 2:0:0:0:0:1", 1, 'Cannot find device "nosuch"\n'),
        ("add 10.0.1.14 dev eth0 lladdr 2:0:0:0:0:100", 1, '"100" is invalid lladdr.\n'),
        ("show nud foo", 255, 'Error: argument "foo" is wrong: nud state is bad\n'),
        ("show dev nosuch", 1, 'Cannot find device "nosuch"\n'),
        ("get 10.0.1.1", 1, "Device and address are required arguments.\n"),
        ("get", 1, "Device and address are required arguments.\n"),
        ("get proxy 10.0.1.9 dev eth0", 2, "Error: Proxy neighbour entry not found.\n"),
        ("flush foo", 1, 'Error: any valid prefix is expected rather than "foo".\n'),
        ("foo", 255, 'Command "foo" is unknown, try "ip neigh help".\n'),
    ],
)
def test_wrong_words_are_refused_in_iproute2s_words(box, sh, line, rc, err):
    result = sh(f"ip neigh {line}")
    assert (rc, err) == (result.rc, result.stderr)
    assert box.changes() == []


def entry(dst: str, state: int, mac: bytes = b"", **fields: object) -> NeighInfo:
    values: dict[str, object] = {
        "refcnt": 0,
        "used": sec(1),
        "confirmed": sec(60),
        "updated": ms(1900),
        "probes": 0,
        **fields,
    }
    return NeighInfo(dst=parse_ip(dst), dev="eth0", lladdr=mac, state=state, **values)  # type: ignore[arg-type]  # a test's shorthand


ENTRIES = (
    entry("10.0.1.1", 0x02, MAC),
    entry("10.0.1.2", 0x20, MAC),
    entry("10.0.1.3", 0x01, refcnt=1, probes=4),
    entry("10.0.1.4", 0x00),
    entry("10.0.1.5", 0x40, MAC),
    entry("10.0.1.6", 0x80, MAC, extern_learn=True),
    entry("10.0.1.7", 0x01, managed=True),
)


def test_entries_print_as_iproute2_prints_them(box, sh):
    box.answers[DumpNeighs] = ENTRIES
    assert sh("ip neigh").stdout == (
        "10.0.1.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE \n"
        "10.0.1.2 dev eth0 FAILED \n"
        "10.0.1.3 dev eth0 INCOMPLETE \n"
        "10.0.1.6 dev eth0 lladdr 02:00:00:00:00:01 extern_learn PERMANENT \n"
        "10.0.1.7 dev eth0 managed INCOMPLETE \n"
    )
    assert sh("ip neigh show dev eth0 10.0.1.1").stdout == "10.0.1.1 lladdr 02:00:00:00:00:01 REACHABLE \n"
    assert len(sh("ip neigh show nud all").stdout.splitlines()) == 7
    assert "10.0.1.4 dev eth0 \n" in sh("ip neigh show nud all").stdout
    assert sh("ip neigh show nud reachable").stdout.count("\n") == 2  # what somebody else learned is always shown
    assert sh("ip neigh get 10.0.1.2 dev eth0").stdout == "10.0.1.2 dev eth0 FAILED \n"


def test_ages_have_no_blank_before_probes(box, sh):
    """Source: observed-linux 14, `ip -s neigh show`."""
    box.answers[DumpNeighs] = (ENTRIES[0], ENTRIES[2])
    assert sh("ip -s neigh").stdout == (
        "10.0.1.1 dev eth0 lladdr 02:00:00:00:00:01  used 1/60/1probes 0 REACHABLE \n"
        "10.0.1.3 dev eth0  ref 1 used 1/60/1probes 4 INCOMPLETE \n"
    )
    assert sh("ip -j -s neigh").stdout == (
        '[{"dst":"10.0.1.1","dev":"eth0","lladdr":"02:00:00:00:00:01","used":1,"confirmed":60,"updated":1,"probes":0,'
        '"state":["REACHABLE"]},{"dst":"10.0.1.3","dev":"eth0","refcnt":1,"used":1,"confirmed":60,"updated":1,'
        '"probes":4,"state":["INCOMPLETE"]}]\n'
    )


def test_proxies_have_no_state(box, sh):
    box.answers[DumpNeighs] = lambda req: (entry("10.0.1.9", 0, proxy=True),) if req.proxy else ()
    assert sh("ip neigh show proxy").stdout == "10.0.1.9 dev eth0 proxy \n"
    assert sh("ip -j neigh show proxy").stdout == '[{"dst":"10.0.1.9","dev":"eth0","proxy":null}]\n'


def test_flush_spares_permanent_and_noarp(box, sh):
    box.answers[DumpNeighs] = ENTRIES
    result = sh("ip -s neigh flush dev eth0")
    assert result.stdout == "\n*** Round 1, deleting 6 entries ***\n*** Flush is complete after 1 round ***\n"
    assert parse_ip("10.0.1.5") not in [req.dst for req in box.changes()]


PARMS = {
    "base_reachable": sec(30),
    "reachable": ms(43012),
    "retrans": sec(1),
    "gc_stale": sec(60),
    "delay_probe": sec(5),
    "queue": 101,
    "app_probes": 0,
    "ucast_probes": 3,
    "mcast_probes": 3,
    "anycast_delay": sec(1),
    "proxy_delay": ms(800),
    "proxy_queue": 64,
    "locktime": sec(1),
}
REST = (
    "    refcnt 1 reachable 43012 base_reachable 30000 retrans 1000 \n"
    "    gc_stale 60000 delay_probe 5000 queue 101 \n"
    "    app_probes 0 ucast_probes 3 mcast_probes 3 \n"
    "    anycast_delay 1000 proxy_delay 800 proxy_queue 64 locktime 1000 \n"
    "\n"
)


def test_parameters_print_as_iproute2_prints_them(box, sh):
    box.answers[DumpNeighParms] = (
        NeighParmsInfo(dev="", thresh1=128, thresh2=512, thresh3=1024, gc_interval=sec(30), **PARMS),
        NeighParmsInfo(dev="eth0", **PARMS),
    )
    table = "inet arp_cache \n    thresh1 128 thresh2 512 thresh3 1024 gc_int 30000 \n"
    device = "inet arp_cache \n    dev eth0 \n"
    assert sh("ip ntable show").stdout == table + REST + device + REST
    assert sh("ip ntable show dev eth0 name arp_cache").stdout == device + REST
    assert sh("ip ntable show name foo").stdout == ""
    assert list(json.loads(sh("ip -j ntable show dev eth0").stdout)[0])[:5] == [
        "family",
        "name",
        "dev",
        "refcnt",
        "reachable",
    ]


def test_a_change_is_written_through_sysctl(box, sh):
    assert sh("ip ntable change name arp_cache dev eth0 base_reachable 5000 retrans 200").rc == 0
    assert box.changes() == [
        SetSysctl(key="net.ipv4.neigh.eth0.base_reachable_time_ms", value="5000"),
        SetSysctl(key="net.ipv4.neigh.eth0.retrans_time_ms", value="200"),
    ]


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        ("change name arp_cache dev eth0", 255, "Not enough information: changeable attributes required.\n"),
        (
            "change name arp_cache dev eth0 retrans foo",
            255,
            'Error: argument "foo" is wrong: "retrans" value is invalid\n',
        ),
        ("change dev eth0 retrans 5", 255, 'Error: argument "NAME" is required\n'),
        ("change name arp_cache dev nosuch retrans 5", 1, 'Cannot find device "nosuch"\n'),
        ("foo", 255, 'Command "foo" is unknown, try "ip ntable help".\n'),
    ],
)
def test_wrong_changes_are_refused(sh, line, rc, err):
    result = sh(f"ip ntable {line}")
    assert (rc, err) == (result.rc, result.stderr)
