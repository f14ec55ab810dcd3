"""The running kernel on the benchmark's chain: five network namespaces, veth cables, masquerading, plain datagrams.

    unshare --mount --net python tests/benchmarks/rival_kernel.py DATAGRAMS SIZE

Prints packet-hops a second of wall time: one process sends as fast as it can, and the kernel carries each datagram
through the chain within the sender's own call. Everything lives below a /run of its own and dies with the process.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time

SET_UP = """
mount -t tmpfs tmpfs /run
for node in h nat r1 r2 s; do ip netns add $node; ip -n $node link set lo up; done
wire() { ip -n $1 link add $2 type veth peer name $4 netns $3; ip -n $1 link set $2 up; ip -n $3 link set $4 up; }
wire h eth0 nat lan0; wire nat wan0 r1 eth0; wire r1 eth1 r2 eth0; wire r2 eth1 s eth0
ip -n h addr add 192.168.0.3/24 dev eth0
ip -n nat addr add 192.168.0.1/24 dev lan0; ip -n nat addr add 10.0.1.2/24 dev wan0
ip -n r1 addr add 10.0.1.1/24 dev eth0; ip -n r1 addr add 10.0.2.1/24 dev eth1
ip -n r2 addr add 10.0.2.2/24 dev eth0; ip -n r2 addr add 10.0.3.1/24 dev eth1
ip -n s addr add 10.0.3.2/24 dev eth0
ip -n h route add default via 192.168.0.1; ip -n nat route add default via 10.0.1.1
ip -n r1 route add default via 10.0.2.2; ip -n r2 route add 10.0.1.0/24 via 10.0.2.1
ip -n s route add default via 10.0.3.1
for node in nat r1 r2; do ip netns exec $node sysctl -q -w net.ipv4.ip_forward=1; done
ip netns exec nat iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE
"""
RECEIVE = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 28)  # SO_RCVBUFFORCE, which the module does not name
s.bind(("10.0.3.2", 9))
print("ready", flush=True)
s.settimeout(1)
seen = 0
try:
    while True:
        s.recv(2048)
        seen += 1
except TimeoutError:
    print(seen)
"""
HOPS = 4


def send(datagrams: int, size: int) -> float:
    """Send as fast as the socket takes it; return the seconds it took."""
    payload = bytes(size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("10.0.3.2", 9))
        s.send(payload)  # the first packet resolves every neighbour
        time.sleep(0.2)
        began = time.perf_counter()
        for _ in range(datagrams):
            s.send(payload)
        return time.perf_counter() - began


def main() -> None:
    """Set up, send, print the rate of what arrived."""
    if sys.argv[1] == "send":
        print(send(int(sys.argv[2]), int(sys.argv[3])))
        return
    subprocess.run(["sh", "-ec", SET_UP], check=True)
    inside = ["ip", "netns", "exec"]
    receiver = subprocess.Popen([*inside, "s", sys.executable, "-c", RECEIVE], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    receiver.stdout.readline()
    sender = [*inside, "h", sys.executable, __file__, "send", *sys.argv[1:3]]
    seconds = float(subprocess.run(sender, check=True, capture_output=True, text=True).stdout)
    arrived = int(receiver.stdout.read())
    print(arrived * HOPS / seconds)


if __name__ == "__main__":
    main()
