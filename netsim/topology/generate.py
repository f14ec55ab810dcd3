"""Topologies by the number: the two-provider lab, n providers, chains and stars.

Addresses are RFC 1918 inside, 203.0.113.0/24 (RFC 5737) for the world and the seed's 10.0.N.0/24 between router and
provider N. Source: seed section 2 for the router's routing set-up.
"""

from __future__ import annotations

from netsim.topology.model import Topology

_MOST_ISPS = 200


def two_isps(hosts: int = 2) -> Topology:
    """Return the seed's masquerading router with two providers."""
    return n_isps(2, hosts=hosts, name="two-isps")


def n_isps(n: int, *, hosts: int = 2, name: str = "") -> Topology:
    """Return a masquerading router with `n` providers, and `hosts` inside hosts on a hub. Raises ValueError.

    Rules and routes are those of the seed's example, one table a provider from 20 on in steps of 1 past the tenth.
    """
    if not 1 <= n <= _MOST_ISPS:
        raise ValueError(f"between 1 and {_MOST_ISPS} providers, not {n}")
    if not 1 <= hosts <= 200:
        raise ValueError(f"between 1 and 200 hosts, not {hosts}")
    numbers = range(1, n + 1)
    wan = {k: f"wan{k - 1}" for k in numbers}
    router = {
        "addr": {"lan0": "192.168.0.1/24", **{wan[k]: f"10.0.{k}.2/24" for k in numbers}},
        "sysctl": {
            "net.ipv4.ip_forward": 1,
            "net.ipv4.fib_multipath_use_neigh": 1,
            "net.ipv4.fib_multipath_hash_policy": 1,
        },
        "run": _router_lines(n, wan),
    }
    world_run = "".join(f"ip route add 10.0.{k}.0/24 via 10.{k}.0.2\n" for k in numbers)
    nodes = {
        "router": router,
        **{
            f"isp{k}": {"addr": {"eth0": f"10.0.{k}.1/24", "eth1": f"10.{k}.0.2/30"}, "default": f"10.{k}.0.1"}
            for k in numbers
        },
        "world": {
            "addr": {"lo": "203.0.113.10/32", **{f"eth{k}": f"10.{k}.0.1/30" for k in numbers}},
            "run": world_run,
        },
        **{f"h{k}": {"addr": {"eth0": f"192.168.0.{k + 2}/24"}, "default": "192.168.0.1"} for k in range(1, hosts + 1)},
    }
    links = {
        "lan": {
            "ends": ["router:lan0", *(f"h{k}:eth0" for k in range(1, hosts + 1))],
            "rate": "100Mbit",
            "delay": "50us",
        },
        **{wan[k]: {"ends": [f"router:{wan[k]}", f"isp{k}:eth0"], "rate": "10Mbit", "delay": "5ms"} for k in numbers},
        **{f"core{k}": {"ends": [f"isp{k}:eth1", f"world:eth{k}"], "rate": "1Gbit", "delay": "10ms"} for k in numbers},
    }
    return Topology.model_validate({"name": name or f"{n}-isps", "nodes": nodes, "links": links})


def _router_lines(n: int, wan: dict[int, str]) -> str:
    lines = ["ip rule add prio 10 table main"]
    nexthops = ""
    for k in range(1, n + 1):
        table = 10 + 10 * k if n <= 7 else 19 + k
        lines.append(f"ip rule add prio {table} from 10.0.{k}.0/24 table {table}")
        lines.append(f"ip route append default via 10.0.{k}.1 dev {wan[k]} src 10.0.{k}.2 table {table}")
        nexthops += f" \\\n    nexthop via 10.0.{k}.1 dev {wan[k]}"
    cycle, local = (100, 200) if n <= 7 else (1000, 2000)
    lines.append(f"ip rule add prio {cycle} from 192.168.0.0/16 table {cycle}")
    lines.append(f"ip route add default table {cycle}{nexthops}")
    lines.append(f"ip rule add prio {local} table {local}")
    for k in range(1, n + 1):
        lines.append(f"ip route append default via 10.0.{k}.1 dev {wan[k]} src 10.0.{k}.2 table {local}")
    for k in range(1, n + 1):
        lines.append(f"iptables -t nat -A POSTROUTING -s 192.168.0.0/16 -o {wan[k]} -j MASQUERADE")
    return "\n".join(lines) + "\n"


def chain(n: int) -> Topology:
    """Return two hosts, h1 and h2, with `n` routers r1 to rn in a row between them. Raises ValueError."""
    if not 0 <= n <= 250:
        raise ValueError(f"between 0 and 250 routers, not {n}")
    names = ["h1", *(f"r{k}" for k in range(1, n + 1)), "h2"]
    nodes: dict[str, dict[str, object]] = {}
    links: dict[str, dict[str, object]] = {}
    for k, name in enumerate(names):
        addr, lines = {}, []
        if k > 0:
            addr["eth0"] = f"10.0.{k - 1}.2/24"
        if k < len(names) - 1:
            addr["eth1" if k else "eth0"] = f"10.0.{k}.1/24"
            links[f"l{k + 1}"] = {"ends": [f"{name}:{'eth1' if k else 'eth0'}", f"{names[k + 1]}:eth0"], "delay": "1ms"}
            lines += [f"ip route add 10.0.{net}.0/24 via 10.0.{k}.2" for net in range(k + 1, n + 1)]
        lines += [f"ip route add 10.0.{net}.0/24 via 10.0.{k - 1}.1" for net in range(k - 1)]
        nodes[name] = {"addr": addr, **({"run": "\n".join(lines) + "\n"} if lines else {})}
    return Topology.model_validate({"name": f"chain-{n}", "nodes": nodes, "links": links})


def star_lan(n: int) -> Topology:
    """Return `n` hosts on one hub, 192.168.0.1 and up. Raises ValueError."""
    if not 2 <= n <= 250:
        raise ValueError(f"between 2 and 250 hosts, not {n}")
    nodes = {f"h{k}": {"addr": {"eth0": f"192.168.0.{k}/24"}} for k in range(1, n + 1)}
    link = {"ends": [f"h{k}:eth0" for k in range(1, n + 1)], "kind": "hub", "rate": "100Mbit", "delay": "50us"}
    return Topology.model_validate({"name": f"star-lan-{n}", "nodes": nodes, "links": {"lan": link}})
