"""The recorded packets of the old kernel's NAT through a whole box: real routing, real cache, real tables and hooks.

What a recording says of a packet is compared in full: its fate and where it ended, the route it took (rule, table,
entry, path, remembered choices and credits afterwards, cache hit or not), what the reroute hook asked, MASQUERADE's own
lookup, device and gateway it left by, the rules that matched, octets (and so checksums), tuples, state, mappings and
time left of its connection. The quirk of leftover credits is on, as the recorded kernel had it.

What a whole box has and the recorded one had not is held back here: neighbours (their states are set by hand, and
packets leave at once), ICMP errors of the router itself, sockets behind LOCAL_IN, the ageing of cached routes, and
devices that are silent while down.
Source: spec patched-nat (README, corrections).
"""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from netsim.addr import ip_str
from netsim.shell.dispatch import run
from netsim.stack import netns
from netsim.stack.dst import RTCF_DIRECTSRC, RTCF_DOREDIRECT, Refused
from netsim.stack.errno import NAMES
from netsim.stack.netfilter.hooks import NF_ACCEPT, NF_DROP, NF_STOLEN
from netsim.stack.netfilter.requests import AppendRules
from netsim.stack.netfilter.rulespec import NatTarget, RuleSpec
from netsim.stack.profile import profile
from netsim.stack.requests import DelAddr, DelLink, DelRoute, DelRule, NewAddr, NewLink, NewRoute, NewRule, SetLink
from netsim.stack.skb import PACKET_HOST, Skb
from netsim.trace.records import HookVerdict
from netsim.wire.frame import Frame
from netsim.wire.rewrite import resum


def _load(name: str, path: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


machine24 = _load("routing_machine_24", "fib/machine24.py")
recorded24 = _load("recorded24", "netfilter/recorded24.py")
TICK = recorded24.TICK
LAST = 2**31 - 1
REQUESTS = {
    "new_link": NewLink, "set_link": SetLink, "del_link": DelLink, "new_addr": NewAddr, "del_addr": DelAddr,
    "new_route": NewRoute, "del_route": DelRoute, "new_rule": NewRule, "del_rule": DelRule,
}  # fmt: skip


class HandNeighbours(machine24.Neighbours):
    """Neighbours set by hand; whatever is to be sent is noted and gone."""

    def __init__(self, **rooms):
        super().__init__()
        self.sent: list[tuple[str, int, bytes]] = []

    def bind(self, routing):
        pass

    def output(self, skb, dev, nexthop, *, now):
        self.sent.append((dev.name, nexthop, bytes(skb.data)))

    def find(self, dev, ip):
        return None

    def held(self):
        return 0

    new = delete = dump = dump_parms = confirm = receive_arp = machine24.Neighbours.nothing


class Asked:
    """A room of the box; what are requests go through the box's own door."""

    def __init__(self, box, room):
        self._box = box
        self._room = room

    def __getattr__(self, name):
        if name in REQUESTS:
            return lambda req, *, now: self._box.request(req, now=now)
        return getattr(self._room, name)


class BoxMachine(machine24.CacheMachine):
    """The recorded machine around a Netns; ops as in the routing recordings, and those of NAT."""

    def __init__(self, script):
        chosen = profile(script.get("kernel", "linux-2.4-routes"))
        like = [op["like"] for op in script["ops"] if op["op"] == "masquerade-events"]
        era = chosen.netfilter
        if like and like[-1] == "new":
            era = replace(era, masquerade_forgets="new-address", masquerade_lookup="none")
        chosen = replace(
            chosen, netfilter=era, fib=replace(chosen.fib, leftover_credit=True, secret_rebuild=False)
        )  # fmt: skip
        self.box = netns.Netns("r", chosen, random.Random(1), {HookVerdict}, remember=False)
        self.compat = any(op["op"] == "compat-mode" for op in script["ops"])
        self.interfaces, self.sysctl, self.timers = self.box.interfaces, self.box.sysctl, self.box.timers
        self.neighbours, self.router, self.outbox = self.box.neigh, self.box.router, self.box.outbox
        self.fib = Asked(self.box, self.box.fib)
        self.links = Asked(self.box, self.box.links)
        self.sysctl.set("net.ipv4.ip_forward", "1")
        for name in ("gc_timeout", "gc_interval"):  # no entry aged in the recorded cache
            self.sysctl.set(f"net.ipv4.route.{name}", "10000000")
        self.jiffies = 0
        self.asked: list[int] = []
        self.patched = chosen.patches.alt_routes
        self.cache = self.router.cached.cache
        self.flushed: list[int] = []
        self.hit = False
        self._find, self._run_flush = self.cache.find, self.cache.run_flush
        self.cache.find, self.cache.run_flush = self._spied_find, self._spied_flush
        self._input, self._output = self.router.input, self.router.output
        self.box.netfilter.services.icmp.send = lambda *args, **kwargs: None
        self._run = self.box.netfilter.run
        self.box.netfilter.run = self._spied_run
        self.box.netfilter.register(1, LAST, self._delivered)
        self.numbers: dict[str, list[int]] = {"PREROUTING": [], "POSTROUTING": [], "FORWARD": []}
        self.rules = 0
        if not self.compat:
            self.sh("iptables -t nat -N loaded")  # the recorded kernel had its NAT module in from the start

    def run(self, op):
        return getattr(self, "do_" + op["op"].replace("-", "_"))(op)

    def sh(self, line):
        done = run(self.box, line, now=self.now)
        assert done.rc == 0, (line, done)
        return {"error": None}

    # Set-up

    def do_nat_rule(self, op):
        chain, target, to = op["chain"], op["target"], op.get("to") or ""
        self.numbers[chain].append(self.rules)
        self.rules += 1
        if self.compat:
            return self.sh(f"ipchains -A forward -s {op['src']} -j MASQ")
        words = [f"iptables -t nat -A {chain}"]
        options = (("in", "-i"), ("out", "-o"), ("src", "-s"), ("dst", "-d"), ("proto", "-p"), ("dport", "--dport"))
        words += [f"{option} {op[key].replace('-', ':')}" for key, option in options if op.get(key)]
        words.append(f"-j {target}")
        if ";" in to:
            return self._several_ranges(op, to)
        if to:
            words.append({"SNAT": "--to-source", "DNAT": "--to-destination"}.get(target, "--to-ports"))
            words.append(to if target != "MASQUERADE" else to.lstrip(":"))
            if ":" in to and not op.get("proto"):
                return self._range_without_protocol(op, to)
        return self.sh(" ".join(words))

    def _range_without_protocol(self, op, to):
        """The recorded rule names ports and no protocol, which no iptables lets through: ask the kernel itself."""
        spec = RuleSpec(oif=op.get("out") or "", target=NatTarget(op["target"], recorded24.parse_range(to)))
        self.box.request(AppendRules(table="nat", chain=op["chain"], rules=(spec,)), now=self.now)
        return {"error": None}

    def _several_ranges(self, op, to):
        """Several --to-source, which today's iptables refuses: the rule calls the core as ipt_SNAT.c did."""
        ranges = tuple(recorded24.parse_range(text) for text in to.split(";"))
        spec = RuleSpec(oif=op.get("out") or "", target=NatTarget("SNAT", ranges))
        nat = self.box.netfilter.nat
        nat.snat = lambda skb, ctx, wanted: nat.setup(skb.ct, wanted, 0, ctx.now)
        self.box.request(AppendRules(table="nat", chain=op["chain"], rules=(spec,)), now=self.now)
        return {"error": None}

    def do_masquerade_events(self, op):
        return {"error": None}

    def do_compat_mode(self, op):
        return {"error": None}

    def do_advance(self, op):
        before = self._alive()
        told = super().do_advance(op)
        return told | {"conntracks_expired": before - self._alive()}

    def _alive(self):
        return sum(ct.timeout > self.now for ct in self.box.netfilter.conntrack)

    def do_conntracks(self, op):
        return {"conntracks": recorded24.listed(self.box.netfilter.conntrack, self.interfaces, self.now)}

    def do_input(self, op):
        told = super().do_input(op)
        return told | {"hit": self.hit}

    # Packets

    def do_packet(self, op):
        want = self._begin(op)
        mark = op.get("mark", 0)
        handle = self.box.netfilter.register(0, -LAST, lambda skb, *rest: self._first(skb, mark))
        dev, packet = self.interfaces.named(op["iif"]), bytes.fromhex(op["bytes"])
        self.router.input, self.router.output = self._spied_input, self._spied_output
        if dev.up:
            self.box.receive(dev.name, Frame(dev.mac + dev.mac + b"\x08\x00" + packet, 1), now=self.now)
        else:  # the recorded machine had no drivers to be silent
            self.box._ip.input.receive(dev, bytearray(packet), PACKET_HOST, now=self.now, uid=1)
        self.router.input, self.router.output = self._input, self._output
        self.box.netfilter.unregister(handle)
        return self._outcome(op, want)

    def do_send(self, op):
        want = self._begin(op)
        self.skb = skb = Skb(bytearray.fromhex(op["bytes"]))
        self.told["reroute"] = None
        route = self._output(skb.daddr, now=self.now, saddr=skb.saddr, tos=skb.tos)
        self.told["route"] = self._lookup(route, want.get("route"), skb.daddr) | {"src": ip_str(route.src)}
        skb.route = route
        if not skb.saddr:
            skb.data[12:16] = route.src.to_bytes(4, "big")
            resum(skb.data)
            skb.reload()
        self.box.netfilter.services.local_output.send(skb, now=self.now)
        del self.told["reroute"]
        return self._outcome(op, want)

    def _begin(self, op):
        self.told: dict = {}
        self.want = op["result"]
        self.verdict: tuple[str, str | None] = ("drop", None)
        self.skb = None
        self.outbox.records.clear()
        self.neighbours.sent.clear()
        return self.want

    def _first(self, skb, mark):
        self.skb = skb
        skb.mark = mark
        self.told["reroute"] = None
        return NF_ACCEPT

    def _delivered(self, skb, indev, outdev, now):
        self.verdict = ("local", None)
        return NF_STOLEN

    def _spied_run(self, hook, skb, indev, outdev, *, now):
        verdict = self._run(hook, skb, indev, outdev, now=now)
        if verdict == NF_DROP:
            at = ("PRE_ROUTING", "LOCAL_IN", "FORWARD", "LOCAL_OUT", "POST_ROUTING")[hook]
            self.verdict = ("drop", "reroute" if self.verdict[1] == "reroute" else at)
        return verdict

    def _spied_input(self, daddr, saddr, tos, dev, *, now, mark=0, lsrc=0, skb=None):
        route = self._input(daddr, saddr, tos, dev, now=now, mark=mark, lsrc=lsrc, skb=skb)
        if lsrc:
            self.told["reroute"] = ip_str(lsrc)
        if lsrc and isinstance(route, Refused):
            self.verdict = ("drop", "reroute")
            return route
        told = self.told["route"] = self._lookup(route, self.want.get("route"), daddr)
        if isinstance(route, Refused):
            self.verdict = ("drop", "route")
            told["cached"] = False
        elif route.error:
            self.verdict = ("drop", "route_error")
        else:
            told |= {
                "spec_dst": ip_str(route.src), "redirect": bool(route.flags & RTCF_DOREDIRECT),
                "direct_source": bool(route.flags & RTCF_DIRECTSRC),
            }  # fmt: skip
        return route

    def _spied_output(self, daddr, *, now, saddr=0, **key):
        route = self._output(daddr, now=now, saddr=saddr, **key)
        name = "reroute_lookup" if saddr else "masq_lookup"
        told = self.told[name] = self._lookup(route, self.want.get(name), daddr)
        if not isinstance(route, Refused):
            told["src"] = ip_str(route.src)
        return route

    def _lookup(self, route, want, daddr):
        if isinstance(route, Refused) or route.error:
            error = NAMES[route.errno if isinstance(route, Refused) else route.error]
            return {"error": error} if isinstance(route, Refused) else {"error": error, "hit": self.hit}
        told = self._told({"dst": ip_str(daddr), "result": want or {}}, route) | {"hit": self.hit}
        if self.hit:
            for key in ("rule", "table", "prefixlen", "scope", "metric", "entry", "nexthop", "after"):
                told.pop(key, None)
        return told

    def _outcome(self, op, want):
        skb, sent = self.skb, self.neighbours.sent
        told = self.told
        if sent:
            self.verdict = ("forward", None)
            dev, nexthop, octets = sent[0]
            told |= {"out_dev": dev, "out_via": None if nexthop == skb.daddr else ip_str(nexthop)}
        octets = skb.data.hex()
        told |= {
            "verdict": self.verdict[0], "at": self.verdict[1],
            "pre_rule": None if self.compat else self._matched("PREROUTING"),
            "post_rule": self._matched("FORWARD" if self.compat else "POSTROUTING"),
            "ctinfo": None if skb.ct is None else recorded24.CTINFO[skb.ctinfo],
            "conntrack": None if skb.ct is None else recorded24.shown(skb.ct, self.interfaces, self.now),
            "bytes_out": "same" if octets == op["bytes"] else octets,
        }  # fmt: skip
        return told

    def _matched(self, chain):
        """Return the number, among all rules, of the one that matched in a chain."""
        table, name = ("ipchains", "forward") if self.compat else ("nat", chain)
        for record in self.outbox.records:
            if (record.table, record.chain) == (table, name) and record.rule:
                return self.numbers[chain][record.rule - 1]
        return None


@pytest.fixture
def hand_neighbours(monkeypatch):
    monkeypatch.setattr(netns, "NeighTable", HandNeighbours)


def missing(want, got) -> list[str]:
    """List what a recording says and we do not; a connection's protocol is in its tuples' form."""
    found = [f".{key}: recorded only" for key in set(want) - set(got) - {"udp_checksum_became_zero"}]
    for name in ("route", "masq_lookup", "reroute_lookup"):
        found += [f".{name}.{key}: recorded only" for key in set(want.get(name) or ()) - set(got.get(name) or ())]
    return found


def replay(script) -> tuple[list[str], Counter]:
    """Return the first difference of a script, and how many ops of each kind were equal."""
    machine = BoxMachine(script)
    equal: Counter = Counter()
    for number, op in enumerate(script["ops"]):
        got = machine.run(op)
        found = recorded24.differences(op["result"], got) + missing(op["result"], got)
        if found:
            return [f"{script['name']} op {number} {op['op']}: {line}" for line in found], equal
        equal[op["op"]] += 1
    return [], equal


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "packets"), [("linux-2.4-routes", 5545), ("linux-2.4", 5485)])
def test_every_recorded_packet_goes_through_a_whole_box_as_it_did(hand_neighbours, counted, kernel, packets):
    """patched-nat/*.jsonl (linux-2.4-routes) and patched-nat/stock-2.4/*.jsonl (linux-2.4): no difference at all."""
    chosen = [script for script in recorded24.scripts() if script.get("kernel", "linux-2.4-routes") == kernel]
    answers = [replay(script) for script in chosen]
    different = [found for found, _ in answers if found]
    assert not different, "\n".join(line for found in different[:5] for line in found)
    equal = sum((each for _, each in answers), Counter())
    counted(f"{kernel} nat, whole box: {len(chosen)} scripts, {equal['packet']} in and {equal['send']} sent equal")
    assert (len(chosen), equal["packet"], equal["send"]) == (307, packets, 21)
