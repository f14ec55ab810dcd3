"""What the replays of the recorded NAT scripts share: the scripts, and how a recording shows a connection.

Source: spec patched-nat (README).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from netsim.addr import ip_str, parse_ip
from netsim.stack.netfilter.conntrack import Conntrack
from netsim.stack.netfilter.ct_text import TCP_STATES
from netsim.stack.netfilter.nat_range import NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED, NatRange
from netsim.stack.netfilter.status import IPS_ASSURED, IPS_CONFIRMED, IPS_DYING, IPS_SEEN_REPLY
from netsim.units import NS_PER_MS

TICK = 10 * NS_PER_MS
DIRECTIONS = ("original", "reply")
KINDS = ("src", "dst")
CTINFO = ("ESTABLISHED", "RELATED", "NEW", "ESTABLISHED_REPLY", "RELATED_REPLY")
DATA = Path(__file__).parents[3] / "data/netfilter/nat-2.4.jsonl.gz"


def scripts() -> list[dict]:
    """All 614: 307 of the patched kernel, and the same of the stock one, which say "kernel": "linux-2.4"."""
    return [json.loads(line) for line in gzip.decompress(DATA.read_bytes()).splitlines()]


def shown(ct: Conntrack, interfaces, now: int) -> dict:
    """Show a connection as recorded ones are shown."""
    confirmed = bool(ct.status & IPS_CONFIRMED)
    alive = confirmed and not ct.status & IPS_DYING
    return {
        "original": ends(ct.tuple_orig), "reply": ends(ct.tuple_reply),
        "tcp": TCP_STATES[ct.tcp.state] if ct.tcp is not None else None,
        "seen_reply": bool(ct.status & IPS_SEEN_REPLY), "assured": bool(ct.status & IPS_ASSURED),
        "confirmed": confirmed, "timeout": (ct.timeout - now) // TICK if alive else None,
        "masq_dev": interfaces.index(ct.masq_index).name if ct.masq_index else None,
        "maps": [
            [DIRECTIONS[m[0]], "POST" if m.hook == 4 else "PRE", KINDS[m.maniptype], ip_str(m.ip), m.proto_part]
            for m in ct.manips
        ],
    }  # fmt: skip


def listed(table, interfaces, now: int) -> list[dict]:
    """List the live connections in a recording's order."""
    live = [ct for ct in table if ct.timeout > now]
    live.sort(key=lambda ct: (ct.tuple_orig.proto, ct.tuple_orig.src, ct.tuple_orig.dst, *ct.tuple_orig[1::2]))
    return [shown(ct, interfaces, now) for ct in live]


def ends(one) -> list:
    if one.proto == 1:
        return [ip_str(one.src), ip_str(one.dst), {"id": one.icmp_id, "type": one.icmp_type, "code": one.icmp_code}]
    return [ip_str(one.src), ip_str(one.dst), one.sport, one.dport]


def parse_range(text: str) -> NatRange:
    addresses, _, ports = text.partition(":")
    flags, low_ip, high_ip, low, high = 0, 0, 0, 0, 0
    if addresses:
        flags |= NF_NAT_RANGE_MAP_IPS
        first, _, last = addresses.partition("-")
        low_ip, high_ip = parse_ip(first), parse_ip(last or first)
    if ports:
        flags |= NF_NAT_RANGE_PROTO_SPECIFIED
        first, _, last = ports.partition("-")
        low, high = int(first), int(last or first)
    return NatRange(flags, low_ip, high_ip, low, high)


def differences(want, got, path="") -> list[str]:
    """List where `got`'s keys differ from the recording; keys that only the recording has are not ours to answer."""
    if isinstance(got, dict) and isinstance(want, dict):
        return [line for key in got for line in differences(want.get(key), got[key], f"{path}.{key}")]
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        return [
            line for at, (w, g) in enumerate(zip(want, got, strict=True)) for line in differences(w, g, f"{path}[{at}]")
        ]
    return [] if want == got else [f"{path}: recorded {want!r}, computed {got!r}"]
