"""The old kernel's NAT with the reroute hook, packet by packet: recordings of 2.4.27 with the patch.

Routing answers are the recording's; everything else (tracking, ports, mappings, the hook, octets) is computed.
Source: spec patched-nat (README, corrections).
"""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

from netsim.addr import ip_str, parse_ip, parse_prefix
from netsim.stack.address import RT_SCOPE_UNIVERSE, IfAddr
from netsim.stack.device import ETHER
from netsim.stack.dst import RTN_LOCAL, RTN_UNICAST, Refused, Route
from netsim.stack.errno import EINVAL
from netsim.stack.interfaces import Interfaces
from netsim.stack.netfilter.core import Netfilter
from netsim.stack.netfilter.hooks import HOOK_CHAINS
from netsim.stack.netfilter.requests import NewChain
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile
from netsim.stack.skb import Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.wire.ipv4 import decrement_ttl
from netsim.wire.rewrite import resum

_SPEC = importlib.util.spec_from_file_location("recorded24", Path(__file__).parent / "recorded24.py")
recorded24 = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recorded24)
CTINFO, TICK, differences, parse_range = (
    recorded24.CTINFO, recorded24.TICK, recorded24.differences, recorded24.parse_range
)  # fmt: skip
PROTO = {"icmp": 1, "tcp": 6, "udp": 17}


class Nothing:
    def __getattr__(self, name):
        return lambda *args, **kwargs: False


class NoTables:
    """The ipchains table is there and asks nobody but `traverse`."""

    def exists(self, table) -> bool:
        return table == "ipchains"

    def hooks(self, table) -> tuple[int, ...]:
        return ()


class Answers:
    """Routing that answers what the recording says, and notes what it was asked."""

    generation = 0

    def __init__(self, interfaces) -> None:
        self.interfaces = interfaces
        self.result: dict = {}
        self.reroute = None

    def route(self, answer) -> Route:
        if answer.get("error"):
            return Route(RTN_UNICAST, self.interfaces.lo, 0, 0, 0, 0, error=EINVAL)
        kind = RTN_LOCAL if answer["local"] else RTN_UNICAST
        via = parse_ip(answer["via"]) if answer["via"] else 0
        src = parse_ip(answer.get("src") or answer.get("spec_dst") or "0.0.0.0")
        return Route(kind, self.interfaces.named(answer["dev"]), via, src, 0, 0)

    def input(self, daddr, saddr, tos, dev, *, now, mark=0, lsrc=0, skb=None):
        if lsrc:
            self.reroute = ip_str(lsrc)
            if self.result.get("at") == "reroute":
                return Refused(EINVAL, "IP_INNOROUTES")
        return self.route(self.result["route"])

    def output(self, daddr, *, now, saddr=0, tos=0, oif=None, mark=0, gw=0, **rest):
        answer = self.result.get("reroute_lookup" if saddr else "masq_lookup")
        return Refused(EINVAL, "IP_OUTNOROUTES") if answer is None else self.route(answer)


class Machine:
    """One scripted machine: the netfilter room of 2.4 with nf_reroute, and rules in a plain list."""

    def __init__(self, kernel: str = "linux-2.4-routes") -> None:
        chosen = profile(kernel)
        self.sysctl = Sysctl()
        self.interfaces = Interfaces(self.sysctl)
        self.timers = Timers()
        self.answers = Answers(self.interfaces)
        self.nf = Netfilter(
            node="r", era=chosen.netfilter, patches=chosen.patches, interfaces=self.interfaces, sysctl=self.sysctl,
            timers=self.timers, outbox=Outbox(), rng=random.Random(1), routing=self.answers, icmp=Nothing(),
            local_output=Nothing(), exit=Nothing(), defrag=Nothing(),
        )  # fmt: skip
        self.nf.request(NewChain(table="nat", chain="x"), now=0)
        self.nf.nat._traverse = self.traverse
        self.nf.conntrack.get()
        self.nf._assemble()
        self.rules: list[dict] = []
        self.now = 0
        self.matched: dict[str, int | None] = {}

    # Rules

    def traverse(self, table, hook, skb, ctx) -> int:
        chain = HOOK_CHAINS[hook]
        for number, rule in enumerate(self.rules):
            if rule["chain"] == chain and self.fits(rule, skb, ctx):
                self.matched[chain] = number
                return self.act(rule, skb, ctx)
        return 1

    @staticmethod
    def fits(rule, skb, ctx) -> bool:
        if rule.get("in") and (ctx.indev is None or ctx.indev.name != rule["in"]):
            return False
        if rule.get("out") and (ctx.outdev is None or ctx.outdev.name != rule["out"]):
            return False
        if rule.get("proto") and PROTO.get(rule["proto"], rule["proto"]) != skb.proto:
            return False
        if rule.get("src") and not parse_prefix(rule["src"]).holds(skb.saddr):
            return False
        if rule.get("dst") and not parse_prefix(rule["dst"]).holds(skb.daddr):
            return False
        if rule.get("dport"):
            low, _, high = rule["dport"].partition("-")
            return int(low) <= skb.dport <= int(high or low)
        return True

    def act(self, rule, skb, ctx) -> int:
        ranges = tuple(parse_range(text) for text in (rule.get("to") or "").split(";"))
        if rule["target"] == "MASQUERADE":
            return ctx.nat.masq(skb, ctx) if ctx.hook == 2 else ctx.nat.masquerade(skb, ctx, ranges[0])
        return ctx.nat.setup(skb.ct, ranges, 0 if rule["target"] == "SNAT" else 1, ctx.now)

    # Ops

    def run(self, op) -> dict:
        return getattr(self, "op_" + op["op"].replace("-", "_"))(op, op["result"])

    def op_device(self, op, result) -> dict:
        self.interfaces.add(op["name"], ETHER, b"\x02\0\0\0\0\1", 1500)
        return {}

    def op_up(self, op, result) -> dict:
        self.interfaces.set_up(self.interfaces.named(op["dev"]), True)
        return {}

    def op_down(self, op, result) -> dict:
        dev = self.interfaces.named(op["dev"])
        if dev.up:
            self.interfaces.set_up(dev, False)
            self.nf.device_down(dev, now=self.now)
        return {}

    def op_unregister(self, op, result) -> dict:
        return self.op_down(op, result)

    def op_address_add(self, op, result) -> dict:
        if not result["error"]:
            dev = self.interfaces.named(op["dev"])
            prefix = parse_prefix(op["addr"])
            ifa = IfAddr(prefix.addr, prefix.plen, prefix.addr, 0, RT_SCOPE_UNIVERSE, dev.name)
            self.interfaces.insert_address(dev, ifa)
            self.nf.address_added(dev, ifa, now=self.now)
        return {}

    def op_address_del(self, op, result) -> dict:
        if not result["error"]:
            dev = self.interfaces.named(op["dev"])
            ifa = dev.address_for(parse_prefix(op["addr"]).addr)
            self.interfaces.delete_address(dev, ifa)
            self.nf.address_removed(dev, ifa, now=self.now)
        return {}

    def op_nat_rule(self, op, result) -> dict:
        self.rules.append(op)
        return {}

    def op_masquerade_events(self, op, result) -> dict:
        masquerading = self.nf.nat.masquerading
        masquerading._on_removal = op["like"] == "old"
        masquerading._by_device = masquerading._by_device if masquerading._by_gateway else op["like"] == "old"
        return {}

    def op_compat_mode(self, op, result) -> dict:
        self.nf.conntrack.put()
        self.nf.tables = NoTables()
        self.nf._compat._traverse = self.traverse
        self.nf._tracks = False
        self.nf._assemble()
        return {}

    def op_advance(self, op, result) -> dict:
        self.now += op["ticks"] * TICK
        self.timers.run(self.now)
        return {}

    def op_conntracks(self, op, result) -> dict:
        return {"conntracks": recorded24.listed(self.nf.conntrack, self.interfaces, self.now)}

    def op_packet(self, op, result) -> dict:
        indev = self.interfaces.named(op["iif"])
        skb = Skb(bytearray.fromhex(op["bytes"]), indev, 1)
        skb.mark = op.get("mark", 0)
        self.start(result)
        verdict, at = self.receive(skb, indev, result)
        return self.outcome(op, skb, verdict, at)

    def op_send(self, op, result) -> dict:
        skb = Skb(bytearray.fromhex(op["bytes"]))
        self.start(result)
        if "route" not in result or result["route"].get("error"):
            return {}
        skb.route = self.answers.route(result["route"])
        if not skb.saddr:
            skb.data[12:16] = skb.route.src.to_bytes(4, "big")
            resum(skb.data)
            skb.reload()
        verdict, at = "forward", None
        if self.nf.run(3, skb, None, skb.route.dev, now=self.now) != 1:
            verdict, at = "drop", "LOCAL_OUT"
        elif self.nf.run(4, skb, None, skb.route.dev, now=self.now) != 1:
            verdict, at = "drop", "POST_ROUTING"
        return self.outcome(op, skb, verdict, at)

    def start(self, result) -> None:
        self.answers.result = result
        self.answers.reroute = None
        self.matched = {"PREROUTING": None, "POSTROUTING": None}

    def receive(self, skb, indev, result) -> tuple[str, str | None]:
        before = self.answers.reroute
        if self.nf.run(0, skb, indev, None, now=self.now) != 1:
            return "drop", "PRE_ROUTING" if self.answers.reroute is before else "reroute"
        if skb.route is None:
            if result["at"] == "route":
                return "drop", "route"
            skb.route = self.answers.route(result["route"])
        if skb.route.error:
            return "drop", "route_error"
        if skb.route.kind == RTN_LOCAL:
            return ("local", None) if self.nf.run(1, skb, indev, None, now=self.now) == 1 else ("drop", "LOCAL_IN")
        decrement_ttl(skb.data)
        skb.out = skb.route.dev
        if self.nf.run(2, skb, indev, skb.out, now=self.now) != 1:
            return "drop", "FORWARD"
        return ("forward", None) if self.nf.run(4, skb, indev, skb.out, now=self.now) == 1 else ("drop", "POST_ROUTING")

    # Answers

    def outcome(self, op, skb, verdict, at) -> dict:
        octets = skb.data.hex()
        return {
            "verdict": verdict, "at": at, "reroute": self.answers.reroute,
            "pre_rule": self.matched["PREROUTING"],
            "post_rule": self.matched.get("FORWARD", self.matched["POSTROUTING"]),
            "ctinfo": None if skb.ct is None else CTINFO[skb.ctinfo],
            "conntrack": None if skb.ct is None else recorded24.shown(skb.ct, self.interfaces, self.now),
            "bytes_out": "same" if octets == op["bytes"] else octets,
        }  # fmt: skip


def replay(script) -> list[str]:
    machine = Machine(script.get("kernel", "linux-2.4-routes"))
    for number, op in enumerate(script["ops"]):
        if not hasattr(machine, "op_" + op["op"].replace("-", "_")):
            continue  # routing ops: its answers are the recording's
        found = differences(op["result"], machine.run(op))
        if found:
            return [f"{script['name']} op {number}: {line}" for line in found]
    return []


@pytest.mark.slow
def test_every_packet_of_the_recorded_scripts_comes_out_as_it_did(counted):
    wrong = {script["name"]: found for script in recorded24.scripts() if (found := replay(script))}
    assert not wrong, "\n".join(line for found in list(wrong.values())[:5] for line in found)
    count = sum(1 for _ in recorded24.scripts())
    counted(f"nat 2.4, routing as recorded: {count} of {count} scripts equal")
