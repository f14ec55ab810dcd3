"""Whatever happens to a neighbour table, states move only along rows, nothing raises, no packet is lost count of."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.addr import parse_mac
from netsim.stack.address import IfAddr
from netsim.stack.device import ETHER
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST, Refused, Route
from netsim.stack.interfaces import Interfaces
from netsim.stack.neigh import NeighTable, nud
from netsim.stack.nud_states import NAMES, NUD_CONNECTED, NUD_INCOMPLETE, NUD_VALID
from netsim.stack.outbox import Outbox
from netsim.stack.profile.neigh import LINUX_24, LINUX_24_35, MAINLINE
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import DelNeigh, DumpNeighs, NewNeigh
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.trace.records import NeighChange
from netsim.units import NS_PER_MS, sec
from netsim.wire.arp import build_arp
from netsim.wire.ipv4 import build_ipv4

OURS = 0x0A000001
HOSTS = [0x0A000002, 0x0A000003, 0x0A0000FF, 0xE0000005]
MACS = [parse_mac("02:00:00:00:00:02"), parse_mac("02:00:00:00:00:03")]
STATES = sorted(NAMES)

host = st.sampled_from(HOSTS)
mac = st.sampled_from(MACS)
step = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 70_000)),
    st.tuples(st.just("send"), host),
    st.tuples(st.just("route"), host),
    st.tuples(st.just("unroute"), host),
    st.tuples(st.just("arp"), st.sampled_from([1, 2]), host, mac, st.sampled_from([OURS, *HOSTS]), st.integers(0, 3)),
    st.tuples(st.just("confirm"), host),
    st.tuples(st.just("add"), host, st.one_of(st.just(b""), mac), st.sampled_from(STATES), st.sampled_from([0, 0x100,
              0x400, 0x500, 0x600]), st.booleans()),
    st.tuples(st.just("del"), host),
    st.tuples(st.just("event"), st.sampled_from(["device_down", "carrier_lost", "mac_changed", "noarp_changed"])),
    st.tuples(st.just("set"), st.sampled_from(["ucast_solicit", "mcast_solicit", "app_solicit", "mcast_resolicit",
              "unres_qlen", "delay_first_probe_time", "base_reachable_time", "gc_stale_time"]), st.integers(0, 4)),
)  # fmt: skip


class Walk:
    """A table, its surroundings, and a ledger of packets."""

    def __init__(self, era, seed):
        self.sysctl, self.timers = Sysctl(), Timers()
        self.interfaces = Interfaces(self.sysctl)
        self.outbox = Outbox({NeighChange})
        self.generation = 0
        self.now = 0
        self.ended = self.given = 0
        self.routes = {}
        self.table = NeighTable(
            node="r1", era=era, patches=Patches(), interfaces=self.interfaces, sysctl=self.sysctl, timers=self.timers,
            outbox=self.outbox, rng=random.Random(seed), exit=self, failure=self,
        )  # fmt: skip
        self.table.bind(self)
        self.dev = self.interfaces.add("eth0", ETHER, parse_mac("02:00:00:00:00:01"), 1500)
        self.table.device_added(self.dev, now=0)
        self.interfaces.set_up(self.dev, True)
        self.interfaces.insert_address(self.dev, IfAddr(OURS, 24, OURS, 0, 0, "eth0"))

    def transmit(self, dev, octets, *, now, parent=0, bad=False, through=0):
        self.ended += octets[12:14] == b"\x08\x00"

    def drop(self, skb, reason, *, now, detail=""):
        self.ended += 1

    def link_failure(self, skb, *, now):
        """A report may stir the very entry that failed."""
        if now % 3 == 0:
            self.send(HOSTS[0], now)

    def address_type(self, ip, dev=None):
        return RTN_LOCAL if ip == OURS else 3 if ip == HOSTS[2] else RTN_UNICAST

    def input(self, daddr, saddr, tos, dev, *, now, mark=0, lsrc=0, skb=None):
        return Route(RTN_LOCAL, dev, 0, 0, 0, 0) if daddr == OURS else Refused(101, "IP_INNOROUTES")

    def output(self, daddr, *, now, **keys):
        return Route(RTN_UNICAST, self.dev, 0, OURS, 0, 0)

    def send(self, ip, now):
        skb = Skb(bytearray(build_ipv4(OURS, ip, 253, 0)), uid=1)
        skb.route = self.routes.get(ip)
        self.given += 1
        self.table.output(skb, self.dev, ip, now=now)

    def take(self, what, *args):
        table, now = self.table, self.now
        if what == "wait":
            self.now += args[0] * NS_PER_MS
            self.timers.run(self.now)
        elif what == "send":
            self.send(args[0], now)
        elif what == "route" and args[0] not in self.routes:
            route = Route(RTN_UNICAST, self.dev, 0, OURS, 0, 0)
            if table.hold(route, args[0], now=now):
                self.routes[args[0]] = route
        elif what == "unroute" and args[0] in self.routes:
            table.release(self.routes.pop(args[0]))
        elif what == "arp":
            op, spa, sha, tpa, pkt_type = args
            table.receive_arp(self.dev, build_arp(op, sha, spa, bytes(6), tpa), pkt_type, sha, now=now, uid=2)
        elif what == "confirm":
            table.confirm(self.dev, args[0], now=now)
        elif what == "add":
            ip, lladdr, state, flags, use = args
            table.new(NewNeigh(dev="eth0", dst=ip, lladdr=lladdr, state=state, flags=flags, use=use), now=now)
        elif what == "del":
            table.delete(DelNeigh(dev="eth0", dst=args[0]), now=now)
        elif what == "event":
            getattr(table, args[0])(self.dev, now=now)
        elif what == "set":
            unit = sec(1) if args[0].endswith("_time") else 1
            setattr(self.dev.neigh, args[0], args[1] * unit)


def along_rows(column):
    """Every move a row allows; creation may set NOARP, removal leads to NONE."""
    moves = {(NAMES[state], NAMES[row.new]) for (state, _), row in nud.COLUMNS[column].rows.items()}
    return moves | {("NONE", "NOARP")} | {(name, "NONE") for name in NAMES.values()}


@settings(max_examples=150)
@given(
    era=st.sampled_from([MAINLINE, LINUX_24, LINUX_24_35]), steps=st.lists(step, max_size=40), seed=st.integers(0, 9)
)
def test_states_move_only_along_rows_and_no_packet_is_lost_count_of(era, steps, seed):
    walk = Walk(era, seed)
    allowed = along_rows(era.column)
    for each in steps:
        walk.take(*each)
        for record in walk.outbox.records:
            assert (record.old, record.new) in allowed
        walk.outbox.records.clear()
        assert walk.given == walk.ended + walk.table.held()
        for entry in walk.table.snapshot():
            assert not entry.queue or not entry.state & NUD_VALID
            if era is MAINLINE:
                assert not entry.queue or entry.state == NUD_INCOMPLETE
            fast = entry.header is not None
            assert not fast or entry.state & NUD_CONNECTED
            assert walk.table.state(walk.dev, entry.ip) == entry.state
    walk.table.dump(DumpNeighs(), now=walk.now)


@settings(max_examples=25)
@given(steps=st.lists(step, max_size=30), seed=st.integers(0, 9))
def test_the_same_walk_twice_is_the_same_walk(steps, seed):
    lives = []
    for _ in range(2):
        walk = Walk(MAINLINE, seed)
        for each in steps:
            walk.take(*each)
        lives.append([(r.t, r.dst, r.old, r.new, r.lladdr, r.cause) for r in walk.outbox.records])
    assert lives[0] == lives[1]
