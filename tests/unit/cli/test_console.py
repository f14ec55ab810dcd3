"""`netsim shell`: lines in, answers out, time between them; and clean in a pipe."""

from __future__ import annotations

import io
import sys

import pytest

from netsim.cli import main

FILE = """\
duration: 20s
topology:
  nodes:
    a: {addr: {eth0: 10.0.0.1/24}}
    b: {addr: {eth0: 10.0.0.2/24}}
  links: {wire: {ends: [a:eth0, b:eth0], delay: 1ms}}
traffic: {w: {from: a, to: b, kind: udp, every: 1s}}
events: [{at: 5s, id: quiet, silence: b}, {at: 9s, revive: b}]
"""


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Feed lines to `netsim shell x.yaml`; return exit status, standard output, standard error."""
    (tmp_path / "x.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)

    def run(text: str, *args: str):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        with pytest.raises(SystemExit) as caught:
            main(["shell", "x.yaml", *args])
        out = capsys.readouterr()
        return caught.value.code, out.out, out.err

    return run


def test_in_a_pipe_only_answers_are_printed(shell):
    assert shell("a ip -br link show dev eth0\n") == (
        0,
        "eth0             UP             02:00:00:00:01:01 <BROADCAST,MULTICAST,UP,LOWER_UP> \n",
        "",
    )


def test_the_last_commands_status_is_the_shells(shell):
    assert shell("a ip link show dev nope\n") == (1, "", 'Device "nope" does not exist.\n')
    assert shell("false\ntrue\n")[0] == 0


def test_a_nodes_name_chooses_it_and_a_command_behind_it_does_not(shell):
    code, out, _ = shell("b\nip -br addr show dev eth0\na ip -br addr show dev eth0\nip -br addr show dev eth0\n")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()] == ["10.0.0.2/24", "10.0.0.1/24", "10.0.0.2/24"]


def test_time_passes_and_events_are_told(shell):
    assert shell("time\nrun 2s\ntime\nuntil next event\nuntil 6s; time\n")[1].splitlines() == [
        "0s of 20s", "2s of 20s", "5.000000000 --- silence b (quiet)", "6s of 20s",
    ]  # fmt: skip


def test_it_begins_where_at_says(shell):
    assert shell("time\n", "--at", "7s")[1] == "7s of 20s\n"


def test_time_does_not_run_back(shell):
    code, _, err = shell("until 1s\n", "--at", "7s")
    assert (code, err) == (2, "netsim: it is 7s already, and time does not run back\n")


def test_events_happen_at_once(shell):
    code, out, _ = shell("cut wire\na ip -br link show dev eth0\njoin wire\nflap wire down=1s up=1s times=2\n")
    assert code == 0
    assert "0.000000000 --- cut wire (cut-wire)" in out
    assert "DOWN" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("silence", "silence what? as in: silence isp1"),
        ("impair wire", "impair how? as in: impair wan0 loss=30% delay=80ms"),
        ("impair wire loss=lots", 'impair: loss: "lots" is not a share'),
        ("cut nothing", "no link 'nothing'; there are: wire"),
        ("silence b now", "silence takes one name, and 'now' comes after it"),
        ("node c", "no node 'c'; there are: a, b"),
        ("run", "run for how long? as in: run 5s"),
        ("until soon", "'soon' is not a duration"),
        ("explain", "explain what? last, lost, frame N, or neigh IP dev DEV"),
        ("explain last", "no packet was sent yet"),
        ("watch cats", "'cats' cannot be watched"),
        ("tcpdump arp arp", "out of place"),
    ],
)
def test_mistakes_are_one_line_each_and_nothing_stops(shell, line, said):
    code, out, err = shell(f"{line}\ntime\n")
    assert said in err
    assert (code, out) == (0, "0s of 20s\n")
    assert shell(f"{line}\n")[0] == 2


def test_a_misspelt_event_gets_a_hint(shell):
    assert shell("silense b\n")[2] == 'sh: 1: silense: not found\nnetsim: did you mean "silence"?\n'


def test_explain_last_and_lost_tell_lives(shell):
    _, out, _ = shell("run 2500ms\nexplain last\nrun 5s\nexplain lost\n")
    assert "ends well at b: unit 2 of flow w" in out
    assert "dropped by b at eth0: NODE_SILENT" in out


def test_explain_neigh_is_about_the_chosen_node(shell):
    assert "REACHABLE since 0.002s" in shell("a\nrun 2s\nexplain neigh 10.0.0.2 dev eth0\n")[1]


def test_tcpdump_prints_the_chosen_nodes_frames_until_it_is_off(shell):
    _, out, _ = shell("a\ntcpdump -ni eth0 udp\nrun 1s\ntcpdump off\nrun 2s\n")
    lines = [line for line in out.splitlines() if "UDP" in line]
    assert [line.split()[:3] for line in lines] == [["0.002000000", "a:eth0", "Out"], ["1.000000000", "a:eth0", "Out"]]


def test_watch_names_what_it_watches(shell):
    _, out, _ = shell("watch neigh drops\nrun 1s\nwatch off\nrun 1s\n")
    assert "watching: drops, neigh" in out
    assert "neigh 10.0.0.2 dev eth0 lladdr 02:00:00:00:02:01 INCOMPLETE -> REACHABLE" in out
    assert out.rstrip().endswith("watching: nothing")


def test_lists_show_nodes_links_events(shell):
    _, out, _ = shell("nodes\nlinks\nrun 6s\nevents\n")
    assert "*a  linux-6    eth0 10.0.0.1/24" in out
    assert "wire  cable    a:eth0 b:eth0" in out
    assert "5s  silence  b  happened" in out
    assert "9s  revive  b  to come" in out


def test_comments_and_empty_lines_do_nothing(shell):
    assert shell("# nothing\n\n   \n") == (0, "", "")


def test_semicolons_inside_linux_lines_stay_linuxs(shell):
    assert shell("false; echo x\nquit; time\n") == (0, "x\n", "")


def test_help_lists_words_and_events(shell):
    out = shell("help\n")[1]
    assert "until 90s | until next event" in out
    assert "silence, revive, crash" in out


def test_words_are_completed(tmp_path):
    from netsim.cli.console import Console
    from netsim.scenario.load import load

    (tmp_path / "x.yaml").write_text(FILE)
    console = Console(load(tmp_path / "x.yaml"))
    assert console.completenames("si") == ["silence "]
    assert console.completedefault("", "silence ") == ["a ", "b "]
    assert console.completedefault("a:", "unplug a:") == ["a:eth0 "]
    assert console.complete_until("n", "until n") == ["next event "]
    console.close()
