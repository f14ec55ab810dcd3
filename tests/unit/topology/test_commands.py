"""Cutting a `run:` block into command lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.topology.commands import expand


@pytest.mark.parametrize(
    ("block", "lines"),
    [
        ("", []), ("\n\n", []), ("# only talk\n", []), ("a b\n", ["a b"]), ("  a b  \n c\n", ["a b", "c"]),
        ("a # talk\nb#c\n", ["a", "b#c"]), ("a '# no talk'\n", ["a '# no talk'"]), ("a \\\n    b\n", ["a b"]),
        ("a \\\n  b \\\n  c", ["a b c"]), ("# x \\\na\n", ["a"]), ("a \\# b", ["a \\# b"]),
        ("a '\\\n' b", ["a '\\\n' b"]),
        ('a "x \\\n y"', ['a "x y"']), ("a\r\nb\r\n", ["a", "b"]), ("a\\\n", ["a"]),
        ("a && b || true\n", ["a && b || true"]),
        ("a;# talk\n", ["a;"]),
        ("a <<E # talk\n# b\n c\nE\nd\n", ["a <<E \n# b\n c\nE", "d"]), ("a <<E\nb\n", ["a <<E\nb\n"]),
        ("a <<-'E'\n\tb\n\tE\nd", ["a <<-'E'\n\tb\n\tE", "d"]), ("a '<<E'\nE\n", ["a '<<E'", "E"]),
        ("a <<X <<Y\nX\nb\nY\nc", ["a <<X <<Y\nX\nb\nY", "c"]),
    ],
)  # fmt: skip
def test_a_block_is_cut_as_a_shell_would(block, lines):
    assert [command.text for command in expand(block)] == lines


def test_every_character_of_a_joined_line_keeps_its_place():
    block = "# first\nip route add \\\n    via vai\n"
    (command,) = expand(block)
    assert command.text == "ip route add via vai"
    assert block[command.at(command.text.index("vai")) :].startswith("vai")
    assert command.at(999) == block.index("vai") + 3


@given(st.text(alphabet="ab #'\"\\\n\t", max_size=40))
def test_offsets_point_at_the_same_character_in_the_block(block):
    for command in expand(block):
        assert len(command.offsets) == len(command.text) + 1
        assert all(block[o] == c for c, o in zip(command.text, command.offsets, strict=False) if c not in " \t")
