"""ipchains: what it lists and what it says, by listings of 1.3.10 in mails of 2001 and 2002 and by its source."""

import importlib.util
from pathlib import Path

import pytest

from netsim.shell import dispatch
from netsim.stack.netfilter.requests import DumpTables

_PATH = Path(__file__).parents[2] / "golden" / "iptables" / "replay.py"
_SPEC = importlib.util.spec_from_file_location("iptables_replay", _PATH)
replay = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(replay)

TRY = "Try `ipchains -h' or 'ipchains --help' for more information.\n"


@pytest.fixture
def box():
    return replay.TablesBox("linux-2.2")


def run(box, *lines):
    for line in lines:
        result = box.sh(line)
        assert (result.rc, result.stderr) == (0, ""), line
    return result.stdout


def test_the_listing_is_that_of_a_real_machine(box):
    """linux-kernel, 22 May 2002, "ipchains command definitely works on 2.4.18"."""
    run(
        box,
        "ipchains -A input -p udp -s 172.17.4.1 53 -d 0/0 1025:65535 -j ACCEPT",
        "ipchains -A input -p udp -s 172.17.4.7 53 -d 0/0 1025:65535 -j ACCEPT",
        "ipchains -N icmp",
        "ipchains -A input -p icmp -j icmp",
        "ipchains -A icmp -j ACCEPT",
    )
    assert run(box, "ipchains -L -n") == (
        "Chain input (policy ACCEPT):\n"
        "target     prot opt     source                destination           ports\n"
        "ACCEPT     udp  ------  172.17.4.1           0.0.0.0/0             53 ->   1025:65535\n"
        "ACCEPT     udp  ------  172.17.4.7           0.0.0.0/0             53 ->   1025:65535\n"
        "icmp       icmp ------  0.0.0.0/0            0.0.0.0/0             * ->   *\n"
        "Chain forward (policy ACCEPT):\n"
        "Chain output (policy ACCEPT):\n"
        "Chain icmp (1 references):\n"
        "target     prot opt     source                destination           ports\n"
        "ACCEPT     all  ------  0.0.0.0/0            0.0.0.0/0             n/a\n"
    )


def test_the_long_listing_has_its_columns(box):
    """linux-kernel attachment "ipchains-output.txt", 2001."""
    run(
        box,
        "ipchains -P input REJECT",
        "ipchains -A input -i lo+ -j ACCEPT",
        "ipchains -A input -p udp -l -i eth+ -s 0/0 67 -d 0/0 68 -j ACCEPT",
    )
    assert run(box, "ipchains -L input -n -v") == (
        "Chain input (policy REJECT: 0 packets, 0 bytes):\n"
        " pkts bytes target     prot opt    tosa tosx  ifname     mark       outsize  source                "
        "destination           ports\n"
        "    0     0 ACCEPT     all  ------ 0xFF 0x00  lo+                            0.0.0.0/0            "
        "0.0.0.0/0             n/a\n"
        "    0     0 ACCEPT     udp  ----l- 0xFF 0x00  eth+                           0.0.0.0/0            "
        "0.0.0.0/0             67 ->   68\n"
    )


def test_the_seeds_line_masquerades(box):
    run(box, "ipchains -A forward -s 192.168.0.0/16 -j MASQ")
    assert box.services.conntrack.users == 1
    assert run(box, "ipchains -L forward") == (
        "Chain forward (policy ACCEPT):\n"
        "target     prot opt     source                destination           ports\n"
        "MASQ       all  ------  192.168.0.0/16       anywhere              n/a\n"
    )
    run(box, "ipchains -D forward -s 192.168.0.0/16 -j MASQ")
    assert box.services.conntrack.users == 0


@pytest.mark.parametrize(
    ("line", "rc", "stderr"),
    [
        ("ipchains -X nope", 1, "ipchains: No chain by that name\n"),
        ("ipchains -N icmp", 1, "ipchains: Chain already exists\n"),
        ("ipchains -X icmp", 1, "ipchains: Chain is not empty\n"),
        ("ipchains -A input -j NOPE", 1, "ipchains: No target by that name\n"),
        ("ipchains -A nope -j ACCEPT", 1, "ipchains: No chain by that name\n"),
        ("ipchains -D input 9", 1, "ipchains: bad rule (does a matching rule exist in that chain?)\n"),
        ("ipchains -A input -j MASQ", 2, "ipchains: masquerading not allowed for input and output chains\n" + TRY),
        ("ipchains -P input MASQ", 2, "ipchains: `-P MASQ' only valid for `forward' chain.\n" + TRY),
        ("ipchains -P icmp DENY", 2, "ipchains: Can only set policy in built-in chains.\n" + TRY),
        ("ipchains -P input DROP", 2, "ipchains: Invalid policy `DROP' for -P\n" + TRY),
        ("ipchains -A input -s 10.0.0.0/33", 2, "ipchains: invalid mask `33' specified\n" + TRY),
        ("ipchains -A input -s nohost", 2, "ipchains: host/network `nohost' not found\n" + TRY),
        ("ipchains -A input -d 0/0 80", 2, "ipchains: no ports allowed without specific protocol\n" + TRY),
        ("ipchains -A input -p udp -y", 2, "ipchains: -y only allowed with TCP protocol\n" + TRY),
        ("ipchains -A input -p tcp -d 0/0 nope", 2, "ipchains: invalid port/service `nope' specified\n" + TRY),
        ("ipchains -A input -p foo", 2, "ipchains: unknown protocol `foo' specified\n" + TRY),
        ("ipchains -A input -A output", 2, "ipchains: Can't use -A with -A\n\n" + TRY),
        ("ipchains -R input -j DENY", 2, "ipchains: -R requires a rule number\n" + TRY),
        ("ipchains -N muchtoolong", 2, "ipchains: chain name `muchtoolong' too long (must be under 8 chars)\n" + TRY),
        ("ipchains", 2, "ipchains: no command specified\n" + TRY),
        ("ipchains -L -s 1.2.3.4", 2, "ipchains: Illegal option `-s' with this command\n\n" + TRY),
        ("ipchains -A forward foo", 2, TRY),
        ("ipchains -A input -p tcp -j REDIRECT 80", 2, "ipchains: redirecting to local ports is not modelled\n" + TRY),
    ],
)
def test_wrong_commands(box, line, rc, stderr):
    run(box, "ipchains -N icmp", "ipchains -A icmp -j DENY")
    before = box.request(DumpTables(table="ipchains"), now=0)
    result = box.sh(line)
    assert (rc, stderr) == (result.rc, result.stderr)
    assert before == box.request(DumpTables(table="ipchains"), now=0)


@pytest.mark.parametrize(
    "words",
    [
        "-s 172.17.4.1/32 53 -d 0.0.0.0/0 1025:65535 -i eth0 -p udp -j ACCEPT",
        "-i ! ppp+ -y -p tcp -j DENY",
        "-s ! 10.0.0.0/8 -d 0.0.0.0/0 ! 80 -p tcp -l -m 5 -j REJECT",
        "-p ! icmp -j icmp",
        "-p icmp -f -j DENY",
        "--icmp-type 8 -p icmp -j ACCEPT",
        "-m -1 -t 01 10",
        "--icmp-type 3 --dport 4 -p icmp -j RETURN",
        "! -y -p tcp",
    ],
)
def test_a_rules_text_reads_back_as_the_same_rule(box, words):
    run(box, "ipchains -N icmp", f"ipchains -A input {words}")
    chain = box.request(DumpTables(table="ipchains"), now=0)[0].chains[0]
    assert words == chain.rules[0].spec.text
    run(box, f"ipchains -D input {words}")


def test_b_makes_a_rule_for_each_direction(box):
    run(box, "ipchains -A forward -b -p tcp -s 10.0.0.0/8 1024: -d 10.1.0.1 80 -j ACCEPT")
    assert run(box, "ipchains -L forward -n").splitlines()[2:] == [
        "ACCEPT     tcp  ------  10.0.0.0/8           10.1.0.1              1024:65535 ->   80",
        "ACCEPT     tcp  ------  10.1.0.1             10.0.0.0/8            80 ->   1024:65535",
    ]


def test_ipchains_is_for_old_kernels():
    (problem,) = dispatch.check_line("ipchains -A forward -j MASQ", "linux-6")
    assert (problem.column, problem.what) == (1, "ipchains: not found on kernel linux-6")
    assert dispatch.check_line("ipchains -A forward -s 192.168.0.0/16 -j MASQ", "linux-2.2-routes") == []
    (problem,) = dispatch.check_line("ipchains -A forward -p foo -j MASQ", "linux-2.2")
    assert (problem.column, problem.what) == (24, "ipchains: unknown protocol `foo' specified")
