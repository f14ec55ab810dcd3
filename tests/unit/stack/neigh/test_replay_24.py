"""Every recorded timeline of the 2.4 neighbour code, replayed: states, frames, drops and reports, to the jiffy.

The recordings are facts about four vanilla trees (2.4.17, 2.4.27, 2.4.32, 2.4.35) and 2.4.17 with arp_prefsrc; the raw
random numbers in them make each timeline repeat exactly.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from netsim.addr import ip_str, mac_str, parse_ip, parse_mac
from netsim.stack.address import IfAddr
from netsim.stack.device import ETHER
from netsim.stack.dst import RTN_UNICAST, Route
from netsim.stack.errno import Refusal
from netsim.stack.neigh.gc import Collector
from netsim.stack.nud_states import NAMES
from netsim.stack.profile.neigh import LINUX_24, LINUX_24_32, LINUX_24_35
from netsim.stack.profile.patches import Patches
from netsim.stack.requests import DelNeigh, DumpNeighs, NewNeigh
from netsim.stack.skb import PACKET_BROADCAST, PACKET_HOST, PACKET_OTHERHOST, Skb
from netsim.stack.timers import Timers
from netsim.units import NS_PER_MS
from netsim.wire.arp import build_arp

DATA = Path(__file__).parents[3] / "data" / "neigh-2.4"
TICK = 10 * NS_PER_MS
ERAS = {
    "2.4.17": (LINUX_24, False), "2.4.27": (LINUX_24, False), "2.4.17+arp_prefsrc": (LINUX_24, True),
    "2.4.32": (LINUX_24_32, False), "2.4.35": (LINUX_24_35, False),
}  # fmt: skip
KINDS = {"us": PACKET_HOST, "bcast": PACKET_BROADCAST, "other": PACKET_OTHERHOST}
TIMES = {
    "base_reachable_time": "base_reachable_time", "retrans_time": "retrans_time", "gc_staletime": "gc_stale_time",
    "reachable_time": "reachable_time", "delay_probe_time": "delay_first_probe_time", "proxy_delay": "proxy_delay",
    "locktime": "locktime", "gc_interval": "gc_interval",
}  # fmt: skip
COUNTS = {
    "queue_len": "unres_qlen", "ucast_probes": "ucast_solicit", "app_probes": "app_solicit",
    "mcast_probes": "mcast_solicit", "proxy_qlen": "proxy_qlen", "gc_thresh2": "gc_thresh2", "gc_thresh3": "gc_thresh3",
}  # fmt: skip
FILES = {
    "1_resolution": 204, "2_expiry": 128, "3_confirmation": 1094, "4_recovery": 177, "5_gc": 83, "6_params": 156,
    "7_source_reply_proxy": 315, "8_random_early": 268, "8_random_late_a": 96, "8_random_late_b": 88,
    "8_random_late_c": 84, "10_extra": 308,
}  # fmt: skip
"""Replays a file: its records, each on every era that gave the same events; 3001 in all."""


def ns(seconds):
    return round(seconds * 100) * TICK


class WatchedTimers(Timers):
    """Tells the replay after each timer whether it was the scan or an entry's own."""

    __slots__ = ("watch",)

    def arm(self, at, fn):
        by = "scan" if isinstance(getattr(fn, "__self__", None), Collector) else "timer"

        def watched(now):
            self.watch(None, now)
            fn(now)
            self.watch(by, now)

        return super().arm(at, watched)


class Replay:
    """One record on one era: `events` in the recorder's own words."""

    def __init__(self, tools, record, era):
        self.record = record
        self.events = []
        self.now = 0
        self.seen = {}
        self.reach = {}
        self.routes = {}
        self.packets = {}
        self.chains = {}
        profile, prefsrc = ERAS[era]
        if profile.scan == "chain":
            self._read_chains(record)
        timers = WatchedTimers()
        timers.watch = lambda by, now: None
        self.bench = tools.Bench(
            era=profile, patches=Patches(arp_prefsrc=prefsrc), raw=record["rand"], timers=timers,
            chain_hash=lambda ip, ifindex, chains: self.chains.get((ip, chains), 0),
        )  # fmt: skip
        self.bench.log = self
        self.bench.lookup_done = self._lookup_done
        timers.watch = self._watch

    def _read_chains(self, record):
        """The hash is salted at random: which chain an entry is on comes with the record."""
        of, chains = 2, {}
        for event in record["events"]:
            if event.get("of", of) != of:
                of = event["of"]
                self.chains.update({(ip, of): chain for ip, chain in chains.items()})
            if "bucket" in event and "ip" in event:
                ip = parse_ip(event["ip"])
                self.chains[ip, of] = chains[ip] = event["bucket"]

    # The recorder's ears

    def say(self, kind, *what):
        self.events.append((self.now, kind, *what))

    def _watch(self, by, now):
        if by is None:
            self.now = now
        else:
            self.poll(by)

    def append(self, logged):
        """Take one entry of the bench's log."""
        self.poll("?")
        kind, *what = logged
        if kind in ("drop", "unreach"):
            number = self.packets[what[0]]
            if self.events[-1] != (self.now, "unreach", number):  # a reported packet's drop is the same end
                self.say(kind, number)
        elif kind == "tx":
            self.say("tx", self.packets[what[0]], *what[1:])
        else:
            self.say(kind, *what)

    def _lookup_done(self, daddr, saddr, oif, source):
        self.poll("?")
        answer = "unreachable" if source is None else ip_str(source)
        self.say("route_lookup", ip_str(daddr), ip_str(saddr), oif.ifindex, answer)

    def poll(self, by):
        """Look at every entry's state and address, and at the reachable times."""
        for name, parms in self.parms():
            if parms.reachable_time != self.reach.get(name):
                self.reach[name] = parms.reachable_time
                self.say("reach", name, parms.reachable_time)
        entries = self.bench.table.snapshot()
        alive = {id(entry) for entry in entries}
        for key, (entry, _, _) in list(self.seen.items()):
            if key not in alive:
                self.say("gone", ip_str(entry.ip))
                del self.seen[key]
        for entry in entries:
            state, mac = NAMES[entry.state], entry.lladdr
            if id(entry) not in self.seen:
                self.say("new", ip_str(entry.ip), entry.dev.name, state, mac_str(mac) if mac else None)
            else:
                _, old, old_mac = self.seen[id(entry)]
                if mac != old_mac:
                    self.say("mac", ip_str(entry.ip), mac_str(mac))
                if state != old:
                    self.say("state", ip_str(entry.ip), old, state)
            self.seen[id(entry)] = (entry, state, mac)

    def parms(self):
        yield "default", self.bench.sysctl.neigh_default
        for dev in self.bench.interfaces:
            if dev.name in self.devices:
                yield dev.name, dev.neigh

    # The script

    def run(self):
        self.devices = []
        self.poll("cmd")
        for what, *rest in self.record["setup"]:
            getattr(self, f"setup_{what}")(*rest)
        for at, verb, *rest in self.record["script"]:
            self.until(ns(at))
            self.now = ns(at)
            getattr(self, f"do_{verb}")(*rest)
            self.poll("cmd")
        self.until(ns(self.record["end"]))
        self.now = ns(self.record["end"])
        self.do_snap()
        return self.events

    def until(self, at):
        self.bench.timers.run(at)

    def setup_dev(self, name, ifindex, mac, flags):
        interfaces = self.bench.interfaces
        dev = interfaces.lo if name == "lo" else interfaces.add(name, ETHER, parse_mac(mac), 1500)
        assert dev.ifindex == ifindex
        self.devices.append(name)
        self.bench.table.device_added(dev, now=0)
        interfaces.set_up(dev, True)
        self.poll("cmd")

    def setup_addr(self, name, ip, plen, scope, flags):
        dev = self.bench.interfaces.named(name)
        ip = parse_ip(ip)
        assert self.bench.interfaces.insert_address(dev, IfAddr(ip, plen, ip, 0, scope, name))

    def setup_route(self, target, plen, source, oif):
        self.bench.stubs = [*getattr(self.bench, "stubs", []), (target, plen, source, oif)]

    def setup_inroute(self, net, plen, dev):
        self.bench.routing.inroutes.append((parse_ip(net), plen, self.bench.interfaces.named(dev)))

    def dev(self, name):
        return self.bench.interfaces.named(name)

    def _stub_routes(self):
        for target, plen, source, oif in getattr(self.bench, "stubs", []):
            dev = self.bench.interfaces.index(oif)
            source = None if source == "fail" else parse_ip(source)
            self.bench.routing.outroutes.append((parse_ip(target), plen, source, dev))
        self.bench.stubs = []

    def do_send(self, number, nexthop, src, name, keep):
        self._stub_routes()
        bench, dev = self.bench, self.dev(name)
        key = (nexthop, src, name)
        route = self.routes.get(key)
        if route is None:
            route = Route(RTN_UNICAST, dev, parse_ip(nexthop), parse_ip(src), 0, 0)
            if not bench.table.hold(route, parse_ip(nexthop), now=self.now):
                self.poll("cmd")
                self.say("bind_err", number, -105)
                return
            self.poll("cmd")
        self.routes[key] = route
        ident = len(self.packets) & 0xFFFF
        self.packets[ident] = number
        skb = Skb(self.tools.build_packet(ident, src, "198.51.100.1"))
        skb.route = route
        bench.table.output(skb, dev, parse_ip(nexthop), now=self.now)
        self.poll("cmd")
        if any(waiting.skb is skb for entry in bench.table.snapshot() for waiting in entry.queue):
            self.say("queued", number)
        if not keep:
            bench.table.release(route)
            del self.routes[key]

    def do_arp(self, name, kind, op, sha, spa, tha, tpa):
        payload = build_arp(op, parse_mac(sha), parse_ip(spa), parse_mac(tha), parse_ip(tpa))
        dev = self.dev(name)
        self.bench.table.receive_arp(dev, payload, KINDS[kind], parse_mac(sha), now=self.now, uid=0)

    def do_confirm(self, nexthop, src, name):
        if (nexthop, src, name) not in self.routes:
            self.say("noroute")
            return
        self.bench.table.confirm(self.dev(name), parse_ip(nexthop), now=self.now)

    def do_flush(self, nexthop=None):
        for key in [key for key in self.routes if nexthop in (None, key[0])]:
            self.bench.table.release(self.routes.pop(key))

    def do_ifdown(self, name):
        for key in [key for key in self.routes if key[2] == name]:
            self.bench.table.release(self.routes.pop(key))
        self.bench.table.device_down(self.dev(name), now=self.now)

    def do_ifup(self, name):
        self.bench.table.device_up(self.dev(name), now=self.now)

    def do_changeaddr(self, name):
        self.bench.table.mac_changed(self.dev(name), now=self.now)
        self.do_flush()

    def do_del(self, name, ip):
        answer = self.bench.table.delete(DelNeigh(dev=name, dst=parse_ip(ip)), now=self.now)
        self._admin("del", ip, answer)

    def do_add(self, name, ip, mac, state, flags):
        req = NewNeigh(
            dev=name, dst=parse_ip(ip), lladdr=b"" if mac == "-" else parse_mac(mac), state=state, flags=int(flags, 0)
        )
        self._admin("add", ip, self.bench.table.new(req, now=self.now))

    def _admin(self, op, ip, answer):
        self.poll("cmd")
        self.say("admin", op, ip, -answer.errno if isinstance(answer, Refusal) else 0)

    def do_parm(self, where, name, value):
        sysctl = self.bench.sysctl
        parms = sysctl.neigh_default if where in ("default", "table") else self.dev(where).neigh
        setattr(parms, TIMES.get(name) or COUNTS[name], value * TICK if name in TIMES else value)
        if where in ("default", "table"):
            sysctl.set("net.ipv4.neigh.default.gc_thresh1", str(parms.gc_thresh1))

    def do_cfg(self, name, what, value):
        setattr(self.dev(name).conf, what, value)

    def do_snap(self):
        self.poll("cmd")
        infos = {(info.dev, info.dst): info for info in self.bench.table.dump(DumpNeighs(), now=self.now)}
        for entry in self.bench.table.snapshot():
            info = infos[entry.dev.name, entry.ip]
            self.say(
                "snap", ip_str(entry.ip), entry.dev.name, NAMES[entry.state], mac_str(entry.lladdr or bytes(6)),
                -info.confirmed, -info.used, -info.updated, entry.holds, info.probes,
                tuple(self.packets[self.tools.skb_id(waiting.skb)] for waiting in entry.queue),
                entry.timer.at - self.now if entry.timed else None,
            )  # fmt: skip
        self.say("snap_table", self.bench.table.allocated)


def expected(record):
    """The recorded events in the replay's form; what only the recorder sees (scan, draw, tie, bucket) left out."""
    out = []
    for e in record["events"]:
        t, kind = ns(e["t"]), e["ev"]
        if kind == "new":
            what = (e["ip"], e["dev"], e["state"], e.get("mac"))
        elif kind == "state":
            what = (e["ip"], e["from"], e["to"])
        elif kind == "mac":
            what = (e["ip"], e["mac"])
        elif kind == "gone":
            what = (e["ip"],)
        elif kind == "arp":
            what = (e["dev"], e["op"], e["eth_dst"], e["sha"], e["spa"], e["tha"], e["tpa"])
        elif kind == "tx":
            what = (e["id"], e["dev"], e["eth_dst"])
        elif kind in ("queued", "drop", "unreach"):
            what = (e["id"],)
        elif kind == "bind_err":
            what = (e["id"], e["err"])
        elif kind == "admin":
            what = (e["op"], e["ip"], e["err"])
        elif kind == "noroute":
            what = ()
        elif kind == "route_lookup":
            what = (e["dst"], e["src"], e["oif"], e["answer"])
        elif kind == "reach":
            what = (e["parms"], ns(e["value"]))
        elif kind == "snap":
            what = (
                e["ip"], e["dev"], e["state"], e["mac"], ns(e["confirmed"]), ns(e["used"]), ns(e["updated"]), e["refs"],
                e["probes"], tuple(e["queue"]), None if e["timer"] is None else ns(e["timer"]),
            )  # fmt: skip
        elif kind == "snap_table":
            what = (e["entries"],)
        elif kind in ("scan", "draw", "tie", "bucket"):
            continue
        else:
            raise AssertionError(kind)
        out.append((t, kind, *what))
    return out


UNORDERED = {"state": "moved", "gone": "ended", "drop": "ended", "snap": "snap", "reach": "reach"}


def settled(events):
    """Put what one tick leaves unordered (hash order: several entries of one scan, one ifdown, one snap) in order."""

    out = []
    for (_, unordered), group in groupby(events, lambda event: (event[0], UNORDERED.get(event[1]))):
        members = list(group)
        out += sorted(members, key=str) if unordered else members
    return out


def records(name):
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def replay(tools, record, era):
    """Play a record; its random numbers must be used up in order, none more and none less than the kernel drew."""
    player = Replay(tools, record, era)
    player.tools = tools
    events = player.run()
    assert [e["raw"] for e in record["events"] if e["ev"] == "draw"] == player.bench.rng.drawn
    return events


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_recorded_timeline_repeats(bench_tools, name, counted):
    played = Counter()
    for record in records(name):
        for era in record["eras"]:
            want = settled(expected(record))
            got = settled(replay(bench_tools, record, era))
            assert want == got, f"{record['group']} {record['name']} on {era}: {record['note']}"
            played[era] += 1
    counted(f"neighbours {name}: {played.total()} of {FILES[name]} timelines equal ({dict(played)})")
    assert played.total() == FILES[name]
