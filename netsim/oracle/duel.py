"""A duel: the same questions to a box of the kernel and to an emulated one, without a timeline.

Command lines and frames go into both; answers and the frames that come out are compared at once. For searching: a
machine can think of questions that nobody would write a scenario for.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from netsim.kernel.lab import KernelLab
from netsim.lab import Lab
from netsim.oracle.answers import plain
from netsim.oracle.describe import Describer, Roles
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import Dropped, FrameSent
from netsim.units import NS_PER_MS, Ns
from netsim.wire import drop

PATIENCE: Ns = 20 * NS_PER_MS
"""How long the kernel is given to answer a frame, so often as TRIES says while it owes one."""
TRIES = 15
Answer = tuple[int, str, str]
Out = tuple[str, bytes]
"""NODE:IFACE and the octets that left there."""


class Duel:
    """Two labs of one topology. Use it as a context manager.

    `chosen` are the ports that frames and command lines name: others are compared by their roles.
    """

    def __init__(self, topology: Topology, *, chosen: frozenset[int] = frozenset()) -> None:
        self._sent: tuple[list[Out], list[Out]] = ([], [])
        self._describers = tuple(Describer(Roles((), chosen)) for _ in range(2))
        self.kernel = KernelLab(topology, bus_ready=_keep(self._sent[0]))
        self.emulator = Lab(topology, bus_ready=_keep(self._sent[1]))
        self.kernel.run(NS_PER_MS)
        self._keep_up()

    def _keep_up(self) -> None:
        """Let the emulator's clock be where the kernel's is."""
        self.emulator.run(max(self.emulator.now, self.kernel.now))

    def ask(self, node: str, line: str) -> tuple[Answer, Answer]:
        """Run a command line on both boxes; return the kernel's answer and the emulator's, made comparable."""
        self._keep_up()
        answers = [lab[node].sh(line) for lab in (self.kernel, self.emulator)]
        kernel, emulator = ((a.rc, plain(line, a.stdout), plain(line, a.stderr)) for a in answers)
        return kernel, emulator

    def put(self, end: str, octets: bytes) -> tuple[list[str], list[str]]:
        """Let a frame arrive at NODE:IFACE of both; return in words what came out anywhere, in order of interfaces."""
        self._keep_up()
        for sent in self._sent:
            sent.clear()
        self.emulator.inject(end, octets)
        self.kernel.inject(end, octets)
        for _ in range(TRIES):
            self.kernel.run(self.kernel.now + PATIENCE)
            if len(self._sent[0]) >= len(self._sent[1]):
                break
        kernel, emulator = (
            sorted(
                (f"{end} {describer.frame(octets, 0)[1]}" for end, octets in sent),
                key=lambda words: words.partition(" ")[0],
            )
            for sent, describer in zip(self._sent, self._describers, strict=True)
        )
        return kernel, emulator

    def close(self) -> None:
        """Let go of both."""
        self.kernel.close()
        self.emulator.close()

    def __enter__(self) -> Duel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _keep(sent: list[Out]) -> Callable[[Bus], None]:
    """Note what leaves an interface, on a link or on none."""

    def leaves(record: FrameSent) -> None:
        sent.append((f"{record.node}:{record.dev}", record.frame.octets))

    def leads_nowhere(record: Dropped) -> None:
        if record.reason == drop.NO_LINK and record.dev:
            sent.append((f"{record.node}:{record.dev}", record.octets))

    def ready(bus: Bus) -> None:
        bus.subscribe((FrameSent,), leaves)
        bus.subscribe((Dropped,), leads_nowhere)

    return ready
