"""YAML 1.2 core values, and the place of every character of a scalar."""

import math

import pytest

from netsim.errors import ConfigError
from netsim.scenario.located import Map, Scalar, Seq, plain
from netsim.scenario.reader import read_text, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("52:54:00:12:34:56", "52:54:00:12:34:56"), ("1:30", "1:30"), ("on", "on"), ("off", "off"), ("yes", "yes"),
        ("no", "no"), ("y", "y"), ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None),
        ("", None), ("12", 12), ("-7", -7), ("+7", 7), ("0x1f", 31), ("0o17", 15), ("017", 17), ("1_000", "1_000"),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-.inf", -math.inf), ("10.0.0.1", "10.0.0.1"), ("60s", "60s"),
        ("2026-11-25", "2026-11-25"), ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_a_plain_scalar_means_what_the_core_schema_says(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_a_mac_an_on_and_a_clock_time_stay_text_in_a_file():
    tree = read_text("mac: 52:54:00:12:34:56\non: on\nt: 1:30\n'5': \"5\"\nn: 5\ns: !!str 5\ni: !!int '5'\n", "x.yaml")
    assert plain(tree) == {"mac": "52:54:00:12:34:56", "on": "on", "t": "1:30", "5": "5", "n": 5, "s": "5", "i": 5}


def marks(scalar, word):
    offset = scalar.text.index(word)
    mark = scalar.at(offset)
    return mark.line, mark.column


SOURCE = """\
literal: |
  ip rule add prio 10 table main

    ip route add default via 10.0.0.1
  ip end
folded: >-
  one two
  three

  four
plain: alpha beta
  gamma
single: 'it''s
  here'
double: "a\\tb \\
  c\\u0041D
  E"
indented: &name |2
   led
  x
flow: {a: 'q w', b: [u, v w]}
"""


@pytest.mark.parametrize(
    ("key", "word", "place"),
    [
        ("literal", "rule", (2, 6)), ("literal", "default", (4, 18)), ("literal", "end", (5, 6)),
        ("folded", "two", (7, 7)), ("folded", "three", (8, 3)), ("folded", "four", (10, 3)),
        ("plain", "beta", (11, 14)), ("plain", "gamma", (12, 3)), ("single", "s", (13, 14)),
        ("single", "here", (14, 3)),
        ("double", "b", (15, 13)), ("double", "c", (16, 3)), ("double", "A", (16, 4)), ("double", "D", (16, 10)),
        ("double", "E", (17, 3)), ("indented", "led", (19, 4)), ("indented", "x", (20, 3)),
    ],
)  # fmt: skip
def test_every_character_knows_its_place(key, word, place):
    tree = read_text(SOURCE, "x.yaml")
    assert isinstance(tree, Map)
    assert marks(tree.get(key), word) == place


def test_values_inside_flow_collections_know_their_place():
    tree = read_text(SOURCE, "x.yaml")
    assert marks(tree.get("flow", "b", 1), "w") == (21, 27)
    assert marks(tree.get("flow", "a"), "w") == (21, 14)


def test_carriage_returns_and_a_byte_order_mark_do_not_move_places(tmp_path):
    from netsim.scenario.reader import read_file

    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfrun: |\r\n  one\r\n  two\r\n")
    tree = read_file(path, "x.yaml")
    assert tree.get("run").text == "one\ntwo\n"
    assert marks(tree.get("run"), "two") == (3, 3)


def test_duplicate_keys_are_all_refused_with_the_first_ones_line():
    with pytest.raises(ConfigError) as caught:
        read_text("a: 1\nb: {c: 1, c: 2}\na: 2\n", "x.yaml")
    assert str(caught.value) == (
        'x.yaml:2:11: b.c: duplicate key "c" (first on line 2)\n    b: {c: 1, c: 2}\n              ^\n'
        'x.yaml:3:1: a: duplicate key "a" (first on line 1)\n    a: 2\n    ^'
    )


def test_merge_keys_fill_in_what_is_not_given():
    tree = read_text("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nit: {<<: [*b, *m], x: 9}\nalso: *b\n", "x.yaml")
    assert plain(tree)["it"] == {"x": 9, "y": 2, "z": 4}
    assert plain(tree)["also"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: &a [*a]\n", "an alias inside its own anchor"),
        ("a: !python/name:os.system x\n", "unknown YAML tag !python/name:os.system"),
        ("? [a]\n: 1\n", "a key must be text"),
        ("a: {<<: 5}\n", '"<<" merges mappings only'),
        ("a: 1\n--- \nb: 1\n", "one file holds one scenario"),
        ("a: *nope\n", "found undefined alias"),
        ("a: >= 99%\n", 'a value that begins with > needs quotes: ">= 99%"'),
        ("a: {b: >= 99%}\n", 'a value that begins with > needs quotes: ">= 99%"'),
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("a: \x01\n", "control characters are not allowed in YAML"),
    ],
)
def test_what_yaml_allows_and_netsim_does_not_is_told_with_its_place(text, what):
    with pytest.raises(ConfigError) as caught:
        read_text(text, "x.yaml")
    assert what in str(caught.value)
    assert caught.value.problems[0].line > 0


def test_aliases_that_unfold_to_millions_of_values_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="unfold to too many values"):
        read_text("\n".join(lines), "x.yaml")


def test_an_empty_file_is_null():
    tree = read_text("# nothing\n", "x.yaml")
    assert isinstance(tree, Scalar)
    assert tree.value is None


def test_lists_are_lists():
    tree = read_text("- 1\n- [2]\n", "x.yaml")
    assert isinstance(tree, Seq)
    assert plain(tree) == [1, [2]]


def test_a_key_that_is_left_out_at_the_very_end_is_read():
    """The parser places the value that is not there in a line that is not there either."""
    read = read_text("a: 1\n? ", "x.yaml")
    assert plain(read) == {"a": 1, "": None}
