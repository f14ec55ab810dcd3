"""From a recipe to a topology: nodes with kernels and patches, links of every kind, addresses, routes and NAT."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from netsim.stack.profile.patches import REQUIRES_22, REQUIRES_24
from netsim.topology.generate import n_isps
from soak.recipe import Recipe

KERNELS = ("linux-6", "linux-6", "linux-2.4", "linux-2.4-routes", "linux-2.2", "linux-2.2-routes")
KEEP_SOURCE = ("linux-6", "linux-2.4-routes", "linux-2.2-routes")
"""The kernels that never let a connection's source leave by another uplink: what the seed's patches are for."""
INSIDE = "192.168.0.0/16"


@dataclass
class Network:
    """A topology as a file holds it, and what the storm and the watch want to know of it.

    `devices` maps a node to its devices, `address` NODE:DEV to the address there, `uplinks` the gateway's devices to
    the one source address that may leave by them.
    """

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, list[str]] = field(default_factory=dict)
    address: dict[str, str] = field(default_factory=dict)
    uplinks: dict[tuple[str, str], str] = field(default_factory=dict)

    def targets(self) -> list[str]:
        """Return every address of the network, loopback ones too."""
        return [text.partition("/")[0] for node in self.nodes.values() for text in _flat(node["addr"])]


def _flat(addr: dict[str, Any]) -> list[str]:
    return [text for value in addr.values() for text in ([value] if isinstance(value, str) else value)]


def network(recipe: Recipe) -> Network:
    """Build the recipe's topology."""
    rng = random.Random(recipe.taste)
    net = _gateway(recipe, rng) if recipe.form == "gateway" else _mesh(recipe, rng)
    for name in net.nodes:
        for end in _ends(net):
            node, _, dev = end.partition(":")
            if node == name and dev not in net.devices.setdefault(name, []):
                net.devices[name].append(dev)
    for name, node in net.nodes.items():
        for dev, value in node["addr"].items():
            net.address[f"{name}:{dev}"] = (value if isinstance(value, str) else value[0]).partition("/")[0]
    for link in net.links.values():
        _impair(link, rng, gentle=recipe.calm)
    return net


def _ends(net: Network) -> list[str]:
    return [end for link in net.links.values() for end in link["ends"]]


def _kernel(rng: random.Random) -> dict[str, Any]:
    """Choose a kernel, now and then with a set of patches of its own."""
    kernel = rng.choice(KERNELS)
    if kernel not in ("linux-2.2", "linux-2.4") or rng.random() < 0.5:
        return {"kernel": kernel}
    requires = REQUIRES_22 if kernel == "linux-2.2" else REQUIRES_24
    chosen: list[str] = []
    for name, needs in requires.items():
        if rng.random() < 0.5 and all(need in chosen for need in needs):
            chosen.append(name)
    return {"kernel": kernel, "patches": chosen}


def masquerade(kernel: str, dev: str, source: str = INSIDE) -> str:
    """Return the line that masquerades what leaves by a device, in the kernel's own tool."""
    if kernel.startswith("linux-2.2"):
        return f"ipchains -A forward -s {source} -i {dev} -j MASQ"
    return f"iptables -t nat -A POSTROUTING -s {source} -o {dev} -j MASQUERADE"


def _gateway(recipe: Recipe, rng: random.Random) -> Network:
    """Return the seed's router with one to four uplinks, its hosts on a hub or switch."""
    uplinks = rng.randint(1, min(4, max(1, (recipe.nodes - 2) // 2)))
    hosts = max(1, recipe.nodes - 2 - uplinks)
    plain = n_isps(uplinks, hosts=hosts).model_dump(by_alias=True, exclude_unset=True)
    net = Network(nodes={name: dict(node) for name, node in plain["nodes"].items()}, links=dict(plain["links"]))
    router = net.nodes["router"]
    router |= _kernel(rng)
    lines = [line for line in router["run"].split("\n") if not line.startswith("iptables")]
    lines += [masquerade(router["kernel"], f"wan{k}") for k in range(uplinks)]
    router["run"] = "\n".join(line for line in lines if line) + "\n"
    if router["kernel"] != "linux-6":
        router["sysctl"] = {"net.ipv4.ip_forward": 1}
    keeps = router["kernel"] in KEEP_SOURCE or {"nf_reroute", "key_gw"} & set(router.get("patches", ()))
    if recipe.calm and keeps:
        net.uplinks = {("router", f"wan{k}"): f"10.0.{k + 1}.2" for k in range(uplinks)}
    for name in net.nodes:
        if name != "router":
            net.nodes[name] |= _kernel(rng)
    lan = dict(net.links["lan"])
    lan.pop("rate"), lan.pop("delay")
    lan["ends"] = list(lan["ends"])
    if len(lan["ends"]) > 2:
        lan["kind"] = rng.choice(("hub", "switch"))
    net.links = {"lan": lan, **{k: {"ends": list(v["ends"])} for k, v in net.links.items() if k != "lan"}}
    return net


def _mesh(recipe: Recipe, rng: random.Random) -> Network:
    """Return a random tree of segments with some links more, statically routed, with NAT here and there."""
    names = [f"n{k}" for k in range(1, recipe.nodes + 1)]
    segments: list[tuple[str, list[str]]] = []
    for number, name in enumerate(names[1:], 1):
        shared = [members for kind, members in segments if kind in ("hub", "switch") and len(members) < 8]
        roll = rng.random()
        if shared and roll < 0.4:
            rng.choice(shared).append(name)
        else:
            kind = "ppp" if roll > 0.92 else "cable" if roll > 0.65 else rng.choice(("hub", "switch"))
            segments.append((kind, [rng.choice(names[:number]), name]))
    for _ in range(rng.randint(0, max(1, len(names) // 4))):
        segments.append(("cable", rng.sample(names, 2)))
    net = Network(nodes={name: {"addr": {}, **_kernel(rng), "interfaces": {}} for name in names})
    for number, (kind, members) in enumerate(segments, 1):
        ends = []
        for place, name in enumerate(members, 1):
            dev = f"{'ppp' if kind == 'ppp' else 'eth'}{len(net.nodes[name]['addr'])}"
            net.nodes[name]["addr"][dev] = f"10.{number}.0.{place}/24"
            if kind == "ppp":
                net.nodes[name]["interfaces"][dev] = {"kind": "ppp"}
            elif rng.random() < 0.1:
                net.nodes[name]["interfaces"][dev] = {"mtu": rng.choice((576, 1000, 1400))}
            ends.append(f"{name}:{dev}")
        link: dict[str, Any] = {"ends": ends}
        if kind in ("hub", "switch") and len(ends) > 2:
            link["kind"] = kind
        net.links[f"l{number}"] = link
    _route(net, segments, rng)
    return net


def _route(net: Network, segments: list[tuple[str, list[str]]], rng: random.Random) -> None:
    """Route every node to every segment by the shortest way, over two of them where there are two."""
    on: dict[str, list[int]] = {name: [] for name in net.nodes}
    for number, (_, members) in enumerate(segments):
        for name in members:
            on[name].append(number)
    for name, node in net.nodes.items():
        lines = []
        first = _first_hops(name, on, segments)
        for number in range(len(segments)):
            if number in on[name] or number not in first:
                continue
            hops = sorted(first[number])[:2]
            ways = [f"via 10.{seg + 1}.0.{segments[seg][1].index(peer) + 1}" for seg, peer in hops]
            if len(ways) == 2 and rng.random() < 0.5:
                lines.append(f"ip route add 10.{number + 1}.0.0/24 " + " ".join(f"nexthop {way}" for way in ways))
            else:
                lines.append(f"ip route add 10.{number + 1}.0.0/24 {ways[0]}")
        if lines and rng.random() < 0.3:
            lines.append(masquerade(node["kernel"], rng.choice(sorted(node["addr"])), "10.0.0.0/8"))
        node["run"] = "\n".join(lines) + "\n"
        if rng.random() < 0.3:
            node["sysctl"] = {"net.ipv4.conf.all.rp_filter": rng.choice((0, 1, 2))}
        if len(node["addr"]) > 1:
            node.setdefault("sysctl", {})["net.ipv4.ip_forward"] = 1


def _first_hops(
    name: str, on: dict[str, list[int]], segments: list[tuple[str, list[str]]]
) -> dict[int, set[tuple[int, str]]]:
    """Return, for each segment, the (segment, neighbour) that shortest ways begin with."""
    first: dict[int, set[tuple[int, str]]] = {}
    distance = {name: 0}
    begin: dict[str, set[tuple[int, str]]] = {name: set()}
    queue = deque([name])
    while queue:
        here = queue.popleft()
        for seg in on[here]:
            first.setdefault(seg, set()).update(begin[here])
            for peer in segments[seg][1]:
                way = begin[here] or {(seg, peer)}
                if peer not in distance:
                    distance[peer] = distance[here] + 1
                    begin[peer] = set(way)
                    queue.append(peer)
                elif distance[peer] == distance[here] + 1:
                    begin[peer] |= way
    return {seg: hops for seg, hops in first.items() if hops}


def _impair(link: dict[str, Any], rng: random.Random, *, gentle: bool) -> None:
    link["delay"] = rng.choice(("0ms", "50us", "1ms", "7ms", "40ms"))
    if rng.random() < 0.4:
        link["rate"] = rng.choice(("64kbit", "1Mbit", "100Mbit"))
    if rng.random() < 0.2:
        link["jitter"] = "3ms"
    if rng.random() < 0.2:
        link["loss"] = "5%"
    if rng.random() < 0.15:
        link["duplicate"] = "5%"
    if rng.random() < 0.15:
        link["reorder"] = "10%"
    if rng.random() < 0.1 and not gentle:
        link["corrupt"] = "5%"
    if rng.random() < 0.1:
        link["queue"] = rng.choice((1, 3))
