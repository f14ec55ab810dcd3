"""Whatever a person types and whatever is on the wire: a filter is refused in words, or answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netsim.observe.filter import FilterError, compile_filter

WORDS = st.sampled_from([
    "src", "dst", "host", "net", "port", "ip", "arp", "icmp", "tcp", "udp", "and", "or", "not", "(", ")", "&&", "||",
    "!", "80", "10.0.0.1", "10.0.1.0/24", "10.0", "vlan", "portrange", "x",
])  # fmt: skip


def column_of(text: str) -> int | None:
    try:
        compile_filter(text)
    except FilterError as error:
        return error.column
    return None


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_at_a_place_inside_it(text):
    column = column_of(text)
    assert column is None or 0 <= column <= len(text)


@given(st.lists(WORDS, max_size=9).map(" ".join), st.binary(max_size=80), st.booleans())
def test_any_words_and_any_octets_give_an_answer(text, octets, link_header):
    if column_of(text) is None:
        compiled = compile_filter(text)
        answer = compiled.matches(octets, link_header=link_header)
        assert answer in (True, False)


@given(st.sampled_from(["udp", "host 10.0.0.1", "port 80", "src net 10.0.0.0/8"]), st.binary(min_size=60, max_size=80))
def test_a_filter_and_its_negation_part_whole_packets(text, octets):
    packet = b"\x02" * 12 + b"\x08\x00\x45" + octets[15:]
    assert compile_filter(text).matches(packet) != compile_filter(f"not ({text})").matches(packet)
