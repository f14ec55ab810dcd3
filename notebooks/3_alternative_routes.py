# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # 3. Alternative routes, patch by patch
#
# In 2001 Julian Anastasov gave Linux routes that survive their device, and routes that know whether their gateway is
# alive. Each patch is a switch here, so that one can see what each of them buys. The network is his example: a router
# with two providers, `topologies/two-isps.yaml`.

# %%
from ipaddress import ip_address
from pathlib import Path

from netsim import Lab, load, sec

ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "topologies").is_dir())
two_isps = load(ROOT / "topologies" / "two-isps.yaml", kind="any").effective_topology()
PATCHES = ["static_routes", "alt_routes", "arp_prefsrc", "nf_reroute"]


def router_with(count, pings=True):
    """A lab whose router runs Linux 2.4 with the first patches, pinging both gateways to know them."""
    lab = Lab.from_topology(two_isps, seed=1, kernel={"router": "linux-2.4"}, patches={"router": PATCHES[:count]})
    for number in (1, 2) if pings else ():
        lab.flow(f"check{number}", source="router", to=f"10.0.{number}.1", kind="ping", every=sec(3))
    return lab


def name(count):
    return "2.4 as it was" if not count else f"+ {PATCHES[count - 1]}"


# %% [markdown]
# ## static_routes: a route that outlives its device
# `wan0` goes down and up again. What `proto static` bought in 2001 is easy to see: without the patch the route is
# deleted with the device's state, and nobody puts it back.

# %%
for count in (0, 1):
    lab = router_with(count)
    router = lab["router"]
    router.sh("ip route append default via 10.0.1.1 dev wan0 proto static table 77")
    print(name(count))
    for command in ("ip link set wan0 down", "ip link set wan0 up"):
        router.sh(command)
        print(f"  {command:22} {router.sh('ip route show table 77').stdout.strip() or '(no route)'}")
    lab.close()

# %% [markdown]
# ## alt_routes: a dead gateway is left alone
# Eight new destinations for an inside host, before and after `isp1` falls silent. Multipath of 2.4 takes its turns
# whoever is alive; with the patch a path whose gateway does not answer is suspect, and is not used while another one
# lives.


# %%
def devices(lab):
    """Through which device eight new destinations would go."""
    answers = [lab["router"].sh(f"ip route get 198.51.100.{n} from 192.168.0.3 iif lan0").stdout for n in range(8)]
    return " ".join(answer.split(" dev ")[1].split()[0] for answer in answers)


for count in (0, 2):
    lab = router_with(count)
    lab.event("silence", "isp1", at=sec(10))
    lab.run(until=sec(9))
    print(name(count))
    print("  both alive    ", devices(lab))
    lab.run(until=sec(100))
    lab["router"].sh("ip route flush cache")  # 2.4 takes two seconds for it
    lab.run(until=sec(103))
    print("  isp1 is silent", devices(lab))
    print("                ", lab["router"].sh("ip neigh show 10.0.1.1").stdout.strip())
    lab.close()

# %% [markdown]
# ## arp_prefsrc: who is asking?
# The router pings its gateway from its inside address. Without the patch that address goes into the ARP question, and
# the provider learns an address that is none of its business; with it the question carries the route's preferred
# source.

# %%
for count in (2, 3):
    lab = router_with(count, pings=False)
    sent = []
    lab.link("wan0").tap(lambda t, packet, sent=sent: sent.append(packet.summary()))
    lab.flow("inside", source="router", to="10.0.1.1", kind="ping", src=int(ip_address("192.168.0.1")), count=1)
    lab.run(until=sec(1))
    print(f"{name(count):16} {sent[0]}")
    lab.close()
