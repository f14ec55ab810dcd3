"""A bare box of 2.4 that carries out the recorded ops of the routing recordings and answers as they do.

Source: spec patched-kernel (README).
"""

from __future__ import annotations

import random
from dataclasses import replace

from netsim.addr import ip_str, parse_ip, parse_prefix
from netsim.stack.address import RT_SCOPE_LINK, RT_SCOPE_NOWHERE
from netsim.stack.device import ETHER, IFF_NOARP, IFF_POINTOPOINT
from netsim.stack.dst import RTCF_DIRECTSRC, RTCF_DOREDIRECT, RTCF_LOCAL, RTN_UNICAST, Refused
from netsim.stack.errno import EINVAL, ENODEV, NAMES, Refusal
from netsim.stack.fib import Fib
from netsim.stack.interfaces import Interfaces
from netsim.stack.ipv4.route import Router
from netsim.stack.links import Links
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile
from netsim.stack.requests import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTNH_F_DEAD,
    RTNH_F_ONLINK,
    DelAddr,
    DelLink,
    DelRoute,
    DelRule,
    DumpRules,
    NewAddr,
    NewLink,
    NewRoute,
    NewRule,
    NexthopSpec,
    RuleSpec,
    SetLink,
)
from netsim.stack.skb import IPPROTO_UDP, Skb
from netsim.stack.sysctl import Sysctl
from netsim.stack.timers import Timers
from netsim.units import NS_PER_MS
from netsim.wire.ipv4 import build_ipv4

TICK = 10 * NS_PER_MS
RTNH_F_SUSPECT = 8
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
SCOPE_NAMES = {number: name for name, number in SCOPES.items()}
PROTOS = {"kernel": 2, "boot": 3, "static": 4, "zebra": 11}
PROTO_NAMES = {number: name for name, number in PROTOS.items()}
KINDS = (
    "", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat"
)  # fmt: skip
NUD = {
    "none": 0, "incomplete": 1, "reachable": 2, "stale": 4, "delay": 8, "probe": 16, "failed": 32, "noarp": 64,
    "permanent": 128,
}  # fmt: skip
COMMANDS = {
    "add": NLM_F_CREATE | NLM_F_EXCL, "append": NLM_F_CREATE | NLM_F_APPEND, "prepend": NLM_F_CREATE,
    "replace": NLM_F_CREATE | NLM_F_REPLACE, "change": NLM_F_REPLACE, "old-add": NLM_F_CREATE,
}  # fmt: skip


class Neighbours:
    """States set by hand, by device and address: the FIB's and the links' view of the neighbour table."""

    generation = 0

    def __init__(self):
        self.states: dict[tuple[str, int], int] = {}

    def state(self, dev, ip):
        return self.states.get((dev.name, ip), 0)

    def exists(self, dev, ip):
        return (dev.name, ip) in self.states

    def hold(self, route, nexthop, *, now):
        return True

    def release(self, route):
        pass

    def device_down(self, dev, *, now):
        self.states = {key: state for key, state in self.states.items() if key[0] != dev.name}

    def nothing(self, *args, **kwargs):
        pass

    device_added = device_up = device_removed = carrier_lost = mac_changed = noarp_changed = nothing
    address_added = address_removed = nothing


class Machine:
    """One empty box that has only lo, and what the recorded ops do to it."""

    def __init__(self, kernel: str, *, quirk: bool = True):
        chosen = profile(kernel)
        era = replace(chosen.fib, leftover_credit=quirk, secret_rebuild=False)
        self.sysctl = Sysctl()
        self.interfaces = Interfaces(self.sysctl, ip_from_birth=False)
        self.neighbours = Neighbours()
        self.timers = Timers()
        self.outbox = Outbox()
        common = {
            "node": "r", "era": era, "patches": chosen.patches, "interfaces": self.interfaces, "sysctl": self.sysctl,
            "timers": self.timers, "outbox": self.outbox, "rng": random.Random(1), "neigh": self.neighbours,
        }  # fmt: skip
        self.fib = Fib(**common)
        self.router = Router(fib=self.fib, **common)
        self.links = Links(
            interfaces=self.interfaces, sysctl=self.sysctl, timers=self.timers, fib=self.fib, neigh=self.neighbours,
            nat=self.neighbours, linkwatch=chosen.linkwatch,
        )  # fmt: skip
        self.reverse = self.router.cached.reverse
        self.sysctl.set("net.ipv4.ip_forward", "1")
        self.jiffies = 0
        self.asked: list[int] = []
        self.patched = chosen.patches.alt_routes
        self._flusher = self.fib.flusher
        self.fib.flusher = self._spy

    def _spy(self, delay, now):
        self.asked.append(delay)
        if self._flusher is not None:
            self._flusher(delay, now)

    @property
    def now(self):
        return self.jiffies * TICK

    def run(self, op):
        """Carry an op out and return its result as recorded ones look."""
        self.asked.clear()
        result = getattr(self, "do_" + op["op"].replace("-", "_"))(op)
        if self.asked:
            result["flush"] = "now" if 0 in self.asked else "later"
        return result

    @staticmethod
    def _answer(answer):
        return {"error": NAMES[answer.errno] if isinstance(answer, Refusal) else None}

    # Devices and addresses

    def do_device(self, op):
        answer = self._answer(self.links.new_link(NewLink(name=op["name"], kind=ETHER), now=self.now))
        if answer["error"] is None:
            dev = self.interfaces.named(op["name"])
            self.interfaces.set_flag(dev, IFF_NOARP, op.get("noarp", False))
            self.interfaces.set_flag(dev, IFF_POINTOPOINT, op.get("ptp", False))
        return answer

    def do_up(self, op):
        return self._answer(self.links.set_link(SetLink(dev=op["dev"], up=True), now=self.now))

    def do_down(self, op):
        return self._answer(self.links.set_link(SetLink(dev=op["dev"], up=False), now=self.now))

    def do_unregister(self, op):
        return self._answer(self.links.del_link(DelLink(dev=op["dev"]), now=self.now))

    def do_address_add(self, op):
        local, plen = parse_prefix(op["addr"])
        req = NewAddr(dev=op["dev"], local=local, plen=plen, scope=SCOPES[op.get("scope", "global")])
        return self._answer(self.links.new_addr(req, now=self.now))

    def do_address_del(self, op):
        local, plen = parse_prefix(op["addr"])
        return self._answer(self.links.del_addr(DelAddr(dev=op["dev"], local=local, plen=plen), now=self.now))

    def do_neighbour(self, op):
        if op["dev"] not in self.interfaces:
            return {"error": "ENODEV"}
        key = (op["dev"], parse_ip(op["ip"]))
        self.neighbours.states.pop(key, None)
        if op["state"] is not None:
            self.neighbours.states[key] = NUD[op["state"]]
        return {"error": None}

    def do_jiffies(self, op):
        self.jiffies = op["set"] if "set" in op else self.jiffies + op["add"]
        return {"jiffies": self.jiffies}

    def do_rp_filter(self, op):
        if op["dev"] != "all":
            dev = self.interfaces.named(op["dev"])
            if dev is None or not dev.has_ip:
                return {"error": "ENOENT"}
        self.sysctl.set(f"net.ipv4.conf.{op['dev']}.rp_filter", str(op["value"]))
        return {"error": None}

    # Routes and rules

    def do_route(self, op):
        several = op.get("nexthops")
        specs = tuple(_path(spec) for spec in (several if several is not None else [op]))
        if several is None and not (specs[0].via or specs[0].dev):
            specs = ()
        common = {
            "dst": parse_prefix(op["dst"]), "table": op.get("table", 254), "tos": op.get("tos", 0),
            "nexthops": specs, "multipath": several is not None, "prefsrc": parse_ip(op.get("src") or "0.0.0.0"),
        }  # fmt: skip
        if op["cmd"] == "del":
            req = DelRoute(
                **common, metric=op.get("metric"), scope=SCOPES[op["scope"]] if "scope" in op else RT_SCOPE_NOWHERE,
                protocol=PROTOS[op["proto"]] if "proto" in op else 0,
                kind=KINDS.index(op["type"]) if "type" in op else 0,
            )  # fmt: skip
            return self._answer(self.fib.del_route(req, now=self.now))
        scope = SCOPES[op.get("scope", "global")]
        if op["cmd"] == "old-add":
            foreign = specs[0].via and self.router.address_type(specs[0].via) == RTN_UNICAST
            scope = 0 if foreign else RT_SCOPE_LINK
        req = NewRoute(
            **common, flags=COMMANDS[op["cmd"]], metric=op.get("metric", 0), scope=scope,
            protocol=PROTOS[op.get("proto", "boot")], kind=KINDS.index(op.get("type", "unicast")),
        )  # fmt: skip
        return self._answer(self.fib.new_route(req, now=self.now))

    @staticmethod
    def _rule(op):
        action = op.get("action", "unicast")
        return RuleSpec(
            priority=op.get("prio"), src=parse_prefix(op["from"]) if "from" in op else None,
            dst=parse_prefix(op["to"]) if "to" in op else None, tos=op.get("tos", 0), iif=op.get("iif") or "",
            fwmark=op.get("fwmark", 0), table=op.get("table", 0), action="table" if action == "unicast" else action,
        )  # fmt: skip

    def do_rule_add(self, op):
        return self._answer(self.fib.new_rule(NewRule(rule=self._rule(op)), now=self.now))

    def do_rule_del(self, op):
        return self._answer(self.fib.del_rule(DelRule(rule=self._rule(op)), now=self.now))

    def do_rules(self, op):
        rules = []
        for info in self.fib.dump_rules(DumpRules(), now=self.now):
            rule = info.rule
            rules.append({
                "prio": rule.priority, "from": str(rule.src or "0.0.0.0/0"), "to": str(rule.dst or "0.0.0.0/0"),
                "tos": rule.tos, "iif": rule.iif or None, "attached": not info.iif_detached,
                "action": "unicast" if rule.action == "table" else rule.action, "table": rule.table,
            })  # fmt: skip
        return {"rules": rules}

    def do_dump(self, op):
        routes = []
        tables = self.fib.lookup.tables
        for number in sorted(tables):
            if number == 255 and not op.get("local"):
                continue
            lists = sorted(
                ((plen, prefix) for plen, each in tables[number].prefixes.items() for prefix in each),
                key=lambda where: (-where[0], where[1]),
            )
            for plen, prefix in lists:
                for alias in tables[number].leaf(plen, prefix):
                    if not alias.zombie:
                        routes.append(self._listed(number, plen, prefix, alias))
        return {"routes": routes}

    def _listed(self, table, plen, prefix, alias):
        info = alias.info
        told = {"table": table, "dst": f"{ip_str(prefix)}/{plen}"}
        optional = (
            ("tos", alias.tos, 0), ("metric", info.metric, 0), ("type", KINDS[alias.kind], "unicast"),
            ("src", ip_str(info.prefsrc), "0.0.0.0"), ("dead", bool(info.flags & RTNH_F_DEAD), False),
            ("last", self._last(alias), -1), ("total", info.credit, 0),
        )  # fmt: skip
        told |= {key: value for key, value, default in optional if value != default}
        told |= {"scope": SCOPE_NAMES[alias.scope], "proto": PROTO_NAMES[info.protocol]}
        told["paths"] = []
        for nexthop in info.nexthops:
            path = {"dev": nexthop.dev.name if nexthop.dev else None, "scope": SCOPE_NAMES[nexthop.scope]}
            optional = (
                ("gw", ip_str(nexthop.gw), "0.0.0.0"), ("weight", nexthop.weight, 1),
                ("onlink", bool(nexthop.flags & RTNH_F_ONLINK), False), ("flags", _flags(nexthop), ""),
                ("credit", nexthop.credit, 0),
            )  # fmt: skip
            told["paths"].append(path | {key: value for key, value, default in optional if value != default})
        return told

    def _last(self, alias):
        """Return the memory that counts for an entry: its own, or on a stock kernel the one of all."""
        return alias.last if self.patched else self.router.cached.selector.last

    # Lookups

    def _dev(self, name):
        return self.interfaces.named(name) if name else None

    def do_output(self, op):
        oif = self._dev(op.get("oif"))
        if op.get("oif") and oif is None:
            return {"error": NAMES[ENODEV]}
        self._forget()
        found = self.router.output(
            parse_ip(op["dst"]), now=self.now, saddr=parse_ip(op.get("from") or "0.0.0.0"), tos=op.get("tos", 0),
            oif=oif, gw=parse_ip(op.get("gw") or "0.0.0.0"),
        )  # fmt: skip
        if isinstance(found, Refused):
            return {"error": NAMES[found.errno]}
        return self._told(op, found) | {"src": ip_str(found.src)}

    def do_input(self, op):
        iif = self._dev(op["iif"])
        if iif is None:
            return {"error": NAMES[ENODEV]}
        self._forget()
        daddr, saddr = parse_ip(op["dst"]), parse_ip(op["from"])
        found = self.router.input(
            daddr, saddr, op.get("tos", 0), iif, now=self.now, lsrc=parse_ip(op.get("lsrc") or "0.0.0.0"),
            skb=Skb(bytearray(build_ipv4(saddr, daddr, IPPROTO_UDP, 0)), iif),
        )  # fmt: skip
        if isinstance(found, Refused):
            return {"error": NAMES[found.errno], "cached": False}
        if found.error:
            return {"error": NAMES[found.error], "cached": True}
        return self._told(op, found) | {
            "spec_dst": ip_str(found.src), "redirect": bool(found.flags & RTCF_DOREDIRECT),
            "direct_source": bool(found.flags & RTCF_DIRECTSRC),
        }  # fmt: skip

    def do_validate(self, op):
        out = self._dev(op["out"]) if "out" in op else self.interfaces.lo
        iif = self._dev(op["iif"])
        source = self.reverse.validate(parse_ip(op["from"]), parse_ip(op["dst"]), op.get("tos", 0), out, iif)
        if source is None:
            return {"error": NAMES[EINVAL]}
        return {"error": None, "direct_source": source.direct, "spec_dst": ip_str(source.spec_dst)}

    def _forget(self):
        """Make the next lookup a miss of the route cache."""
        self.router.cached.cache.run_flush()

    def _told(self, op, route):
        """Describe a route; which entry and path it came from is read off the list it was found in."""
        via = ip_str(route.gateway) if route.gateway not in (0, parse_ip(op["dst"])) else None
        told = {
            "error": None, "type": KINDS[route.kind], "dev": route.dev.name, "via": via,
            "local": bool(route.flags & RTCF_LOCAL),
        }  # fmt: skip
        want = op["result"]
        if want.get("table") is None:
            return told | {"table": None} if "table" in want else told
        told |= {"table": route.table, "rule": route.rule, "prefixlen": route.prefixlen}
        if (route.table, route.prefixlen) != (want["table"], want["prefixlen"]):
            return told
        leaf = self._leaf(route, parse_ip(op["dst"]))
        told["after"] = [
            [self._last(alias), alias.info.credit, [[_flags(path), path.credit] for path in alias.info.nexthops]]
            for alias in leaf
        ]
        alias = leaf[want["entry"]]
        path = alias.info.nexthops[want["nexthop"]]
        used = path.gw if path.gw and path.scope == RT_SCOPE_LINK else 0
        if (path.dev, used) == (route.dev, route.gateway):
            told |= {
                "entry": want["entry"], "nexthop": want["nexthop"], "scope": SCOPE_NAMES[alias.scope],
                "metric": alias.info.metric,
            }  # fmt: skip
        if "index_overrun" in want:
            told["index_overrun"] = True
        return told

    def _leaf(self, route, dst):
        prefix = dst >> (32 - route.prefixlen) << (32 - route.prefixlen) if route.prefixlen else 0
        return [
            alias for alias in self.fib.lookup.tables[route.table].leaf(route.prefixlen, prefix) if not alias.zombie
        ]


class CacheMachine(Machine):
    """The same box with its route cache at work, and time that passes."""

    def __init__(self, kernel: str, **options):
        super().__init__(kernel, **options)
        self.cache = self.router.cached.cache
        self.flushed: list[int] = []
        self.hit = False
        self._find, self._run_flush = self.cache.find, self.cache.run_flush
        self.cache.find, self.cache.run_flush = self._spied_find, self._spied_flush

    def _spied_find(self, key, now):
        found = self._find(key, now)
        self.hit = found is not None
        return found

    def _spied_flush(self):
        self.flushed.append(self.jiffies)
        self._run_flush()

    def _forget(self):
        pass

    def run(self, op):
        result = super().run(op)
        result.pop("flush", None)
        if op["op"] in ("input", "output"):
            result["hit"] = self.hit
            if self.hit:
                for key in ("rule", "table", "prefixlen", "scope", "metric", "entry", "nexthop", "after"):
                    result.pop(key, None)
        timer = self.cache.flush_at
        return result | {"entries": len(self.cache), "timer": timer // TICK if timer is not None else None}

    def do_advance(self, op):
        self.flushed.clear()
        end = self.jiffies + op["ticks"]
        while (deadline := self.timers.next()) is not None and deadline <= end * TICK:
            self.jiffies = deadline // TICK
            self.timers.run(deadline)
        self.jiffies = end
        return {"jiffies": end, "flushed_at": list(self.flushed)}

    def do_flush_request(self, op):
        delay = op["delay"]
        self.cache.flush(delay * TICK if delay > 0 else delay, self.now)
        return {"error": None}

    def do_context(self, op):
        self.cache.softirq = op["is"] == "timer"
        return {"error": None}


def _path(spec):
    return NexthopSpec(
        via=parse_ip(spec.get("gw") or "0.0.0.0"), dev=spec.get("dev") or "", weight=spec.get("weight", 1),
        flags=RTNH_F_ONLINK if spec.get("onlink") else 0,
    )  # fmt: skip


def _flags(nexthop):
    return ("D" if nexthop.flags & RTNH_F_DEAD else "") + ("S" if nexthop.flags & RTNH_F_SUSPECT else "")
