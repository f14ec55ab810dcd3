"""`ip neigh` and `ip ntable` as requests: what they change, what they answer, how they refuse."""

from __future__ import annotations

import pytest

from netsim.addr import parse_ip, parse_mac
from netsim.stack.errno import Refusal
from netsim.stack.nud_states import NAMES, NUD_DELAY, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE
from netsim.stack.profile.neigh import LINUX_24
from netsim.stack.requests import (
    DONE,
    NLM_F_CREATE,
    NLM_F_REPLACE,
    DelNeigh,
    DumpNeighParms,
    DumpNeighs,
    NewNeigh,
)
from netsim.units import ms, sec

PEER, OTHER, OURS = "02:00:00:00:00:02", "02:00:00:00:00:99", "02:00:00:00:00:01"
HOST = parse_ip("10.0.0.2")


@pytest.fixture
def eth0(bench):
    bench.run(sec(10))
    return bench.device("eth0", OURS, "10.0.0.1/24")


def add(bench, mac=PEER, **what):
    req = NewNeigh(dev="eth0", dst=HOST, lladdr=parse_mac(mac) if mac else b"", **what)
    return bench.table.new(req, now=bench.now)


def delete(bench):
    return bench.table.delete(DelNeigh(dev="eth0", dst=HOST), now=bench.now)


def state(bench, dev):
    entry = bench.table.find(dev, HOST)
    return None if entry is None else NAMES[entry.state]


def test_add_makes_a_permanent_entry_that_is_never_asked(bench, eth0):
    assert add(bench) == DONE
    assert bench.changes() == [(sec(10), "NONE", "PERMANENT", PEER, "admin, permanent")]
    bench.send(1, eth0, "10.0.0.2", sec(5000))
    assert bench.take() == [("tx", 1, "eth0", PEER)]
    assert state(bench, eth0) == "PERMANENT"


def test_add_over_an_entry_is_eexist_and_replace_takes_over(bench, eth0):
    """linux-kernel 1.8."""
    add(bench)
    assert add(bench, OTHER) == Refusal(17)
    assert bench.table.find(eth0, HOST).lladdr == parse_mac(PEER)
    assert add(bench, OTHER, flags=NLM_F_CREATE | NLM_F_REPLACE) == DONE
    assert bench.table.find(eth0, HOST).lladdr == parse_mac(OTHER)


def test_change_of_a_missing_entry_is_enoent(bench, eth0):
    assert add(bench, flags=NLM_F_REPLACE) == Refusal(2)
    assert len(bench.table) == 0


def test_delete_unlinks_and_a_missing_entry_is_enoent(bench, eth0):
    """observed-linux 15: `ip neigh del`: "No such file or directory"."""
    assert delete(bench) == Refusal(2)
    add(bench)
    assert delete(bench) == DONE
    assert len(bench.table) == 0
    assert [move[1:] for move in bench.moves()] == [
        ("NONE", "PERMANENT"), ("PERMANENT", "FAILED"), ("FAILED", "NONE"),
    ]  # fmt: skip


def test_delete_reports_what_waits_for_an_unresolved_neighbour(bench, eth0):
    bench.send(1, eth0, "10.0.0.2")
    bench.take()
    delete(bench)
    assert bench.take() == [("unreach", 1), ("drop", 1, "NEIGH_FAILED")]


def test_add_without_an_address_leaves_an_invisible_entry(bench, eth0):
    """observed-linux 9: "No link layer address given", and a NONE entry stays."""
    assert add(bench, "") == Refusal(22, "No link layer address given")
    assert state(bench, eth0) == "NONE"
    assert bench.changes() == []


def test_an_address_of_another_length_is_refused(bench, eth0):
    """observed-linux 15: "Error: Invalid link address."."""
    req = NewNeigh(dev="eth0", dst=HOST, lladdr=b"\x02\0\0\0\1")
    assert bench.table.new(req, now=0) == Refusal(22, "Invalid link address")


def test_an_unknown_device_is_enodev(bench, eth0):
    assert bench.table.new(NewNeigh(dev="eth7", dst=HOST, lladdr=bytes(6)), now=0) == Refusal(19)
    assert bench.table.delete(DelNeigh(dev="eth7", dst=HOST), now=0) == Refusal(19)


def test_nud_delay_goes_to_probe_at_once(bench, eth0):
    """observed-linux 9."""
    add(bench, state=NUD_DELAY)
    bench.run(bench.now)
    assert [move[1:] for move in bench.moves()] == [("NONE", "DELAY"), ("DELAY", "PROBE")]
    assert [event[3] for event in bench.take()] == [PEER]


def test_nud_reachable_expires_like_any_other(bench, eth0):
    add(bench, state=NUD_REACHABLE)
    bench.run(sec(41))
    assert bench.moves()[-1] == (sec(40) + ms(10), "REACHABLE", "STALE")


def test_nud_stale_is_applied_over_reachable(bench, eth0):
    """linux-kernel 1.8: "STALE really applied even over REACHABLE"."""
    bench.send(1, eth0, "10.0.0.2")
    bench.reply(eth0, PEER, "10.0.0.2")
    assert add(bench, state=NUD_STALE, flags=NLM_F_CREATE | NLM_F_REPLACE) == DONE
    assert state(bench, eth0) == "STALE"


def test_arp_never_changes_a_permanent_or_noarp_entry(bench, eth0):
    for kind in (NUD_PERMANENT, NUD_NOARP):
        add(bench, state=kind, flags=NLM_F_CREATE | NLM_F_REPLACE)
        bench.run(bench.now + sec(5))
        bench.request(eth0, OTHER, "10.0.0.2", "10.0.0.1")
        bench.reply(eth0, OTHER, "10.0.0.2")
        assert bench.table.find(eth0, HOST).lladdr == parse_mac(PEER)


def test_use_stirs_an_entry_without_a_packet(bench, eth0):
    """`ip neigh add ... use`: the state is kept, a probe goes out as if a packet wanted to."""
    assert add(bench, "", use=True, state=0) == DONE
    assert state(bench, eth0) == "INCOMPLETE"
    assert [event[:4] for event in bench.take()] == [("arp", "eth0", 1, "ff:ff:ff:ff:ff:ff")]


def test_a_managed_entry_is_asked_for_again_and_again(bench, eth0):
    """linux-kernel 1.8: the send event is repeated every interval_probe_time_ms (5 s)."""
    add(bench, "", managed=True, state=0)
    bench.run(sec(13))
    assert state(bench, eth0) == "FAILED"
    bench.take()
    bench.run(sec(15))
    assert len(bench.take()) == 1
    bench.reply(eth0, PEER, "10.0.0.2", sec(15.5))
    bench.run(sec(46))
    assert bench.moves()[-1] == (sec(45.51), "REACHABLE", "DELAY")  # the stirring counts as use
    assert bench.table.dump(DumpNeighs(), now=bench.now)[0].managed


def test_a_permanent_managed_entry_is_refused(bench, eth0):
    answer = add(bench, managed=True)
    assert answer == Refusal(22, "Invalid NTF_* flag combination for permanent entry")


def test_dump_tells_ages_probes_and_references(bench, eth0):
    bench.send(1, eth0, "10.0.0.2")
    bench.reply(eth0, PEER, "10.0.0.2", sec(11.5))
    (info,) = bench.table.dump(DumpNeighs(), now=sec(14))
    assert (info.dev, info.dst, info.lladdr, info.state) == ("eth0", HOST, parse_mac(PEER), NUD_REACHABLE)
    assert (info.used, info.confirmed, info.updated) == (sec(2.5), sec(2.5), sec(2.5))
    assert (info.probes, info.refcnt) == (5, 1)


def test_dump_hides_the_address_of_an_entry_that_is_not_valid(bench, eth0):
    bench.send(1, eth0, "10.0.0.2")
    assert bench.table.dump(DumpNeighs(), now=bench.now)[0].lladdr == b""


def test_dump_parms_lists_the_table_then_the_devices(bench, eth0):
    """observed-linux 1.1."""
    table, lo, dev = bench.table.dump_parms(DumpNeighParms(), now=0)
    assert (table.dev, lo.dev, dev.dev) == ("", "lo", "eth0")
    assert (table.thresh1, table.thresh2, table.thresh3, table.gc_interval) == (128, 512, 1024, sec(30))
    assert (dev.base_reachable, dev.reachable, dev.retrans, dev.delay_probe) == (sec(30), sec(30), sec(1), sec(5))
    assert (dev.ucast_probes, dev.mcast_probes, dev.app_probes, dev.queue) == (3, 3, 0, 101)
    assert (dev.gc_stale, dev.locktime, dev.proxy_delay, dev.proxy_queue) == (sec(60), sec(1), ms(800), 64)
    assert dev.anycast_delay == sec(1)


def test_2_4_deletes_softly_and_refuses_in_its_own_numbers(bench_tools):
    """corrections, rows 12 to 14: FAILED stays listed; a missing entry is EINVAL; another MAC without REPLACE EPERM."""
    bench = bench_tools.Bench(era=LINUX_24)
    dev = bench.device("eth0", OURS, "10.0.0.1/24")
    assert delete(bench) == Refusal(22)
    assert add(bench) == DONE
    assert add(bench, OTHER, flags=NLM_F_CREATE) == Refusal(1)
    assert delete(bench) == DONE
    assert state(bench, dev) == "FAILED"
    bench.run(sec(75))
    assert state(bench, dev) is None
