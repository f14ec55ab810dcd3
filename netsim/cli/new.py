"""`netsim new`: a scenario to begin with, that runs and holds as it is."""

from __future__ import annotations

from typing import Annotated

import typer

_TEMPLATE = """\
# {name}: an inside host, a NAT router, one provider and the world.
#
#     h1 -- lan -- router -- wan -- isp1 -- core -- world 203.0.113.10
#
# Words and their meaning while you type: netsim schema > netsim.schema.json (the last line tells your editor).

name: {name}
about: say here what this scenario shows
seed: 7
duration: 30s

topology:
  nodes:
    h1: {{addr: {{eth0: 192.168.0.3/24}}, default: 192.168.0.1}}
    router:
      addr: {{lan0: 192.168.0.1/24, wan0: 10.0.1.2/24}}
      default: 10.0.1.1
      run: |
        iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -o wan0 -j MASQUERADE
    isp1: {{addr: {{eth0: 10.0.1.1/24, eth1: 203.0.113.1/24}}}}
    world: {{addr: {{eth0: 203.0.113.10/24}}, default: 203.0.113.1}}
  links:
    lan: {{ends: [h1:eth0, router:lan0]}}
    wan: {{ends: [router:wan0, isp1:eth0], rate: 10Mbit, delay: 5ms}}
    core: {{ends: [isp1:eth1, world:eth0], delay: 10ms}}

traffic:
  web: {{from: h1, to: world:80, kind: udp, every: 100ms, size: 400}}

events:
  - {{at: 10s, id: wan-cut, cut: wan}}
  - {{at: 15s, id: wan-back, join: wan}}

expect:
  - name: everything arrives before the cut
    flow: web
    during: 0s..9s
    delivered: 100%
  - name: no inside address leaves the router
    capture: router:wan0
    filter: net 192.168.0.0/16
    count: 0
  - name: the outage is as long as the cut
    flow: web
    longest_gap: 4s..7s

observe: {{plot: [gateways, timeline], bin: 500ms}}
# yaml-language-server: $schema=netsim.schema.json
"""


def new(
    name: Annotated[str, typer.Argument(help="Name of the scenario; NAME.yaml is written here.", metavar="NAME")],
) -> None:
    """Write a scenario to begin with: NAME.yaml in this folder.

    Example: netsim new my-office && netsim run my-office.yaml
    """
    from pathlib import Path

    from netsim.errors import ConfigError, Problem
    from netsim.topology.fields import NAME

    path = Path(name if name.endswith(".yaml") else f"{name}.yaml")
    if NAME.fullmatch(path.stem) is None:
        raise ConfigError(
            Problem(str(path), 0, 0, "", f'"{path.stem}" is no name for a scenario', "letters, digits, _ . -")
        )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(name=path.stem))
    except FileExistsError as error:
        raise ConfigError(Problem(str(path), 0, 0, "", "exists already", "choose another name or remove it")) from error
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, "", f"cannot be written: {error.strerror}")) from error
    typer.echo(str(path))
