"""Work in other processes: handed out, gathered, begun again when a worker is killed, ended with the one who asked.

`netsim test` and `netsim sweep` both work through here, in processes of this machine or on a Dask cluster.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, TypeVar

from netsim.errors import ConfigError, Problem, SimulationError

T = TypeVar("T")


def run_each(
    start: Callable[[], AbstractContextManager[Executor]], function: Callable[..., T],
    tasks: Mapping[int, Sequence[Any]], keep: Callable[[int, T], None],
) -> None:  # fmt: skip
    """Call `function` with each task's arguments and hand `keep` its number and answer as it comes, in any order.

    A worker that is killed loses nothing: its task goes to a new one. SimulationError where that gets no further.
    """
    left = dict(tasks)
    while left:
        before = len(left)
        try:
            with start() as executor:
                _gather(executor, function, left, keep)
        except BrokenExecutor as error:
            if len(left) == before:
                raise SimulationError(f"workers die before they finish a run: {error}") from error


def _gather(
    executor: Executor, function: Callable[..., T], left: dict[int, Sequence[Any]], keep: Callable[[int, T], None]
) -> None:
    """Take what is answered from `left`."""
    numbers = {executor.submit(function, *arguments): number for number, arguments in left.items()}
    try:
        for future in _completed(list(numbers)):
            number = numbers[future]
            answer = future.result()
            del left[number]
            keep(number, answer)
    except BaseException:
        if not isinstance(executor, ProcessPoolExecutor):
            for future in numbers:
                future.cancel()
        raise
    finally:
        numbers.clear()  # Dask holds results for futures that are alive, and complains about them when it closes


def _completed(futures: list[Future[T]]) -> Iterator[Future[T]]:
    """Yield futures as they end; Dask's are no concurrent.futures' ones, and have a function of their own."""
    if all(isinstance(future, Future) for future in futures):
        yield from as_completed(futures)
        return
    from distributed import as_completed as dask_completed

    yield from dask_completed(futures)


@contextmanager
def processes(workers: int | None = None) -> Iterator[Executor]:
    """Start processes of this machine, `workers` or one a processor; they end at once when an exception leaves this.

    Each holds a line whose other end is here: it is cut when this process ends, however it ends, and then they end.
    """
    context = get_context("spawn")  # a forked child would inherit the progress bar's thread in the middle of a line
    theirs, ours = context.Pipe(duplex=False)
    with theirs, ours:
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_hold, initargs=(theirs,))
        try:
            yield pool
        except BaseException:
            ours.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _hold(line: Connection) -> None:
    """Let a worker end with its parent and by nothing else: a signal to the whole group is the parent's to obey."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Thread(target=_end_with, args=(line,), daemon=True).start()


def _end_with(line: Connection) -> None:
    wait([line])
    os._exit(1)


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Connect to a Dask scheduler. Raises ConfigError."""
    try:
        from distributed import Client
    except ImportError as error:
        hint = "pip install 'netsim-linux[sweep]'"
        raise ConfigError(Problem("--scheduler", 0, 0, "", "dask.distributed is not installed", hint)) from error
    client: Any
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ConfigError(Problem("--scheduler", 0, 0, address, f"no scheduler answers: {error}")) from error
    with client:
        yield client.get_executor()
