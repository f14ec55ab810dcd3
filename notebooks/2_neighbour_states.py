# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # 2. Neighbour states, and what each timer does
#
# Linux knows that a gateway is dead only by ARP: an entry is REACHABLE for a while after proof, then STALE until
# somebody uses it, then DELAY, PROBE and at last FAILED. This notebook walks an entry through all of them and turns
# each screw.

# %%
import networkx as nx

from netsim import Lab, ms, sec


def two_boxes(*lines, kernel="linux-6"):
    """a and b on one wire; `lines` are run on a."""
    graph = nx.Graph()
    graph.add_node("a", kernel=kernel, addr={"eth0": "10.0.0.1/24"}, run="\n".join(lines))
    graph.add_node("b", addr={"eth0": "10.0.0.2/24"})
    graph.add_edge("a", "b", name="wire", ends=["a:eth0", "b:eth0"], delay="1ms")
    return Lab.from_graph(graph, seed=1)


def states(lab, until):
    """Run, and yield each instant at which a's entry for b has another state."""
    last = None
    while lab.now < until:
        lab.run(until=lab.now + ms(10))
        words = lab["a"].sh("ip neigh show dev eth0").stdout.split()
        state = words[-1] if words else "no entry"
        if state != last:
            yield lab.now / 1e9, state
            last = state


def show(lab, until):
    for t, state in states(lab, until):
        print(f"{t:8.2f} s  {state}")
    lab.close()


# %% [markdown]
# ## One datagram, then silence
# The entry is resolved, believed for reachable_time (a draw between half and one and a half times 30 s), and then
# STALE: nobody asks again, because nobody needs to know.

# %%
lab = two_boxes()
lab.flow("one", source="a", to="b:9", count=1)
show(lab, sec(60))

# %% [markdown]
# ## A gateway that dies under load
# b falls silent at 10 s. What was proven stays REACHABLE until reachable_time is over; the next datagram moves it to
# DELAY (delay_first_probe_time, 5 s), then come three probes a second apart (ucast_solicit, retrans_time). It fails
# at 27 s; the next datagram finds it FAILED and asks again, so that it is INCOMPLETE at once.

# %%
lab = two_boxes()
lab.flow("load", source="a", to="b:9", every=ms(500))
lab.event("silence", "b", at=sec(10))
show(lab, sec(60))

# %% [markdown]
# ## Turning the screws
# The same death with a shorter belief, a shorter delay and fewer probes: detection in seconds. What it costs is ARP
# traffic, all day, for each neighbour.

# %%
lab = two_boxes(
    "sysctl -w net.ipv4.neigh.eth0.base_reachable_time_ms=4000",
    "sysctl -w net.ipv4.neigh.eth0.delay_first_probe_time=1",
    "sysctl -w net.ipv4.neigh.eth0.ucast_solicit=2",
    "sysctl -w net.ipv4.neigh.eth0.retrans_time_ms=250",
)
lab.flow("load", source="a", to="b:9", every=ms(500))
lab.event("silence", "b", at=sec(10))
show(lab, sec(13))

# %% [markdown]
# ## Nobody home
# An address that never answered: INCOMPLETE for three broadcast probes, then FAILED; each further datagram starts
# anew.

# %%
lab = two_boxes()
lab.event("silence", "b")
lab.flow("load", source="a", to="b:9", every=sec(2), count=3)
show(lab, sec(12))

# %% [markdown]
# ## The kernel of 2002
# Up to 2.4 a REACHABLE entry has no timer of its own: a scan every 30 s notices that the proof has aged.

# %%
lab = two_boxes(kernel="linux-2.4")
lab.flow("load", source="a", to="b:9", every=ms(500))
lab.event("silence", "b", at=sec(10))
show(lab, sec(100))
