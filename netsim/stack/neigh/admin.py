"""What an administrator may do: `ip neigh add, replace, change, delete, show`, `ip ntable show`.

Source: neigh_add(), neigh_delete(), neightbl_dump_info(); linux-kernel 1.8; observed-linux 9, 15; kernel-2.4-neighbour
corrections, rows 12 to 14.
"""

from __future__ import annotations

from typing import Protocol

from netsim.addr import Ip, Mac
from netsim.stack.device import Device
from netsim.stack.errno import EEXIST, EINVAL, ENOBUFS, ENODEV, ENOENT, EPERM, Refusal
from netsim.stack.interfaces import Interfaces
from netsim.stack.neigh.entry import Neighbour
from netsim.stack.neigh.machine import Machine
from netsim.stack.neigh.proxy import ProxyTable
from netsim.stack.nud_states import NUD_FAILED, NUD_PERMANENT, NUD_VALID
from netsim.stack.profile.neigh import NeighEra
from netsim.stack.requests import (
    DONE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    DelNeigh,
    Done,
    DumpNeighs,
    NeighInfo,
    NeighParmsInfo,
    NewNeigh,
)
from netsim.stack.sysctl import NeighParms, Sysctl
from netsim.stack.timers import Timer, Timers
from netsim.units import Ns
from netsim.wire.ether import ETH_ALEN


class Table(Protocol):
    """What the requests need of the table."""

    def find(self, dev: Device, ip: Ip) -> Neighbour | None:
        """Return an entry, without making one."""
        ...

    def find_or_make(self, dev: Device, ip: Ip, *, now: Ns, exempt: bool = False) -> Neighbour | None:
        """Return an entry, made if need be; None when the table is full."""
        ...

    def remove(self, entry: Neighbour, cause: str, *, now: Ns) -> None:
        """Take an entry off the table."""
        ...

    def snapshot(self) -> list[Neighbour]:
        """Return the entries, oldest first."""
        ...


class NeighAdmin:
    """The requests of one box, and the keeping of managed entries."""

    def __init__(
        self, *, era: NeighEra, interfaces: Interfaces, sysctl: Sysctl, timers: Timers, machine: Machine,
        proxy: ProxyTable, table: Table,
    ) -> None:  # fmt: skip
        self._era = era
        self._interfaces = interfaces
        self._sysctl = sysctl
        self._timers = timers
        self._machine = machine
        self._proxy = proxy
        self._table = table
        self._managed: Timer | None = None

    def new(self, req: NewNeigh, *, now: Ns) -> Done | Refusal:
        """Mirror neigh_add().

        Refused with ENODEV, EEXIST (EXCL and it is there), ENOENT (no CREATE and it is not), EINVAL (no link address
        given, or of a wrong length), ENOBUFS (table full), and up to 2.4 EPERM (another address without REPLACE).
        """
        dev = self._interfaces.named(req.dev)
        if dev is None:
            return Refusal(ENODEV)
        if req.proxy:
            self._proxy.add(dev, req.dst)
            return DONE
        if req.lladdr and len(req.lladdr) != (ETH_ALEN if dev.link_header else 0):
            return Refusal(EINVAL, "Invalid link address")
        entry = self._table.find(dev, req.dst)
        override = True
        if entry is not None:
            if req.flags & NLM_F_EXCL:
                return Refusal(EEXIST)
            override = bool(req.flags & NLM_F_REPLACE)
        else:
            if not req.flags & NLM_F_CREATE:
                return Refusal(ENOENT)
            if req.managed and req.state & NUD_PERMANENT and not req.use:
                return Refusal(EINVAL, "Invalid NTF_* flag combination for permanent entry")
            exempt = self._era.forced_gc == "selective" and bool(req.state & NUD_PERMANENT)
            entry = self._table.find_or_make(dev, req.dst, now=now, exempt=exempt)
            if entry is None:
                return Refusal(ENOBUFS if dev.has_ip else EINVAL)
        entry.extern_learn |= req.extern_learn
        if req.use or req.managed:
            self._use(entry, req, now)
            return DONE
        return self._update(entry, req.lladdr, req.state, override, now)

    def _update(self, entry: Neighbour, lladdr: Mac, state: int, override: bool, now: Ns) -> Done | Refusal:
        valid = bool(entry.state & NUD_VALID)
        if state & NUD_VALID and entry.dev.link_header:
            if not lladdr:
                if not valid:
                    return Refusal(EINVAL, "" if self._era.old_refusals else "No link layer address given")
            elif valid and lladdr != entry.lladdr and not override:
                return Refusal(EPERM) if self._era.old_refusals else DONE
        self._machine.admin(entry, lladdr or entry.lladdr, state, now=now)
        return DONE

    def _use(self, entry: Neighbour, req: NewNeigh, now: Ns) -> None:
        """Stir the entry as a packet would; a managed one again and again, every interval_probe_time."""
        self._machine.use(entry, now=now)
        self._machine.send(entry, None, None, now=now)
        if req.managed and not entry.managed:
            entry.managed = True
            self._keep_later(now)

    def _keep_later(self, now: Ns) -> None:
        if self._managed is None or not self._managed.pending:
            self._managed = self._timers.arm(now + self._sysctl.neigh_default.interval_probe_time, self._keep)

    def _keep(self, at: Ns) -> None:
        """Mirror neigh_managed_work()."""
        managed = [entry for entry in self._table.snapshot() if entry.managed]
        for entry in managed:
            self._machine.keep(entry, now=at)
        if managed:
            self._keep_later(at)

    def delete(self, req: DelNeigh, *, now: Ns) -> Done | Refusal:
        """Mirror neigh_delete(): FAILED, and off the table; up to 2.4 it stays listed, its queue kept.

        Refused with ENODEV, or ENOENT (up to 2.4 EINVAL) when there is no such entry.
        """
        dev = self._interfaces.named(req.dev)
        if dev is None:
            return Refusal(ENODEV)
        if req.proxy:
            return DONE if self._proxy.delete(dev, req.dst) else Refusal(ENOENT)
        entry = self._table.find(dev, req.dst)
        if entry is None:
            return Refusal(EINVAL if self._era.old_refusals else ENOENT)
        self._machine.admin(entry, entry.lladdr, NUD_FAILED, now=now)
        if self._era.delete_unlinks and self._table.find(dev, req.dst) is entry:
            self._table.remove(entry, "admin, deleted", now=now)
        return DONE

    def dump(self, req: DumpNeighs, *, now: Ns) -> tuple[NeighInfo, ...]:
        """List entries by device index and then by age, every state; ages are rounded to the era's tick."""
        if req.proxy:
            return tuple(
                NeighInfo(dst=ip, dev=dev.name, lladdr=b"", state=0, refcnt=0, used=0, confirmed=0, updated=0, probes=0,
                          proxy=True)
                for dev, ip in self._proxy.entries()
            )  # fmt: skip
        stamp = self._machine.jiffies(now)
        return tuple(
            NeighInfo(
                dst=entry.ip, dev=entry.dev.name, lladdr=entry.lladdr if entry.state & NUD_VALID else b"",
                state=entry.state, refcnt=entry.holds + entry.timed, used=stamp - entry.used,
                confirmed=stamp - entry.confirmed, updated=stamp - entry.updated, probes=entry.probes,
                managed=entry.managed, extern_learn=entry.extern_learn,
            )
            for entry in sorted(self._table.snapshot(), key=lambda entry: entry.dev.ifindex)
        )  # fmt: skip

    def dump_parms(self) -> tuple[NeighParmsInfo, ...]:
        """List the table's parameters, then each device's in index order."""
        table = self._sysctl.neigh_default
        return (_info("", table, table), *(_info(dev.name, dev.neigh, None) for dev in self._interfaces))


def _info(dev: str, parms: NeighParms, table: NeighParms | None) -> NeighParmsInfo:
    return NeighParmsInfo(
        dev=dev, base_reachable=parms.base_reachable_time, reachable=parms.reachable_time, retrans=parms.retrans_time,
        gc_stale=parms.gc_stale_time, delay_probe=parms.delay_first_probe_time, queue=parms.unres_qlen,
        app_probes=parms.app_solicit, ucast_probes=parms.ucast_solicit, mcast_probes=parms.mcast_solicit,
        anycast_delay=parms.anycast_delay, proxy_delay=parms.proxy_delay, proxy_queue=parms.proxy_qlen,
        locktime=parms.locktime, thresh1=table.gc_thresh1 if table else 0, thresh2=table.gc_thresh2 if table else 0,
        thresh3=table.gc_thresh3 if table else 0, gc_interval=table.gc_interval if table else 0,
    )  # fmt: skip
