"""`ip route`: the requests that words become, and routes as text and JSON (observed-linux 3.1, 14; iproute2 6.1)."""

from __future__ import annotations

import json

import pytest

from netsim.addr import Prefix, parse_ip, parse_prefix
from netsim.stack.errno import EHOSTUNREACH, ENOENT, Refusal
from netsim.stack.metrics import (
    RTAX_ADVMSS,
    RTAX_CC_ALGO,
    RTAX_FEATURES,
    RTAX_HOPLIMIT,
    RTAX_MTU,
    RTAX_RTO_MIN,
    RTAX_RTT,
    RTAX_RTTVAR,
    RTAX_WINDOW,
    Metrics,
)
from netsim.stack.requests import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTNH_F_DEAD,
    RTNH_F_LINKDOWN,
    RTNH_F_ONLINK,
    DelRoute,
    DumpRoutes,
    FlushRouteCache,
    GetRoute,
    NewRoute,
    NexthopInfo,
    NexthopSpec,
    RouteAnswer,
    RouteInfo,
)

ADD = NLM_F_CREATE | NLM_F_EXCL
ANY = Prefix(0, 0)
GW1 = parse_ip("10.0.1.1")
GW2 = parse_ip("10.0.2.1")
SRC = parse_ip("10.0.1.2")


def new(**fields: object) -> NewRoute:
    values: dict[str, object] = {"flags": ADD, "dst": ANY, **fields}
    return NewRoute(**values)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("add default via 10.0.1.1", new(nexthops=(NexthopSpec(via=GW1),))),
        ("a 0/0 via 10.0.1.1", new(nexthops=(NexthopSpec(via=GW1),))),
        (
            "append default via 10.0.1.1 dev eth0 src 10.0.1.2 table 20",
            new(flags=NLM_F_CREATE | NLM_F_APPEND, table=20, prefsrc=SRC, nexthops=(NexthopSpec(via=GW1, dev="eth0"),)),
        ),
        ("prepend default via 10.0.1.1", new(flags=NLM_F_CREATE, nexthops=(NexthopSpec(via=GW1),))),
        ("replace default via 10.0.1.1", new(flags=NLM_F_CREATE | NLM_F_REPLACE, nexthops=(NexthopSpec(via=GW1),))),
        ("change default via 10.0.1.1", new(flags=NLM_F_REPLACE, nexthops=(NexthopSpec(via=GW1),))),
        ("test default via 10.0.1.1", new(flags=NLM_F_EXCL, nexthops=(NexthopSpec(via=GW1),))),
        ("add 10.5/16 dev eth0", new(dst=parse_prefix("10.5.0.0/16"), scope=253, nexthops=(NexthopSpec(dev="eth0"),))),
        ("add 10.5.0.1 dev eth0", new(dst=parse_prefix("10.5.0.1/32"), scope=253, nexthops=(NexthopSpec(dev="eth0"),))),
        (
            "add 10.5.0.1/16 dev eth0",
            new(dst=Prefix(parse_ip("10.5.0.1"), 16), scope=253, nexthops=(NexthopSpec(dev="eth0"),)),
        ),
        (
            "add to 10.5.0.0/255.255.0.0 via inet 10.0.1.1 dev eth0 onlink",
            new(dst=parse_prefix("10.5.0.0/16"), nexthops=(NexthopSpec(via=GW1, dev="eth0", flags=RTNH_F_ONLINK),)),
        ),
        ("add unreachable 192.0.2.0/24", new(dst=parse_prefix("192.0.2.0/24"), kind=7)),
        ("add blackhole 192.0.2.0/24 metric 5", new(dst=parse_prefix("192.0.2.0/24"), kind=6, metric=5)),
        (
            "add unicast 192.0.2.0/24 via 10.0.1.1",
            new(dst=parse_prefix("192.0.2.0/24"), nexthops=(NexthopSpec(via=GW1),)),
        ),
        (
            "add local 192.0.2.0/24 dev lo",
            new(dst=parse_prefix("192.0.2.0/24"), kind=2, scope=254, table=255, nexthops=(NexthopSpec(dev="lo"),)),
        ),
        (
            "add default via 10.0.1.1 tos 10 metric 7 proto static scope link mtu lock 1400 advmss 1360",
            new(
                tos=0x10,
                metric=7,
                protocol=4,
                scope=253,
                metrics=Metrics.of((RTAX_MTU, 1400), (RTAX_ADVMSS, 1360), locked=1 << RTAX_MTU),
                nexthops=(NexthopSpec(via=GW1),),
            ),
        ),
        (
            "add default tab main prot 99 me 5 via 10.0.1.1",
            new(protocol=99, metric=5, nexthops=(NexthopSpec(via=GW1),)),
        ),
        ("add default table 0 via 10.0.1.1", new(nexthops=(NexthopSpec(via=GW1),))),
        (
            "add default table 100 nexthop via 10.0.1.1 dev eth0 weight 3 nexthop via 10.0.2.1 onlink",
            new(
                table=100,
                multipath=True,
                nexthops=(NexthopSpec(via=GW1, dev="eth0", weight=3), NexthopSpec(via=GW2, flags=RTNH_F_ONLINK)),
            ),
        ),
        (
            "add default via 10.0.1.1 nexthop via 10.0.2.1",
            new(multipath=True, outer=NexthopSpec(via=GW1), nexthops=(NexthopSpec(via=GW2),)),
        ),
        ("add default", new(scope=253)),
        (
            "add default via 10.0.1.1 hoplimit 5 win 100 rtt 100 rttvar 2s rto_min 50ms congctl lock cubic feat ecn",
            new(
                nexthops=(NexthopSpec(via=GW1),),
                metrics=Metrics.of(
                    (RTAX_HOPLIMIT, 5),
                    (RTAX_WINDOW, 100),
                    (RTAX_RTT, 100),
                    (RTAX_RTTVAR, 8000),
                    (RTAX_RTO_MIN, 50),
                    (RTAX_CC_ALGO, 1),
                    (RTAX_FEATURES, 1),
                    locked=1 << RTAX_RTO_MIN | 1 << RTAX_CC_ALGO,
                    congctl="cubic",
                ),
            ),
        ),
        ("del default", DelRoute(dst=ANY)),
        (
            "del default via 10.0.1.1 metric 5 proto static",
            DelRoute(dst=ANY, metric=5, protocol=4, nexthops=(NexthopSpec(via=GW1),)),
        ),
        ("del blackhole 192.0.2.0/24", DelRoute(dst=parse_prefix("192.0.2.0/24"), kind=6)),
        (
            "del local 10.0.1.2 dev eth0",
            DelRoute(
                dst=parse_prefix("10.0.1.2/32"), kind=2, scope=254, table=255, nexthops=(NexthopSpec(dev="eth0"),)
            ),
        ),
        ("flush cache", FlushRouteCache()),
    ],
)
def test_words_become_one_request(box, sh, line, expected):
    """Scopes and tables left out are iproute2's own (iproute_modify())."""
    assert sh(f"ip route {line}").stderr == ""
    assert box.changes() == [expected]


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        ("ip route add default via 10.0.1.300", 1, 'Error: any valid address is expected rather than "10.0.1.300".\n'),
        ("ip route add 10.5.0.0/16 via 10.0.1.300", 1, 'Error: inet address is expected rather than "10.0.1.300".\n'),
        ("ip route add 10.5.0.0/16 nexthop foo", 255, 'Error: "nexthop" or end of line is expected instead of "foo"\n'),
        (
            "ip route add 10.5.0.0/16 nexthop dev nosuch0",
            255,
            'Cannot find device "nosuch0"\nError: cannot parse nexthop\n',
        ),
        ("ip route flush", 1, '"ip route flush" requires arguments.\n'),
        ("ip route show foo", 1, 'Error: any valid prefix is expected rather than "foo".\n'),
        ("ip route show table", 255, 'Command line is not complete. Try option "help"\n'),
        ("ip route get 10.0.1.1 foo", 1, 'Error: inet prefix is expected rather than "foo".\n'),
        ("ip route get 10.0.1.1 mark foo", 255, 'Error: argument "foo" is wrong: invalid mark value\n'),
        ("ip route get 10.0.1.1 ipproto foo", 255, 'Error: argument "foo" is wrong: Invalid "ipproto" value\n\n'),
        (
            "ip route add default via 10.0.1.1 tos lowdelay",
            255,
            'Error: argument "lowdelay" is wrong: "tos" value is invalid\n\n',
        ),
        ("ip -foo route", 255, 'Option "-foo" is unknown, try "ip -help".\n'),
    ],
)
def test_wrong_words_are_refused_in_iproute2s_words(box, sh, line, rc, err):
    """Asked of iproute2 6.1 itself."""
    result = sh(line)
    assert (rc, err) == (result.rc, result.stderr)
    assert box.changes() == []


def route(dst: str, *nexthops: NexthopInfo, **fields: object) -> RouteInfo:
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
    prefix = ANY if dst == "default" else parse_prefix(dst)
    return RouteInfo(dst=prefix, nexthops=nexthops, **values)  # type: ignore[arg-type]  # a test's shorthand


def path(via: str, dev: str, weight: int = 1, flags: int = 0) -> NexthopInfo:
    return NexthopInfo(via=parse_ip(via) if via else 0, dev=dev, weight=weight, flags=flags)


LINK = {"protocol": 2, "scope": 253, "prefsrc": SRC}
LISTED = [
    (
        route("default", path("10.0.1.1", "eth0")),
        "default via 10.0.1.1 dev eth0 ",
        {"dst": "default", "gateway": "10.0.1.1", "dev": "eth0", "flags": []},
    ),
    (
        route("default", path("10.0.2.1", "eth1"), protocol=4, prefsrc=parse_ip("10.0.2.2")),
        "default via 10.0.2.1 dev eth1 proto static src 10.0.2.2 ",
        {
            "dst": "default",
            "gateway": "10.0.2.1",
            "dev": "eth1",
            "protocol": "static",
            "prefsrc": "10.0.2.2",
            "flags": [],
        },
    ),
    (
        route("default", path("10.0.2.1", "eth1"), tos=0x10),
        "default tos 0x10 via 10.0.2.1 dev eth1 ",
        {"dst": "default", "tos": "0x10", "gateway": "10.0.2.1", "dev": "eth1", "flags": []},
    ),
    (
        route("default", path("10.0.2.1", "eth1"), metric=10),
        "default via 10.0.2.1 dev eth1 metric 10 ",
        {"dst": "default", "gateway": "10.0.2.1", "dev": "eth1", "metric": 10, "flags": []},
    ),
    (
        route(
            "default",
            path("10.0.1.1", "eth0"),
            path("10.0.2.1", "eth1", flags=RTNH_F_DEAD | RTNH_F_LINKDOWN),
            multipath=True,
        ),
        "default \n\tnexthop via 10.0.1.1 dev eth0 weight 1 \n\tnexthop via 10.0.2.1 dev eth1 weight 1 dead linkdown ",
        {
            "dst": "default",
            "flags": [],
            "nexthops": [
                {"gateway": "10.0.1.1", "dev": "eth0", "weight": 1, "flags": []},
                {"gateway": "10.0.2.1", "dev": "eth1", "weight": 1, "flags": ["dead", "linkdown"]},
            ],
        },
    ),
    (
        route("10.0.1.0/24", path("", "eth0", flags=RTNH_F_LINKDOWN), **LINK),
        "10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.2 linkdown ",
        {
            "dst": "10.0.1.0/24",
            "dev": "eth0",
            "protocol": "kernel",
            "scope": "link",
            "prefsrc": "10.0.1.2",
            "flags": ["linkdown"],
        },
    ),
    (
        route("172.16.0.5/32", path("10.0.1.1", "eth0")),
        "172.16.0.5 via 10.0.1.1 dev eth0 ",
        {"dst": "172.16.0.5", "gateway": "10.0.1.1", "dev": "eth0", "flags": []},
    ),
    (
        route("10.79.0.0/16", path("10.0.1.1", "eth0"), metrics=Metrics.of((RTAX_MTU, 1400), (RTAX_ADVMSS, 1360))),
        "10.79.0.0/16 via 10.0.1.1 dev eth0 mtu 1400 advmss 1360 ",
        {
            "dst": "10.79.0.0/16",
            "gateway": "10.0.1.1",
            "dev": "eth0",
            "flags": [],
            "metrics": [{"mtu": 1400, "advmss": 1360}],
        },
    ),
    (
        route("10.80.0.0/16", path("10.99.0.1", "eth0", flags=RTNH_F_ONLINK)),
        "10.80.0.0/16 via 10.99.0.1 dev eth0 onlink ",
        {"dst": "10.80.0.0/16", "gateway": "10.99.0.1", "dev": "eth0", "flags": ["onlink"]},
    ),
    (
        route("192.0.2.0/24", kind=7),
        "unreachable 192.0.2.0/24 ",
        {"type": "unreachable", "dst": "192.0.2.0/24", "flags": []},
    ),
    (
        route(
            "10.8.0.0/16",
            path("10.0.1.1", "eth0"),
            tos=0x10,
            protocol=99,
            scope=7,
            metric=5,
            metrics=Metrics.of((RTAX_MTU, 1400), locked=1 << RTAX_MTU),
        ),
        "10.8.0.0/16 tos 0x10 via 10.0.1.1 dev eth0 proto openr scope 7 metric 5 mtu lock 1400 ",
        {
            "dst": "10.8.0.0/16",
            "tos": "0x10",
            "gateway": "10.0.1.1",
            "dev": "eth0",
            "protocol": "openr",
            "scope": "7",
            "metric": 5,
            "flags": [],
            "metrics": [{"mtu": 1400}],
        },
    ),
]


@pytest.mark.parametrize(("info", "text", "as_json"), LISTED, ids=[text.split("\n")[0] for _, text, _ in LISTED])
def test_a_route_prints_as_iproute2_prints_it(box, sh, info, text, as_json):
    box.answers[DumpRoutes] = (info,)
    assert f"{text}\n" == sh("ip route show").stdout
    assert [as_json] == json.loads(sh("ip -j route show").stdout)
    assert list(as_json) == list(json.loads(sh("ip -j route").stdout)[0])


def test_all_tables_name_each_routes_table(box, sh):
    box.answers[DumpRoutes] = (
        route("default", path("10.0.1.1", "wan0"), table=20, prefsrc=SRC),
        route("10.0.1.2/32", path("", "eth0"), table=255, kind=2, protocol=2, scope=254, prefsrc=SRC),
    )
    assert sh("ip route show table all").stdout == (
        "default via 10.0.1.1 dev wan0 table 20 src 10.0.1.2 \n"
        "local 10.0.1.2 dev eth0 table local proto kernel scope host src 10.0.1.2 \n"
    )
    assert box.asked[-1] == DumpRoutes(table=None)


@pytest.mark.parametrize(
    ("selector", "lines"),
    [
        ("", 3),
        ("table 100", 3),
        ("dev eth0", 1),
        ("via 10.0.1.1", 1),
        ("proto kernel", 1),
        ("scope link", 1),
        ("10.0.1.0/24", 1),
        ("10.0.1.5", 0),
        ("match 10.0.1.5", 3),
        ("root 10/8", 1),
        ("exact default", 2),
        ("root 0/0", 3),
        ("src 10.0.1.2", 1),
        ("metric 10", 1),
        ("type blackhole", 0),
        ("proto all", 3),
    ],
)
def test_a_selector_takes_what_filter_nlmsg_takes(box, sh, selector, lines):
    """A multipath route has no device or gateway of its own, so neither `dev` nor `via` takes it."""
    box.answers[DumpRoutes] = (
        route("10.0.1.0/24", path("", "eth0"), **LINK),
        route("default", path("10.0.1.1", "eth1"), metric=10),
        route("default", path("10.0.1.1", "eth0"), path("10.0.2.1", "eth1"), multipath=True),
    )
    assert lines == len(json.loads(sh(f"ip -j route show {selector}").stdout))


def test_what_the_selector_fixes_is_not_printed(box, sh):
    box.answers[DumpRoutes] = (route("10.0.1.0/24", path("", "eth0"), **LINK),)
    assert sh("ip route show dev eth0").stdout == "10.0.1.0/24 proto kernel scope link src 10.0.1.2 \n"
    assert sh("ip route show proto kernel").stdout == "10.0.1.0/24 dev eth0 scope link src 10.0.1.2 \n"
    assert sh("ip route show scope link").stdout == "10.0.1.0/24 dev eth0 proto kernel src 10.0.1.2 \n"
    assert sh("ip route show src 10.0.1.2").stdout == "10.0.1.0/24 dev eth0 proto kernel scope link \n"
    assert sh("ip -d route").stdout == "unicast 10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.2 \n"


def test_one_line_form_has_backslashes_for_line_ends(box, sh):
    box.answers[DumpRoutes] = (
        route("10.5.0.0/16", path("10.0.1.1", "eth0"), path("10.0.1.3", "eth0", 3), multipath=True),
    )
    assert sh("ip -o route").stdout == (
        "10.5.0.0/16 \\\tnexthop via 10.0.1.1 dev eth0 weight 1 \\\tnexthop via 10.0.1.3 dev eth0 weight 3 \n"
    )


def test_pretty_json_is_laid_out_as_iproute2_lays_it_out(box, sh):
    box.answers[DumpRoutes] = (
        route("10.5.0.0/16", path("10.0.1.1", "eth0"), multipath=True, metrics=Metrics.of((RTAX_MTU, 1400))),
        route("10.8.0.0/16", path("10.0.1.1", "eth0")),
    )
    assert sh("ip -j -p route").stdout == (
        "[ {\n"
        '        "dst": "10.5.0.0/16",\n'
        '        "flags": [ ],\n'
        '        "metrics": [ {\n'
        '                "mtu": 1400\n'
        "            } ],\n"
        '        "nexthops": [ {\n'
        '                "gateway": "10.0.1.1",\n'
        '                "dev": "eth0",\n'
        '                "weight": 1,\n'
        '                "flags": [ ]\n'
        "            } ]\n"
        "    },{\n"
        '        "dst": "10.8.0.0/16",\n'
        '        "gateway": "10.0.1.1",\n'
        '        "dev": "eth0",\n'
        '        "flags": [ ]\n'
        "    } ]\n"
    )
    box.answers[DumpRoutes] = ()
    assert sh("ip -j route").stdout == "[]\n"
    assert sh("ip -j -p route").stdout == "[ ]\n"


def test_a_missing_table_breaks_the_dump(box, sh):
    box.answers[DumpRoutes] = Refusal(ENOENT, "ipv4: FIB table does not exist")
    result = sh("ip route show table 77")
    assert (result.rc, result.stderr) == (2, "Error: ipv4: FIB table does not exist.\nDump terminated\n")
    assert sh("ip -j route show table 77").stdout == "["
    assert sh("ip route flush table 77").stderr == "Error: ipv4: FIB table does not exist.\nFlush terminated\n"


def test_flush_deletes_each_route_by_all_its_fields(box, sh):
    box.answers[DumpRoutes] = (
        route("10.0.1.0/24", path("", "eth0"), **LINK),
        route("default", path("10.0.1.1", "eth0")),
    )
    result = sh("ip -s route flush 10.0.1.0/24")
    assert result.stdout == "\n*** Round 1, deleting 1 entries ***\n*** Flush is complete after 1 round ***\n"
    assert box.changes() == [
        DelRoute(
            dst=parse_prefix("10.0.1.0/24"),
            scope=253,
            protocol=2,
            kind=1,
            prefsrc=SRC,
            nexthops=(NexthopSpec(dev="eth0"),),
        )
    ]
    assert sh("ip -s route flush 10.99.0.0/16").stdout == "Nothing to flush.\n"


def answer(**fields: object) -> RouteAnswer:
    values: dict[str, object] = {
        "dst": parse_ip("203.0.113.10"),
        "kind": 1,
        "via": 0,
        "dev": "eth0",
        "table": 254,
        "prefsrc": 0,
        "src_asked": 0,
        "iif": "",
        "mark": 0,
        "tos": 0,
        "cache": (),
        **fields,
    }
    return RouteAnswer(**values)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            answer(via=GW2, dev="wan1", table=200, prefsrc=parse_ip("10.0.2.2")),
            "203.0.113.10 via 10.0.2.1 dev wan1 table 200 src 10.0.2.2 uid 0 \n    cache \n",
        ),
        (
            answer(via=GW1, dev="wan0", table=100, src_asked=parse_ip("192.168.0.3"), iif="lan0"),
            "203.0.113.10 from 192.168.0.3 via 10.0.1.1 dev wan0 table 100 \n    cache iif lan0 \n",
        ),
        (
            answer(via=GW1, dev="wan0", table=20, src_asked=SRC),
            "203.0.113.10 from 10.0.1.2 via 10.0.1.1 dev wan0 table 20 uid 0 \n    cache \n",
        ),
        (
            answer(kind=2, dst=SRC, dev="lo", table=255, prefsrc=SRC, show_local_table=True, cache=("local",)),
            "local 10.0.1.2 dev lo table local src 10.0.1.2 uid 0 \n    cache <local> \n",
        ),
        (
            answer(kind=2, dst=SRC, dev="lo", table=255, prefsrc=SRC, cache=("local",)),
            "local 10.0.1.2 dev lo src 10.0.1.2 uid 0 \n    cache <local> \n",
        ),
        (
            answer(kind=3, dst=parse_ip("10.0.1.255"), table=255, prefsrc=SRC, cache=("local", "brd")),
            "broadcast 10.0.1.255 dev eth0 src 10.0.1.2 uid 0 \n    cache <local,brd> \n",
        ),
        (answer(dst=GW1, prefsrc=SRC, mark=5), "10.0.1.1 dev eth0 src 10.0.1.2 mark 5 uid 0 \n    cache \n"),
        (answer(dst=GW1, prefsrc=SRC, mark=0x55), "10.0.1.1 dev eth0 src 10.0.1.2 mark 0x55 uid 0 \n    cache \n"),
        (
            answer(dst=GW1, prefsrc=SRC, cache=("redirected",), expires=293_900_000_000),
            "10.0.1.1 dev eth0 src 10.0.1.2 uid 0 \n    cache <redirected> expires 293sec \n",
        ),
        (
            answer(dst=GW1, prefsrc=SRC, expires=598_000_000_000, metrics=Metrics.of((RTAX_MTU, 1000))),
            "10.0.1.1 dev eth0 src 10.0.1.2 uid 0 \n    cache expires 598sec mtu 1000 \n",
        ),
        (
            answer(dst=GW1, why="rule 0: table local: nothing\nrule 32766: table main"),
            "10.0.1.1 dev eth0 uid 0 \n    cache \n    # rule 0: table local: nothing\n    # rule 32766: table main\n",
        ),
    ],
)
def test_an_answer_prints_in_two_lines(box, sh, found, text):
    """Texts of observed-linux 14 and 10; the last is netsim's own --why."""
    box.answers[GetRoute] = found
    assert text == sh("ip route get 203.0.113.10").stdout


def test_an_answer_in_json_has_the_keys_in_order(box, sh):
    box.answers[GetRoute] = answer(via=GW1, dev="wan0", table=100, src_asked=parse_ip("192.168.0.3"), iif="lan0")
    assert sh("ip -j route get 203.0.113.10 from 192.168.0.3 iif eth0").stdout == (
        '[{"dst":"203.0.113.10","from":"192.168.0.3","gateway":"10.0.1.1","dev":"wan0","table":"100","flags":[],'
        '"cache":[],"iif":"lan0"}]\n'
    )
    assert box.asked[-1] == GetRoute(dst=parse_ip("203.0.113.10"), src=parse_ip("192.168.0.3"), iif="eth0")


def test_get_asks_for_exactly_what_was_said(box, sh):
    box.answers[GetRoute] = answer()
    sh("ip route get to 10.0.1.1 from 10.0.1.2 oif eth0 tos 10 mark 0x5 ipproto udp sport 5 dport 7 --why")
    assert box.asked[-1] == GetRoute(
        dst=GW1, src=SRC, oif="eth0", tos=0x10, mark=5, ipproto=17, sport=5, dport=7, why=True
    )
    result = sh("ip route get 10.0.1.0/24")
    assert result.stderr == "Warning: /24 as prefix is invalid, only /32 (or none) is supported.\n"


def test_get_of_an_unreachable_route_tells_the_errno(box, sh):
    box.answers[GetRoute] = Refusal(EHOSTUNREACH)
    result = sh("ip route get 8.2.0.1")
    assert (result.rc, result.stderr) == (2, "RTNETLINK answers: No route to host\n")
