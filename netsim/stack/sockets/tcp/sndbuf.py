"""The send buffer of a socket: how much a writer may put in, in the buffer's own measure, and when it has room again.

Theory. The buffer counts what octets take in memory: their number, and the kernel's structures for each skb. What waits
unsent stands in skbs of up to 64 kB. What was sent stands in the skbs it left in, which are smaller; each lives until
its last segment is acknowledged. So the buffer holds many more octets of one large write than of many small ones that
left at once. Segments leave one by one here, as from a card that cuts nothing; of the skb remains its place in the
buffer. Source: tcp_sendmsg_locked(), tcp_sndbuf_expand(), tcp_xmit_size_goal(), tcp_tso_autosize(), tcp_cwnd_test()
(net/ipv4/tcp.c, tcp_input.c, tcp_output.c, 6.x); sizes as SO_MEMINFO of 6.18 has them, x86-64.
"""

from __future__ import annotations

from netsim.stack.sockets.tcp.options import TCP_MSS_DEFAULT
from netsim.stack.sockets.tcp.reno import TCP_INIT_CWND
from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.wire.tcp import TCP_HLEN

TCP_WMEM_MAX = 4_194_304
"""Source: net.ipv4.tcp_wmem, the last of three."""
SKB_TRUESIZE = 832
"""What an skb takes beside its payload."""
GSO_MAX_SIZE = 65_536
MAX_TCP_HEADER = 256
SKB_SHARED_INFO = 320
SKB_STRUCT = 256
"""Sizes of the kernel's structures. Source: include/net/tcp.h, linux/skbuff.h."""
TCP_PACING_SHIFT = 10
TCP_TSO_RTT_LOG = 9
TCP_MIN_TSO_SEGS = 2
"""How much leaves in one skb. Source: sk_pacing_shift, net.ipv4.tcp_tso_rtt_log and tcp_min_tso_segs."""


def expand(sock: TcpSocket) -> None:
    """Let the buffer grow to twice the window; it never shrinks. Mirrors tcp_sndbuf_expand().

    A full segment is allowed a power of two of octets: 2,304 on Ethernet, 46,080 for the first window (6.18).
    """
    frame = sock.options.mss + MAX_TCP_HEADER + SKB_SHARED_INFO
    per_mss = (1 << (frame - 1).bit_length()) + SKB_STRUCT
    wanted = 2 * max(TCP_INIT_CWND, sock.cc.cwnd) * per_mss
    if wanted > sock.sndbuf:
        sock.sndbuf = min(wanted, TCP_WMEM_MAX)


def queued(sock: TcpSocket) -> int:
    """Return what waits in the buffer, in its own measure. Source: sk_wmem_queued."""
    unsent = -(-sock.unsent_octets // (sock.mss * skb_segments(sock)))
    return sock.waiting + SKB_TRUESIZE * (unsent + sock.rtx.skbs)


def room(sock: TcpSocket) -> int:
    """Return the octets that go into one skb now: the last is filled up, a new one begins unless the buffer is full.

    Source: tcp_sendmsg_locked(), sk_stream_memory_free().
    """
    goal = sock.mss * skb_segments(sock)
    left = -sock.unsent_octets % goal
    return left or (goal if queued(sock) < sock.sndbuf else 0)


def writeable(sock: TcpSocket) -> bool:
    """Tell whether a third of the buffer is free. Mirrors sk_stream_is_writeable()."""
    return 3 * queued(sock) <= 2 * sock.sndbuf


def skb_segments(sock: TcpSocket) -> int:
    """Return how many segments an skb holds: 64 kB or half the peer's window at most. Mirrors tcp_xmit_size_goal()."""
    return max(1, half_window(sock, GSO_MAX_SIZE - 1 - MAX_TCP_HEADER) // sock.mss)


def half_window(sock: TcpSocket, octets: int) -> int:
    """Cut octets that leave at once to half the peer's largest window; a window of one segment counts whole.

    Mirrors tcp_bound_to_half_wnd().
    """
    most = sock.max_window
    cutoff = most >> 1 if most > TCP_MSS_DEFAULT else most
    if not cutoff or octets <= cutoff:
        return octets
    return max(cutoff, 68 - TCP_HLEN - sock.options.overhead)


def burst(sock: TcpSocket) -> int:
    """Return how many segments leave in one skb: a millisecond's worth, two at least, half the window at most.

    Mirrors tcp_tso_autosize(), tcp_update_pacing_rate(), tcp_cwnd_test().
    """
    most = skb_segments(sock)
    cc, rtt = sock.cc, sock.rtt
    if rtt.srtt8_us:
        ratio = 200 if cc.cwnd < cc.ssthresh // 2 else 120
        rate = sock.mss * 80_000 * ratio * max(cc.cwnd, sock.rtx.packets_out) // rtt.srtt8_us
        worth = (rate >> TCP_PACING_SHIFT) + (GSO_MAX_SIZE >> min(32, rtt.min_us >> TCP_TSO_RTT_LOG))
        most = min(most, max(worth // sock.mss, TCP_MIN_TSO_SEGS))
    return max(1, min(most, cc.cwnd >> 1))


def forces_push(sock: TcpSocket) -> bool:
    """Tell whether more than half the peer's window was written since the last push. Mirrors forced_push()."""
    return sock.snd_nxt + sock.unsent_octets > sock.pushed_to + (sock.max_window >> 1)
