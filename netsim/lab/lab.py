"""Lab: a network on a clock, as people script it: nodes with a shell, links with taps, events, time.

lab = Lab.from_topology(two_isps())
lab["router"].sh("ip neigh").stdout
lab.event("silence", "isp1", at=sec(60))
lab.run(until=sec(120))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from netsim.addr import parse_ip
from netsim.errors import ConfigError, Problem, SimulationError
from netsim.lab.handles import LabLink, LabNode
from netsim.lab.set_up import Refused, configure, create_devices, line_spec
from netsim.lab.verbs import Verbs, named
from netsim.seeds import Seed
from netsim.shell.tool import CommandResult
from netsim.sim.apps.build import Applications, Destination, FlowSpec
from netsim.sim.apps.ports import DEFAULT_PORTS
from netsim.sim.clock import STEP, Environment
from netsim.sim.tools.script import run_script, takes_time
from netsim.sim.world import World
from netsim.stack.profile import profile
from netsim.topology.graph import from_graph
from netsim.topology.model import Topology
from netsim.topology.ports import Port, first_address, ports_of
from netsim.trace.bus import Bus
from netsim.trace.records import WorldEvent
from netsim.units import Ns

if TYPE_CHECKING:
    from netsim.topology.graph import Graph

Describe: TypeAlias = Callable[[Refused], Problem]


def describe_plainly(refused: Refused) -> Problem:
    """Tell a refused set-up line without a place in a file."""
    return Problem("<topology>", 0, 0, f"nodes.{refused.node}.{refused.part}", refused.words, refused.line)


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
        self._verbs = Verbs(self.world, topology, self.ports, self.apps)
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
        return LabNode(named(self.world.nodes, "node", name))

    def link(self, name: str) -> LabLink:
        """Return a link. Raises KeyError with the names there are."""
        return LabLink(named(self.world.links, "link", name))

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
        act = self._verbs.act(verb, target, options)

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


def finish(answers: Iterable[CommandResult], done: Callable[[CommandResult], None] | None) -> None:
    """Put the answers of a script together, its status the last one's."""
    if done is None:
        return
    rc, out, err = 0, "", ""
    for answer in answers:
        rc, out, err = answer.rc, out + answer.stdout, err + answer.stderr
    done(CommandResult(out, err, rc))
