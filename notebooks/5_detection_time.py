# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # 5. How long until a dead gateway is noticed?
#
# Not one number: it depends on when the neighbour entry was last confirmed and on how long the kernel believes it, a
# draw between 15 and 45 seconds. So the question is about a distribution. `scenarios/detection-time.yaml` silences a
# provider at 60 s; here it runs with many seeds under three kernels. (`netsim sweep` does the same on all
# processors.)

# %%
from pathlib import Path

from netsim import run

ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "topologies").is_dir())
SEEDS = range(1, 11)
KERNELS = ["linux-2.4", "linux-2.4-routes", "linux-6"]
times = {}
for kernel in KERNELS:
    results = [
        run(ROOT / "scenarios" / "detection-time.yaml", seed=seed, settings={"kernel.router": kernel}) for seed in SEEDS
    ]
    times[kernel] = sorted(result.timing()["detection"] for result in results)

print(f"{'kernel':18} {'first':>7} {'median':>7} {'last':>7}   seconds after the gateway fell silent")
for kernel, values in times.items():
    print(f"{kernel:18} {values[0]:7.2f} {values[len(values) // 2]:7.2f} {values[-1]:7.2f}")

# %% [markdown]
# ## Against the bounds
# Linux 6 cannot be faster than its three probes (3 s), and not slower than the longest belief, delay and probes (45 +
# 1 + 5 + 3 s). 2.4 has no timer for the belief: a scan every 30 s ends it, and three more broadcast probes follow the
# unicast ones. What the seed's patches change is not when a gateway is FAILED, but what is done about it.

# %%
inside = [3 <= value <= 54 for value in times["linux-6"]]
print(f"linux-6: {sum(inside)} of {len(inside)} runs between 3 s and 54 s")
print("2.4 detects the same with and without the patches:", times["linux-2.4"] == times["linux-2.4-routes"])

# %% [markdown]
# ## As a picture

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(8, 4))
for kernel, style in zip(KERNELS, ("-", "--", ":"), strict=True):
    shares = [100 * (index + 1) / len(times[kernel]) for index in range(len(times[kernel]))]
    axes.step([0, *times[kernel]], [0, *shares], where="post", linestyle=style, label=kernel)
axes.axvspan(54, 60, color="#f9e3e6")
axes.set_xlabel("seconds after the gateway fell silent")
axes.set_ylabel("runs that noticed, %")
axes.legend()
plt.show()
