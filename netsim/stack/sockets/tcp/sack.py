"""What the SACK blocks of a segment tell: octets that arrived out of order, and octets that arrived twice.

Theory. The first block of a peer that knows RFC 2883 may tell of a duplicate: it lies below what is acknowledged, or
inside the second block. Each duplicate counts against the retransmissions of the last reduction; once none is left, all
of them had been for nothing, and the reduction is taken back. Where reordering was seen, a duplicate also makes RACK
more patient. An original that SACK tells of after higher ones is reordering.
Source: tcp_sacktag_write_queue(), tcp_check_dsack(), tcp_dsack_seen(), tcp_is_sackblock_valid(), tcp_sacktag_one(),
tcp_rack_update_reo_wnd() (net/ipv4/tcp_input.c, 6.x); RFC 2018, 2883, 8985 section 6.2.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.receiver import TCP_NUM_SACKS
from netsim.stack.sockets.tcp.reno import CA_LOSS
from netsim.stack.sockets.tcp.segment import Segment, unwrap
from netsim.stack.sockets.tcp.sent import Delivered
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.units import Ns

Block = tuple[int, int]


def tag(sock: TcpSocket, seg: Segment, told: Delivered, prior_una: int, now: Ns) -> None:
    """Mark what a segment's blocks name. `sock.snd_una` is the segment's already, `prior_una` what it was before."""
    blocks = [(unwrap(left, seg.ack), unwrap(right, seg.ack)) for left, right in seg.sack[:TCP_NUM_SACKS]]
    rtx, cc = sock.rtx, sock.cc
    twice = None
    if _tells_of_duplicate(blocks, seg.ack) and _duplicate(sock, blocks[0], told, prior_una):
        first = blocks.pop(0)
        if first[1] > prior_una and _valid(sock, first, again=True):
            twice = first
            cc.found_needless(rtx.arrived_twice(*first, cc.undo_una, told))
            blocks.append(first)
    for block in sorted(blocks):  # so that of blocks that are new together none overtook another
        if block[1] > sock.snd_una and (block is twice or _valid(sock, block, again=False)):
            rtx.sack(*block, now, told, sock.rtt.min_us)
    if twice is not None:
        rtx.clear_retransmissions(*twice)
    if told.overtaken_seq >= 0 and (cc.state != CA_LOSS or cc.undo):
        rtx.rack.overtaken(told.overtaken_seq, rtx.sacked_to(sock.snd_una), sock.mss)


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
