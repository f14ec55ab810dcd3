"""The working copy of a packet inside a box: a bytearray from the IP header on, and what the stack knows about it.

The header fields that every step asks for are cached as ints. WARNING: `data` and the cached fields must move together;
only the methods here and wire/rewrite.py (followed by `reload`) write header octets; a test holds it.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from netsim.addr import Ip, Mac

if TYPE_CHECKING:
    from netsim.stack.device import Device
    from netsim.stack.dst import Route

PACKET_HOST = 0
PACKET_BROADCAST = 1
PACKET_MULTICAST = 2
PACKET_OTHERHOST = 3
PACKET_OUTGOING = 4

IPPROTO_ICMP = 1
IPPROTO_TCP = 6
IPPROTO_UDP = 17

SKB_STRUCT = 256
SKB_SMALL_HEAD = 576
SKB_SHARED_INFO = 320
SKB_HEADROOM = 48
"""Sizes in octets that a buffer is made of on x86-64: see `truesize`."""

_HEADER = Struct("!BBHHHBBHII")
_PORTS = Struct("!HH")


class Skb:
    """One packet in one box.

    `dev` is the device it came in by (None when made here), `out` the one it leaves by once routed. `uid` is the frame
    it arrived in (0: made here); `parent` is the uid that its outgoing frame names as parent. `ct`, `ctinfo` belong to
    netfilter, `sock` to the socket that sent it. `sport` and `dport` are 0 where there are none (ICMP, later pieces).
    `bad`: a person or a link damaged it, its checksums are not ours to answer for.
    """

    __slots__ = (
        "bad", "ct", "ctinfo", "daddr", "data", "dev", "dport", "drop_detail", "drop_reason", "frag_max", "mark",
        "nfct_template", "out", "parent", "pkt_type", "proto", "queued", "redirected", "route", "saddr", "sock",
        "sport", "src_mac", "tos", "trail", "uid",
    )  # fmt: skip

    def __init__(self, data: bytearray, dev: Device | None = None, uid: int = 0, parent: int = 0) -> None:
        self.data = data
        self.dev = dev
        self.out: Device | None = None
        self.uid = uid
        self.parent = parent or uid
        self.pkt_type = PACKET_HOST
        self.src_mac: Mac = b""
        self.mark = 0
        self.ct: Any = None  # netfilter's Conntrack; nobody else looks inside
        self.ctinfo = 0
        self.nfct_template: Any = None  # what the CT target attached (zone, helper)
        self.route: Route | None = None
        self.sock: Any = None  # the sending socket, for error reports
        self.bad = False
        self.redirected = False
        self.trail: Any = None  # ipv4/flows.py's Trail while the box watches where the packet goes
        self.queued = False  # whether it waits for a neighbour: the neigh room sets and clears it
        self.frag_max = 0
        self.drop_reason = ""
        self.drop_detail = ""
        self.reload()

    saddr: Ip
    daddr: Ip
    proto: int
    tos: int
    sport: int
    dport: int

    def reload(self) -> None:
        """Read the cached fields from the octets again; `data` holds at least one whole IPv4 header."""
        data = self.data
        version_ihl, self.tos, _, _, fragment, _, self.proto, _, self.saddr, self.daddr = _HEADER.unpack_from(data)
        start = (version_ihl & 15) * 4
        if self.proto in (IPPROTO_TCP, IPPROTO_UDP) and not fragment & 0x1FFF and len(data) >= start + 4:
            self.sport, self.dport = _PORTS.unpack_from(data, start)
        else:
            self.sport = self.dport = 0

    @property
    def ihl(self) -> int:
        """Header length in octets: where the transport header begins."""
        return (self.data[0] & 15) * 4

    @property
    def ttl(self) -> int:
        """Time to live."""
        return self.data[8]

    @property
    def df(self) -> bool:
        """Don't Fragment."""
        return bool(self.data[6] & 0x40)

    @property
    def fragment(self) -> bool:
        """Whether this is a piece of a larger packet (offset or More Fragments)."""
        return bool(self.data[6] & 0x3F or self.data[7])

    @property
    def fragment_offset(self) -> int:
        """Offset of a fragment in octets."""
        return ((self.data[6] & 0x1F) << 8 | self.data[7]) * 8

    @property
    def truesize(self) -> int:
        """What the packet accounts for in a queue, in octets of buffer.

        A packet of up to about 100 octets payload costs 832, one of 1,400 costs 2,304: a small-head buffer or the next
        power of two, and the sk_buff itself. Source: observed-linux 2, "Queue limit is in bytes".
        """
        return truesize(len(self.data))

    def copy(self) -> Skb:
        """Return an independent packet with the same octets and annotations (skb_copy)."""
        new = Skb(bytearray(self.data), self.dev, self.uid, self.parent)
        for name in ("out", "pkt_type", "src_mac", "mark", "ct", "ctinfo", "route", "sock", "bad", "frag_max"):
            setattr(new, name, getattr(self, name))
        return new


def truesize(octets: int) -> int:
    """Return what a packet of so many octets accounts for (Skb.truesize)."""
    need = octets + SKB_HEADROOM + SKB_SHARED_INFO
    if need <= SKB_SMALL_HEAD:
        return SKB_SMALL_HEAD + SKB_STRUCT
    return (1 << (need - 1).bit_length()) + SKB_STRUCT
