"""`netsim topo`: list, draw, convert and plan topologies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Json

if TYPE_CHECKING:
    from netsim.topology.model import Topology

_FILE = Annotated[str, typer.Argument(help="Topology or scenario file: .yaml, .graphml, .gml, .json.", metavar="FILE")]

_SUFFIXES = (".yaml", ".yml", ".graphml", ".gml", ".json")


def topo() -> typer.Typer:
    """Build the group of topology commands."""
    about = "List, draw, convert and plan topologies.\n\nExample: netsim topo list topologies"
    group = typer.Typer(no_args_is_help=True, help=about)
    group.command("list")(list_)
    group.command()(draw)
    group.command()(convert)
    group.command()(plan)
    return group


def list_(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders; default: topologies.", metavar="PATHS", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """List topology files with their nodes, links and gateways.

    Example: netsim topo list topologies
    """
    from netsim.cli.output import rows
    from netsim.scenario.load import load_topology

    found: list[dict[str, Any]] = []  # Any: JSON values
    for path in [Path(each) for each in paths or ["topologies"]]:
        for file in (
            sorted(each for each in path.iterdir() if each.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
        ):
            topology = load_topology(file)
            found.append({
                "file": str(file), "name": topology.name, "nodes": len(topology.nodes), "links": len(topology.links),
                "gateways": list(topology.gateways), "about": topology.about,
            })  # fmt: skip
    if json:
        from json import dumps

        typer.echo(dumps(found, indent=2, ensure_ascii=False))
        return
    rows([
        [each["file"], f"{each['nodes']} nodes", f"{each['links']} links", ",".join(each["gateways"]), each["about"]]
        for each in found
    ])  # fmt: skip


def draw(
    file: _FILE,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Picture to write; default: NAME.svg here.", show_default=False),
    ] = None,
) -> None:
    """Draw a topology as SVG, PNG or PDF, by the suffix of --out.

    Example: netsim topo draw topologies/two-isps.yaml --out two-isps.png
    """
    from netsim.cli.output import progress
    from netsim.scenario.load import load
    from netsim.scenario.plots import draw_topology

    target = Path(out) if out else Path(Path(file).stem + ".svg")
    with progress(f"drawing {file}"):
        draw_topology(load(file, kind="any").effective_topology(), target)
    typer.echo(str(target))


def convert(
    source: _FILE,
    target: Annotated[str, typer.Argument(help="File to write; its suffix says how.", metavar="OUT")],
) -> None:
    """Convert a topology between YAML, GraphML, GML and node-link JSON.

    Example: netsim topo convert topologies/two-isps.yaml two-isps.graphml
    """
    from netsim.cli.output import progress
    from netsim.scenario.load import load

    with progress(f"converting {source}"):
        _write(load(source, kind="any").effective_topology(), target)
    typer.echo(target)


def plan(
    source: Annotated[str, typer.Argument(help="Bare graph: .graphml, .gml, .json.", metavar="GRAPH")],
    target: Annotated[str, typer.Argument(help="Topology file to write; its suffix says how.", metavar="OUT")],
) -> None:
    """Make a topology of a public map. Adds addresses, delays by distance, routes and ways around a broken link.

    Example: netsim topo plan topologies/public/abilene.graphml abilene.yaml
    """
    from netsim.cli.output import progress
    from netsim.errors import ConfigError, Problem
    from netsim.topology.importers import GraphError, load_graph
    from netsim.topology.model import Topology
    from netsim.topology.planning import plan as made

    with progress(f"planning {source}"):
        try:
            topology = Topology.model_validate(made(load_graph(Path(source))))
        except GraphError as error:
            raise ConfigError(Problem(source, 0, 0, "", str(error))) from error
        _write(topology, target)
    typer.echo(target)


def _write(topology: Topology, target: str) -> None:
    """Write a topology by the file's suffix. Raises ConfigError."""
    from netsim.errors import ConfigError, Problem
    from netsim.topology.importers import GraphError, write_topology

    try:
        write_topology(topology, Path(target))
    except GraphError as error:
        raise ConfigError(Problem(target, 0, 0, "", str(error))) from error
    except OSError as error:
        raise ConfigError(Problem(target, 0, 0, "", f"cannot be written: {error.strerror}")) from error
