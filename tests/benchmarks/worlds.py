"""The networks that are measured."""

from __future__ import annotations

from typing import Any

from netsim.topology.model import Topology

HOPS = 4
"""Cables between the ends of `chain`."""


def chain() -> Topology:
    """Return h -- nat -- r1 -- r2 -- s on idle cables of infinite rate; nat masquerades, r1 and r2 route."""
    nodes = {
        "h": {"addr": {"eth0": ["192.168.0.3/24"]}, "default": "192.168.0.1"},
        "nat": {
            "addr": {"lan0": ["192.168.0.1/24"], "wan0": ["10.0.1.2/24"]},
            "default": "10.0.1.1",
            "run": "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE",
        },
        "r1": {"addr": {"eth0": ["10.0.1.1/24"], "eth1": ["10.0.2.1/24"]}, "default": "10.0.2.2"},
        "r2": {
            "addr": {"eth0": ["10.0.2.2/24"], "eth1": ["10.0.3.1/24"]},
            "run": "ip route add 10.0.1.0/24 via 10.0.2.1",
        },
        "s": {"addr": {"eth0": ["10.0.3.2/24"]}, "default": "10.0.3.1"},
    }
    links = {
        "a": {"ends": ["h:eth0", "nat:lan0"]}, "b": {"ends": ["nat:wan0", "r1:eth0"]},
        "c": {"ends": ["r1:eth1", "r2:eth0"]}, "d": {"ends": ["r2:eth1", "s:eth0"]},
    }  # fmt: skip
    return Topology.model_validate({"nodes": nodes, "links": links})


def pairs(nodes: int) -> Topology:
    """Return pairs of hosts, each pair on a cable: a large world in which every node is at work."""
    names = [f"n{number}" for number in range(nodes)]
    made = {
        name: {"addr": {"eth0": f"10.{number // 2 // 250}.{number // 2 % 250}.{number % 2 + 1}/24"}}
        for number, name in enumerate(names)
    }
    links = {f"c{at}": {"ends": [f"{names[at]}:eth0", f"{names[at + 1]}:eth0"]} for at in range(0, nodes, 2)}
    return Topology.model_validate({"nodes": made, "links": links})


def hub_of(hosts: int) -> Topology:
    """Return hosts on one hub."""
    nodes = {f"n{number}": {"addr": {"eth0": f"10.0.0.{number + 1}/24"}} for number in range(hosts)}
    links = {"hub": {"ends": [f"{name}:eth0" for name in nodes], "kind": "hub"}}
    return Topology.model_validate({"nodes": nodes, "links": links})


def lone() -> Topology:
    """Return one host on one cable with another, for what fills a table."""
    nodes: dict[str, Any] = {  # Any: as a file has it
        "a": {"addr": {"eth0": ["10.0.0.1/8"]}, "default": "10.0.0.2"},
        "b": {"addr": {"eth0": ["10.0.0.2/8"]}},
    }
    return Topology.model_validate({"nodes": nodes, "links": {"c": {"ends": ["a:eth0", "b:eth0"]}}})
