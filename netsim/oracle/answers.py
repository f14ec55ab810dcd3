"""Command answers without what says nothing about networking: the veth's peer, times that ping measured, orders that a
hash with a random seed makes, counters of seconds.

Source: the project's notes on recording, section 0 ("order of `ip neigh show` is hash order with a random seed").
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_RULES: Final = (
    (re.compile(r"@if\d+"), ""),
    (re.compile(r" link-netnsid \d+"), ""),
    (re.compile(r"^(\S+) +(UP|DOWN|UNKNOWN|LOWERLAYERDOWN) +", re.MULTILINE), r"\1 \2 "),
    (re.compile(r"\bqdisc \S+ "), ""),
    (re.compile(r" numtxqueues.*?(?=\n|$)"), ""),
    (re.compile(r"time[=<][\d.]+ ms"), "time="),
    (re.compile(r"rtt min/avg/max/mdev = \S+ ms.*"), "rtt"),
    (re.compile(r", time \d+ms"), ""),
    (re.compile(r", pipe \d+"), ""),
    (re.compile(r"\b(used|probes) [\d/]+"), r"\1"),
    (re.compile(r" use=\d+"), ""),
    (re.compile(r" ref \d+"), ""),
    (re.compile(r"^((?:icmp|tcp|udp)\s+\d+) \d+ ", re.MULTILINE), r"\1 "),
    (re.compile(r"# (Generated|Completed).*"), r"# \1"),
    (re.compile(r"expires \d+sec"), "expires"),
    (re.compile(r" uid \d+"), ""),
    (re.compile(r"\n(Usage:)(.|\n)*"), r"\n\1"),
)
_UNORDERED: Final = (re.compile(r"\bip\b.*\b(neigh|neighbour|n)\b"), re.compile(r"\bconntrack\b.*-L"))
_JSON_NOISE: Final = frozenset({"link_index", "link_netnsid", "qdisc", "used", "probes", "refcnt", "uid", "reachable"})


def plain(line: str, text: str) -> str:
    """Return what a command printed, as far as both sides must print the same."""
    if re.search(r"\bip\b.* -(j|json)\b|\bip -(j|json)\b", line):
        try:
            value = _quiet(json.loads(text))
            if isinstance(value, list) and any(pattern.search(line) for pattern in _UNORDERED):
                value.sort(key=lambda item: json.dumps(item, sort_keys=True))
            return json.dumps(value, sort_keys=True)
        except ValueError:
            pass  # not JSON: an error, or several values; the text itself is compared
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    lines = [each.rstrip() for each in text.splitlines()]
    if any(pattern.search(line) for pattern in _UNORDERED):
        lines.sort()
    return "\n".join(lines)


def _quiet(value: Any) -> Any:  # Any: JSON values
    if isinstance(value, dict):
        return {key: _quiet(item) for key, item in value.items() if key not in _JSON_NOISE}
    if isinstance(value, list):
        return [_quiet(item) for item in value if item != {}]
    return value
