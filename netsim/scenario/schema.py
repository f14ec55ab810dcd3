"""The JSON schema of scenario and topology files, in the 2020-12 dialect that yaml-language-server reads.

The same models that load the files make it, so it cannot fall behind them. Editors check forms and complete keys;
`netsim check` also knows names, units and command lines.
"""

from __future__ import annotations

from typing import Any

from netsim.scenario.actions import VERBS
from netsim.scenario.model import Scenario
from netsim.topology.model import Topology

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def topology_schema() -> dict[str, Any]:  # Any: a JSON schema
    """Return the schema of topology files."""
    return {"$schema": _DIALECT, **Topology.model_json_schema(by_alias=True), "title": "netsim topology"}


def scenario_schema() -> dict[str, Any]:  # Any: a JSON schema
    """Return the schema of scenario files."""
    schema = Scenario.model_json_schema(by_alias=True)
    properties, definitions = schema["properties"], schema["$defs"]
    properties["topology"] = {
        "description": "the topology, here or in a file of its own",
        "anyOf": [{"type": "string", "examples": ["../topologies/two-isps.yaml"]}, properties["topology"]],
    }
    definitions["Event"]["oneOf"] = [{"required": [verb]} for verb in VERBS]
    for name in VERBS:  # null is how the model says absent; files leave the key out
        _without_null(definitions["Event"]["properties"][name])
    return {"$schema": _DIALECT, **schema, "title": "netsim scenario"}


def _without_null(schema: dict[str, Any]) -> None:  # Any: a JSON schema
    kept = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kept) == 1:
        del schema["anyOf"]
        schema.update(kept[0])
    schema.pop("default", None)
