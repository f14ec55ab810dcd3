"""Netlink messages as a 6.18 kernel sent them."""

from __future__ import annotations

from netsim.kernel.netlink import attributes, read_connections

REDIRECTED = bytes.fromhex(
    "94000000000100060000000000000000020000003400018014000180080001007f000001080002007f0000011c000280050001001100000006"
    "000200dc5e000006000300006300003400028014000180080001007f000001080002007f0000011c0002800500010011000000060002000062"
    "000006000300dc5e000008000c00cfa67c6c08000300000001a8080007000000001e"
)
"""A datagram to port 99 redirected to port 98."""
PINGED = bytes.fromhex(
    "a4000000000100000000000000000000020000003c00018014000180080001007f000001080002007f000001240002800500010001000000"
    "0600040032b90000050005000800000005000600000000003c00028014000180080001007f000001080002007f0000012400028005000100"
    "010000000600040032b900000500050000000000050006000000000008000c0030147e9d080003000000018a080007000000001e"
)


def test_a_new_connection_is_told_with_both_tuples():
    (seen,) = read_connections(REDIRECTED)
    assert seen.event == "NEW"
    assert str(seen.orig) == "127.0.0.1:56414>127.0.0.1:99"
    assert str(seen.reply) == "127.0.0.1:98>127.0.0.1:56414"
    assert seen.translated


def test_an_echo_has_its_id_for_both_ports_and_is_not_translated():
    (seen,) = read_connections(PINGED)
    assert seen.event == "UPDATE"
    assert str(seen.orig) == "127.0.0.1:12985>127.0.0.1:12985"
    assert not seen.translated


def test_several_messages_in_one_read_are_all_told():
    assert [seen.event for seen in read_connections(REDIRECTED + PINGED)] == ["NEW", "UPDATE"]


def test_a_cut_attribute_ends_the_list():
    assert attributes(b"\x08\x00\x01\x00abcd\x02\x00\x01\x00") == {1: b"abcd"}
