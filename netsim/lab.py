"""Lab: a network on a clock, as people script it: nodes with a shell, links with taps, events, time.

lab = Lab.from_topology(two_isps())
lab["router"].sh("ip neigh").stdout
lab.event("silence", "isp1", at=sec(60))
lab.run(until=sec(120))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from netsim.addr import parse_ip, parse_mac
from netsim.errors import ConfigError, Problem, SimulationError
from netsim.lab_setup import Refused, configure, create_devices, line_spec
from netsim.seeds import Seed
from netsim.shell.tool import CommandResult
from netsim.sim import failures
from netsim.sim.apps.build import Applications, Destination, FlowSpec
from netsim.sim.apps.ports import DEFAULT_PORTS
from netsim.sim.callbacks import Callback, adapt, hook_number
from netsim.sim.clock import STEP, Environment
from netsim.sim.link import Link
from netsim.sim.node import Node
from netsim.sim.tools.script import run_line, run_script, takes_time
from netsim.sim.world import World
from netsim.stack.profile import profile
from netsim.stack.requests import NewLink
from netsim.topology.graph import from_graph
from netsim.topology.model import Topology
from netsim.topology.ports import Port, first_address, ports_of
from netsim.trace.bus import Bus
from netsim.trace.records import CommandRun, WorldEvent
from netsim.units import Ns
from netsim.wire.frame import Frame

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = "nx.Graph[Any]"

Describe: TypeAlias = Callable[[Refused], Problem]
PacketTap: TypeAlias = Callable[[Ns, Any], object]
"""tap(t, packet): the scapy packet of each frame as it leaves its sender."""


def describe_plainly(refused: Refused) -> Problem:
    """Tell a refused set-up line without a place in a file."""
    return Problem("<topology>", 0, 0, f"nodes.{refused.node}.{refused.part}", refused.words, refused.line)


class LabNetfilter:
    """A node's netfilter, for callbacks in Python."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def register(self, hook: str, callback: Callback, priority: int = 0) -> Any:  # Any: netfilter's handle
        """Call `callback(packet, ctx)` at a hook ("PREROUTING", "FORWARD" ...) in the kernel's order of priorities.

        The callback returns ACCEPT, DROP or the edited packet, and may not call the box it runs in. Returns a handle
        for `unregister`.
        """
        number = hook_number(hook)
        return self._node.box.netfilter.register(
            number, priority, adapt(self._node.name, hook, callback, self._node.world.bus)
        )

    def unregister(self, handle: Any) -> None:  # Any: netfilter's handle
        """Take a callback away."""
        self._node.box.netfilter.unregister(handle)


@dataclass(frozen=True, slots=True)
class LabNode:
    """One box of a lab."""

    node: Node

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def netfilter(self) -> LabNetfilter:
        """Its netfilter, for callbacks."""
        return LabNetfilter(self.node)

    def sh(self, line: str) -> CommandResult:
        """Run a Linux command line, now; refusals are in the answer.

        The clock goes on until a command that takes time (ping, arping, traceroute) is through.
        """
        if not takes_time(line):
            return self.node.sh(line)
        env = self.node.world.env
        story = env.process(run_line(self.node, line))
        while not story.processed:
            env.step()
        return cast("CommandResult", story.value)


@dataclass(frozen=True, slots=True)
class LabLink:
    """One link of a lab."""

    link: Link

    def tap(self, tap: PacketTap) -> None:
        """Call `tap(t, packet)` with the scapy packet of each frame that is sent over the link."""
        self.link.taps.append(lambda t, frame: _show(tap, t, frame))

    def tap_frames(self, tap: Callable[[Ns, Frame], None]) -> None:
        """Call `tap(t, frame)` with the frames themselves: octets, without the cost of scapy."""
        self.link.taps.append(tap)


class Lab:
    """A world built from a topology and set up as its file says. Use it as a context manager or call `close`."""

    def __init__(self, topology: Topology, *, seed: int = 1, bus_ready: Callable[[Bus], None] | None = None,
                 describe: Describe = describe_plainly, world: World | None = None) -> None:  # fmt: skip
        """Build and set up. `bus_ready(bus)` may subscribe before the first box exists. Raises ConfigError.

        `world` is an empty world to build in, where it is not to be the emulator's own (the referee has the kernel's).
        """
        self.topology = topology
        self.seed = Seed(seed)
        self.world = world or World(self.seed)
        self.ports: Mapping[str, tuple[Port, ...]] = ports_of(topology)
        if bus_ready is not None:
            bus_ready(self.world.bus)
        self._build()
        self.apps = Applications(self.world)
        self._owners = {
            text.partition("/")[0]: name
            for name, node in reversed(topology.nodes.items()) for addresses in node.addr.values() for text in addresses
        }  # fmt: skip
        self._specs = {name: link.spec() for name, link in self.world.links.items()}
        refused = [
            each
            for name in topology.nodes
            for each in configure(self.world.nodes[name], topology.nodes[name], self.ports[name])
        ]
        if refused:
            raise ConfigError(*(describe(each) for each in refused))

    @classmethod
    def from_topology(
        cls,
        topology: Topology,
        *,
        seed: int = 1,
        kernel: Mapping[str, str] | None = None,
        patches: Mapping[str, Iterable[str]] | None = None,
        sysctl: Mapping[str, Mapping[str, int | str]] | None = None,
        run: Mapping[str, str] | None = None,
    ) -> Lab:
        """Build a lab; the other arguments are a scenario's overrides, by node. Raises ConfigError."""
        data = topology.model_dump(by_alias=True, exclude_unset=True)
        changed = {name: dict(node) for name, node in data["nodes"].items()}
        for name in (*(kernel or ()), *(patches or ()), *(sysctl or ()), *(run or ())):
            if name not in changed:
                raise ConfigError(Problem("<lab>", 0, 0, name, f'no node "{name}"'))
        for name, value in (kernel or {}).items():
            changed[name] |= {"kernel": value, "patches": None}
        for name, names in (patches or {}).items():
            changed[name]["patches"] = tuple(names)
        for name, values in (sysctl or {}).items():
            changed[name]["sysctl"] = {**changed[name].get("sysctl", {}), **values}
        for name, lines in (run or {}).items():
            changed[name]["run"] = f"{changed[name].get('run', '')}\n{lines}"
        nodes = {name: type(topology.nodes[name]).model_validate(node) for name, node in changed.items()}
        return cls(topology.model_copy(update={"nodes": nodes}), seed=seed)

    @classmethod
    def from_graph(cls, graph: Graph, *, seed: int = 1) -> Lab:
        """Build a lab from a networkx graph with the attributes of topology files. Raises ConfigError."""
        return cls(from_graph(graph), seed=seed)

    def _build(self) -> None:
        for name, spec in self.topology.nodes.items():
            try:
                chosen = profile(spec.kernel, spec.patches)
            except ValueError as error:
                raise ConfigError(Problem("<topology>", 0, 0, f"nodes.{name}.patches", str(error))) from error
            create_devices(self.world.add_node(name, chosen), spec, self.ports[name])
        for name, link in self.topology.links.items():
            kind = link.kind or ("cable" if link.is_cable else "hub")
            ends = []
            for end in link.ends:
                node, _, dev = end.partition(":")
                ends.append((node, dev))
            self.world.add_link(name, kind, ends, line_spec(link.direction(0)), line_spec(link.direction(1)))

    # What a person holds

    @property
    def env(self) -> Environment:
        """The simpy Environment, in integer nanoseconds."""
        return self.world.env

    @property
    def bus(self) -> Bus:
        """The bus of trace records."""
        return self.world.bus

    @property
    def now(self) -> Ns:
        """The current instant."""
        return self.world.env.now

    def __getitem__(self, name: str) -> LabNode:
        """Return a node. Raises KeyError with the names there are."""
        if name not in self.world.nodes:
            raise KeyError(f"no node {name!r}; there are: {', '.join(self.world.nodes)}")
        return LabNode(self.world.nodes[name])

    def link(self, name: str) -> LabLink:
        """Return a link. Raises KeyError with the names there are."""
        if name not in self.world.links:
            raise KeyError(f"no link {name!r}; there are: {', '.join(self.world.links)}")
        return LabLink(self.world.links[name])

    def run(self, until: Ns) -> None:
        """Run to an instant, which is included."""
        if not isinstance(until, int):
            raise SimulationError(
                f"until is an int of nanoseconds, not {until!r}: use sec({until!r}) or ms(...) from netsim"
            )
        if until < self.now:
            raise SimulationError(f"it is {self.now} ns already, {until} ns has passed")
        self.world.env.run_to(until)

    def at(self, instant: Ns, action: Callable[[], None]) -> None:
        """Call `action()` at an instant, as a step of the timeline."""
        self.world.env.at(instant, action, STEP)

    def close(self) -> None:
        """Let go of the world."""
        self.world.nodes.clear()
        self.world.links.clear()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def script(self, node: str, lines: Iterable[str], done: Callable[[CommandResult], None] | None = None) -> None:
        """Run lines one after another from now on, while the clock goes on; `done` gets what they printed together."""
        lines, box = list(lines), self[node].node
        if not any(takes_time(line) for line in lines):
            finish([box.sh(line) for line in lines], done)
            return
        story = self.env.process(run_script(box, lines))
        story.callbacks.append(lambda event: finish(event.value, done))

    # Traffic

    def flow(
        self, name: str, *, source: str | Iterable[str], to: str | Iterable[str], server: str = "", start: Ns = 0,
        stop: Ns | None = None, **options: Any,
    ) -> None:  # Any: fields of FlowSpec  # fmt: skip
        """Let nodes send to nodes or addresses ("world:80", "10.0.0.1"), from `start` to before `stop`.

        `server` is the node that answers where it is not the one that has the address: behind a translation.
        `options` are FlowSpec's: kind, every (ns), count, size, flows, new_flows, sport, src, dev, ttl, tos, reply,
        hold, mode.
        """
        kind = options.setdefault("kind", "udp")
        sources = (source,) if isinstance(source, str) else tuple(source)
        targets = (to,) if isinstance(to, str) else tuple(to)
        destinations = tuple(self._destination(target, kind, server) for target in targets)
        self.apps.add(name, FlowSpec(sources=sources, destinations=destinations, **options))
        self.at(max(start, self.now), lambda: self.apps.start(name))
        if stop is not None:
            self.at(stop, lambda: self.apps.stop(name))

    def _destination(self, target: str, kind: str, server: str) -> Destination:
        host, _, port = target.partition(":")
        number = int(port) if port else DEFAULT_PORTS.get(kind, 0)
        if host in self.topology.nodes:
            address = first_address(self.topology.nodes[host])
            if address is None:
                raise SimulationError(f"{host} has no address to send to")
            return Destination(addr=parse_ip(address), port=number, node=server or host)
        try:
            addr = parse_ip(host)
        except ValueError:
            raise SimulationError(f"no node {host!r}; there are: {', '.join(self.topology.nodes)}") from None
        owner = server or self._owners.get(host) or self._owner_by_hand(host)
        return Destination(addr=addr, port=number, node=owner)

    def _owner_by_hand(self, address: str) -> str:
        """Return the node that was given an address by a command line, "" when none was."""
        for name, node in self.world.nodes.items():
            if f" inet {address}/" in node.set_up("ip -o addr").stdout.replace(" peer ", "/ "):
                return name
        return ""

    # Failures

    def event(
        self, verb: str, target: str, *, at: Ns | None = None, id_: str = "", **options: Any
    ) -> None:  # Any: by verb
        """Let something happen: any verb of a scenario file that concerns nodes, links and interfaces.

        At once, or at an instant. `options` are those of impair and flap, in ns, bits a second and fractions.
        """
        act = self._action(verb, target, options)

        def happen() -> None:
            self.bus.publish(WorldEvent(self.now, id_ or f"{verb}-{target}", verb, target))
            act()

        if at is None:
            happen()
        else:
            self.at(at, happen)

    def inject(self, end: str, packet: Any) -> None:  # Any: a scapy packet, or octets
        """Let a frame arrive at NODE:IFACE, now."""
        from netsim.wire.scapy_view import to_octets

        node, _, dev = end.partition(":")
        octets = bytes(packet) if isinstance(packet, (bytes, bytearray)) else to_octets(packet)
        self[node].node.inject(dev, octets)

    def _action(self, verb: str, target: str, options: Mapping[str, Any]) -> Callable[[], None]:  # Any: by verb
        world = self.world
        node_name, _, dev = target.partition(":")
        if verb in _ON_NODE:
            node = self[node_name].node
            return lambda: _ON_NODE[verb](node)
        if verb == "boot":
            node = self[node_name].node
            return lambda: failures.boot(node, self._set_up_again)
        if verb in {"start", "stop"}:
            return lambda: (self.apps.start if verb == "start" else self.apps.stop)(target)
        if verb in _ON_LINK:
            link = self.link(target).link
            return lambda: _ON_LINK[verb](world, link)
        if verb == "impair":
            link = self.link(target).link
            return lambda: failures.impair(link, **options)
        if verb == "repair":
            link = self.link(target).link
            return lambda: failures.repair(link, self._specs[target])
        if verb == "flap":
            link = self.link(target).link
            return lambda: failures.flap(world, link, **options)
        if verb not in _ON_INTERFACE:
            raise SimulationError(f"no verb {verb!r}")
        return self._on_interface(verb, self[node_name].node, dev)

    def _on_interface(self, verb: str, node: Node, dev: str) -> Callable[[], None]:
        port = next((port for port in self.ports[node.name] if port.name == dev), None)
        if verb in {"up", "down"}:
            return lambda: failures.set_up(node, dev, up=verb == "up")
        if verb == "remove":
            return lambda: failures.remove(node, dev)
        if port is None:
            raise SimulationError(f"{node.name} has no interface {dev!r} in its topology")
        if verb == "create":
            return lambda: failures.create(
                node, NewLink(name=dev, kind=port.kind, mac=parse_mac(port.mac), mtu=port.mtu)
            )
        if dev not in node.nics:
            raise SimulationError(f"{node.name}:{dev} is on no link")
        end = node.nics[dev]
        if verb in {"plug", "unplug"}:
            act = failures.plug if verb == "plug" else failures.unplug
            return lambda: act(self.world, end)
        muting = failures.mute if verb == "mute" else failures.unmute
        return lambda: muting(end)

    def _set_up_again(self, node: Node) -> None:
        """Set a booted box up as at the beginning; what it refuses this time is in the trace, as after any boot."""
        spec, ports = self.topology.nodes[node.name], self.ports[node.name]
        create_devices(node, spec, ports)
        for end in node.nics.values():
            if not end.link.carrier(end):
                node.carrier(end.dev, False)
        for refused in configure(node, spec, ports):
            if CommandRun in self.bus.wanted:
                result = refused.result
                self.bus.publish(CommandRun(self.now, node.name, refused.line, result.rc, result.stdout, result.stderr))
        self.apps.booted(node.name)


_ON_NODE: Mapping[str, Callable[[Node], None]] = MappingProxyType({
    "silence": failures.silence, "revive": failures.revive, "crash": failures.crash,
})  # fmt: skip
_ON_INTERFACE = ("up", "down", "remove", "create", "plug", "unplug", "mute", "unmute")
_ON_LINK: Mapping[str, Callable[[World, Link], None]] = MappingProxyType({"cut": failures.cut, "join": failures.join})


def _show(tap: PacketTap, t: Ns, frame: Frame) -> None:
    tap(t, frame.scapy)


def finish(answers: Iterable[CommandResult], done: Callable[[CommandResult], None] | None) -> None:
    """Put the answers of a script together, its status the last one's."""
    if done is None:
        return
    rc, out, err = 0, "", ""
    for answer in answers:
        rc, out, err = answer.rc, out + answer.stdout, err + answer.stderr
    done(CommandResult(out, err, rc))
