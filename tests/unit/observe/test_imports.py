"""What looking at a run costs before anything is drawn, and that drawing registers nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE = """
import sys
import netsim.observe.metrics, netsim.observe.capture, netsim.observe.textlog, netsim.observe.report
import netsim.observe.plot.gateways, netsim.observe.plot.timeline, netsim.observe.plot.topology
import netsim.observe.plot.ladder, netsim.observe.plot.from_metrics
print(sorted({"matplotlib", "networkx", "scapy", "simpy", "numpy"} & set(sys.modules)))
"""

DRAWN = """
import io, sys
from netsim.observe.plot import style
from netsim.observe.plot.gateways import GatewaysData, draw_gateways
import matplotlib
matplotlib.rcParams["font.size"] = 30
matplotlib.rcParams["hatch.linewidth"] = 9
figure = draw_gateways(GatewaysData(title="x", subtitle=(), duration=1.0, bin_width=0.5, gateways=()))
out = io.BytesIO()
style.save(figure, out, "png")
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams["font.size"], out.getvalue()[:4])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("code", "said"), [(BEFORE, "[]"), (DRAWN, "False 30.0 b'\\x89PNG'")], ids=["before", "drawn"])
def test_matplotlib_comes_only_to_draw_and_pyplot_never(code: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said
