"""The sysctl command; every text was printed by procps 4.0.2 on a real machine."""

from __future__ import annotations

import pytest

SYNTAX = "sysctl: command line(0): invalid syntax, continuing...\n"


@pytest.mark.parametrize(
    ("line", "out", "err", "rc"),
    [
        ("sysctl net.ipv4.ip_forward", "net.ipv4.ip_forward = 0\n", "", 0),
        ("sysctl net/ipv4/ip_forward", "net.ipv4.ip_forward = 0\n", "", 0),
        ("sysctl -n net.ipv4.ip_forward", "0\n", "", 0),
        ("sysctl -N net.ipv4.ip_forward", "net.ipv4.ip_forward\n", "", 0),
        ("sysctl -b net.ipv4.ip_forward", "0", "", 0),
        ("sysctl -w net.ipv4.ip_forward=1", "net.ipv4.ip_forward = 1\n", "", 0),
        ("sysctl net.ipv4.ip_forward=1", "net.ipv4.ip_forward = 1\n", "", 0),
        ("sysctl -w net/ipv4/ip_forward=1", "net.ipv4.ip_forward = 1\n", "", 0),
        ("sysctl -w 'net.ipv4.ip_forward = 1'", "net.ipv4.ip_forward = 1\n", "", 0),
        ("sysctl -qw net.ipv4.ip_forward=1", "", "", 0),
        ("sysctl -n -w net.ipv4.ip_forward=1", "1\n", "", 0),
        ("sysctl -N -w net.ipv4.ip_forward=1", "1\n", "", 0),
        (
            "sysctl -w net.ipv4.nosuch=1",
            "",
            "sysctl: cannot stat /proc/sys/net/ipv4/nosuch: No such file or directory\n",
            1,
        ),
        ("sysctl -e -w net.ipv4.nosuch=1", "", "", 0),
        ("sysctl -w -net.ipv4.nosuch=1", "", "sysctl: invalid option", 0),
        ("sysctl -w net.ipv4.ip_forward=foo", "", 'sysctl: setting key "net.ipv4.ip_forward": Invalid argument\n', 1),
        ("sysctl -w net.ipv4.ip_forward=", "", 'sysctl: setting key "net.ipv4.ip_forward": Invalid argument\n', 1),
        ("sysctl -w net.ipv4.ip_forward", "", SYNTAX, 1),
        ("sysctl -w net.ipv4.ip_forward = 1", "", SYNTAX, 1),
        ("sysctl -w net.ipv4.ip_forward net.ipv4.ip_forward=1", "net.ipv4.ip_forward = 1\n", SYNTAX, 1),
        (
            "sysctl -w net.ipv4.conf.nosuch.rp_filter=1",
            "",
            "sysctl: cannot stat /proc/sys/net/ipv4/conf/nosuch/rp_filter: No such file or directory\n",
            1,
        ),
        ("sysctl =1", "", "sysctl: Path is not under /proc/sys/: /proc/sys/\n", 1),
        ("sysctl -w", "", "sysctl: no variables specified\nTry `sysctl --help' for more information.\n", 1),
        ("sysctl -r ip_forward", "", "sysctl: no variables specified\nTry `sysctl --help' for more information.\n", 1),
        ("sysctl -a -r ip_forward", "net.ipv4.ip_forward = 0\nnet.ipv4.ip_forward_use_pmtu = 0\n", "", 0),
        (
            "sysctl net.ipv4.neigh.eth0 -r solicit",
            "net.ipv4.neigh.eth0.app_solicit = 0\nnet.ipv4.neigh.eth0.mcast_resolicit = 0\n"
            "net.ipv4.neigh.eth0.mcast_solicit = 3\nnet.ipv4.neigh.eth0.ucast_solicit = 3\n",
            "",
            0,
        ),
    ],
)
def test_sysctl_answers_as_procps_does(sh, line, out, err, rc):
    result = sh(line)
    assert (out, rc) == (result.stdout if rc or not err else "", result.rc)
    assert result.stderr.startswith(err)
    assert bool(err) == bool(result.stderr)


def test_a_dot_in_a_device_name_is_written_as_a_slash(box, sh):
    box.sysctl.add_device("eth0.5")
    assert sh("sysctl net.ipv4.conf.eth0/5.rp_filter").stdout == "net.ipv4.conf.eth0/5.rp_filter = 0\n"
    assert sh("sysctl net/ipv4/conf/eth0.5/rp_filter").stdout == "net.ipv4.conf.eth0/5.rp_filter = 0\n"
    assert sh("cat /proc/sys/net/ipv4/conf/eth0.5/rp_filter").stdout == "0\n"


def test_one_bad_key_does_not_stop_the_others(sh):
    result = sh("sysctl -w net.ipv4.ip_forward=foo net.ipv4.ip_forward=1")
    assert result.stdout == "net.ipv4.ip_forward = 1\n"
    assert result.rc == 1
