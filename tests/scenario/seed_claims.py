"""The table of the seed document's claims: each scenario of scenarios/seed under each set of patches.

A cell holds when every expectation of the scenario does. Run this file to write the table into README.md; the test
beside it (test_seed_claims.py) runs the same and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from netsim.errors import ConfigError
from netsim.scenario.load import load
from netsim.scenario.runner import run_scenario

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FIRST_LINES = "static_routes, alt_routes, arp_prefsrc"

COLUMNS: Mapping[str, Mapping[str, str | None]] = MappingProxyType({
    "linux-2.4": {
        "stock": "[]", "static_routes": "[static_routes]", "alt_routes": "[alt_routes]", "arp_prefsrc": "[arp_prefsrc]",
        "these three": f"[{FIRST_LINES}]", "and nf_reroute": f"[{FIRST_LINES}, nf_reroute]",
    },
    "linux-2.2": {
        "stock": "[]", "alt_routes": "[alt_routes]", "static_routes, alt_routes, arp_prefsrc": f"[{FIRST_LINES}]",
        "and masq_csum_reroute": f"[{FIRST_LINES}, masq_csum_reroute]",
        "and key_gw": f"[{FIRST_LINES}, masq_csum_reroute, key_gw]",
    },
})  # fmt: skip
"""For each kernel the columns, with the patches that each has."""

CLAIMS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "linux-2.4": {
        "static-on-a-device-that-is-down": "1: a static route is accepted while its device is down",
        "static-survives": "1: a static route survives its device going down",
        "static-falls-through": "1: a dead static route gives way to the next table, and comes back",
        "nano-howto": "1: a provider's own table is whole again after its device was down",
        "alternatives-two-spellings": "2: `append` makes alternatives, `add` refuses them",
        "alternatives-direct": "2: a host lost on one device is reached through another",
        "alternatives-gatewayed": "2: forwarded traffic follows alternative gateways",
        "alternatives-mixed": "2: unipath and multipath alternatives are one list",
        "nat-router": "2: new connections of the NAT router avoid a dead gateway",
        "one-table": "2: with one table the router itself uses all links",
        "cold-multipath": "2: without a refresh the second path is never used",
        "noarp-preferred": "2: NOARP devices are preferred to unknown neighbours",
        "proxy-arp-blindness": "2: behind a proxy ARP server a dead gateway is not noticed",
        "rp-filter-multipath": "2: rp_filter admits a multipath source on its own devices only",
        "rp-filter-alternatives": "2: rp_filter admits a source on the devices of all alternatives",
        "arp-prefsrc": "3: ARP probes have the preferred source",
        "two-gateways-one-device": "4: MASQUERADE finds the source of the gateway",
        "route-flush-mid-connection": "5, 7: connections keep their provider after a flush",
        "isp-dies-with-50-connections": "5, 7: connections of a dead provider end, none moves",
        "dnat-behind-two-isps": "5, 7: replies of a DNAT server leave by the provider that was asked",
        "hairpin": "5: no redirect for what is translated and goes back where it came from",
        "snat-with-device": "7: SNAT is safe when each path has its device and rule",
        "snat-without-device": "7: SNAT without a device sends flows to the wrong provider",
        "snat-two-gateways-one-device": "7: SNAT is dangerous with two gateways on one device",
        "ftp-through-each-isp": "7: FTP works through each provider, both ways",
    },
    "linux-2.2": {
        "rule-nat-2.2": "2: `nat 0` of a rule masquerades",
        "ipchains-router-2.2": "6: masqueraded connections keep their provider after a flush",
        "two-gateways-2.2": "4: masquerading finds the source of the gateway",
    },
})  # fmt: skip
"""For each kernel the scenarios, with the claim (section of the document first)."""


def cell(scenario: str, kernel: str, patches: str) -> str:
    """Run a scenario with these patches on every box of that kernel; say whether it holds."""
    path = ROOT / "scenarios" / "seed" / f"{scenario}.yaml"
    nodes = load(path).effective_topology().nodes
    settings = {}
    for name, node in nodes.items():
        if node.kernel.removesuffix("-routes") == kernel and not (node.kernel == kernel and node.patches is None):
            settings[f"kernel.{name}"] = kernel
            if patches != "[]":
                settings[f"patches.{name}"] = patches
    if patches == "[]":  # a scenario may name patches itself
        settings |= {f"patches.{name.split('.', 1)[1]}": "[]" for name in settings}
    try:
        return "holds" if run_scenario(load(path, settings=settings)).passed else "fails"
    except ConfigError:
        return "refused"


def row(scenario: str, kernel: str) -> str:
    """Return a scenario's line of the table."""
    cells = [cell(scenario, kernel, patches) for patches in COLUMNS[kernel].values()]
    claim = CLAIMS[kernel][scenario]
    return f"| [{claim}](scenarios/seed/{scenario}.yaml) | {' | '.join(cells)} |"


def table(kernel: str) -> Iterator[str]:
    """Yield the lines of a kernel's table."""
    yield f"| {kernel} with | {' | '.join(COLUMNS[kernel])} |"
    yield "|---" * (len(COLUMNS[kernel]) + 1) + "|"
    for scenario in CLAIMS[kernel]:
        yield row(scenario, kernel)


def block(kernel: str) -> re.Pattern[str]:
    """Return what finds a kernel's table in the README."""
    mark = re.escape(f"seed-claims {kernel}")
    return re.compile(f"(<!-- {mark} -->\n)(.*?)(<!-- end {mark} -->)", re.DOTALL)


def main() -> None:
    """Write both tables into the README."""
    text = README.read_text()
    for kernel in COLUMNS:
        lines = "\n".join(table(kernel))
        text = block(kernel).sub(lambda match, new=lines: f"{match[1]}{new}\n{match[3]}", text)
    README.write_text(text)


if __name__ == "__main__":
    main()
