"""iptables-restore on texts: what is loaded, and what the real tool says about bad ones (recorded, see README.md)."""

import importlib.util
from pathlib import Path

import pytest

from netsim.shell.dispatch import check_line
from netsim.shell.iptables.restore import restore

_SPEC = importlib.util.spec_from_file_location("iptables_replay", Path(__file__).parent / "replay.py")
replay = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(replay)

TRY = "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n"
FIRST = """*filter
:INPUT DROP [1:2]
:FORWARD ACCEPT
:foo - [0:0]
-A INPUT -s 10.0.0.1 -j ACCEPT
[5:6] -A foo -p tcp --dport 80 -j ACCEPT
COMMIT
"""


def saved(box):
    return "".join(f"{line}\n" for line in box.sh("iptables-save -c").stdout.splitlines() if line[0] != "#")


def test_a_text_replaces_the_table_and_counts_from_nothing():
    box = replay.TablesBox()
    assert restore(box, FIRST, now=0).rc == 0
    assert saved(box) == (
        "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:foo - [0:0]\n"
        "[0:0] -A INPUT -s 10.0.0.1/32 -j ACCEPT\n[0:0] -A foo -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n"
    )


def test_with_n_the_text_adds_and_with_c_it_brings_its_counters():
    box = replay.TablesBox()
    restore(box, FIRST, now=0)
    restore(box, "*filter\n-A INPUT -j DROP\nCOMMIT\n", now=0, flush=False)
    assert "[0:0] -A INPUT -s 10.0.0.1/32 -j ACCEPT\n[0:0] -A INPUT -j DROP\n" in saved(box)
    restore(box, FIRST, now=0, counters=True)
    assert ":INPUT DROP [1:2]\n" in saved(box)
    assert "[5:6] -A foo" in saved(box)


@pytest.mark.parametrize(
    ("text", "rc", "stderr"),
    [
        ("*filter\n-A INPUT -j NOSUCH\nCOMMIT\n", 2,
         "iptables-restore v1.8.9 (nf_tables): Chain 'NOSUCH' does not exist\nError occurred at line: 3\n" + TRY),
        ("*filter\n-A INPUT -j ACCEPT\n", 1, "iptables-restore: COMMIT expected at line 3\n"),
        ("*foo\nCOMMIT\n", 2,
         "iptables-restore v1.8.9 (nf_tables): iptables-restore: line 1 table name 'foo' invalid\n"
         "Error occurred at line: 1\n" + TRY),
        ("foo\n", 1, "iptables-restore: line 1 failed\n"),
        ("*filter\nfoo\nCOMMIT\n", 2, "Bad argument `foo'\nError occurred at line: 2\n" + TRY),
        ("*filter\n-A INPUT --foo\nCOMMIT\n", 2,
         'iptables-restore v1.8.9 (nf_tables): unknown option "--foo"\nError occurred at line: 2\n' + TRY),
        ("*filter\n-A NOCHAIN -j ACCEPT\nCOMMIT\n", 1,
         "iptables-restore: line 2 failed: No chain/target/match by that name.\n"),
        ("*filter\n:INPUT FOO\nCOMMIT\n", 1, "iptables-restore: line 2 failed: Bad policy name.\n"),
        ("*filter\n-A INPUT -j MASQUERADE\nCOMMIT\n", 4,
         "iptables-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n"),
    ],
)  # fmt: skip
def test_a_bad_text_is_refused_in_the_tools_words_and_changes_nothing(text, rc, stderr):
    box = replay.TablesBox()
    restore(box, FIRST, now=0)
    before = saved(box)
    result = restore(box, text, now=0)
    assert (rc, stderr) == (result.rc, result.stderr)
    assert before == saved(box)


def test_what_iptables_save_prints_loads_to_the_same():
    box = replay.TablesBox()
    for line in (
        "iptables -N up", "iptables -A FORWARD -j up", "iptables -A up -m comment --comment 'a \"b\" $c' -j LOG",
        "iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -o wan0 -j MASQUERADE",
        "iptables -t mangle -A PREROUTING -i lan0 -j CONNMARK --restore-mark",
    ):  # fmt: skip
        box.sh(line.replace("$", "\\$") if '"' not in line else line)
    copy = replay.TablesBox()
    assert restore(copy, box.sh("iptables-save -c").stdout, now=0, counters=True).rc == 0
    assert saved(box) == saved(copy)
    assert copy.services.conntrack.users == 2


HERE = "iptables-restore {options} <<EOF\n*filter\n:INPUT DROP [3:180]\n-A INPUT -p icmp -j {target}\nCOMMIT\nEOF\n"


def test_a_command_line_gives_it_a_here_document():
    box = replay.TablesBox()
    assert box.sh(HERE.format(options="-c", target="ACCEPT")).rc == 0
    assert ":INPUT DROP [3:180]\n" in box.sh("iptables-save -c").stdout
    assert "-A INPUT -p icmp -j ACCEPT\n" in box.sh("iptables-save").stdout
    assert box.sh(HERE.format(options="--test", target="DROP")).rc == 0
    assert "-j DROP" not in box.sh("iptables-save").stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("-w 5", ""), ("-W 5", ""), ("-w", ""), ("--wait=5", ""), ("--wait 5", ""), ("--wait-interval=3", ""),
        ("-nc", ""), ("-cn", ""), ("-tw", ""), ("--no", ""), ("--counter", ""), ("-M /x", ""), ("--verb", ""),
        ("-T nat", ""), ("--table=filter", ""), ("-4v", ""),
        ("-x", "iptables-restore: invalid option -- 'x'"), ("-nx", "iptables-restore: invalid option -- 'x'"),
        ("-w5", "iptables-restore: invalid option -- '5'"), ("-w -5", "iptables-restore: invalid option -- '5'"),
        ("--bogus", "iptables-restore: unrecognized option '--bogus'"),
        ("-T", "iptables-restore: option requires an argument -- 'T'"),
        ("--table", "iptables-restore: option '--table' requires an argument"),
        ("foo", "Can't open foo: No such file or directory"), ("a b", "Unknown arguments found on commandline"),
        ("-w ! x", "Unknown arguments found on commandline"),
    ],
)  # fmt: skip
def test_its_options_are_read_and_refused_as_the_tool_does(options, said):
    """Recorded from iptables 1.8.9."""
    result = replay.TablesBox().sh(HERE.format(options=options, target="ACCEPT"))
    more = "\nTry `iptables-restore -h' for more information.\n" if "-restore:" in said else "\n" if said else ""
    assert (result.rc, result.stderr) == (1 if said else 0, said + more)
    assert [
        problem.what.endswith(said) for problem in check_line(HERE.format(options=options, target="ACCEPT"), "linux-6")
    ] == ([True] if said else [])


@pytest.mark.parametrize(("table", "loaded"), [("nat", [2]), ("filter", [1]), ("mangle", []), ("foo", [])])
def test_of_a_text_one_table_can_be_chosen(table, loaded):
    """Recorded from iptables 1.8.9: what stands in the others is not read."""
    box = replay.TablesBox()
    rules = ("-A INPUT -j DROP", "-A POSTROUTING -j MASQUERADE")
    text = f"*filter\n{rules[0]}\nCOMMIT\n*nat\n{rules[1]}\nCOMMIT\n*raw\nnonsense\n"
    assert restore(box, text, now=0, only=table).rc == 0
    assert [line for line in saved(box).splitlines() if "-A" in line] == [f"[0:0] {rules[n - 1]}" for n in loaded]
    assert restore(box, "*foo\nCOMMIT\n", now=0, only=table).rc == 2


@pytest.mark.parametrize(
    "text",
    [
        HERE.format(options="", target="ACCEPT --foo"),
        HERE.format(options="", target="ACCEPT --foo").replace("\n", "\n\t\t").replace("<<EOF", "<<-EOF"),
    ],
)
def test_a_mistake_in_the_text_is_told_at_its_line_before_anything_runs(text):
    (problem,) = check_line(text, "linux-6")
    assert text[problem.column - 1 :].startswith("-A INPUT -p icmp -j ACCEPT --foo")
    assert problem.what == 'iptables-restore: unknown option "--foo"'


def test_a_table_without_an_end_is_told_at_the_texts_end():
    text = "iptables-restore <<EOF\n*filter\n:INPUT DROP\nEOF\n"
    (problem,) = check_line(text, "linux-6")
    assert (text[problem.column - 1 :], problem.what) == ("EOF\n", "iptables-restore: COMMIT expected at line 3")


def test_without_a_text_it_says_how_to_give_it_one():
    (problem,) = check_line("iptables-restore", "linux-6")
    assert problem.what == "iptables-restore: there is nothing to read"
    assert "<<EOF" in problem.hint
