"""What a sender hears of a packet that the firewall of its own box took."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip
from netsim.shell.dispatch import run
from netsim.stack.errno import EPERM, Refusal
from netsim.stack.requests import Send, Socket
from netsim.trace.records import Dropped
from netsim.wire.drop import NETFILTER_DROP
from netsim.wire.icmp import build_query

B = parse_ip("10.0.0.2")
ECHO = build_query(8, 7, 1, b"")


@pytest.fixture
def pair(wire):
    wire.box("a", eth0="lan 10.0.0.1/24")
    wire.box("b", eth0="lan 10.0.0.2/24")
    return wire


def sh(wire, line):
    result = run(wire.boxes["a"], line, now=wire.at)
    assert result.rc == 0, result.stderr


@pytest.mark.parametrize(
    "rule",
    [
        "iptables -A OUTPUT -d 10.0.0.2 -j DROP",
        "iptables -A OUTPUT -d 10.0.0.2 -j REJECT",
        "iptables -t mangle -A OUTPUT -d 10.0.0.2 -j DROP",
        "iptables -t mangle -A POSTROUTING -d 10.0.0.2 -j DROP",
    ],
)
@pytest.mark.parametrize("kind", ["udp", "raw", "ping"])
def test_sendto_is_not_permitted_where_the_firewall_drops_on_the_way_out(pair, kind, rule):
    """Source: nf_hook_slow(), NF_DROP gives -EPERM; recorded on 6.18: OUTPUT DROP and REJECT, POSTROUTING DROP."""
    sh(pair, rule)
    fd = pair.do("a", Socket(kind=kind, protocol=1 if kind == "raw" else 0))
    payload = ECHO if kind == "raw" else b"x"
    assert pair.ask("a", Send(fd=fd, payload=payload, addr=B, port=79)) == Refusal(EPERM)
    assert pair.sent("a") == []
    assert [each.reason for each in pair.records(Dropped) if each.node == "a"][:1] == [NETFILTER_DROP]


def test_sendto_knows_nothing_of_a_drop_at_the_receiver(pair):
    """Source: ip_output() has answered by then."""
    result = run(pair.boxes["b"], "iptables -A INPUT -j DROP", now=0)
    assert result.rc == 0
    fd = pair.do("a", Socket(kind="udp"))
    assert pair.ask("a", Send(fd=fd, payload=b"x", addr=B, port=79)) == 1


def test_sendto_is_permitted_again_when_the_rule_goes(pair):
    """Source: nf_hook_slow(): the errno is the verdict's, nothing stays at the socket."""
    fd = pair.do("a", Socket(kind="udp"))
    sh(pair, "iptables -A OUTPUT -p udp --dport 79 -j DROP")
    assert pair.ask("a", Send(fd=fd, payload=b"x", addr=B, port=79)) == Refusal(EPERM)
    assert pair.ask("a", Send(fd=fd, payload=b"x", addr=B, port=80)) == 1
    sh(pair, "iptables -D OUTPUT -p udp --dport 79 -j DROP")
    assert pair.ask("a", Send(fd=fd, payload=b"x", addr=B, port=79)) == 1
