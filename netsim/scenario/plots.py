"""The figures of a result, from its JSON-able data alone: a saved run can be drawn again and looks the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from netsim.errors import ConfigError, Problem
from netsim.scenario.result import Result
from netsim.topology.graph import as_file
from netsim.topology.model import Topology

if TYPE_CHECKING:
    from netsim.observe.plot import Figure

_T = TypeVar("_T")
DRAWN_BY_DEFAULT = ("gateways", "timeline")
FORMATS = (".svg", ".png")


def _data(result: Result, name: str, read: Callable[[Any], _T]) -> _T:  # Any: JSON values
    """Read a plot's data, which any program may have written. Raises ConfigError."""
    hint = "run the scenario with this version of netsim again"
    if name not in result.plots:
        raise ConfigError(Problem("plot", 0, 0, "", f"this result holds no data for the plot {name}", hint))
    try:
        return read(result.plots[name])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(Problem("plot", 0, 0, "", f"no data for the plot {name}: {error}", hint)) from error


def _gateways(result: Result) -> Figure:
    from netsim.observe.plot.gateways import GatewaysData, draw_gateways
    from netsim.observe.plot.values import from_json

    return draw_gateways(_data(result, "gateways", partial(from_json, GatewaysData)))


def _timeline(result: Result) -> Figure:
    from netsim.observe.plot.timeline import TimelineData, draw_timeline
    from netsim.observe.plot.values import from_json

    return draw_timeline(_data(result, "timeline", partial(from_json, TimelineData)))


def _flows(result: Result) -> Figure:
    from netsim.observe.plot.flows import FlowsData, draw_flows
    from netsim.observe.plot.values import from_json

    return draw_flows(_data(result, "flows", partial(from_json, FlowsData)))


def _latency(result: Result) -> Figure:
    from netsim.observe.plot.latency import LatencyData, draw_latency
    from netsim.observe.plot.values import from_json

    return draw_latency(_data(result, "latency", partial(from_json, LatencyData)))


def _topology(result: Result) -> Figure:
    from netsim.observe.plot.topology import draw_topology as draw
    from netsim.observe.plot.topology import topology_data

    return draw(_data(result, "topology", partial(topology_data, title=result.scenario)))


PLOTS: Mapping[str, Callable[[Result], Figure]] = MappingProxyType({
    "gateways": _gateways,
    "neigh": _gateways,  # the states stand as bands under the traffic they explain
    "timeline": _timeline,
    "flows": _flows,
    "latency": _latency,
    "topology": _topology,
})  # fmt: skip


def plots_of(result: Result, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Return which figures to draw: those asked for, else the scenario's, else the default ones; each figure once."""
    names = wanted or (_data(result, "wanted", _names) if "wanted" in result.plots else ()) or DRAWN_BY_DEFAULT
    names = tuple(name for name in names if name != "ladder")
    drawn = {PLOTS[name]: name for name in reversed(names) if name in PLOTS}
    unknown = next((name for name in names if name not in PLOTS), None)
    if unknown is not None:
        result.plot(unknown)  # says in words that there is none
    return tuple(name for name in names if drawn[PLOTS[name]] == name)


def _names(data: Any) -> tuple[str, ...]:  # Any: JSON values
    if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
        raise TypeError(f"{data!r:.60} are no names")
    return tuple(data)


def save_plots(result: Result, folder: Path, wanted: Sequence[str] = ()) -> list[Path]:
    """Write each figure as SVG and PNG into `folder`; return the files."""
    from netsim.observe.plot.style import save

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in plots_of(result, wanted):
        figure = result.plot(name)
        for suffix in FORMATS:
            file = folder / f"{name}{suffix}"
            save(figure, file)
            files.append(file)
    return files


def svg_figures(result: Result) -> list[tuple[str, str]]:
    """Return (caption, SVG text) of each figure, for the report."""
    from io import BytesIO

    from netsim.observe.plot.style import save

    out = []
    for name in plots_of(result):
        buffer = BytesIO()
        save(result.plot(name), buffer, "svg")
        out.append((name, buffer.getvalue().decode()))
    return out


def draw_topology(topology: Topology, target: Path) -> None:
    """Draw a topology into a file: .svg, .png or .pdf. Raises ConfigError for another suffix or an unwritable file."""
    from netsim.observe.plot.style import save
    from netsim.observe.plot.topology import draw_topology as draw
    from netsim.observe.plot.topology import topology_data

    if target.suffix not in {".svg", ".png", ".pdf"}:
        raise ConfigError(
            Problem(str(target), 0, 0, "", f'"{target.suffix}" is no kind of picture', ".svg, .png or .pdf")
        )
    figure = draw(topology_data(as_file(topology), title=topology.name or target.stem, subtitle=[topology.about]))
    try:
        save(figure, target)
    except OSError as error:
        raise ConfigError(Problem(str(target), 0, 0, "", f"cannot be written: {error.strerror}")) from error
