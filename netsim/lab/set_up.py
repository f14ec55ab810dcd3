"""Setting a box up as its topology says: devices, sysctl, addresses with devices up, default route, lines; and links.

Source: design/scenario-format.md, "Order of set-up on every box"; "`conf.default.*` and `neigh.default.*` apply before
devices exist, all others after"; "Set-up lines must succeed: a refusal is an input error in Linux's own words".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netsim.addr import parse_mac, parse_prefix
from netsim.shell.tool import CommandResult
from netsim.sim.impair import LineSpec
from netsim.sim.node import Node
from netsim.stack.errno import Refusal
from netsim.stack.requests import NewAddr, NewLink, SetLink
from netsim.topology.commands import expand
from netsim.topology.model import Direction
from netsim.topology.model import Node as NodeSpec
from netsim.topology.ports import Port, forwards

_FORWARD = "net.ipv4.ip_forward"


@dataclass(frozen=True, slots=True)
class Refused:
    """A set-up step that the box refused: `part` as a path below the node, `index` of a line among the run lines."""

    node: str
    part: str
    index: int
    line: str
    result: CommandResult

    @property
    def words(self) -> str:
        """What Linux said, on one line."""
        said = self.result.stderr.strip() or self.result.stdout.strip() or f"exit status {self.result.rc}"
        return "; ".join(line.strip() for line in said.splitlines())


def is_default(key: str) -> bool:
    """Tell whether a sysctl is a template that new devices copy."""
    return ".conf.default." in key.replace("/", ".") or ".neigh.default." in key.replace("/", ".")


def create_devices(node: Node, spec: NodeSpec, ports: Sequence[Port]) -> None:
    """Make a box's devices, after the templates they copy; a wrong template is told by `configure`."""
    for key, value in spec.sysctl.items():
        if is_default(key):
            node.set_up(f"sysctl -w '{key}={value}'")
    for port in ports:
        node.request(NewLink(name=port.name, kind=port.kind, mac=parse_mac(port.mac), mtu=port.mtu))


def configure(node: Node, spec: NodeSpec, ports: Sequence[Port]) -> list[Refused]:
    """Carry out the rest of the set-up; return everything that was refused."""
    steps = (_sysctls(node, spec), _addresses(node, spec, ports), _default(node, spec), _lines(node, spec))
    return [refused for step in steps for refused in step]


def _try(node: Node, part: str, index: int, line: str) -> Iterator[Refused]:
    result = node.set_up(line)
    if result.rc != 0:
        yield Refused(node.name, part, index, line, result)


def _sysctls(node: Node, spec: NodeSpec) -> Iterator[Refused]:
    if _FORWARD not in spec.sysctl and forwards(spec):
        yield from _try(node, "sysctl", 0, f"sysctl -w {_FORWARD}=1")
    for key, value in spec.sysctl.items():
        yield from _try(node, f"sysctl.{key}", 0, f"sysctl -w '{key}={value}'")


def _addresses(node: Node, spec: NodeSpec, ports: Sequence[Port]) -> Iterator[Refused]:
    node.request(SetLink(dev="lo", up=True))
    for dev, addresses in spec.addr.items():
        for text in addresses:
            local = parse_prefix(text)
            answer = node.request(NewAddr(dev=dev, local=local.addr, plen=local.plen))
            if isinstance(answer, Refusal):
                yield from _try(node, f"addr.{dev}", 0, f"ip addr add {text} dev {dev}")
    wanted_up = {port.name: port.up for port in ports}
    for dev in dict.fromkeys((*wanted_up, *spec.addr)):
        if wanted_up.get(dev, True):
            node.request(SetLink(dev=dev, up=True))


def _default(node: Node, spec: NodeSpec) -> Iterator[Refused]:
    if spec.default is not None:
        yield from _try(node, "default", 0, f"ip route add default via {spec.default}")


def _lines(node: Node, spec: NodeSpec) -> Iterator[Refused]:
    for index, command in enumerate(expand(spec.run)):
        yield from _try(node, "run", index, command.text)


def line_spec(direction: Direction) -> LineSpec:
    """Turn a topology's settings of one direction into the line's; what is not given is the line's default."""
    given = {name: getattr(direction, name) for name in Direction.model_fields}
    return LineSpec(**{name: value for name, value in given.items() if value is not None})
