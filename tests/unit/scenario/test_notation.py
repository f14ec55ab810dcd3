"""Packets in scapy's notation: parsed, never evaluated."""

import pytest

from netsim.errors import ConfigError
from netsim.scenario.load import load
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


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ('IP(dst="example.com")', 7, "IP: dst: "), ('IP(dst="10.0.0.0/30")', 7, "IP: dst: "),
        ("IP(src=5)", 7, "IP: src: "),
        ("IP(dst=['10.0.0.1', '10.0.0.2'])", 7, "IP: dst: "), ('ARP(pdst="1.2.3.300")', 9, "ARP: pdst: "),
        ('ICMP(type=5, gw="router")', 16, "ICMP: gw: "), ('Ether(dst="zz")', 10, "Ether: dst: "),
        ('UDP(dport="domain")', 10, 'UDP: dport: "domain" is not a number'),
    ],
)  # fmt: skip
def test_what_scapy_would_ask_this_machine_for_is_refused(text, column, what):
    with pytest.raises(NotationError, match=what) as caught:
        parse_packet(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("Ether()/IP(nose=3)", 8, "IP: "), ("Ether()/IP(ttl=70000)", 8, "IP: While building field 'ttl'"),
        ("Ether(type=0x10000)", 0, "Ether: While building field 'type'"), ('TCP(flags="ZZ")', 0, "TCP: substring"),
        ('ARP(op="who")', 0, "ARP: no value 'who'"), ('ICMP(type="bogus")', 0, "ICMP: no value 'bogus'"),
        ("UDP(dport=-1)", 0, "UDP: "),
    ],
)  # fmt: skip
def test_what_scapy_does_not_know_or_cannot_build_is_refused_at_its_layer(text, column, what):
    with pytest.raises(NotationError, match=what) as caught:
        build(parse_packet(text))
    assert caught.value.column == column
    assert "\n" not in caught.value.what


def test_a_packet_that_cannot_be_built_is_told_before_anything_runs(tmp_path):
    text = "duration: 1s\ntopology: {nodes: {a: {addr: {eth0: 10.0.0.1/24}}}}\n"
    (tmp_path / "x.yaml").write_text(
        f"{text}events: [{{at: 0s, inject: {{to: 'a:eth0', packet: Ether()/IP(ttl=256)}}}}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "x.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (3, "events[0].inject.packet")
    assert problem.source[problem.column - 1 :].startswith("IP(ttl=256)")
