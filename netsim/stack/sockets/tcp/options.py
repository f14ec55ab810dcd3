"""Options of a segment: what a SYN offers, what both ends then use, and the fast way to read a timestamp.

Source: tcp_syn_options(), tcp_synack_options(), tcp_established_options(), tcp_parse_aligned_timestamp() (6.x); RFC
7323; observed-linux 13, "SYN 60 bytes (mss, sack, ts, wscale)".
"""

from __future__ import annotations

from netsim.stack.sysctl import Ipv4Conf
from netsim.units import NS_PER_MS, NS_PER_S, Ns
from netsim.wire.tcp import TcpOptions, build_options, parse_options

TCPOLEN_TSTAMP_ALIGNED = 12
TCPOLEN_SACK_BASE_ALIGNED = 4
TCPOLEN_SACK_PERBLOCK = 8
MAX_TCP_OPTION_SPACE = 40
TCP_MSS_DEFAULT = 536
TCP_MIN_MSS = 88
RCV_WSCALE = 7
"""ilog2(tcp_rmem[2]) - 15 with the default 6291456. Source: tcp_select_initial_window()."""

TCP_PAWS_WRAP: Ns = 2147 * NS_PER_S
"""How long a stamp is compared with: INT_MAX microseconds, 24 days before 6.7. Source: include/net/tcp.h."""

TCP_PAWS_MSL: Ns = 60 * NS_PER_S
"""After how long without a stamp a reset's is not compared any more."""

_ALIGNED_TIMESTAMP = b"\x01\x01\x08\x0a"


def timestamp(now: Ns, offset: int) -> int:
    """Return the TSval of an instant: milliseconds and the connection's offset. Source: tcp_time_stamp_ts()."""
    return (now // NS_PER_MS + offset) & 0xFFFFFFFF


def paws_ok(recent: int, recent_at: Ns, tsval: int, window: int, now: Ns) -> bool:
    """Tell whether a stamp is at most `window` ms older than the most recent, which -1 or 0 means nothing.

    Mirrors tcp_paws_check().
    """
    behind = (recent - tsval) & 0xFFFFFFFF
    return behind <= window or behind >= 0x80000000 or recent <= 0 or now - recent_at >= TCP_PAWS_WRAP


class Negotiated:
    """What a connection uses. Before the peer's SYN it holds what we offer.

    `snd_wscale` scales windows we receive, `rcv_wscale` those we send.
    """

    __slots__ = ("mss", "rcv_wscale", "sack", "snd_wscale", "timestamps", "wscale")

    def __init__(self, conf: Ipv4Conf) -> None:
        self.mss = TCP_MSS_DEFAULT
        self.sack = bool(conf.tcp_sack)
        self.timestamps = bool(conf.tcp_timestamps)
        self.wscale = bool(conf.tcp_window_scaling)
        self.snd_wscale = 0
        self.rcv_wscale = RCV_WSCALE if self.wscale else 0

    def offer(self, advmss: int, tsval: int, tsecr: int) -> bytes:
        """Return the options of a SYN or, once `agree` was called, of the SYN that answers one."""
        return build_options(
            mss=advmss,
            timestamp=(tsval, tsecr) if self.timestamps else None,
            sack_permitted=self.sack,
            wscale=self.rcv_wscale if self.wscale else None,
        )

    def agree(self, theirs: TcpOptions) -> None:
        """Keep what the peer's SYN has too."""
        self.mss = theirs.mss or TCP_MSS_DEFAULT
        self.sack = self.sack and theirs.sack_permitted
        self.timestamps = self.timestamps and theirs.timestamp is not None
        self.wscale = self.wscale and theirs.wscale is not None
        self.snd_wscale = theirs.wscale or 0 if self.wscale else 0
        if not self.wscale:
            self.rcv_wscale = 0

    @property
    def overhead(self) -> int:
        """Octets of options in every segment after the SYN."""
        return TCPOLEN_TSTAMP_ALIGNED if self.timestamps else 0


def read(octets: bytes) -> TcpOptions:
    """Read the options of a segment; a lone aligned timestamp, which is nearly every segment, without walking.

    Source: tcp_fast_parse_options().
    """
    if not octets:
        return _NOTHING
    if len(octets) == TCPOLEN_TSTAMP_ALIGNED and octets.startswith(_ALIGNED_TIMESTAMP):
        return TcpOptions(
            None, None, False, (int.from_bytes(octets[4:8], "big"), int.from_bytes(octets[8:12], "big")), ()
        )
    return parse_options(octets)


_NOTHING = TcpOptions()
