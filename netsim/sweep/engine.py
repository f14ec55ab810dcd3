"""Carry the runs of a sweep out: in processes of this machine, on a Dask cluster, or right here for one worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netsim.scenario.model import Scenario
from netsim.sweep.grid import Job
from netsim.sweep.journal import Journal, Outcome
from netsim.sweep.workers import cluster, processes, run_each

Done = Callable[[int, int], None]
"""done(finished, total)."""


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

    What `journal` knows is not run again. Ctrl-C keeps what is finished, and ends what is not. A run that fails to run
    (a refused set-up line) raises its error; SimulationError where workers die again and again.
    """
    journal = journal or Journal(None, scenarios)
    finished = {job.number: known for job in work if (known := journal.finished(job)) is not None}
    told = done or (lambda finished, total: None)

    def keep(outcome: Outcome) -> None:
        finished[outcome.number] = outcome
        journal.note(outcome)
        told(len(finished), len(work))

    tasks = {job.number: (scenarios[job.point], job) for job in work if job.number not in finished}
    try:
        if workers == 1 and not scheduler:
            for task in tasks.values():
                keep(run_job(*task))
        else:
            start = (lambda: cluster(scheduler)) if scheduler else (lambda: processes(workers))
            run_each(start, run_job, tasks, lambda _, outcome: keep(outcome))
    except KeyboardInterrupt:
        pass  # what is finished is kept, and told as partial
    return [finished[job.number] for job in work if job.number in finished], len(finished) == len(work)
