"""A case's network in the emulator, and its timeline played on it.

What is not the emulator's own choice is taken from the recording: when each action happened, and each device's
reachable_time, which the kernel draws (`reachable`). With `phase` the boxes run on the kernel's timer wheel. A
retrans_time of 250 ms is 63 jiffies there, 252 ms.

A veth pair has its carrier when both ends are up: a cable's connectors follow the devices (`settle_cables`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netsim.kernel.ticks import Ticks
from netsim.lab import Lab
from netsim.oracle.wheel import WheelTimers
from netsim.seeds import Seed
from netsim.sim import failures
from netsim.sim.clock import STEP
from netsim.sim.world import World
from netsim.topology.model import Topology
from netsim.trace.records import ConntrackEvent, FrameDelivered, FrameSent, NeighChange
from netsim.units import NS_PER_MS, NS_PER_S
from netsim.wire.frame import Frame

from .case import SNAPS, Case, Packet
from .packets import line_of
from .verbs import Verbs

T0 = NS_PER_S
"""Set-up happens at 0, the timeline starts here."""
JIFFY = 4 * NS_PER_MS
TOOL = 0.005
"""Seconds from the recorder's note that it blocks a port or sets a link until `bridge` or `ip` had done it."""


def world(phase: int | None) -> World:
    """Return an empty world, its boxes on the kernel's timer wheel: `phase` ms before T0 jiffies had a round number."""
    made = World(Seed(1))
    if phase is not None:
        ticks = Ticks(tick=JIFFY, count=0, at=T0 - phase * NS_PER_MS)
        made.timers = lambda: WheelTimers(ticks)
    return made


def topology(case: Case, keep: Callable[[str], bool] = lambda node: True) -> Topology:
    """Translate nodes, segments and interfaces."""
    nodes: dict[str, Any] = {}
    ends: dict[str, list[str]] = {}
    for name, options in case.nodes.items():
        if keep(name):
            sysctl = dict(options.get("sysctl") or {})
            if options.get("forward"):
                sysctl["net.ipv4.ip_forward"] = 1
            nodes[name] = {"kernel": "linux-6", "sysctl": sysctl, "interfaces": {}}
    for iface, options in case.ifaces.items():
        node, dev = iface.split(".")
        if node in nodes:
            nodes[node]["interfaces"][dev] = {"mac": options["mac"]}
            ends.setdefault(options["seg"], []).append(f"{node}:{dev}")
    links = {
        seg: {"ends": ends[seg], "kind": {"hub": "hub", "p2p": "cable"}[kind], "queue": 10_000, "delay": "100us"}
        for seg, kind in case.segments.items()
        if seg in ends
    }
    return Topology.model_validate({"nodes": nodes, "links": links})


class Play:
    """One run of a case. `events`, `snapshots`, `packets` and `answers` are as the recording's.

    `keep` picks nodes by name, for cases that are many labs side by side; the rest is left out. `veth`: see `_confirm`.
    """

    def __init__(
        self, case: Case, *, keep: Callable[[str], bool] = lambda node: True, phase: int | None = None,
        reachable: dict[str, int] | None = None, veth: bool = False,
    ) -> None:  # fmt: skip
        self.case = case
        self.keep = keep
        self.events: list[dict[str, Any]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.packets: dict[str, list[Packet]] = {}
        self.answers: list[dict[str, Any]] = []
        self._veth = veth
        self._progress: dict[str, tuple[int, int]] = {}
        self.lab = Lab(topology(case, keep), bus_ready=self._subscribe, world=world(phase))
        self.world = self.lab.world
        self.verbs = Verbs(self)
        self._set_up(reachable or {})

    def _subscribe(self, bus: Any) -> None:
        bus.subscribe([FrameSent], lambda r: self._capture(r, "out"))
        bus.subscribe([FrameDelivered], lambda r: self._capture(r, "in"))
        bus.subscribe([NeighChange], self._neigh)
        bus.subscribe([ConntrackEvent], lambda r: self.log("ctevent", r.node, event=r.event, line=r.line))

    @property
    def now(self) -> float:
        """Seconds since the timeline began."""
        return round((self.lab.now - T0) / NS_PER_S, 6)

    def log(self, kind: str, node: str, **facts: Any) -> None:
        """Note an event as the recorder does."""
        self.events.append({"t": self.now, "kind": kind, "node": node, **facts})

    def of(self, *kinds: str, node: str = "") -> list[dict[str, Any]]:
        """Return the played events of these kinds."""
        return [e for e in self.events if e["kind"] in kinds and node in ("", e.get("node"))]

    def _capture(self, record: Any, way: str) -> None:
        line, more = line_of(record.frame.octets)
        packet = Packet(t=self.now, way=way, to=record.frame.octets[:6].hex(":"), line=line, more=more)
        self.packets.setdefault(f"{record.node}.{record.dev}", []).append(packet)
        if self._veth and way == "out" and "seq" in more and self.case.nodes[record.node].get("forward"):
            self._confirm(record, packet)

    def _confirm(self, record: FrameSent, packet: Packet) -> None:
        """Let a forwarded segment that makes progress confirm the forwarder's neighbour, as happens on veth.

        The sender's mark of confirmation stays on the packet there (observed-linux section 0).
        """
        key = packet.line.split(" [")[0]
        before = self._progress.get(key)
        self._progress[key] = now = (packet.more["seq"], packet.more["ack"])
        if before is not None and (now[0] > before[0] or now[1] > before[1]):
            table = self.lab[record.node].node.box.neigh
            for entry in table.snapshot():
                if entry.dev.name == record.dev and entry.lladdr == record.frame.octets[:6]:
                    table.confirm(entry.dev, entry.ip, now=self.lab.now)

    def _neigh(self, record: NeighChange) -> None:
        state = "(gone)" if record.new == "NONE" else record.new
        self.log(
            "nud", record.node, ip=record.dst, dev=record.dev, state=state, prev=record.old,
            lladdr=record.lladdr or None, cause=record.cause,
        )  # fmt: skip

    # Set-up

    def _set_up(self, reachable: dict[str, int]) -> None:
        self.settle_cables()
        for node, lines in self.case.setup.items():
            for line in lines if self.keep(node) else ():
                self.answers.append(self.command(node, line if isinstance(line, str) else line["cmd"]))
        for node in self.world.nodes.values():
            for dev in node.box.interfaces:
                dev.neigh.retrans_time = -(-dev.neigh.retrans_time // JIFFY) * JIFFY
        for iface, millis in reachable.items():
            node, dev = iface.split(".")
            self.lab[node].node.box.interfaces.named(dev).neigh.reachable_time = millis * NS_PER_MS
        for service in self.case.services:
            if self.keep(service["node"]):
                self.verbs.serve(service)
        self.world.env.run_to(T0)
        self.events.clear()
        self.packets.clear()

    def command(self, node: str, line: str) -> dict[str, Any]:
        """Run a command line to its end, `ping` included, and return the recorder's dict of it."""
        line = line.strip()
        if line.startswith("ping "):
            return {"node": node, "cmd": line, **self.verbs.ping_to_end(node, line)}
        result = self.lab[node].sh(line)
        self.settle_cables()
        return {"node": node, "cmd": line, "rc": result.rc, "out": result.stdout, "err": result.stderr}

    def settle_cables(self) -> None:
        """Plug each cable's end in as its device is up, as a veth's carrier is."""
        for link in self.world.links.values():
            changed = False
            for end in link.ends:
                device = end.node.box.interfaces.named(end.dev)
                up = device is not None and device.up
                if link.kind == "cable" and end.plugged != up:
                    end.plugged, changed = up, True
            if changed:
                self.world.settle_carrier(link)
        self.world.env.run_to(self.lab.now)

    # Timeline

    def run(self, until: float | None = None) -> Play:
        """Play the timeline, each action when it happened."""
        steps = []
        for index, action in enumerate(self.case.timeline):
            if self.keep(action["node"]):
                tool = any(verb.startswith(("link_", "port_")) for verb in action)
                steps += [(at + tool * TOOL, index, part) for part, at in enumerate(self.case.at[index])]
        end = self.case.duration if until is None else until
        for at, index, part in sorted(steps):
            if at <= end:
                self.world.env.run_to(max(self.lab.now, T0 + round(at * NS_PER_S)))
                self._act(self.case.timeline[index], index, part)
        self.world.env.run_to(max(self.lab.now, T0 + round(end * NS_PER_S)))
        return self

    def _act(self, action: dict[str, Any], index: int, part: int) -> None:
        node = action["node"]
        if "cmd" in action:
            lines = action["cmd"] if isinstance(action["cmd"], list) else [action["cmd"]]
            result = self.command(node, lines[part])
            self.log("cmd", **result)
        elif "get" in action:
            asked = action["get"] if isinstance(action["get"], list) else [action["get"]]
            self._get(node, asked[part])
        elif "snap" in action:
            data = {}
            for word in action["snap"]:
                for line in SNAPS.get(word, [word]):
                    if line.split()[0] in ("ip", "conntrack", "iptables", "sysctl"):
                        result = self.command(node, line)
                        data[line] = result["out"] if not result["rc"] else result
            self.snapshots.append({"t": self.now, "node": node, "tag": action.get("tag"), "data": data})
        elif "frame" in action:
            self._put(node, action["dev"], self.case.frames[index])
        else:
            self._verb(action, node)

    def _get(self, node: str, asked: str) -> None:
        plain = self.command(node, f"ip route get {asked}")
        as_json = self.command(node, f"ip -j route get {asked}")
        self.log("route_get", node, q=asked, rc=plain["rc"], out=plain["out"], err=plain["err"],
                 json=as_json["out"].strip())  # fmt: skip

    def _put(self, node: str, dev: str, octets: bytes) -> None:
        """Send octets out of a device as a packet socket does."""
        end = self.lab[node].node.nics[dev]
        frame = Frame(octets, self.world.next_uid(), bad=True)
        self.world.bus.publish(FrameSent(self.lab.now, node, dev, frame))
        end.link.send(end, frame, self.lab.now)

    def _verb(self, action: dict[str, Any], node: str) -> None:
        for verb in ("udp", "udp_flows", "icmp", "tcp", "ping"):
            if verb in action:
                getattr(self.verbs, verb)(node, action[verb])
                return
        verb = next(v for v in ("link_down", "link_up", "port_down", "port_up", "port_block", "port_unblock")
                    if v in action)  # fmt: skip
        owner, _, dev = action[verb].rpartition(".")
        box = self.lab[owner or node].node
        if verb.startswith("link"):
            failures.set_up(box, dev, up=verb == "link_up")
            self.settle_cables()
        elif verb in ("port_block", "port_unblock"):
            (failures.mute if verb == "port_block" else failures.unmute)(box.nics[dev])
        else:
            (failures.unplug if verb == "port_down" else failures.plug)(self.world, box.nics[dev])

    def at(self, instant: int, action: Callable[[], None]) -> None:
        """File an action."""
        self.world.env.at(instant, action, STEP)
