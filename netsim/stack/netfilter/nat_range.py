"""The range that a NAT target asks for. Source: include/uapi/linux/netfilter/nf_nat.h, struct nf_nat_range2."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.addr import Ip

NF_NAT_RANGE_MAP_IPS = 1
NF_NAT_RANGE_PROTO_SPECIFIED = 2
NF_NAT_RANGE_PROTO_RANDOM = 4
NF_NAT_RANGE_PERSISTENT = 8
NF_NAT_RANGE_PROTO_RANDOM_FULLY = 16
NF_NAT_RANGE_PROTO_OFFSET = 32
NF_NAT_RANGE_NETMAP = 64
NF_NAT_RANGE_PROTO_RANDOM_ALL = NF_NAT_RANGE_PROTO_RANDOM | NF_NAT_RANGE_PROTO_RANDOM_FULLY

NF_NAT_MANIP_SRC = 0
NF_NAT_MANIP_DST = 1


@dataclass(frozen=True, slots=True)
class NatRange:
    """Addresses and ports (or ICMP ids) to choose from, ends included, as host-order ints; `flags` says which count."""

    flags: int = 0
    min_ip: Ip = 0
    max_ip: Ip = 0
    min_proto: int = 0
    max_proto: int = 0
    base_proto: int = 0
