"""Mainline's answers to `ip route get`, beyond which way a packet goes."""

from __future__ import annotations

import pytest

from netsim.shell.dispatch import run


@pytest.fixture
def box(wire):
    wire.box("a", eth0="lan 10.0.0.1/24")
    sh(wire, "ip route add 192.0.2.0/24 via 10.0.0.2; ip route add 192.0.2.0/24 via 10.0.0.3 tos 0x10")
    return wire


def sh(wire, line):
    return run(wire.boxes["a"], line, now=wire.at).stdout


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("192.0.2.1 tos 0x10", "192.0.2.1 tos 0x10 via 10.0.0.3 dev eth0 src 10.0.0.1 uid 0 \n    cache \n"),
        ("10.0.0.9 tos 0x10", "10.0.0.9 dev eth0 src 10.0.0.1 uid 0 \n    cache \n"),
    ],
    ids=["a route of that tos", "a route of any"],
)
def test_the_tos_shown_is_the_route_s_and_not_the_question_s(box, question, answer):
    """Source: rt_fill_info() of 6.11 and later; recorded on 6.18."""
    assert sh(box, f"ip route get {question}") == answer


def test_with_details_the_main_table_is_named_too(box):
    """Source: iproute2 6.1, print_route(); recorded on 6.18."""
    assert sh(box, "ip -d route get 10.0.0.9") == (
        "unicast 10.0.0.9 dev eth0 table main src 10.0.0.1 uid 0 \n    cache \n"
    )
