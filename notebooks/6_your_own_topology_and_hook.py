# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # 6. Your own topology, your own hook
#
# A topology is a networkx graph; a packet in your hands is a scapy packet. Here a ring of routers is generated, and a
# callback in one box's netfilter changes and drops what passes.

# %%
import networkx as nx

from netsim import ACCEPT, DROP, Lab, ms, rewrite, sec

# %% [markdown]
# ## Five routers in a ring
# Each router has a /32 on lo and routes to all others the shorter way round, computed by networkx.

# %%
N = 5
ring = nx.cycle_graph(N)
graph = nx.Graph(name="ring")


def device(i, j):
    return "east" if j == (i + 1) % N else "west"


def address(i, j):
    link = i if j == (i + 1) % N else j
    return f"10.0.{link}.{1 if link == i else 2}"


for i in ring:
    lines = []
    for target, path in nx.single_source_shortest_path(ring, i).items():
        if target != i:
            lines.append(f"ip route add 192.0.2.{target}/32 via {address(path[1], i)} src 192.0.2.{i}")
    addresses = {device(i, j): f"{address(i, j)}/24" for j in ring[i]} | {"lo": f"192.0.2.{i}/32"}
    graph.add_node(f"r{i}", addr=addresses, run="\n".join(lines))
for i in ring:
    j = (i + 1) % N
    graph.add_edge(f"r{i}", f"r{j}", name=f"l{i}", ends=[f"r{i}:{device(i, j)}", f"r{j}:{device(j, i)}"], delay="2ms")
lab = Lab.from_graph(graph, seed=1)
print(lab["r0"].sh("ip route get 192.0.2.2").stdout)

# %% [markdown]
# ## A hook that watches, edits and drops
# The callback gets a scapy packet and where it is. It returns ACCEPT, DROP, or the packet it edited. `rewrite`
# changes addresses and ports as NAT does, checksums included.

# %%
log = []


def hook(packet, ctx):
    port = packet.dport if packet.haslayer("UDP") else 0
    if port == 666:
        log.append(f"{ctx.now / 1e9:.3f} {ctx.node} {ctx.hook} {ctx.indev}>{ctx.outdev} drops port 666")
        return DROP
    if port == 7:
        log.append(f"{ctx.now / 1e9:.3f} {ctx.node} {ctx.hook} {ctx.indev}>{ctx.outdev} turns port 7 into 8")
        return rewrite(packet, dport=8)
    return ACCEPT


lab["r1"].netfilter.register("FORWARD", hook, priority=-50)
arrived = []
lab.link("l1").tap(lambda t, packet: arrived.append((t, packet)))
lab.flow("good", source="r0", to="192.0.2.2:9", every=ms(100), count=2)
lab.flow("bad", source="r0", to="192.0.2.2:666", every=ms(100), count=2, start=ms(300))
lab.flow("echo", source="r0", to="192.0.2.2:7", every=ms(100), count=1, start=ms(600))
lab.run(until=sec(1))
print("\n".join(log))
for t, packet in arrived:
    if packet.haslayer("UDP"):
        print(f"{t / 1e9:.3f} l1 {packet['IP'].src}:{packet['UDP'].sport} > {packet['IP'].dst}:{packet['UDP'].dport}")

# %% [markdown]
# ## The clock is simpy's
# Your own processes run in it; time is an int of nanoseconds, and a float is refused with the way out.

# %%


def watcher(env):
    while True:
        yield env.timeout(sec(1))
        print(f"{env.now / 1e9:.0f} s: r1 knows {len(lab['r1'].sh('ip neigh').stdout.splitlines())} neighbours")


lab.env.process(watcher(lab.env))
lab.run(until=sec(4))
try:
    lab.env.timeout(1.5)
except Exception as error:
    print(error)
lab.close()
