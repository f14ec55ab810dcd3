"""Command lines as sh cuts them. Source: POSIX.1-2017 Shell Command Language 2.2, 2.3, 2.9.3; words are dash's."""

from __future__ import annotations

import pytest

from netsim.shell.tokens import AND, OR, THEN, SyntaxProblem, parse
from netsim.shell.tool import Word


def words(text: str) -> list[list[str]]:
    return [[word.text for word in command.words] for command in parse(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   \n\n", []),
        ("# only a comment", []),
        ("ip route", [["ip", "route"]]),
        ("ip route # show", [["ip", "route"]]),
        ("ip r#oute", [["ip", "r#oute"]]),
        ("a; b;", [["a"], ["b"]]),
        ("a\nb\n\nc", [["a"], ["b"], ["c"]]),
        ("a \\\n  b", [["a", "b"]]),
        ("a\\\nb", [["ab"]]),
        ("a 'b  c' \"d e\"f", [["a", "b  c", "d ef"]]),
        ("a '' b", [["a", "", "b"]]),
        ('a \\# \\"', [["a", "#", '"']]),
        ('a "x\\"y" \'x\\y\'', [["a", 'x"y', "x\\y"]]),
        ("a &&\n b", [["a"], ["b"]]),
        ("a *", [["a", "*"]]),
        ("iptables ! -s 10.0.0.0/8", [["iptables", "!", "-s", "10.0.0.0/8"]]),
    ],
)
def test_words_are_cut_as_sh_cuts_them(text, expected):
    assert expected == words(text)


def test_columns_count_from_one_over_continuations():
    [command] = parse("ip addr \\\n  add x")
    assert command.words == (Word("ip", 1), Word("addr", 4), Word("add", 13), Word("x", 17))


def test_joints_tell_how_a_command_hangs_on_the_one_before():
    assert [command.joint for command in parse("a && b || c; d\ne")] == [THEN, AND, OR, THEN, THEN]


def test_redirections_name_stream_and_target():
    [command] = parse("echo 1 > /proc/sys/x 2>&1 2>> /dev/null")
    assert [(r.fd, r.target.text, r.append) for r in command.redirects] == [
        (1, "/proc/sys/x", False),
        (2, "&1", False),
        (2, "/dev/null", True),
    ]


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("a 'b", 3, "Syntax error: Unterminated quoted string"),
        ("&& a", 1, 'Syntax error: "&&" unexpected'),
        ("a && ; b", 6, 'Syntax error: ";" unexpected'),
        ("a ||", 5, "Syntax error: end of file unexpected"),
        ("a >", 4, "Syntax error: end of file unexpected"),
        ("a > ;", 5, 'Syntax error: ";" unexpected'),
        ("a > \nb", 5, "Syntax error: newline unexpected"),
        ("a > <<E\nb\nE\n", 5, "Syntax error: redirection unexpected"),
        ("a >&x", 4, "Syntax error: Bad fd number"),
        ("ip route add $X", 14, '"$": variables and substitutions are not supported here'),
        ('echo "$X"', 7, '"$": variables and substitutions are not supported here'),
        ("echo `x`", 6, '"`": substitutions are not supported here'),
        ("a | b", 3, '"|": pipes are not supported here'),
        ("a &", 3, '"&": background jobs are not supported here'),
        ("(a)", 1, '"(": subshells are not supported here'),
        ("a < b", 3, '"<": input is read from a here-document only: <<EOF'),
        ("a <<E\nb\n", 3, 'Syntax error: the here-document wants a line "E"'),
        ("a <<E", 3, 'Syntax error: the here-document wants a line "E"'),
    ],
)
def test_what_is_no_line_is_told_with_its_column(text, column, what):
    with pytest.raises(SyntaxProblem) as caught:
        parse(text)
    assert (caught.value.column, caught.value.what) == (column, what)


@pytest.mark.parametrize(
    ("text", "here", "columns"),
    [
        ("a <<E\nb c\n  d\nE\n", "b c\n  d\n", (7, 11, 15)), ("a <<'E'\n$b\nE", "$b\n", (9, 12)),
        ("a <<-E\n\tb\n\t\tE\n", "b\n", (9, 13)), ("a<<E\nE\n", "", (6,)), ("a <<X <<Y\nX\nb\nY\n", "b\n", (13, 15)),
    ],
)  # fmt: skip
def test_a_here_document_is_the_lines_up_to_its_word(text, here, columns):
    """POSIX 2.7.4: of several the last one is what the command reads."""
    (command,) = parse(text)
    assert [word.text for word in command.words] == ["a"]
    assert (command.here.text, command.here.columns) == (here, columns)


def test_what_follows_a_here_document_is_another_command():
    first, second = parse("a <<E && b\nc\nE\nd")[0], parse("a <<E && b\nc\nE\nd")[-1]
    assert (first.here.text, [word.text for word in second.words], second.here) == ("c\n", ["d"], None)
