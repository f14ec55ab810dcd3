# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # 4. NAT, rerouting, and why SNAT is dangerous
#
# With two providers a connection has to keep its provider: a packet that leaves by the other one has a source address
# that does not belong there, and is dropped by any provider who filters. Here the packets of one call are watched on
# both uplinks.

# %%
from pathlib import Path

from netsim import Lab, load, ms, sec

ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "topologies").is_dir())
two_isps = load(ROOT / "topologies" / "two-isps.yaml", kind="any").effective_topology()
OWNER = {"wan0": "10.0.1.2", "wan1": "10.0.2.2"}


def uplinks(lab):
    """A list that fills with (uplink, source address) of each UDP packet."""
    seen = []
    for uplink in OWNER:
        lab.link(uplink).tap(
            lambda t, packet, uplink=uplink: seen.append((uplink, packet["IP"].src)) if packet.haslayer("UDP") else None
        )
    return seen


def show(seen):
    for number, (uplink, source) in enumerate(seen, 1):
        print(f"  packet {number}: {uplink} from {source}{'' if OWNER[uplink] == source else '   <- not its address'}")


# %% [markdown]
# ## A call across a cache flush
# Linux 2.4 remembers routes in a cache; any change of a route empties it. After that the multipath route has its next
# turn, and the call goes on by the other provider, under the first one's address: MASQUERADE decided once, at the
# first packet.
#
# With `nf_reroute` packet 2 and all later ones are routed in PRE_ROUTING as if they came from the masquerade address
# (seed, section 7), so that the rule for that address brings them to its owner.

# %%
PATCHES = ["static_routes", "alt_routes", "arp_prefsrc", "nf_reroute"]
for patches in (PATCHES[:3], PATCHES):
    lab = Lab.from_topology(two_isps, seed=1, kernel={"router": "linux-2.4"}, patches={"router": patches})
    for number in (1, 2):
        lab.flow(f"check{number}", source="router", to=f"10.0.{number}.1", kind="ping", every=sec(3))
    lab.flow("call", source="h1", to="world:5060", every=sec(1), sport=4000, start=sec(1))
    seen = uplinks(lab)
    for second in range(1, 5):
        lab.run(until=sec(second) + ms(500))
        lab["router"].sh("ip route flush cache")
    lab.run(until=sec(8))
    print("with nf_reroute" if "nf_reroute" in patches else "without nf_reroute")
    show(seen)
    lab.close()

# %% [markdown]
# ## SNAT decides too late
# A SNAT rule without a device knows one address only. The packet was routed before the rule was met: whatever
# multipath sends to `isp2` leaves with the address of `isp1`. "It could be fatal for multipath routes with paths with
# distinct public IP ranges if such setting is missing", says the document; the setting is `-o`.

# %%
RULES = {
    "one rule for all": ["-j SNAT --to-source 10.0.1.2"],
    "a rule a device": ["-o wan0 -j SNAT --to-source 10.0.1.2", "-o wan1 -j SNAT --to-source 10.0.2.2"],
}
for what, rules in RULES.items():
    lab = Lab.from_topology(two_isps, seed=1)
    lab["router"].sh("iptables -t nat -F POSTROUTING")
    for rule in rules:
        lab["router"].sh(f"iptables -t nat -A POSTROUTING -s 192.168.0.0/16 {rule}")
    seen = uplinks(lab)
    lab.flow("calls", source="h1", to="world:5060", every=ms(100), count=40, new_flows=True)
    lab.run(until=sec(6))
    wrong = sum(OWNER[uplink] != source for uplink, source in seen)
    print(f"{what:18} {len(seen)} packets on the uplinks, {wrong} with an address that is not the uplink's")
    lab.close()

# %% [markdown]
# ## The arithmetic
# NAT does not sum a packet anew: it subtracts what was there and adds what is there now (RFC 1624). `rewrite` is the
# same code, for a scapy packet in your hands.

# %%
from scapy.layers.inet import IP, UDP

from netsim import rewrite

packet = IP(bytes(IP(src="192.168.0.3", dst="203.0.113.10") / UDP(sport=4000, dport=80) / b"hello"))
translated = rewrite(packet, src="10.0.1.2", sport=1025)
again = IP(bytes(translated))
del again.chksum, again[UDP].chksum
again = IP(bytes(again))
print(f"incremental: IP {translated.chksum:04x} UDP {translated[UDP].chksum:04x}")
print(f"from zero:   IP {again.chksum:04x} UDP {again[UDP].chksum:04x}")
