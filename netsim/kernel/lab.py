"""A lab whose boxes are the kernel's: built, set up, broken and run by the same code as any other lab."""

from __future__ import annotations

from collections.abc import Callable

from netsim.errors import SimulationError
from netsim.kernel.box import KernelBox
from netsim.kernel.world import KernelWorld
from netsim.lab import Describe, Lab, describe_plainly
from netsim.seeds import Seed
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.units import Ns


class KernelLab(Lab):
    """Use it as a context manager or call `close`. `reachable` is what each device drew, in ms, by (node, device).

    There is no netfilter for callbacks here: a callback in Python cannot run inside the kernel.
    """

    def __init__(
        self, topology: Topology, *, seed: int = 1, bus_ready: Callable[[Bus], None] | None = None,
        describe: Describe = describe_plainly, world: KernelWorld | None = None,
    ) -> None:  # fmt: skip
        """Build and set up, at instant 0. Raises ConfigError for a refused line, Skipped where namespaces cannot be.

        `world` is an empty one in which other boxes too are real.
        """
        self.kernel_world = world or KernelWorld(Seed(seed))
        try:
            super().__init__(topology, seed=seed, bus_ready=bus_ready, describe=describe, world=self.kernel_world)
            self.reachable = {
                (box.name, dev): value
                for box in self.kernel_world.owners if isinstance(box, KernelBox)
                for dev, value in box.reachable_times().items()
            }  # fmt: skip
        except BaseException:
            self.kernel_world.close()
            raise

    def run(self, until: Ns) -> None:
        """Run to an instant, in real time."""
        if not isinstance(until, int):
            raise SimulationError(f"until is an int of nanoseconds, not {until!r}: use sec({until!r}) or ms(...)")
        world = self.kernel_world
        world.start()
        world.pump(until)

    def close(self) -> None:
        """Let every namespace go."""
        self.kernel_world.close()
        super().close()
