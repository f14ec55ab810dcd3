"""The typer application: which commands there are, in the order that help lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from netsim.cli.check import check
from netsim.cli.diff import diff
from netsim.cli.doctor import doctor
from netsim.cli.explain import explain
from netsim.cli.live import live
from netsim.cli.new import new
from netsim.cli.plot import plot
from netsim.cli.run import run
from netsim.cli.schema import schema
from netsim.cli.shell import shell
from netsim.cli.show import show
from netsim.cli.sweep import sweep
from netsim.cli.test import run_folders
from netsim.cli.topo import topo
from netsim.cli.verify import verify

_EPILOG = (
    "Exit status: 0 all expectations hold, 1 one failed, 2 wrong input, 3 a bug in netsim (--debug shows where), "
    "4 skipped."
)

_COMMANDS: Mapping[str, Callable[..., None]] = MappingProxyType({
    "run": run, "check": check, "test": run_folders, "plot": plot, "show": show, "shell": shell,
    "explain": explain, "sweep": sweep, "diff": diff, "verify": verify, "live": live, "schema": schema, "new": new,
    "doctor": doctor,
})  # fmt: skip


def _version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"netsim {version('netsim-linux')}")
        except PackageNotFoundError:  # run from a checkout that is not installed
            typer.echo("netsim, not installed")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Emulate networks of Linux boxes on a virtual clock: policy routing, dead gateways, NAT, from YAML to verdicts.

    Example: netsim run scenarios/dead-gateway.yaml
    """


def build() -> typer.Typer:
    """Put the application together."""
    made = typer.Typer(name="netsim", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    made.callback(epilog=_EPILOG)(_root)
    for name, command in _COMMANDS.items():
        made.command(name)(command)
    made.add_typer(topo(), name="topo")
    return made


app = build()
