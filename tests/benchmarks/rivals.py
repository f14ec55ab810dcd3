"""The others on the same chain: ns.py in this process, ns-3 and the running kernel in processes of their own.

Each answers packet-hops a second, or the reason why it could not be measured here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from worlds import HOPS

HERE = Path(__file__).parent


def nspy(packets: int, size: int) -> float | str:
    """Run ns.py's Port + Wire elements, as many as the chain has hops: no headers, routing, ARP or NAT."""
    try:
        import simpy
        from ns.packet.dist_generator import DistPacketGenerator
        from ns.packet.sink import PacketSink
        from ns.port.port import Port
        from ns.port.wire import Wire
    except ImportError:
        return "not installed (PyPI ns.py)"
    env = simpy.Environment()
    source = DistPacketGenerator(env, "load", lambda: 1e-4, lambda: size, finish=packets * 1e-4)
    out = source
    for _ in range(HOPS):
        port, wire = Port(env, 1e12), Wire(env, lambda: 1e-6)
        out.out, port.out, out = port, wire, wire
    out.out = PacketSink(env, rec_flow_ids=False)
    began = time.process_time()
    env.run(until=packets * 1e-4 + 1)
    return source.packets_sent * HOPS / (time.process_time() - began)


def ns3(packets: int, size: int) -> float | str:
    """Run ns-3's CSMA chain in the Python that NETSIM_BENCH_NS3 names: the wheel and ns.py both call themselves ns."""
    python = os.environ.get("NETSIM_BENCH_NS3")
    if not python:
        return "NETSIM_BENCH_NS3 names no Python with PyPI's ns3"
    return _rate([python, str(HERE / "rival_ns3.py"), str(packets), str(size)])


def kernel(packets: int, size: int) -> float | str:
    """Let the running kernel carry as many through namespaces, with masquerading."""
    if os.geteuid() != 0:
        return "needs root"
    command = [sys.executable, str(HERE / "rival_kernel.py"), str(packets), str(size)]
    return _rate(["unshare", "--mount", "--net", *command])


def _rate(command: list[str]) -> float | str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return float(done.stdout.split()[-1])
