"""`ip rule`: the requests that words become, and rules as text and JSON (observed-linux 14; asked of iproute2 6.1)."""

from __future__ import annotations

import json

import pytest

from netsim.addr import Prefix, parse_ip, parse_prefix
from netsim.stack.requests import DelRule, DumpRules, NewRule, RuleInfo, RuleSpec

ROWS = [
    (
        "from 10.0.1.0/24 table 20",
        RuleSpec(priority=20, src=parse_prefix("10.0.1.0/24"), table=20),
        {},
        "20:\tfrom 10.0.1.0/24 lookup 20",
        {"priority": 20, "src": "10.0.1.0", "srclen": 24, "table": "20"},
    ),
    (
        "from 10.9.9.9 to 10.8.0.0/16 tos 0x10 fwmark 0x5/0xff iif eth0 table 300",
        RuleSpec(
            priority=20,
            src=parse_prefix("10.9.9.9"),
            dst=parse_prefix("10.8.0.0/16"),
            tos=0x10,
            fwmark=5,
            fwmask=0xFF,
            iif="eth0",
            table=300,
        ),
        {},
        "20:\tfrom 10.9.9.9 to 10.8.0.0/16 tos 0x10 fwmark 0x5/0xff iif eth0 lookup 300",
        {
            "priority": 20,
            "src": "10.9.9.9",
            "dst": "10.8.0.0",
            "dstlen": 16,
            "tos": "0x10",
            "fwmark": "0x5",
            "fwmask": "0xff",
            "iif": "eth0",
            "table": "300",
        },
    ),
    (
        "from 10.0.0.1/8 table 5",
        RuleSpec(priority=20, src=Prefix(parse_ip("10.0.0.1"), 8), table=5),
        {},
        "20:\tfrom 10.0.0.1/8 lookup 5",
        {"priority": 20, "src": "10.0.0.1", "srclen": 8, "table": "5"},
    ),
    (
        "iif nonexist0 blackhole",
        RuleSpec(priority=20, iif="nonexist0", action="blackhole"),
        {"iif_detached": True},
        "20:\tfrom all iif nonexist0 [detached] blackhole",
        {"priority": 20, "src": "all", "iif": "nonexist0", "iif_detached": None, "action": "blackhole"},
    ),
    (
        "oif nonexist0 unreachable",
        RuleSpec(priority=20, oif="nonexist0", action="unreachable"),
        {"oif_detached": True},
        "20:\tfrom all oif nonexist0 [detached] unreachable",
        {"priority": 20, "src": "all", "oif": "nonexist0", "oif_detached": None, "action": "unreachable"},
    ),
    (
        "not from 10.0.0.0/8 prohibit",
        RuleSpec(priority=20, invert=True, src=parse_prefix("10.0.0.0/8"), action="prohibit"),
        {},
        "20:\tnot from 10.0.0.0/8 prohibit",
        {"priority": 20, "not": None, "src": "10.0.0.0", "srclen": 8, "action": "prohibit"},
    ),
    (
        "ipproto tcp sport 1000-2000 dport 80 lookup main",
        RuleSpec(priority=20, ipproto=6, sport=(1000, 2000), dport=(80, 80), table=254),
        {},
        "20:\tfrom all ipproto tcp sport 1000-2000 dport 80 lookup main",
        {
            "priority": 20,
            "src": "all",
            "ipproto": "tcp",
            "sport_start": 1000,
            "sport_end": 2000,
            "dport": 80,
            "table": "main",
        },
    ),
    (
        "goto 32766",
        RuleSpec(priority=20, action="goto", goto=32766),
        {},
        "20:\tfrom all goto 32766",
        {"priority": 20, "src": "all", "goto": 32766},
    ),
    (
        "goto 200",
        RuleSpec(priority=20, action="goto", goto=200),
        {"unresolved": True},
        "20:\tfrom all goto 200 [unresolved]",
        {"priority": 20, "src": "all", "goto": 200, "unresolved": None},
    ),
    (
        "table main suppress_prefixlength 0",
        RuleSpec(priority=20, table=254, suppress_prefixlength=0),
        {},
        "20:\tfrom all lookup main suppress_prefixlength 0",
        {"priority": 20, "src": "all", "table": "main", "suppress_prefixlen": 0},
    ),
    ("nop", RuleSpec(priority=20, action="nop"), {}, "20:\tfrom all nop", {"priority": 20, "src": "all", "nop": None}),
    (
        "uidrange 0-100 table 7",
        RuleSpec(priority=20, uidrange=(0, 100), table=7),
        {},
        "20:\tfrom all uidrange 0-100 lookup 7",
        {"priority": 20, "src": "all", "uid_start": 0, "uid_end": 100, "table": "7"},
    ),
    (
        "fwmark 7 table 7 protocol static",
        RuleSpec(priority=20, fwmark=7, table=7, protocol=4),
        {},
        "20:\tfrom all fwmark 0x7 lookup 7 proto static",
        {"priority": 20, "src": "all", "fwmark": "0x7", "table": "7", "protocol": "static"},
    ),
    (
        "from 192.168.0.0/16 table 100 nat 0",
        RuleSpec(priority=20, src=parse_prefix("192.168.0.0/16"), table=100, action="nat", nat=0),
        {},
        "20:\tfrom 192.168.0.0/16 lookup 100 masquerade",
        {"priority": 20, "src": "192.168.0.0", "srclen": 16, "table": "100", "masquerade": None},
    ),
    (
        "",
        RuleSpec(priority=20, table=254),
        {},
        "20:\tfrom all lookup main",
        {"priority": 20, "src": "all", "table": "main"},
    ),
    ("from all table 0", RuleSpec(priority=20, table=0), None, "", {}),
]


@pytest.mark.parametrize(
    ("line", "spec", "state", "text", "as_json"), ROWS, ids=[row[0] or "priority alone" for row in ROWS]
)
def test_a_rule_reads_and_prints_in_iproute2s_form(box, sh, line, spec, state, text, as_json):
    result = sh(f"ip rule add prio 20 {line}")
    assert result.rc == 0
    assert box.changes() == [NewRule(rule=spec)]
    if state is None:
        return
    listed = spec if spec.protocol == 4 else RuleSpec(**{f: getattr(spec, f) for f in spec.__slots__} | {"protocol": 0})
    box.answers[DumpRules] = (RuleInfo(rule=listed, **state),)
    assert f"{text}\n" == sh("ip rule").stdout
    assert [as_json] == json.loads(sh("ip -j rule").stdout)
    assert list(as_json) == list(json.loads(sh("ip -j rule").stdout)[0])


def test_nat_warns_and_succeeds(sh):
    result = sh("ip rule add prio 103 nat 0")
    assert (result.rc, result.stderr) == (0, "Warning: route NAT is deprecated\n")


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        ("add from", 255, 'Command line is not complete. Try option "help"\n'),
        (
            "add prio 30 nat foo",
            1,
            'Warning: route NAT is deprecated\nError: an IP address is expected rather than "foo"\n',
        ),
        ("add prio 30 sport foo", 255, 'Error: argument "foo" is wrong: invalid port range\n\n'),
        ("add prio 30 uidrange foo", 255, 'Error: argument "foo" is wrong: invalid UID range\n\n'),
        ("add prio 30 goto foo", 255, 'Error: argument "foo" is wrong: invalid target\n\n'),
        ("add prio 30 tos foo", 255, 'Error: argument "foo" is wrong: TOS value is invalid\n\n'),
        ("add prio 30 protocol foo", 255, 'Error: argument "foo" is wrong: "protocol" value is invalid\n\n'),
        ("add prio 30 fwmark 1/foo", 255, 'Error: argument "foo" is wrong: fwmask value is invalid\n\n'),
        (
            "add prio 30 suppress_prefixlength foo",
            255,
            'Error: argument "foo" is wrong: suppress_prefixlength value is invalid\n\n',
        ),
        ("show foo", 1, 'Error: inet prefix is expected rather than "foo".\n'),
        ("foo", 255, 'Command "foo" is unknown, try "ip rule help".\n'),
    ],
)
def test_wrong_words_are_refused_in_iproute2s_words(sh, line, rc, err):
    result = sh(f"ip rule {line}")
    assert (rc, err) == (result.rc, result.stderr)


STANDARD = (
    RuleInfo(rule=RuleSpec(priority=0, table=255, protocol=0)),
    RuleInfo(rule=RuleSpec(priority=20, src=parse_prefix("10.0.1.0/24"), table=20, protocol=0)),
    RuleInfo(rule=RuleSpec(priority=30, iif="eth0", fwmark=7, table=20, protocol=0)),
    RuleInfo(rule=RuleSpec(priority=32766, table=254, protocol=0)),
)


@pytest.mark.parametrize(
    ("selector", "priorities"),
    [
        ("prio 20", [20]),
        ("from 10.0.1.0/24", [20]),
        ("table 20", [20, 30]),
        ("lookup main", [32766]),
        ("iif eth0", [30]),
        ("fwmark 7", [30]),
        ("", [0, 20, 30, 32766]),
    ],
)
def test_a_selector_takes_rules_by_field(box, sh, selector, priorities):
    box.answers[DumpRules] = STANDARD
    assert priorities == [rule["priority"] for rule in json.loads(sh(f"ip -j rule show {selector}").stdout)]


def test_flush_leaves_the_rule_of_priority_zero(box, sh):
    box.answers[DumpRules] = STANDARD
    sh("ip rule flush")
    assert [req.rule.priority for req in box.changes()] == [20, 30, 32766]


def test_delete_names_only_what_was_given(box, sh):
    sh("ip rule del from 99.99.99.99")
    sh("ip ru d pref 999")
    assert box.changes() == [
        DelRule(rule=RuleSpec(src=parse_prefix("99.99.99.99"))),
        DelRule(rule=RuleSpec(priority=999)),
    ]
