"""What a line's syntax alone gets wrong, with the column, before anything runs."""

import pytest

from netsim.shell import dispatch
from netsim.shell.iptables.extension import number, quoted
from netsim.shell.iptables.names import protocol_name, protocol_number, service_name, service_port


@pytest.mark.parametrize(
    ("line", "column", "what"),
    [
        ("iptables -A FORWARD -p tcp --dport 99999 -j ACCEPT", 36, "iptables: invalid port/service `99999' specified"),
        ("iptables -t foo -S", 13,
         "iptables: table 'foo' does not exist Perhaps iptables or your kernel needs to be upgraded."),
        ("iptables -A INPUT -s 10.0.0.0/33 -j DROP", 22, "iptables: invalid mask `33' specified"),
        ("iptables -A INPUT -j ACCEPT extra", 29, "iptables: Bad argument `extra'"),
        ("iptables -t nat -P POSTROUTING DROP", 32,
         'iptables: The "nat" table is not intended for filtering, the use of DROP is therefore inhibited.'),
        ("iptables -A OUTPUT -m owner --uid-owner 0", 23,
         "iptables: Couldn't load match `owner': netsim does not model it"),
        ("iptables -A OUTPUT -j NFQUEUE", 23, "iptables: Couldn't load target `NFQUEUE': netsim does not model it"),
        ("iptables-save -x", 15,
         "iptables-save: invalid option -- 'x' Look at manual page `iptables-save.8' for more information."),
        ("conntrack -L -p foo", 17, "conntrack: `foo' unsupported protocol"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_column_and_the_tools_words(line, column, what):
    (problem,) = dispatch.check_line(line, "linux-6")
    assert (column, what) == (problem.column, problem.what)


@pytest.mark.parametrize(
    "line",
    [
        "iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -o wan0 -j MASQUERADE",
        "iptables -A FORWARD -j a-chain-made-elsewhere",
        "iptables -w -t mangle -A PREROUTING -i wan1 -m conntrack --ctstate NEW -j CONNMARK --set-mark 2",
        "iptables -nvL FORWARD --line-numbers",
        "iptables -A FORWARD -p tcp --foo || true",
        "conntrack -D -p udp -s 192.168.0.3",
    ],
)
def test_what_only_the_box_can_refuse_is_no_mistake(line):
    assert dispatch.check_line(line, "linux-6") == []
    assert dispatch.check_line(line, "linux-2.4-routes") == []


def test_iptables_does_not_exist_on_22():
    (problem,) = dispatch.check_line("iptables -S", "linux-2.2")
    assert problem.what == "iptables: not found on kernel linux-2.2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("010", 8), ("0x10", 16), ("4294967295", 0xFFFFFFFF), ("4294967296", None), ("-1", None), ("", None),
     ("1x", None), ("09", None), ("1_0", None), ("0b1", None)],
)  # fmt: skip
def test_numbers_are_read_as_c_reads_them(text, expected):
    assert expected == number(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("hello", "hello"), ("a b", '"a b"'), ("", '""'), ('q"x\\', '"q\\"x\\\\"'), ("a.b", '"a.b"')],
)
def test_texts_are_quoted_where_sh_needs_it(text, expected):
    assert expected == quoted(text)


def test_services_and_protocols_by_name_and_number():
    assert (service_port("http", "tcp"), service_port("domain"), service_port("nope")) == (80, 53, None)
    assert (service_name(53, "udp"), service_name(53535, "udp"), service_name(9, "tcp")) == (
        "domain",
        "53535",
        "discard",
    )
    assert [protocol_number(name) for name in ("tcp", "all", "icmpv6", "17", "256", "no")] == [6, 0, 58, 17, None, None]
    assert (protocol_name(6), protocol_name(99)) == ("tcp", "99")
