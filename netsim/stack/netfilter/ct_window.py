"""TCP window tracking: whether a segment can belong to its connection, and what it teaches about both windows.

Theory. For each side the highest sequence number it sent (`td_end`), the highest it may send (`td_maxend`, from the
other's acks and window), and its largest window (`td_maxwin`) are kept. A segment must lie below the right edge, may
not acknowledge what was not sent, and is only *ignored* (passes, changes nothing) left of the receive window.
Source: tcp_in_window(), tcp_init_sender(), tcp_options(), tcp_sack(), net/netfilter/nf_conntrack_proto_tcp.c (6.x);
linux-kernel 5.5.
"""

from __future__ import annotations

from struct import Struct

from netsim.wire.tcp import after, option_octets, parse_options

IP_CT_TCP_FLAG_WINDOW_SCALE = 0x01
IP_CT_TCP_FLAG_SACK_PERM = 0x02
IP_CT_TCP_FLAG_CLOSE_INIT = 0x04
IP_CT_TCP_FLAG_BE_LIBERAL = 0x08
IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED = 0x10
IP_CT_TCP_FLAG_MAXACK_SET = 0x20
IP_CT_EXP_CHALLENGE_ACK = 0x40
IP_CT_TCP_SIMULTANEOUS_OPEN = 0x80

NFCT_TCP_IGNORE = 0
NFCT_TCP_INVALID = -1
NFCT_TCP_ACCEPT = 1

MAXACKWINCONST = 66000
TCP_MAX_WSCALE = 14
U32 = 0xFFFFFFFF
SIGN = 0x80000000

TCP_SYN_SET = 0
TCP_SYNACK_SET = 1
TCP_FIN_SET = 2
TCP_ACK_SET = 3
TCP_RST_SET = 4
TCP_NONE_SET = 5

TCP_CONNTRACK_SYN_SENT = 1
TCP_CONNTRACK_SYN_RECV = 2

FIN = 0x01
SYN = 0x02
RST = 0x04
ACK = 0x10

_FIELDS = Struct("!IIBBH")


class Segment:
    """The fields of one TCP segment that tracking reads; `end` counts SYN and FIN, `options` are raw octets."""

    __slots__ = ("ack", "end", "flags", "index", "options", "seq", "win")

    def __init__(self, seq: int, ack: int, flags: int, win: int, end: int, options: bytes) -> None:
        self.seq = seq
        self.ack = ack
        self.flags = flags
        self.win = win
        self.end = end
        self.options = options
        if flags & RST:
            self.index = TCP_RST_SET
        elif flags & SYN:
            self.index = TCP_SYNACK_SET if flags & ACK else TCP_SYN_SET
        elif flags & FIN:
            self.index = TCP_FIN_SET
        else:
            self.index = TCP_ACK_SET if flags & ACK else TCP_NONE_SET


def read_segment(data: bytes | bytearray, at: int) -> Segment | None:
    """Read the segment at `at`; None when the header is cut off or its length is impossible."""
    size = len(data) - at
    if size < 20:
        return None
    doff = (data[at + 12] >> 4) * 4
    if doff < 20 or doff > size:
        return None
    seq, ack, _, flags, win = _FIELDS.unpack_from(data, at + 4)
    end = seq + size - doff + (1 if flags & SYN else 0) + (flags & FIN) & U32
    return Segment(seq, ack, flags, win, end, option_octets(data, at) if doff > 20 else b"")


class Seen:
    """What one side was seen to do (struct ip_ct_tcp_state); sequence numbers modulo 2**32."""

    __slots__ = ("flags", "td_end", "td_maxack", "td_maxend", "td_maxwin", "td_scale")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.td_end = self.td_maxend = self.td_maxwin = self.td_maxack = self.td_scale = self.flags = 0

    def read_options(self, options: bytes) -> None:
        """Note window scale and SACK permission of a SYN, if it has options at all. Source: tcp_options()."""
        if not options:
            return
        self.td_scale = 0
        self.flags &= IP_CT_TCP_FLAG_BE_LIBERAL
        parsed = parse_options(options)
        if parsed.sack_permitted:
            self.flags |= IP_CT_TCP_FLAG_SACK_PERM
        if parsed.wscale is not None:
            self.td_scale = min(parsed.wscale, TCP_MAX_WSCALE)
            self.flags |= IP_CT_TCP_FLAG_WINDOW_SCALE


class TcpTrack:
    """The TCP part of a connection (struct ip_ct_tcp); `state` is a TCP_CONNTRACK_ number."""

    __slots__ = (
        "last_ack", "last_dir", "last_end", "last_flags", "last_index", "last_seq", "last_win", "last_wscale",
        "retrans", "seen", "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.seen = (Seen(), Seen())
        self.state = 0
        self.last_dir = 0
        self.last_index = TCP_NONE_SET
        self.last_seq = self.last_ack = self.last_end = self.last_win = self.last_wscale = self.last_flags = 0
        self.retrans = 0


def _highest_sack(options: bytes, sack: int) -> int:
    """Return the highest right edge beyond `sack` in a SACK option. Source: tcp_sack()."""
    for _, right in parse_options(options).sack:
        if after(right, sack):
            sack = right
    return sack


def init_sender(sender: Seen, receiver: Seen, segment: Segment, win: int, direction: int) -> None:
    """Begin a side from its first SYN or SYN-ACK. Source: tcp_init_sender(); RFC 7323 2.2 "both sides must send"."""
    sender.td_end = sender.td_maxend = segment.end
    sender.td_maxwin = win or 1
    sender.read_options(segment.options)
    if direction and not sender.flags & receiver.flags & IP_CT_TCP_FLAG_WINDOW_SCALE:
        sender.td_scale = receiver.td_scale = 0


def _pick_up(sender: Seen, receiver: Seen, segment: Segment, win: int, sack: int) -> None:
    """Begin a side in the middle of a connection whose history is lost."""
    sender.td_end = segment.end
    sender.td_maxwin = win << sender.td_scale or 1
    sender.td_maxend = segment.end + sender.td_maxwin & U32
    if receiver.td_maxwin == 0:
        receiver.td_end = receiver.td_maxend = sack
    elif sack == receiver.td_end + 1 & U32:
        receiver.td_end = receiver.td_end + 1 & U32  # "Likely a reply to a keepalive."


def in_window(track: TcpTrack, direction: int, segment: Segment, liberal: bool, ack_offset: int) -> int:
    """Judge a segment against both windows and learn from it: NFCT_TCP_ACCEPT, IGNORE or INVALID.

    `ack_offset` is what sequence adjustment added to the numbers that this segment acknowledges.
    Source: tcp_in_window().
    """
    syn_sent = track.state == TCP_CONNTRACK_SYN_SENT
    opening = syn_sent or track.state == TCP_CONNTRACK_SYN_RECV
    sender, receiver = track.seen[direction], track.seen[not direction]
    flags, seq, end, win_raw = segment.flags, segment.seq, segment.end, segment.win
    win = win_raw
    ack = sack = segment.ack
    if receiver.flags & IP_CT_TCP_FLAG_SACK_PERM and segment.options:
        sack = _highest_sack(segment.options, sack)
    ack = ack - ack_offset & U32
    sack = sack - ack_offset & U32

    if sender.td_maxwin == 0:
        if flags & SYN:
            init_sender(sender, receiver, segment, win, direction)
            if not flags & ACK:
                return NFCT_TCP_ACCEPT  # simultaneous open
        else:
            _pick_up(sender, receiver, segment, win, sack)
    elif flags & SYN and opening and sender.td_end - end & SIGN:
        # "if a TCP is reinitialized ... it must only be sure to use sequence numbers larger than those recently used"
        init_sender(sender, receiver, segment, win, direction)
        if direction and not flags & ACK:
            return NFCT_TCP_ACCEPT

    # No ACK, or broken stacks' RST with ACK and zero: pretend it was set and right.
    if not flags & ACK or (flags & RST and ack == 0):
        ack = sack = receiver.td_end
    if flags & RST and seq == 0 and syn_sent:
        seq = end = sender.td_end  # "RST sent answering SYN."

    verdict = _edges(sender, receiver, seq, end, sack)
    if verdict != NFCT_TCP_ACCEPT:
        # Logged only: a liberal sender's segment passes, and changes no window.
        return NFCT_TCP_ACCEPT if liberal or sender.flags & IP_CT_TCP_FLAG_BE_LIBERAL else verdict

    if not flags & SYN:
        win <<= sender.td_scale
    _learn(sender, receiver, flags, end, ack, sack, win)
    if segment.index == TCP_ACK_SET:
        _count_retransmission(track, direction, seq, ack, end, win_raw)
    return NFCT_TCP_ACCEPT


def _edges(sender: Seen, receiver: Seen, seq: int, end: int, sack: int) -> int:
    """Compare a segment with the four bounds: IGNORE below the left ones, INVALID above the right ones.

    `a - b & SIGN` is before(a, b): comparisons modulo 2**32, written out because each packet makes five.
    """
    window = receiver.td_maxwin
    over_right = not seq - sender.td_maxend - 1 & SIGN
    over_ack = not sack - receiver.td_end - 1 & SIGN
    under_left = window and not sender.td_end - window - 1 - end & SIGN
    under_ack = not receiver.td_end - max(sender.td_maxwin, MAXACKWINCONST) - 1 - sack & SIGN
    if over_right:
        overshot = end - sender.td_maxend + 1 & U32
        if window and not under_left and not under_ack and overshot <= window and not over_ack:
            # "Work around TCPs that send more bytes than allowed by the receive window."
            sender.td_end = end
            sender.flags |= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED
            return NFCT_TCP_IGNORE
        return NFCT_TCP_INVALID  # "SEQ is over upper bound (over the window of the receiver)"
    if over_ack:
        return NFCT_TCP_INVALID  # "ACK is over upper bound (ACKed data not seen yet)"
    if under_left or under_ack:
        # "SEQ is under lower bound (already ACKed data retransmitted)", "ignored ACK under lower bound"
        return NFCT_TCP_IGNORE
    return NFCT_TCP_ACCEPT


def _learn(sender: Seen, receiver: Seen, flags: int, end: int, ack: int, sack: int, win: int) -> None:
    """Move both sides' edges on by a segment inside the window; `win` is scaled."""
    swin = win + (sack - ack & U32)
    sender.td_maxwin = max(sender.td_maxwin, swin)
    if sender.td_end - end & SIGN:
        sender.td_end = end
        sender.flags |= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED
    if flags & ACK:
        if not sender.flags & IP_CT_TCP_FLAG_MAXACK_SET:
            sender.td_maxack = ack
            sender.flags |= IP_CT_TCP_FLAG_MAXACK_SET
        elif sender.td_maxack - ack & SIGN:
            sender.td_maxack = ack
    if receiver.td_maxwin and sender.td_maxend - end & SIGN:
        receiver.td_maxwin += end - sender.td_maxend & U32
    edge = sack + win & U32
    if receiver.td_maxend - 1 - edge & SIGN:
        receiver.td_maxend = edge + (win == 0) & U32
    if ack == receiver.td_end:
        receiver.flags &= ~IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED


def _count_retransmission(track: TcpTrack, direction: int, seq: int, ack: int, end: int, win_raw: int) -> None:
    """Count equal ACK segments in a row."""
    same = (
        track.last_dir == direction
        and track.last_seq == seq
        and track.last_ack == ack
        and track.last_end == end
        and track.last_win == win_raw
    )
    if same:
        track.retrans += 1
        return
    track.last_dir = direction
    track.last_seq = seq
    track.last_ack = ack
    track.last_end = end
    track.last_win = win_raw
    track.retrans = 0
