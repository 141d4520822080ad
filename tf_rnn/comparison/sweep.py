"""The sweep: costs first, while nothing else runs, then every run on all cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from queue import Empty
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from tf_rnn.comparison import worker
from tf_rnn.comparison.reach import share_of_errors
from tf_rnn.comparison.slopes import cost_slopes
from tf_rnn.comparison.summary import gap, summarise
from tf_rnn.comparison.verdict import Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.screen import Screen
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.tasks import Task

POLL_SECONDS = 0.2


class WorkerDiedError(RuntimeError):
    """A worker process ended in the middle of its work."""

    def __init__(self) -> None:
        super().__init__(
            "a worker process died (killed, or out of memory?); finished runs are kept, "
            "the same command goes on from there"
        )


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sweep(
    comparison: Comparison, results: Results, task: Task, screen: Screen, workers: int
) -> tuple[list[Summary], Verdict | None]:
    """Computes what is missing of a comparison and saves it after every run.

    Args:
        comparison: What to compare.
        results: What there is already; filled up.
        task: The comparison's task.
        screen: Where progress is shown.
        workers: Processes side by side.

    Returns:
        A summary of each state and width, and the verdict (None where every run diverged).

    Raises:
        WorkerDiedError: If a worker process is killed. Finished runs are kept.
        KeyboardInterrupt: If interrupted. Finished runs are kept.
    """
    missing = results.missing(comparison.keys)
    costs_missing = not set(comparison.num_steps) <= set(results.costs)
    if missing or costs_missing:
        with _Workers(max(1, min(workers, len(missing))), screen) as pool:
            if costs_missing:
                screen.say_costs(len(set(comparison.num_steps)))
                results.add_costs(pool.submit(worker.cost_runs, comparison).result())
                results.save(verdict=None)
            _train_missing(comparison, results, task, screen, pool, missing)
    summaries = summarise(results, comparison.keys, task)
    verdict = decide(summaries)
    save(results, task, verdict)
    return summaries, verdict


def _train_missing(
    comparison: Comparison,
    results: Results,
    task: Task,
    screen: Screen,
    pool: _Workers,
    missing: list[RunKey],
) -> None:
    screen.start_runs(total=len(comparison.keys), done=len(comparison.keys) - len(missing))
    futures: dict[Future[Any], RunKey] = {
        pool.submit(worker.train_run, comparison, key): key for key in missing
    }
    for future in as_completed(futures):
        record = future.result()
        results.add_run(record)
        save(results, task, verdict=None)
        screen.finish_run(futures[future], record)


def save(results: Results, task: Task, verdict: Verdict | None) -> None:
    """Writes the results, with what follows from the task's definition beside each run."""
    shares = {
        width: {str(lag): share for lag, share in share_of_errors(task, results.identity, width).items()}
        for width in {key.num_steps for key in results.runs}
    }
    for run in results.runs.values():
        width = run["num_steps"]
        loss = float("nan") if run["loss"] is None else run["loss"]
        run["gap_to_optimum"] = gap(loss, task.optimum())
        run["gap_to_floor"] = gap(loss, task.floor(width)) if run["state"] == "reset" else None
        run["share_of_errors"] = shares[width]
    results.save(
        baselines=task.baselines(),
        optimum=task.optimum(),
        floors={str(width): task.floor(width) for width in sorted(results.costs)},
        cost_slopes=cost_slopes([results.costs[width] for width in sorted(results.costs)]),
        verdict=verdict and verdict._asdict(),
    )


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds Ctrl-C back, and keeps it from all processes that are started meanwhile.

    A worker sets its own handling of it, but only once it has loaded the function that does.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


class _Workers:
    """Worker processes whose progress is shown, and which stop soon after an interrupt."""

    def __init__(self, count: int, screen: Screen) -> None:
        context = multiprocessing.get_context("spawn")
        self._messages = context.Queue()
        self._stop = context.Event()
        self._done = False
        self._executor = ProcessPoolExecutor(
            count, context, initializer=worker.connect, initargs=(self._messages, self._stop)
        )
        self._listener = Thread(target=self._listen, args=(screen,), daemon=True)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        with _interrupts_held():
            return self._executor.submit(work, *arguments)

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        if kind is not None:
            self._stop.set()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._done = True
        self._listener.join()
        self._messages.close()
        self._messages.cancel_join_thread()
        if isinstance(error, BrokenProcessPool):
            raise WorkerDiedError from error

    def _listen(self, screen: Screen) -> None:
        while not self._done:
            try:
                key, fraction, line = self._messages.get(timeout=POLL_SECONDS)
            except Empty:
                continue
            screen.show_run(key, fraction, line)
