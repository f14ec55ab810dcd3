# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # 1. A first lab
#
# Three Linux boxes on a virtual clock: a host, a router that masquerades, and the world. Everything on them is
# configured with Linux's own commands; nothing here needs root, and it does the same every time.
#
#     h1 --lan-- router --wan-- world 203.0.113.10

# %%
import networkx as nx

from netsim import Lab, sec

graph = nx.Graph(name="first")
graph.add_node("h1", addr={"eth0": "192.168.0.3/24"}, default="192.168.0.1")
graph.add_node(
    "router",
    addr={"lan0": "192.168.0.1/24", "wan0": "203.0.113.1/24"},
    run="iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE",
)
graph.add_node("world", addr={"eth0": "203.0.113.10/24"})
graph.add_edge("h1", "router", name="lan", ends=["h1:eth0", "router:lan0"], delay="50us")
graph.add_edge("router", "world", name="wan", ends=["router:wan0", "world:eth0"], rate="10Mbit", delay="5ms")
lab = Lab.from_graph(graph, seed=1)
print(lab["h1"].sh("ip route").stdout)

# %% [markdown]
# ## Ask before anything moves
# A box is a Linux box: it answers what `ip`, `iptables` and `sysctl` would answer, refusals included.

# %%
print(lab["router"].sh("iptables -t nat -S POSTROUTING").stdout)
print(lab["router"].sh("ip route get 203.0.113.10 from 192.168.0.3 iif lan0").stdout)
refused = lab["h1"].sh("ip route add default via 10.9.9.9")
print(refused.rc, refused.stderr)

# %% [markdown]
# ## Let packets move
# A tap shows each frame as a scapy packet as it leaves its sender. The first frames are ARP: nobody knows anybody
# yet.

# %%
seen = []
for name in ("lan", "wan"):
    lab.link(name).tap(lambda t, packet, name=name: seen.append((t, name, packet.summary())))
lab.flow("web", source="h1", to="world:80", every=sec(1), size=100, count=2, reply=True, sport=4000)
lab.run(until=sec(3))
for t, name, text in seen[:12]:
    print(f"{t / 1e9:.6f}  {name}  {text}")

# %% [markdown]
# ## Look at what is left behind
# The router knows both neighbours now, and the connection that it translates.

# %%
print(lab["router"].sh("ip neigh").stdout)
print(lab["router"].sh("conntrack -L").stdout)

# %% [markdown]
# ## Break something
# `cut` takes the carrier away. The route over `wan0` stays, and is no longer used: Linux says `linkdown`.

# %%
lab.event("cut", "wan")
lab.run(until=sec(4))
print(lab["router"].sh("ip route").stdout)
lab.close()
