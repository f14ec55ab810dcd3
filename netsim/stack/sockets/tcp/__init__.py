"""TCP as Linux speaks it: connections, their two halves, loss recovery, timers.

Read state.py first (the states and everything that moves them), then input.py and output.py. rtt.py, reno.py, cubic.py,
rtx_queue.py, rack.py, sack.py, sndbuf.py and receiver.py are cores that send nothing; the others share a `TcpContext`.
May import the foundation, wire and the other files of sockets/; nobody outside sockets/ but netns.py imports from here.
Source: RFC 9293, 5681, 6582, 6298, 7323, 2018, 2883, 6937, 8985, 5961; net/ipv4/tcp*.c (6.x).
"""

from netsim.stack.sockets.tcp.socket import TcpSocket
from netsim.stack.sockets.tcp.tcp import Tcp

__all__ = ["Tcp", "TcpSocket"]
