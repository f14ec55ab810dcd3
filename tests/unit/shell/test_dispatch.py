"""Lists of commands, sh's own commands, redirections, and the check of lines before anything runs."""

from __future__ import annotations

import pytest

from netsim.shell.dispatch import check_line, find
from netsim.shell.tool import CommandResult
from netsim.stack.errno import EEXIST, Refusal
from netsim.stack.requests import NewRoute


def test_an_unknown_command_is_not_found_with_status_127(sh):
    assert sh("foo bar") == CommandResult("", "sh: 1: foo: not found\n", 127)


@pytest.mark.parametrize(
    ("line", "rc", "out"),
    [
        ("true", 0, ""),
        ("false", 1, ""),
        (":", 0, ""),
        ("modprobe ip_conntrack_ftp", 0, ""),
        ("false && echo a", 1, ""),
        ("false || echo a", 0, "a\n"),
        ("true || echo a", 0, ""),
        ("false; echo a", 0, "a\n"),
        ("foo 2>/dev/null || true", 0, ""),
        ("echo a; exit 3; echo b", 3, "a\n"),
        ("echo -n a b", 0, "a b"),
        ("/usr/sbin/ip rule", 0, ""),
    ],
)
def test_lists_run_as_in_sh(sh, line, rc, out):
    result = sh(line)
    assert (rc, out) == (result.rc, result.stdout)


def test_streams_are_kept_apart_and_may_be_joined(sh):
    assert sh("ip foo; echo a").stdout == "a\n"
    assert sh("ip foo 2>&1").stdout == 'Object "foo" is unknown, try "ip help".\n'
    assert sh("ip foo 2>&1 >/dev/null").stdout == 'Object "foo" is unknown, try "ip help".\n'
    assert sh("ip foo >/dev/null 2>&1") == CommandResult("", "", 1)


def test_a_refused_command_may_be_followed_by_or_true(box, sh):
    box.answers[NewRoute] = Refusal(EEXIST)
    result = sh("ip route add default via 10.0.1.1 || true")
    assert result == CommandResult("", "RTNETLINK answers: File exists\n", 0)


def test_a_broken_line_runs_nothing(box, sh):
    result = sh("ip link set eth0 up; echo 'x")
    assert result == CommandResult("", "sh: 1: Syntax error: Unterminated quoted string\n", 2)
    assert box.asked == []


@pytest.mark.parametrize(
    ("line", "rc", "err"),
    [
        ("echo 1 > /proc/sys/net/ipv4/ip_forward", 0, ""),
        ("echo foo > /proc/sys/net/ipv4/ip_forward", 1, "sh: 1: echo: echo: I/O error\n"),
        ("echo > /proc/sys/net/ipv4/ip_forward", 1, "sh: 1: echo: echo: I/O error\n"),
        (
            "echo 1 > /proc/sys/net/ipv4/nosuch",
            2,
            "sh: 1: cannot create /proc/sys/net/ipv4/nosuch: Directory nonexistent\n",
        ),
        ("echo 1 > /proc/sys/net/ipv4", 2, "sh: 1: cannot create /proc/sys/net/ipv4: Is a directory\n"),
        ("echo 1 > /proc/net/arp", 2, "sh: 1: cannot create /proc/net/arp: Permission denied\n"),
        ("echo 1 > /nosuch/file", 2, "sh: 1: cannot create /nosuch/file: Directory nonexistent\n"),
        ("cat /proc/sys/net/ipv4/nosuch", 1, "cat: /proc/sys/net/ipv4/nosuch: No such file or directory\n"),
        ("cat /proc/sys/net/ipv4", 1, "cat: /proc/sys/net/ipv4: Is a directory\n"),
    ],
)
def test_settings_are_written_and_read_as_files(sh, line, rc, err):
    """The texts are dash's and coreutils' on the real /proc."""
    assert (rc, err) == (sh(line).rc, sh(line).stderr)


def test_a_setting_written_with_echo_reads_back_with_cat(sh):
    assert sh("cat /proc/sys/net/ipv4/ip_forward").stdout == "0\n"
    sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    result = sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/nosuch")
    assert result.stdout == "1\n"
    assert result.rc == 1


@pytest.mark.parametrize(
    ("line", "column", "what", "hint"),
    [
        (
            "ip route add default vai 10.0.1.1",
            22,
            'ip route add: either "to" is duplicate, or "vai" is a garbage.',
            'did you mean "via"?',
        ),
        ("ip rotue add default", 4, 'ip: Object "rotue" is unknown, try "ip help".', 'did you mean "route"?'),
        ("ip route ad default", 0, "", ""),
        ("ip route addd x", 10, 'ip route: Command "addd" is unknown, try "ip route help".', 'did you mean "add"?'),
        (
            "ip route add 10.5.0.0/33 dev eth0",
            14,
            'ip route add: any valid prefix is expected rather than "10.5.0.0/33".',
            "",
        ),
        (
            "ip rule add prio 5 form 10.0.0.1",
            20,
            'ip rule add: argument "form" is wrong: Failed to parse rule type',
            'did you mean "from"?',
        ),
        ("ip rule add prio", 13, 'ip rule add: Command line is not complete. Try option "help"', ""),
        (
            "ip link set eth0 upp",
            18,
            'ip link set: either "dev" is duplicate, or "upp" is a garbage.',
            'did you mean "up"?',
        ),
        ("sysctll -w a=1", 1, "sysctll: not found", 'did you mean "sysctl"?'),
        (
            "sysctl -w net.ipv4.ip_forward = 1",
            11,
            "sysctl: command line(0): invalid syntax, continuing...",
            "write KEY=VALUE, without blanks",
        ),
        (
            "echo 1 > /etc/x",
            10,
            "cannot create /etc/x: Directory nonexistent",
            "only /proc/sys and /dev/null are written to",
        ),
        ("route add -net 10.0.0.1/8 gw 10.0.0.2", 16, "route: netmask doesn't match route address", ""),
        ("ifconfig eth0 10.0.0.1 netmsk 255.0.0.0", 24, "ifconfig: netmsk: Host name lookup failure", ""),
        ("arp -s 10.0.0.1", 8, "arp: need hardware address", ""),
        (
            "cat /etc/passwd",
            5,
            "cat: /etc/passwd: No such file or directory",
            "there are /proc/sys, /proc/net/arp and /proc/net/route",
        ),
        (
            "ip route add 2001:db8::/32 dev eth0",
            14,
            "ip route add: RTNETLINK answers: Operation not supported",
            "netsim's boxes speak IPv4 only",
        ),
        ("a 'b", 3, "Syntax error: Unterminated quoted string", ""),
    ],
)
def test_a_mistake_is_told_with_column_words_and_hint(line, column, what, hint):
    problems = check_line(line, "linux-6")
    if not what:
        assert problems == []
        return
    assert [(column, what, hint)] == [(p.column, p.what, p.hint) for p in problems]


def test_every_command_of_a_line_is_checked():
    problems = check_line("ip foo\nip route\nip route get", "linux-6")
    assert [p.column for p in problems] == [4, 26]


def test_a_forgiven_command_is_not_checked():
    assert check_line("ip foo || true", "linux-6") == []
    assert check_line("ip foo && ip bar || true", "linux-6") == []
    assert len(check_line("ip foo; ip route || true", "linux-6")) == 1


def test_whether_a_device_exists_is_not_checked_before_the_run():
    assert check_line("ip link set nosuch0 up; ip route add default dev nosuch1", "linux-6") == []


def test_tools_of_the_world_come_in_by_name(box):
    class Ping:
        name = "ping"
        kernels = ()

        def check(self, argv):
            return []

        def run(self, box, argv, *, now):
            return CommandResult(" ".join(word.text for word in argv[1:]))

    assert find("ping") is None
    assert find("/bin/ping", {"ping": Ping()}) is not None
    assert check_line("ping x", "linux-6", {"ping": Ping()}) == []
    assert check_line("ping x", "linux-6")[0].what == "ping: not found"
