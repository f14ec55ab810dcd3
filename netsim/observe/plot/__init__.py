"""Figures and ladders, made from plain data values alone, so that a saved run can be drawn again.

The only place of netsim that imports matplotlib, and only inside the functions that draw. May import observe and below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure  # what every room above calls a drawing
