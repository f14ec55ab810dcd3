"""A topology as the text of its YAML file."""

from __future__ import annotations

import yaml

from netsim.topology.graph import as_file
from netsim.topology.model import Topology


class _Dumper(yaml.SafeDumper):
    """Writes command lines as blocks and everything else as PyYAML does, quoting what YAML 1.1 would misread."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not any(line.endswith(" ") for line in text.splitlines()) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(topology: Topology) -> str:
    """Return YAML text that `load_topology` reads back to the same topology."""
    return yaml.dump(
        as_file(topology), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True, default_flow_style=None
    )
