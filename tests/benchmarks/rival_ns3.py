"""ns-3 on the benchmark's chain (PyPI `ns3`): five nodes, CSMA cables with ARP, global routes, a UDP client and server.

    python tests/benchmarks/rival_ns3.py DATAGRAMS SIZE

Prints packet-hops a second of CPU time of the run alone. ns-3 translates no addresses here, and neither tracks
connections nor filters.
"""

from __future__ import annotations

import sys
import time

from ns import ns  # type: ignore[import-untyped, import-not-found]  # an optional rival, without types

NODES = 5


def main() -> None:
    """Build, run, print the rate of what arrived."""
    datagrams, size = int(sys.argv[1]), int(sys.argv[2])
    nodes = ns.NodeContainer()
    nodes.Create(NODES)
    ns.InternetStackHelper().Install(nodes)
    csma = ns.CsmaHelper()
    csma.SetChannelAttribute("DataRate", ns.StringValue("100Gbps"))
    csma.SetChannelAttribute("Delay", ns.TimeValue(ns.MicroSeconds(1)))
    for at in range(NODES - 1):
        pair = ns.NodeContainer()
        pair.Add(nodes.Get(at))
        pair.Add(nodes.Get(at + 1))
        addresses = ns.Ipv4AddressHelper()
        addresses.SetBase(ns.Ipv4Address(f"10.0.{at}.0"), ns.Ipv4Mask("255.255.255.0"))
        last = addresses.Assign(csma.Install(pair))
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    servers = ns.UdpServerHelper(9).Install(nodes.Get(NODES - 1))
    servers.Start(ns.Seconds(0))
    client = ns.UdpClientHelper(ns.InetSocketAddress(last.GetAddress(1), 9).ConvertTo())
    client.SetAttribute("MaxPackets", ns.UintegerValue(datagrams))
    client.SetAttribute("Interval", ns.TimeValue(ns.MicroSeconds(100)))
    client.SetAttribute("PacketSize", ns.UintegerValue(size))
    client.Install(nodes.Get(0)).Start(ns.Seconds(1))
    ns.Simulator.Stop(ns.Seconds(2 + datagrams * 1e-4))
    began = time.process_time()
    ns.Simulator.Run()
    print(servers.Get(0).GetReceived() * (NODES - 1) / (time.process_time() - began))


if __name__ == "__main__":
    main()
