"""Packets in scapy's notation: parsed, never evaluated."""

import pytest

from netsim.scenario.notation import NotationError, build, parse_packet


def test_layers_fields_and_payload_are_read():
    layers = parse_packet('Ether(dst="02:00:00:00:01:01")/IP(src="1.1.1.1", dst="10.0.0.1", ttl=3)/UDP(dport=53)/"hi"')
    assert [layer.name for layer in layers] == ["Ether", "IP", "UDP", "Raw"]
    packet = build(layers)
    assert packet["IP"].ttl == 3
    assert bytes(packet)[-2:] == b"hi"


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("Ether()/IPX()", 8, "unknown layer IPX"), ("__import__('os').system('x')", 0, "not a layer"),
        ("IP(dst=open('x'))", 7, "not a literal value"), ("IP(**{})", 5, r"\*\* is not part"),
        ("IP('1.1.1.1')", 3, "a field needs"),
        ("IP(", 2, "not a packet"), ("1+1", 0, "not a layer"), ("", 0, "not a packet"), ("Ether()+IP()", 0,
        "not a layer"),
        ("[IP()]", 0, "not a layer"), ("(lambda: 1)()", 0, "not a layer"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_at_its_place(text, column, what):
    with pytest.raises(NotationError, match=what) as caught:
        parse_packet(text)
    assert caught.value.column == column


def test_a_field_that_scapy_does_not_know_is_refused():
    with pytest.raises(NotationError, match="IP: "):
        build(parse_packet("IP(nose=3)"))
