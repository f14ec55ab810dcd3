"""From a recipe to traffic and events: every verb, and lines of every tool on any box, on any edge of the clock."""

from __future__ import annotations

import random
from typing import Any

from soak.network import Network, masquerade
from soak.recipe import Recipe

EDGES = (0, 1, 10_000_000, 999_999_999, 1_000_000_000, 250_000_000, 500_000_000, 123_456_789)
"""Offsets into a second: ticks, whole seconds, and one beside each."""
LINK_VERBS = ("cut", "join", "repair")
NODE_VERBS = ("silence", "revive", "crash", "boot")
END_VERBS = ("unplug", "plug", "mute", "unmute", "down", "up", "remove", "create")
CALM_VERBS = ("silence", "revive", "cut", "join", "repair", "mute", "unmute", "flap", "impair", "flow", "look", "neigh")
WILD_VERBS = (*NODE_VERBS, *LINK_VERBS, *END_VERBS, "flap", "impair", "flow", "inject", "look", "neigh", "ip", "sysctl",
              "firewall", "firewall", "ip", "sysctl")  # fmt: skip


def traffic(recipe: Recipe, net: Network) -> dict[str, dict[str, Any]]:
    """Return the recipe's flows."""
    names = list(net.nodes)
    senders = [name for name in names if name.startswith("h")] if recipe.form == "gateway" else names
    flows: dict[str, dict[str, Any]] = {}
    for number, (kind, source, target, pace, extra) in enumerate(recipe.flows):
        what = ("udp", "udp", "ping", "tcp", "http", "ftp")[kind % 6]
        sender = senders[source % len(senders)]
        others = [name for name in names if name != sender]
        peer = "world" if recipe.form == "gateway" and target % 4 else others[target % len(others)]
        flow: dict[str, Any] = {
            "from": sender, "to": f"{peer}:{5000 + number}" if what != "ping" else peer, "kind": what,
            "every": ("50ms", "100ms", "333ms", "1s")[pace % 4], "start": f"{(0, 0, 1000, 1500)[pace // 4 % 4]}ms",
        }  # fmt: skip
        size = (20, 56, 400, 1472, 1473, 4000, 9000)[extra % 7]
        flow["size"] = size
        if what == "udp":
            flow["reply"] = bool(extra & 8)
            flow["new_flows"] = bool(extra & 16)
            flow["flows"] = 1 + extra // 32 % 4
        if what == "tcp":
            flow["hold"] = bool(extra & 8)
        if what in ("http", "ftp"):
            flow["every"] = ("200ms", "1s")[pace % 2]
        if what == "ftp":
            flow["mode"] = ("active", "passive")[extra // 8 % 2]
            flow["to"] = peer
        if what in ("udp", "ping") and extra & 256:
            flow["ttl"] = (1, 2, 3)[extra // 512 % 3]
        if extra & 2048:
            flow["tos"] = 0x10
        flows[f"f{number}"] = flow
    return flows


def events(recipe: Recipe, net: Network, flows: list[str]) -> list[dict[str, Any]]:
    """Return the recipe's events, in order of time."""
    verbs = CALM_VERBS if recipe.calm else WILD_VERBS
    out: list[tuple[int, dict[str, Any]]] = []
    for when, verb, target, option in recipe.events:
        at = when % recipe.seconds * 1_000_000_000 + EDGES[when // 32 % len(EDGES)]
        out.append((at, _event(verbs[verb % len(verbs)], target, option, recipe, net, flows)))
    out.sort(key=lambda pair: pair[0])
    return [{"at": f"{at}ns", "id": f"e{number}", **event} for number, (at, event) in enumerate(out)]


def _event(verb: str, target: int, option: int, recipe: Recipe, net: Network, flows: list[str]) -> dict[str, Any]:
    nodes, links = list(net.nodes), list(net.links)
    ends = [end for link in net.links.values() for end in link["ends"]]
    link = links[target % len(links)]
    if verb in NODE_VERBS:
        return {verb: nodes[target % len(nodes)]}
    if verb in LINK_VERBS:
        return {verb: link}
    if verb in END_VERBS:
        return {verb: ends[target % len(ends)]}
    if verb == "flap":
        return {
            "flap": {"link": link, "down": ("1ms", "50ms", "1s")[option % 3], "up": "30ms", "times": 1 + option % 4}
        }
    if verb == "impair":
        setting = ({"loss": "30%"}, {"delay": "200ms"}, {"rate": "64kbit"}, {"duplicate": "30%"}, {"reorder": "30%"},
                   {"queue": 1}, {"jitter": "20ms"}, {"loss": "100%"})[option % 8]  # fmt: skip
        return {"impair": {"link": link, **setting}}
    if verb == "flow":
        return {("stop", "start")[option % 2]: flows[target % len(flows)]}
    rng = random.Random(target << 16 | option)
    if verb == "inject":
        return {"inject": {"to": rng.choice(ends), "packet": _packet(rng, net)}}
    node = nodes[target % len(nodes)]
    kernel = net.nodes[node]["kernel"]
    devices = net.devices[node]
    line = {
        "look": _look, "neigh": _neigh, "ip": _ip, "sysctl": _sysctl, "firewall": _firewall,
    }[verb](rng, net, node, kernel, devices)  # fmt: skip
    return {"run": {node: line}}


def _packet(rng: random.Random, net: Network) -> str:
    """Return a frame that somebody forged, in scapy's notation."""
    targets = net.targets()
    one, two = rng.choice(targets), rng.choice(targets)
    mac = rng.choice(("ff:ff:ff:ff:ff:ff", "02:00:00:00:01:01", "02:00:00:00:02:01", "01:00:5e:00:00:01"))
    ether = f'Ether(src="02:66:66:66:66:66", dst="{mac}")'
    return rng.choice((
        f'{ether}/ARP(op={rng.choice((1, 2, 3))}, hwsrc="02:66:66:66:66:66", psrc="{one}", pdst="{two}")',
        f'{ether}/IP(src="{one}", dst="{two}", ttl={rng.choice((0, 1, 64))})/UDP(sport=5000, dport=5000)/"x"',
        f'{ether}/IP(src="{one}", dst="{two}", flags="MF", frag={rng.choice((0, 3, 8189))})/UDP(dport=5001)/"fragment"',
        f'{ether}/IP(src="{one}", dst="{two}")/TCP(sport=80, dport=5003, flags="{rng.choice("SAFR")}")',
        f'{ether}/IP(src="{one}", dst="{two}")/ICMP(type=5, code=1, gw="{rng.choice(targets)}")/IP(src="{two}")/UDP()',
        f'{ether}/IP(src="127.0.0.1", dst="{two}")/ICMP()', f'{ether}/IP(src="224.0.0.1", dst="{two}")/ICMP()',
        f'{ether}/IP(src="{one}", dst="255.255.255.255")/UDP(dport=5000)',
    ))  # fmt: skip


def _look(rng: random.Random, net: Network, node: str, kernel: str, devices: list[str]) -> str:
    """Return a line that only looks; looking may advance memories, and must break nothing."""
    target = rng.choice(net.targets())
    lines = [
        "ip neigh", "ip route show table all", "ip rule", "ip -s link", "ip addr", f"ip route get {target}",
        f"ip route get {target} from {rng.choice(net.targets())} iif {rng.choice(devices)}", "ip route show cache",
        "arp -an", "route -n", "ifconfig", "sysctl -a", "ip -j route", "ip ntable",
    ]  # fmt: skip
    lines += ["ipchains -L -n -v"] if kernel.startswith("linux-2.2") else ["iptables -t nat -L -n -v", "conntrack -L"]
    return rng.choice(lines)


def _neigh(rng: random.Random, net: Network, node: str, kernel: str, devices: list[str]) -> str:
    dev = rng.choice(devices)
    ip = rng.choice(net.targets())
    return rng.choice((
        "ip neigh flush all", f"ip neigh flush dev {dev}", f"ip neigh replace {ip} dev {dev} lladdr 02:00:00:00:00:99 "
        f"nud {rng.choice(('permanent', 'stale', 'reachable', 'noarp', 'delay', 'probe'))}",
        f"ip neigh del {ip} dev {dev}", f"ip neigh add proxy {ip} dev {dev}", "ip route flush cache",
        f"arp -d {ip}",
    ))  # fmt: skip


def _ip(rng: random.Random, net: Network, node: str, kernel: str, devices: list[str]) -> str:
    dev = rng.choice(devices)
    ip, gw = rng.choice(net.targets()), rng.choice(net.targets())
    mine = net.address.get(f"{node}:{dev}", "10.9.9.9")
    return rng.choice((
        f"ip route add default via {gw}", f"ip route del default; ip route add default via {gw} dev {dev}",
        f"ip route append default via {gw} dev {dev} table 200", "ip route flush table 100",
        f"ip route replace {rng.choice(('blackhole', 'unreachable', 'prohibit', 'throw'))} {ip}/32",
        f"ip route add {rng.choice(('blackhole', 'unreachable', 'prohibit', 'throw'))} {ip}",
        f"ip route replace default nexthop via {gw} nexthop via {ip} weight 3",
        f"ip route add {ip} via {gw} dev {dev} onlink mtu 600", f"ip route del {ip}", "ip route flush table main",
        f"ip rule add from {ip} table 200 prio {rng.choice((5, 150, 40000))}", "ip rule del prio 10", "ip rule flush",
        f"ip rule add iif {dev} prohibit", f"ip rule add fwmark 1 table 200; ip rule add to {ip} unreachable prio 7",
        f"ip addr add {ip}/24 dev {dev}", f"ip addr del {mine}/24 dev {dev}", f"ip addr flush dev {dev}",
        f"ip addr add {mine}/30 dev {dev}", f"ip link set {dev} mtu {rng.choice((68, 576, 1280, 1500, 9000))}",
        f"ip link set {dev} arp {rng.choice(('on', 'off'))}", f"ip link set {dev} promisc on",
        f"ip link set {dev} address 02:00:00:00:77:{rng.randrange(99):02d}", f"ip link set {dev} down",
        f"ip link set {dev} up", "ip link set lo down", f"ifconfig {dev} {ip} netmask 255.255.255.0",
        f"ifconfig {dev} 0.0.0.0", f"ip rule add from {ip} nat {gw}", f"ip route add nat {ip} via {gw}",
    ))  # fmt: skip


def _sysctl(rng: random.Random, net: Network, node: str, kernel: str, devices: list[str]) -> str:
    where = rng.choice(("all", "default", *devices))
    key, values = rng.choice((
        (f"conf.{where}.rp_filter", (0, 1, 2)), (f"conf.{where}.arp_ignore", (0, 1, 2, 8)),
        (f"conf.{where}.arp_announce", (0, 1, 2)), (f"conf.{where}.arp_filter", (0, 1)),
        (f"conf.{where}.arp_accept", (0, 1)), (f"conf.{where}.arp_notify", (0, 1)),
        (f"conf.{where}.proxy_arp", (0, 1)), (f"conf.{where}.promote_secondaries", (0, 1)),
        (f"conf.{where}.forwarding", (0, 1)), (f"conf.{where}.send_redirects", (0, 1)),
        (f"conf.{where}.accept_redirects", (0, 1)), (f"conf.{where}.ignore_routes_with_linkdown", (0, 1)),
        ("ip_forward", (0, 1)), ("fib_multipath_use_neigh", (0, 1)), ("fib_multipath_hash_policy", (0, 1, 2, 3)),
        ("ip_no_pmtu_disc", (0, 1, 2)), ("ipfrag_time", (0, 1, 30)), ("icmp_echo_ignore_all", (0, 1)),
        ("icmp_ratelimit", (0, 1, 1000)), ("icmp_ratemask", (0, 6168)), ("ip_default_ttl", (1, 64, 255)),
        (f"neigh.{where.replace('all', 'default')}.base_reachable_time_ms", (0, 10, 1000, 30000)),
        (f"neigh.{where.replace('all', 'default')}.delay_first_probe_time", (0, 1, 5)),
        (f"neigh.{where.replace('all', 'default')}.gc_stale_time", (0, 1, 60)),
        (f"neigh.{where.replace('all', 'default')}.ucast_solicit", (0, 1, 3)),
        (f"neigh.{where.replace('all', 'default')}.mcast_solicit", (0, 1, 3)),
        (f"neigh.{where.replace('all', 'default')}.unres_qlen", (0, 1, 101)),
        (f"neigh.{where.replace('all', 'default')}.locktime", (0, 100)),
        ("neigh.default.gc_thresh1", (0, 128)), ("neigh.default.gc_thresh2", (1, 512)),
        ("neigh.default.gc_thresh3", (0, 1, 4, 1024)), ("tcp_timestamps", (0, 1)), ("tcp_sack", (0, 1)),
        ("tcp_retries2", (1, 3, 15)), ("tcp_syn_retries", (1, 6)), ("ip_local_port_range", ("'1024 1030'",)),
    ))  # fmt: skip
    line = f"sysctl -w net.ipv4.{key}={rng.choice(values)}"
    if kernel == "linux-6" and rng.random() < 0.2:
        name, value = rng.choice((("max", 2), ("udp_timeout", 1), ("tcp_loose", 0), ("acct", 1), ("checksum", 0)))
        line = f"sysctl -w net.netfilter.nf_conntrack_{name}={value}"
    return line


def _firewall(rng: random.Random, net: Network, node: str, kernel: str, devices: list[str]) -> str:
    dev, ip = rng.choice(devices), rng.choice(net.targets())
    if kernel.startswith("linux-2.2"):
        return rng.choice((
            "ipchains -F", f"ipchains -A input -i {dev} -p udp -j DENY -l", "ipchains -P forward REJECT",
            "ipchains -P forward ACCEPT", f"ipchains -I forward -d {ip} -j MASQ", "ipchains -M -L -n",
            "ipchains -A output -p icmp -j REJECT",
            masquerade(kernel, dev, "0/0"),
        ))  # fmt: skip
    proto = rng.choice(("udp", "tcp", "icmp"))
    return rng.choice((
        "iptables -F", "iptables -t nat -F", "iptables -t mangle -F", "conntrack -F", f"conntrack -D -p {proto}",
        f"iptables -A FORWARD -p {proto} -j DROP",
        f"iptables -A {rng.choice(('INPUT', 'FORWARD', 'OUTPUT'))} -p {proto} -j REJECT",
        "iptables -A INPUT -p tcp -j REJECT --reject-with tcp-reset", "iptables -P FORWARD DROP",
        "iptables -P FORWARD ACCEPT", f"iptables -t nat -A PREROUTING -i {dev} -p udp -j DNAT --to-destination {ip}",
        f"iptables -t nat -I POSTROUTING -o {dev} -j SNAT --to-source {ip}",
        f"iptables -t nat -I POSTROUTING -p udp -o {dev} -j SNAT --to-source {ip}:5000-5003",
        "iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 5000", masquerade(kernel, dev, "0.0.0.0/0"),
        f"iptables -t nat -A PREROUTING -d {ip}/24 -j NETMAP --to 10.1.0.0/24",
        f"iptables -t nat -A OUTPUT -p {proto} -j DNAT --to-destination {ip}",
        f"iptables -t mangle -A PREROUTING -i {dev} -j MARK --set-mark 1",
        f"iptables -t mangle -A OUTPUT -p {proto} -j MARK --set-mark 1",
        f"iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss {rng.choice((100, 536))}",
        "iptables -I FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT", "iptables -I FORWARD -j LOG",
        "iptables -A INPUT -m state --state INVALID -j DROP", "iptables -A FORWARD -m limit --limit 2/s -j ACCEPT",
        "iptables -t raw -A PREROUTING -p udp -j NOTRACK", "iptables -t mangle -A PREROUTING -j TOS --set-tos 0x10",
    ))  # fmt: skip
