"""What the SACK blocks of a segment tell: octets that arrived out of order, and octets that arrived twice.

Theory. The first block of a peer that knows RFC 2883 may tell of a duplicate: it lies below what is acknowledged, or
inside the second block. Each duplicate counts against the retransmissions of the last reduction; once none is left, all
of them had been for nothing, and the reduction is taken back. Where reordering was seen, a duplicate also makes RACK
more patient. Source: tcp_sacktag_write_queue(), tcp_check_dsack(), tcp_dsack_seen(), tcp_is_sackblock_valid(),
tcp_sacktag_one(), tcp_rack_update_reo_wnd() (net/ipv4/tcp_input.c, 6.x); RFC 2018, 2883, 8985 section 6.2.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.receiver import TCP_NUM_SACKS
from netsim.stack.sockets.tcp.segment import Segment, unwrap
from netsim.stack.sockets.tcp.sent import Delivered
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.units import Ns

Block = tuple[int, int]


def tag(sock: TcpSocket, seg: Segment, told: Delivered, prior_una: int, now: Ns) -> None:
    """Mark what a segment's blocks name. `sock.snd_una` is the segment's already, `prior_una` what it was before."""
    blocks = [(unwrap(left, seg.ack), unwrap(right, seg.ack)) for left, right in seg.sack[:TCP_NUM_SACKS]]
    twice = _tells_of_duplicate(blocks, seg.ack) and _duplicate(sock, blocks[0], told, prior_una)
    rtx = sock.rtx
    for number, block in enumerate(blocks):
        again = twice and not number
        left, right = block
        if right <= prior_una or not _valid(sock, block, again=again):
            continue
        if again:
            resent = rtx.arrived_twice(left, right, sock.cc.undo_una)
            sock.cc.found_needless(resent)
        if right > sock.snd_una:
            rtx.sack(left, right, now, told, sock.rtt.min_us)
        if again:
            rtx.clear_retransmissions(left, right)


def _tells_of_duplicate(blocks: list[Block], ack: int) -> bool:
    left, right = blocks[0]
    return left < ack or (len(blocks) > 1 and blocks[1][0] <= left and right <= blocks[1][1])


def _duplicate(sock: TcpSocket, block: Block, told: Delivered, prior_una: int) -> bool:
    """Count a duplicate; False where it cannot have been our doing. Mirrors tcp_dsack_seen(), tcp_check_dsack()."""
    left, right = block
    rtx = sock.rtx
    size = right - left
    if size <= 0 or size > sock.max_window:
        return False
    of_probe = size <= sock.mss and sock.tlp_high_seq == right
    segments = -(-size // sock.mss)
    rtx.duplicates += segments
    if of_probe:
        told.probe_twice = True
    if rtx.duplicates > sock.total_retrans:
        return False
    if rtx.rack.reord_seen and not of_probe:
        rtx.rack.duplicate_seen = True
    told.duplicate = True
    told.delivered += segments
    if right <= prior_una and right > sock.cc.undo_una:
        sock.cc.found_needless(segments)
    return True


def _valid(sock: TcpSocket, block: Block, *, again: bool) -> bool:
    """Tell whether a block lies where it may: between what is acknowledged and what was sent, a duplicate also below.

    Mirrors tcp_is_sackblock_valid().
    """
    left, right = block
    una, cc = sock.snd_una, sock.cc
    if right > sock.snd_nxt or left >= right or left >= sock.snd_nxt:
        return False
    if left > una:
        return True
    if not again or not cc.undo or right > una:
        return False
    return left >= cc.undo_una or (right > cc.undo_una and left >= right - sock.max_window)
