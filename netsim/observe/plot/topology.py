"""The drawing of a topology: hosts at the left, the world at the right, a LAN as a bus, device and address at each end.

Drawn from a `TopologyData`; `topology_data` makes one of a topology file's own keys. Lines leave a box at a port of
their own and run level until their label ends, so that no label stands on a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netsim.observe.plot import layout, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOX_WIDTH, BOX_HEIGHT, PORT, GAP = 150, 64, 50, 46
STUB_PAD = 16
MARGIN, HEADER = 60, 130
HOST, ROUTER, GATEWAY = "host", "router", "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDrawn:
    """A box: `note` stands below the name (kernel, loopback address; one a line), `role` is host, router or gateway."""

    name: str
    note: str = ""
    role: str = HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDrawn:
    """One end of a link; `address` as written, several joined by commas, "" for none."""

    node: str
    dev: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDrawn:
    """A link: `kind` is cable, hub or switch; `note` tells rate, delay and loss."""

    name: str
    ends: tuple[EndDrawn, ...]
    kind: str = "cable"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyData:
    """All of the picture."""

    title: str
    nodes: tuple[NodeDrawn, ...]
    links: tuple[LinkDrawn, ...]
    subtitle: tuple[str, ...] = ()


def topology_data(
    topology: Mapping[str, Any], *, title: str, subtitle: Sequence[str] = ()
) -> TopologyData:  # Any: YAML
    """Make the data of a mapping with the keys of a topology file (`nodes:`, `links:`)."""
    nodes = topology.get("nodes") or {}
    links = topology.get("links") or {}
    ports: dict[str, int] = {}
    for link in links.values():
        for end in link["ends"]:
            node = end.partition(":")[0]
            ports[node] = ports.get(node, 0) + 1
    drawn = []
    for name, given in nodes.items():
        node = given or {}
        gateway = node.get("gateway", name.startswith(("isp", "gw")))
        role = GATEWAY if gateway else ROUTER if ports.get(name, 0) > 1 else HOST
        loopback = _address(node, "lo")
        note = [str(node["kernel"])] if node.get("kernel") else []
        drawn.append(NodeDrawn(name=name, note="\n".join(note + ([f"lo {loopback}"] if loopback else [])), role=role))
    return TopologyData(
        title=title,
        subtitle=tuple(subtitle),
        nodes=tuple(drawn),
        links=tuple(_link(name, link, nodes) for name, link in links.items()),
    )


def _link(name: str, link: Mapping[str, Any], nodes: Mapping[str, Any]) -> LinkDrawn:  # Any: YAML
    ends = []
    for end in link["ends"]:
        node, _, dev = end.partition(":")
        ends.append(EndDrawn(node=node, dev=dev, address=_address(nodes.get(node) or {}, dev)))
    kind = link.get("kind") or ("hub" if len(ends) > 2 else "cable")
    told = [str(link[key]) for key in ("rate", "delay") if link.get(key)]
    told += [f"{key} {link[key]}" for key in ("loss", "jitter") if link.get(key)]
    return LinkDrawn(name=name, ends=tuple(ends), kind=str(kind), note=", ".join(told))


def _address(node: Mapping[str, Any], dev: str) -> str:  # Any: YAML
    address = (node.get("addr") or {}).get(dev, "")
    return ", ".join(str(a) for a in address) if isinstance(address, list | tuple) else str(address)


@dataclass(slots=True)
class _Placed:
    """A vertex on the sheet; a bus has no width."""

    x: float
    y: float
    height: float
    bus: bool


@dataclass(slots=True)
class _Port:
    """Where a line meets a box: `side` is -1 left, 1 right."""

    vertex: str
    x: float
    y: float
    side: int
    label: EndDrawn


def bus_key(link: LinkDrawn) -> str:
    """Return the vertex name of a link drawn as a bus (no node's name can have a blank)."""
    return f"link {link.name}"


def is_bus(link: LinkDrawn) -> bool:
    """Tell whether a link is drawn as a bus."""
    return len(link.ends) > 2 or link.kind != "cable"


def draw_topology(data: TopologyData) -> Figure:
    """Draw the plot; save it with `style.save`."""
    with style.look():
        placed, width, height = _place(data)
        figure = style.new_figure(round(height), round(width))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        title = style.shorten(data.title, width - 2 * MARGIN, style.TITLE, bold=True)
        axes.text(MARGIN, 41, title, fontsize=style.TITLE, weight="bold", color=style.INK, va="center")
        subtitle = style.shorten("   ·   ".join(data.subtitle), width - 2 * MARGIN, style.SUBTITLE)
        axes.text(MARGIN, 84, subtitle, fontsize=style.SUBTITLE, color=style.MUTED, va="center")
        _draw_links(axes, data, placed)
        gateways = 0
        for node in data.nodes:
            fill = "#eef1f4" if node.role == HOST else "white"
            edge = style.INK if node.role == ROUTER else style.MUTED
            if node.role == GATEWAY:
                edge = style.series(gateways)[1]
                gateways += 1
            _draw_box(axes, node, placed[node.name], fill, edge)
    return figure


def _place(data: TopologyData) -> tuple[dict[str, _Placed], float, float]:
    """Return the vertices with their places, and the size of the sheet."""
    graph = layout.Graph()
    for node in data.nodes:
        graph.add(node.name)
    for link in data.links:
        if is_bus(link):
            graph.add(bus_key(link))
            for end in link.ends:
                graph.join(bus_key(link), end.node)
        else:
            graph.join(link.ends[0].node, link.ends[1].node)
    buses = {bus_key(link) for link in data.links if is_bus(link)}
    layers = layout.order_layers(layout.assign_layers(graph), graph)
    heights = _heights(data, {name: index for index, names in enumerate(layers) for name in names})
    stub = max((_stub(end) for link in data.links for end in link.ends), default=60.0)
    tallest = max((sum(heights[n] for n in names) + GAP * (len(names) - 1) for names in layers), default=0.0)
    middle = HEADER + tallest / 2 + 10
    placed: dict[str, _Placed] = {}
    x = MARGIN + BOX_WIDTH / 2
    for index, names in enumerate(layers):
        if index:
            hop = all(n in buses for n in names) or all(n in buses for n in layers[index - 1])
            x += BOX_WIDTH / 2 + stub + 50 if hop else BOX_WIDTH + 2 * stub + 60
        for name, y in zip(names, layout.stack([heights[n] for n in names], GAP, middle), strict=True):
            placed[name] = _Placed(x, y, heights[name], name in buses)
    width = max(x + BOX_WIDTH / 2 + MARGIN + (stub if _turns_back(data, placed) else 0), 900.0)
    return placed, width, middle + tallest / 2 + 50


def _heights(data: TopologyData, layer: Mapping[str, int]) -> dict[str, float]:
    """Return how tall each vertex is: room for its text, and for the ports on its fuller side."""
    sides: dict[tuple[str, bool], int] = {}
    for link in data.links:
        for index, end in enumerate(link.ends):
            other = bus_key(link) if is_bus(link) else link.ends[1 - index].node
            left = layer[other] < layer[end.node]
            sides[(end.node, left)] = sides.get((end.node, left), 0) + 1
    out: dict[str, float] = dict.fromkeys((bus_key(link) for link in data.links if is_bus(link)), 30.0)
    for node in data.nodes:
        ports = max(sides.get((node.name, left), 0) for left in (False, True))
        lines = len(node.note.splitlines())
        out[node.name] = max(BOX_HEIGHT + 20 * max(0, lines - 1), PORT * ports)
    return out


def _turns_back(data: TopologyData, placed: Mapping[str, _Placed]) -> bool:
    """Tell whether a cable joins two boxes of the last layer, so that its labels stand right of them."""
    right = max((p.x for p in placed.values()), default=0.0)
    cables = [link for link in data.links if not is_bus(link)]
    return any(all(placed[end.node].x == right for end in link.ends) for link in cables)


def _stub(end: EndDrawn) -> float:
    return max(style.text_width(end.dev, style.NOTE), style.text_width(end.address, style.SMALL)) + STUB_PAD


def _ports(data: TopologyData, placed: Mapping[str, _Placed]) -> dict[tuple[str, int], _Port]:
    """Give each end of each link a port on the side that faces the other end, sorted by where that lies."""
    wanted: dict[tuple[str, int], list[tuple[float, float, tuple[str, int], EndDrawn]]] = {}
    for link in data.links:
        for index, end in enumerate(link.ends):
            if is_bus(link):
                other = placed[bus_key(link)]
            else:
                other = placed[link.ends[1 - index].node]
            own = placed[end.node]
            side = -1 if other.x < own.x else 1
            wanted.setdefault((end.node, side), []).append((other.y, other.x, (link.name, index), end))
    out: dict[tuple[str, int], _Port] = {}
    for (node, side), entries in wanted.items():
        own = placed[node]
        entries.sort(key=lambda entry: entry[:3])
        ys = layout.stack([0.0] * len(entries), PORT, own.y)
        for y, (_, _, key, end) in zip(ys, entries, strict=True):
            out[key] = _Port(node, own.x + side * BOX_WIDTH / 2, y, side, end)
    return out


def _draw_links(axes: Axes, data: TopologyData, placed: Mapping[str, _Placed]) -> None:
    ports = _ports(data, placed)
    for link in data.links:
        ends = [ports[(link.name, index)] for index in range(len(link.ends))]
        for port in ends:
            _draw_label(axes, port)
        if is_bus(link):
            bus = placed[bus_key(link)]
            ys = [port.y for port in ends] + [bus.y]
            for port in ends:
                axes.plot([port.x, bus.x], [port.y, port.y], color=style.MUTED, lw=1.1, zorder=1)
            top, bottom = min(ys) - 18, max(ys) + 18
            line = axes.plot([bus.x, bus.x], [top, bottom], color=style.INK, lw=4, solid_capstyle="round", zorder=2)[0]
            line.set_gid(f"link-{link.name}")
            kind = f"{link.name} ({link.kind})" + (f"\n{link.note}" if link.note else "")
            axes.text(bus.x, top - 12, kind, fontsize=style.NOTE, color=style.INK, ha="center", va="bottom")
            continue
        a, b = ends
        ax, bx = a.x + a.side * _stub(a.label), b.x + b.side * _stub(b.label)
        if a.side == b.side:  # both in one layer: out, down and back
            ax = bx = max(ax, bx) + 16 if a.side > 0 else min(ax, bx) - 16
        line = axes.plot([a.x, ax, bx, b.x], [a.y, a.y, b.y, b.y], color=style.MUTED, lw=1.1, zorder=1)[0]
        line.set_gid(f"link-{link.name}")
        if link.note:
            box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
            axes.text(
                (ax + bx) / 2, (a.y + b.y) / 2, link.note, fontsize=style.SMALL, color=style.MUTED, ha="center",
                va="center", bbox=box, zorder=3,
            )  # fmt: skip


def _draw_label(axes: Axes, port: _Port) -> None:
    x = port.x + port.side * 8
    align = "left" if port.side > 0 else "right"
    axes.text(x, port.y - 4, port.label.dev, fontsize=style.NOTE, color=style.INK, ha=align, va="bottom")
    if port.label.address:
        axes.text(x, port.y + 5, port.label.address, fontsize=style.SMALL, color=style.MUTED, ha=align, va="top")


def _draw_box(axes: Axes, node: NodeDrawn, at: _Placed, fill: str, edge: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (at.x - BOX_WIDTH / 2 + 6, at.y - at.height / 2 + 6)
    box = FancyBboxPatch(
        corner, BOX_WIDTH - 12, at.height - 12, boxstyle="round,pad=6,rounding_size=9", facecolor=fill, edgecolor=edge,
        linewidth=1.4, zorder=4,
    )  # fmt: skip
    box.set_gid(f"node-{node.name}")
    axes.add_patch(box)
    name = style.shorten(node.name, BOX_WIDTH - 16, style.MARK, bold=True)
    lines = node.note.splitlines()
    y = at.y - 10 * len(lines)
    axes.text(at.x, y, name, fontsize=style.MARK, weight="bold", color=style.INK, ha="center", va="center", zorder=5)
    for number, line in enumerate(lines, 1):
        note = style.shorten(line, BOX_WIDTH - 14, style.SMALL)
        below = y + 5 + 20 * number
        axes.text(at.x, below, note, fontsize=style.SMALL, color=style.MUTED, ha="center", va="center", zorder=5)
