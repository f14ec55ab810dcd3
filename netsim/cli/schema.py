"""`netsim schema`: the JSON schema of scenario or topology files, for editors."""

from __future__ import annotations

from typing import Annotated

import typer


def schema(
    topology: Annotated[bool, typer.Option("--topology", help="The schema of topology files instead.")] = False,
) -> None:
    """Print the JSON schema of scenario files. Editors with yaml-language-server take it.

    Example: netsim schema > netsim.schema.json, then begin a file with
    "# yaml-language-server: $schema=netsim.schema.json"
    """
    from json import dumps

    from netsim.scenario.schema import scenario_schema, topology_schema

    typer.echo(dumps(topology_schema() if topology else scenario_schema(), indent=2, ensure_ascii=False))
