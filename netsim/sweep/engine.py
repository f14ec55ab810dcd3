"""Carry the runs of a sweep out: one code path over concurrent.futures, whoever the executor is.

In processes of this machine by default, on a Dask cluster with a scheduler's address, or right here for one worker. A
worker that is killed loses nothing: its run goes to another one.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from netsim.errors import ConfigError, Problem, SimulationError
from netsim.scenario.model import Scenario
from netsim.sweep.grid import Job
from netsim.sweep.journal import Journal

Done = Callable[[int, int], None]
"""done(finished, total)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run is remembered for; plain data that travels between processes."""

    number: int
    point: int
    seed: int
    passed: bool
    digest: str
    failed: tuple[str, ...]
    measures: Mapping[str, float | None]
    flows: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


Keep = Callable[[Outcome], None]


def run_job(scenario: Scenario, job: Job) -> Outcome:
    """Run one job in this process. The scenario is that of the job's point, whole: no file is read here."""
    from netsim.scenario.runner import run_scenario

    result = run_scenario(scenario.model_copy(update={"seed": job.seed}))
    flows = {
        name: {"sent": flow["sent"], "lost": flow["lost"], "longest_gap_s": flow["longest_gap_s"]}
        for name, flow in result.flows.items()
    }
    return Outcome(
        job.number, job.point, job.seed, result.passed, result.digest,
        tuple(verdict.name for verdict in result.failed), result.timing(), flows,
    )  # fmt: skip


def run_all(
    scenarios: Sequence[Scenario], work: Sequence[Job], *, workers: int | None = None, scheduler: str = "",
    done: Done | None = None, journal: Journal | None = None,
) -> tuple[list[Outcome], bool]:  # fmt: skip
    """Run every job; return the outcomes in the jobs' order, and whether all were run. `scenarios` is one a point.

    What `journal` knows is not run again. Ctrl-C keeps what is finished. A run that fails to run (a refused set-up
    line) raises its error; SimulationError where workers die again and again.
    """
    journal = journal or Journal(None, scenarios)
    finished = {job.number: known for job in work if (known := journal.finished(job)) is not None}
    told = done or (lambda finished, total: None)

    def keep(outcome: Outcome) -> None:
        finished[outcome.number] = outcome
        journal.note(outcome)
        told(len(finished), len(work))

    try:
        if workers == 1 and not scheduler:
            for job in work:
                if job.number not in finished:
                    keep(run_job(scenarios[job.point], job))
        else:
            _in_processes(scenarios, work, finished, keep, workers, scheduler)
    except KeyboardInterrupt:
        pass  # what is finished is kept, and told as partial
    return [finished[job.number] for job in work if job.number in finished], len(finished) == len(work)


def _in_processes(
    scenarios: Sequence[Scenario], work: Sequence[Job], finished: Mapping[int, Outcome], keep: Keep,
    workers: int | None, scheduler: str,
) -> None:  # fmt: skip
    """Run what is not finished; begin again with new workers when some died, as long as that gets further."""
    while left := [job for job in work if job.number not in finished]:
        before = len(finished)
        try:
            with _executor(workers, scheduler) as executor:
                _gather(executor, scenarios, left, keep)
        except BrokenExecutor as error:
            if len(finished) == before:
                raise SimulationError(f"workers die before they finish a run: {error}") from error


def _gather(executor: Executor, scenarios: Sequence[Scenario], work: Sequence[Job], keep: Keep) -> None:
    futures: list[Future[Outcome]] = [executor.submit(run_job, scenarios[job.point], job) for job in work]
    try:
        for future in _completed(futures):
            keep(future.result())
    except BaseException:
        if isinstance(executor, ProcessPoolExecutor):
            executor.shutdown(cancel_futures=True)  # by the pool's own thread, which alone knows what runs
        else:
            for future in futures:
                future.cancel()
        raise
    finally:
        futures.clear()  # Dask holds results for futures that are alive, and complains about them when it closes


def _completed(futures: list[Future[Outcome]]) -> Iterator[Future[Outcome]]:
    """Yield futures as they end; Dask's are no concurrent.futures' ones, and have a function of their own."""
    if all(isinstance(future, Future) for future in futures):
        yield from as_completed(futures)
        return
    from distributed import as_completed as dask_completed

    yield from dask_completed(futures)


def leave_signals_to_the_parent() -> None:
    """Let a worker end its run when the whole group is signalled: one that dies takes the pool with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def _executor(workers: int | None, scheduler: str) -> Iterator[Executor]:
    """Start processes, or connect to a Dask scheduler. Raises ConfigError."""
    if not scheduler:
        from multiprocessing import get_context

        context = get_context("spawn")  # a forked child would inherit the progress bar's thread in the middle of a line
        with ProcessPoolExecutor(workers, mp_context=context, initializer=leave_signals_to_the_parent) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError as error:
        hint = "pip install 'netsim-linux[sweep]'"
        raise ConfigError(Problem("--scheduler", 0, 0, "", "dask.distributed is not installed", hint)) from error
    client: Any
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise ConfigError(Problem("--scheduler", 0, 0, scheduler, f"no scheduler answers: {error}")) from error
    with client:
        yield client.get_executor()
