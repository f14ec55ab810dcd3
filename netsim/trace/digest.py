"""One number for a run: what the wire, the neighbours, NAT and the commands did, never how it was decided.

Source: design/scenario-format.md, "`digest` covers frames transmitted (time, interface, octets), neighbour changes,
translated connections, drops and command answers, never decision records, plots or captures."
"""

from __future__ import annotations

from hashlib import blake2b

from netsim.trace.bus import Bus
from netsim.trace.records import CommandRun, Dropped, FrameSent, NatMapped, NeighChange


class Digest:
    """Feeds itself from a bus; `hexdigest()` at the end. Uids stay out, so that numbering may change."""

    def __init__(self, bus: Bus) -> None:
        self._hash = blake2b(digest_size=16)
        bus.subscribe((FrameSent,), self._frame)
        bus.subscribe((NeighChange,), self._neigh)
        bus.subscribe((NatMapped,), self._nat)
        bus.subscribe((Dropped,), self._drop)
        bus.subscribe((CommandRun,), self._command)

    def _frame(self, r: FrameSent) -> None:
        self._hash.update(b"F%d %s:%s " % (r.t, r.node.encode(), r.dev.encode()))
        self._hash.update(r.frame.octets)

    def _neigh(self, r: NeighChange) -> None:
        self._hash.update(f"N{r.t} {r.node} {r.dev} {r.dst} {r.old} {r.new} {r.lladdr}\n".encode())

    def _nat(self, r: NatMapped) -> None:
        self._hash.update(f"T{r.t} {r.node} {r.proto} {r.original} {r.reply}\n".encode())

    def _drop(self, r: Dropped) -> None:
        self._hash.update(f"D{r.t} {r.node} {r.dev} {r.reason}\n".encode())
        self._hash.update(r.octets)

    def _command(self, r: CommandRun) -> None:
        self._hash.update(f"C{r.t} {r.node} {r.line} {r.rc} {r.stdout} {r.stderr}\n".encode())

    def hexdigest(self) -> str:
        """Return the digest so far, 32 hex digits."""
        return self._hash.hexdigest()
