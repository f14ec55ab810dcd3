"""Why a packet ended: the kernel's own names where the kernel has one, and a few of ours for what lies outside a box.

A reason is text, the same in records, captures, expectations (`drops: {NEIGH_FAILED: "<= 5"}`) and on the screen. The
kernel's stand without their SKB_DROP_REASON_ prefix. It has no reason of its own for an expired TTL: ip_forward() says
IP_INHDR, and so do we, with the detail beside it.
Source: include/net/dropreason-core.h (6.13 and later); what IPv6, tunnels, XDP and traffic control need is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NOT_SPECIFIED = "NOT_SPECIFIED"
NO_SOCKET = "NO_SOCKET"
SOCKET_FILTER = "SOCKET_FILTER"
SOCKET_RCVBUFF = "SOCKET_RCVBUFF"
SOCKET_BACKLOG = "SOCKET_BACKLOG"
PROTO_MEM = "PROTO_MEM"
UNHANDLED_PROTO = "UNHANDLED_PROTO"
XFRM_POLICY = "XFRM_POLICY"
NETFILTER_DROP = "NETFILTER_DROP"
OTHERHOST = "OTHERHOST"
UNICAST_IN_L2_MULTICAST = "UNICAST_IN_L2_MULTICAST"
INVALID_PROTO = "INVALID_PROTO"
HDR_TRUNC = "HDR_TRUNC"
PKT_TOO_SMALL = "PKT_TOO_SMALL"
PKT_TOO_BIG = "PKT_TOO_BIG"
SKB_CSUM = "SKB_CSUM"
SKB_GSO_SEG = "SKB_GSO_SEG"
NOMEM = "NOMEM"
QUEUE_PURGE = "QUEUE_PURGE"

# IPv4
IP_CSUM = "IP_CSUM"
IP_INHDR = "IP_INHDR"
IP_RPFILTER = "IP_RPFILTER"
IP_INADDRERRORS = "IP_INADDRERRORS"
IP_INNOROUTES = "IP_INNOROUTES"
IP_OUTNOROUTES = "IP_OUTNOROUTES"
IP_NOPROTO = "IP_NOPROTO"
IP_LOCAL_SOURCE = "IP_LOCAL_SOURCE"
IP_INVALID_SOURCE = "IP_INVALID_SOURCE"
IP_LOCALNET = "IP_LOCALNET"
IP_INVALID_DEST = "IP_INVALID_DEST"
DUP_FRAG = "DUP_FRAG"
FRAG_REASM_TIMEOUT = "FRAG_REASM_TIMEOUT"
FRAG_TOO_FAR = "FRAG_TOO_FAR"
ICMP_CSUM = "ICMP_CSUM"
UDP_CSUM = "UDP_CSUM"

# TCP
TCP_CSUM = "TCP_CSUM"
TCP_FLAGS = "TCP_FLAGS"
TCP_ABORT_ON_DATA = "TCP_ABORT_ON_DATA"
TCP_ZEROWINDOW = "TCP_ZEROWINDOW"
TCP_OLD_DATA = "TCP_OLD_DATA"
TCP_OVERWINDOW = "TCP_OVERWINDOW"
TCP_OFOMERGE = "TCP_OFOMERGE"
TCP_RFC7323_PAWS = "TCP_RFC7323_PAWS"
TCP_RFC7323_PAWS_ACK = "TCP_RFC7323_PAWS_ACK"
TCP_RFC7323_TW_PAWS = "TCP_RFC7323_TW_PAWS"
TCP_RFC7323_TSECR = "TCP_RFC7323_TSECR"
TCP_OLD_SEQUENCE = "TCP_OLD_SEQUENCE"
TCP_INVALID_SEQUENCE = "TCP_INVALID_SEQUENCE"
TCP_INVALID_END_SEQUENCE = "TCP_INVALID_END_SEQUENCE"
TCP_INVALID_ACK_SEQUENCE = "TCP_INVALID_ACK_SEQUENCE"
TCP_RESET = "TCP_RESET"
TCP_INVALID_SYN = "TCP_INVALID_SYN"
TCP_CLOSE = "TCP_CLOSE"
TCP_FASTOPEN = "TCP_FASTOPEN"
TCP_OLD_ACK = "TCP_OLD_ACK"
TCP_TOO_OLD_ACK = "TCP_TOO_OLD_ACK"
TCP_ACK_UNSENT_DATA = "TCP_ACK_UNSENT_DATA"
TCP_OFO_QUEUE_PRUNE = "TCP_OFO_QUEUE_PRUNE"
TCP_OFO_DROP = "TCP_OFO_DROP"
TCP_MINTTL = "TCP_MINTTL"

# neighbours and devices
NEIGH_CREATEFAIL = "NEIGH_CREATEFAIL"
NEIGH_FAILED = "NEIGH_FAILED"
NEIGH_QUEUEFULL = "NEIGH_QUEUEFULL"
NEIGH_DEAD = "NEIGH_DEAD"
QDISC_DROP = "QDISC_DROP"
QDISC_OVERLIMIT = "QDISC_OVERLIMIT"
CPU_BACKLOG = "CPU_BACKLOG"
DEV_HDR = "DEV_HDR"
DEV_READY = "DEV_READY"
FULL_RING = "FULL_RING"
MAC_INVALID_SOURCE = "MAC_INVALID_SOURCE"
LOCAL_MAC = "LOCAL_MAC"
ARP_PVLAN_DISABLE = "ARP_PVLAN_DISABLE"

# ours: links, nodes and their failures
LINK_LOSS = "LINK_LOSS"
LINK_DOWN = "LINK_DOWN"
QUEUE_FULL = "QUEUE_FULL"
NO_LINK = "NO_LINK"
NODE_SILENT = "NODE_SILENT"
NODE_CRASHED = "NODE_CRASHED"
IFACE_MUTE = "IFACE_MUTE"
DEV_DOWN = "DEV_DOWN"
DEV_GONE = "DEV_GONE"

OWN_REASONS: frozenset[str] = frozenset(
    {LINK_LOSS, LINK_DOWN, QUEUE_FULL, NO_LINK, NODE_SILENT, NODE_CRASHED, IFACE_MUTE, DEV_DOWN, DEV_GONE}
)
"""The reasons that are netsim's own; every other one is the kernel's."""

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        NOT_SPECIFIED: "no reason was given",
        NO_SOCKET: "no socket listens or is connected there",
        SOCKET_FILTER: "a filter attached to the socket refused it",
        SOCKET_RCVBUFF: "the socket's receive buffer is full",
        SOCKET_BACKLOG: "the socket's backlog is full",
        PROTO_MEM: "the protocol's memory limit is reached",
        UNHANDLED_PROTO: "no handler for this Ethernet type",
        XFRM_POLICY: "an IPsec policy refused it",
        NETFILTER_DROP: "a netfilter rule or hook dropped it",
        OTHERHOST: "the frame is addressed to another host's MAC",
        UNICAST_IN_L2_MULTICAST: "a unicast packet came in a broadcast or multicast frame",
        INVALID_PROTO: "this kind of packet may not come like this (an ICMP timestamp request to a broadcast address)",
        HDR_TRUNC: "the packet ends inside its own header",
        PKT_TOO_SMALL: "the packet is shorter than its length field says",
        PKT_TOO_BIG: "the packet is larger than the MTU and may not be fragmented",
        SKB_CSUM: "a checksum could not be computed while sending",
        SKB_GSO_SEG: "segmentation failed while sending",
        NOMEM: "out of memory",
        QUEUE_PURGE: "a queue was emptied as a whole",
        IP_CSUM: "the IP header checksum is wrong",
        IP_INHDR: "the IP header is invalid, or its TTL ran out",
        IP_RPFILTER: "reverse-path filtering (rp_filter): the source is not reached by the device it came in on",
        IP_INADDRERRORS: "the destination host is unreachable, or the destination cannot be used here",
        IP_INNOROUTES: "no route for a received packet",
        IP_OUTNOROUTES: "no route for a packet made here",
        IP_NOPROTO: "no protocol handler for a packet delivered here",
        IP_LOCAL_SOURCE: "the source is an address of this box",
        IP_INVALID_SOURCE: "the source is multicast, limited broadcast or zero",
        IP_LOCALNET: "the source or destination is in 127.0.0.0/8 on a device that is not lo",
        IP_INVALID_DEST: "the destination is zero or cannot be a destination",
        DUP_FRAG: "this fragment came before",
        FRAG_REASM_TIMEOUT: "the other fragments did not come in time",
        FRAG_TOO_FAR: "too many packets of the same source came between two fragments",
        ICMP_CSUM: "the ICMP checksum is wrong",
        UDP_CSUM: "the UDP checksum is wrong",
        TCP_CSUM: "the TCP checksum is wrong",
        TCP_FLAGS: "the combination of TCP flags is invalid in this state",
        TCP_ABORT_ON_DATA: "data came for a connection that was already closed here",
        TCP_ZEROWINDOW: "the receive window is closed",
        TCP_OLD_DATA: "all of the data was received before",
        TCP_OVERWINDOW: "the data begins beyond the receive window",
        TCP_OFOMERGE: "the data is already in the out-of-order queue",
        TCP_RFC7323_PAWS: "the timestamp is older than the last one (PAWS)",
        TCP_RFC7323_PAWS_ACK: "an old acknowledgement with an old timestamp (PAWS)",
        TCP_RFC7323_TW_PAWS: "in TIME_WAIT, a timestamp older than the last one (PAWS)",
        TCP_RFC7323_TSECR: "the echoed timestamp is none that was sent",
        TCP_OLD_SEQUENCE: "a segment that lies before the window",
        TCP_INVALID_SEQUENCE: "the sequence number is not acceptable",
        TCP_INVALID_END_SEQUENCE: "a segment that ends beyond the window, with octets unread",
        TCP_INVALID_ACK_SEQUENCE: "the acknowledgement is neither old nor of data in flight",
        TCP_RESET: "an invalid RST",
        TCP_INVALID_SYN: "a SYN where none is expected",
        TCP_CLOSE: "the socket is in CLOSE",
        TCP_FASTOPEN: "dropped by a Fast Open request socket",
        TCP_OLD_ACK: "an old acknowledgement, still inside the window",
        TCP_TOO_OLD_ACK: "an acknowledgement too old to be true",
        TCP_ACK_UNSENT_DATA: "an acknowledgement of data that was never sent",
        TCP_OFO_QUEUE_PRUNE: "the out-of-order queue was pruned",
        TCP_OFO_DROP: "the data is already in the receive queue",
        TCP_MINTTL: "the TTL is below the socket's minimum",
        NEIGH_CREATEFAIL: "no neighbour entry could be made (table full, or no way to resolve)",
        NEIGH_FAILED: "nobody answered the ARP requests for the next hop",
        NEIGH_QUEUEFULL: "too many packets wait for the same ARP answer; the oldest goes",
        NEIGH_DEAD: "the neighbour entry was deleted while the packet waited",
        QDISC_DROP: "the device's queueing discipline refused it",
        QDISC_OVERLIMIT: "the queueing discipline is over its limit",
        CPU_BACKLOG: "the input backlog is full",
        DEV_HDR: "the link header is invalid",
        DEV_READY: "the device cannot send or receive at the moment",
        FULL_RING: "the device's ring is full",
        MAC_INVALID_SOURCE: "the source MAC is not a unicast address",
        LOCAL_MAC: "the source MAC is the device's own",
        ARP_PVLAN_DISABLE: "a packet to be answered for by proxy while proxy_arp_pvlan is off",
        LINK_LOSS: "the link lost it (loss:)",
        LINK_DOWN: "the link is cut, or was cut while the frame was under way",
        QUEUE_FULL: "the queue in front of the link is full (queue:)",
        NO_LINK: "nothing is plugged into the device",
        NODE_SILENT: "the node is silent (silence:): nothing enters or leaves",
        NODE_CRASHED: "the node has crashed, and what it held is lost (crash:)",
        IFACE_MUTE: "the interface is mute (mute:): nothing enters or leaves",
        DEV_DOWN: "the device is down",
        DEV_GONE: "the device is not registered",
    }
)
"""One line a reason, for `explain`, reports and the manual. Total: tests/unit/wire/test_drop.py holds it."""
