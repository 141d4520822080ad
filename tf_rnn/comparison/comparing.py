"""Comparisons of widths: costs first, while nothing else runs, then all runs on all workers."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison import worker
from tf_rnn.comparison.executors import WorkerDiedError, completed
from tf_rnn.comparison.hparams import require_board
from tf_rnn.comparison.local import local_workers
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.plan import plan_of
from tf_rnn.comparison.results import Results
from tf_rnn.comparison.scheduler import LOCAL, open_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.states import States
from tf_rnn.comparison.sweep import FILES, Sweep, save
from tf_rnn.comparison.widths import networks
from tf_rnn.files import SUMMARIES, as_path, those_there
from tf_rnn.lock import made_and_held
from tf_rnn.setup import GENERAL
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.comparison.verdict import Verdict
    from tf_rnn.tasks import Task


# Of a run's tokens, so many may be read to look at its network, within these bounds.
SHARE_READ = 1 / 8
LEAST_READ, MOST_READ = 20_000, 500_000


def compare(
    comparison: Comparison,
    task: Task | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str = LOCAL,
    screen: Screen | None = None,
    tensorboard: bool = False,
    command: Sequence[str] = (),
) -> Sweep:
    """Trains graphs of several widths with the same budget, and measures their costs.

    Every run is independent of the others and of the number of workers. With a folder, runs are saved
    as they finish: interrupted comparisons resume, and finished runs are not repeated.

    Args:
        comparison: The settings.
        task: Any task, of the package or the user's own; None for the one that the setup names.
        out: A folder for results and report; None to write nothing.
        workers: Parallel processes on this machine; None for one per core.
        scheduler: "local", or the address of a Dask scheduler, `tcp://HOST:PORT`.
        screen: Shows progress; None for lines on standard error.
        tensorboard: Whether to write event files for TensorBoard; see `tf_rnn.comparison.hparams`.
        command: The command line to show in the report, without `python -m tf_rnn`.

    Returns:
        The results. Runs that failed, since their worker died every time, are in `Sweep.failures`.

    Raises:
        OptionError: If an option is not allowed or the data are too short; before anything is written.
        WorkerDiedError: If costs cannot be measured. Finished runs are kept.
    """
    task = comparison.make_task(task)
    comparison.check(task)
    identity = comparison.identity(task)
    parcel = Parcel.of(comparison.setup, task)
    folder = None if out is None else as_path("out", out)
    if tensorboard:
        require_board(folder)
    screen = Screen() if screen is None else screen
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_workers(scheduler, workers, screen))
        absolute = None if folder is None else stack.enter_context(made_and_held("out", folder))
        stack.enter_context(screen)
        results, states = Results(absolute, identity), stack.enter_context(States(absolute))
        screen.say_start(comparison.setup, task)
        sweep = run_comparison(comparison, task, parcel, results, states, screen, opened)
        look(sweep.answer, sweep.summaries, task, parcel, results, states, opened)
        if folder is None or absolute is None:
            return sweep
        sweep.write_files(absolute, command, tensorboard=tensorboard)
        states.clear()
    names = (*FILES, SUMMARIES) if tensorboard else FILES
    return dataclasses.replace(sweep, files=those_there(absolute, names, folder))


def run_comparison(
    comparison: Comparison,
    task: Task,
    parcel: Parcel,
    results: Results,
    states: States,
    screen: Screen,
    workers: Workers,
) -> Sweep:
    """Computes the missing costs and runs of a comparison, and saves after each; see `compare`."""
    if not set(comparison.widths) <= set(results.costs):
        results.add_costs(measured_costs(parcel, comparison.widths, screen))
        results.save(verdict=None)
    missing = results.missing(comparison.keys)
    if missing:
        done = len(comparison.keys) - len(missing)
        screen.start_runs(len(comparison.keys), done, work_of(comparison, missing, results))
        screen.say(plan_of(comparison, task, results, workers).sentence)
        amount = {comparison.budget: comparison.amount}
        calls = ((key, (parcel, key, amount, workers.channel)) for key in begun(missing, screen))
        for key, outcome in completed(workers, worker.train_part, calls):
            if isinstance(outcome, WorkerDiedError):
                results.add_failure(key, str(outcome))
                screen.finish_run(key, f"failed: {outcome}")
            else:
                if outcome.state is not None:
                    states.put(key, outcome.state)
                results.add_run(outcome.record)
                screen.finish_run(key, _outcome_text(outcome.record))
            save(results, task, None)
    sweep = Sweep(comparison, task, results)
    save(results, task, sweep.answer)
    return sweep


def work_of(comparison: Comparison, keys: Sequence[RunKey], results: Results) -> dict[RunKey, float]:
    """How long each run trains beside the others."""
    speed = {width: cost["tokens_per_second"] for width, cost in results.costs.items()}
    is_timed = comparison.budget == "seconds"
    return {key: 1.0 if is_timed else 1 / speed[key.num_steps] for key in keys}


def begun(keys: Sequence[RunKey], screen: Screen) -> Iterator[RunKey]:
    """Yields runs as they are handed to workers, and shows them."""
    for key in keys:
        screen.begin_run(key)
        yield key


def look(
    verdict: Verdict | None,
    summaries: Sequence[Summary],
    task: Task,
    parcel: Parcel,
    results: Results,
    states: States,
    workers: Workers,
) -> None:
    """Measures how far back the trained networks of the answer's width look, as far as that is missing.

    Networks whose state is not kept are left out, and so are those whose worker dies.

    Args:
        verdict: The answer.
        summaries: Which networks there are, each width and state at its best learning rate.
        task: What was learnt.
        parcel: Setup and task for the workers.
        results: Runs, which gain what is measured.
        states: The states of trained networks.
        workers: Where to measure.
    """
    longest = getattr(task, "defaults", GENERAL).longest
    own, others = networks(verdict, summaries)
    calls: list[tuple[RunKey, tuple[Any, ...]]] = []
    for key in (*own, *others):
        run, state = results.record(key), states.get(key)
        if state is not None and "by_position" not in run:
            most = max(LEAST_READ, min(MOST_READ, int(SHARE_READ * run["tokens"])))
            calls.append((key, (parcel, key, state, longest, most, key == own[0], workers.channel)))
    for key, found in completed(workers, worker.look_run, calls):
        if not isinstance(found, WorkerDiedError):
            results.record(key).update(found)


def measured_costs(parcel: Parcel, widths: Sequence[int], screen: Screen) -> list[dict[str, Any]]:
    """Measures the costs of widths on this machine, in a process of its own.

    Raises:
        WorkerDiedError: If the process died twice.
    """
    screen.say_costs(len(set(widths)))
    with local_workers(LOCAL, 1, screen) as workers:
        future = workers.executor.submit(worker.cost_runs, parcel, widths, workers.channel)
        try:
            return list(future.result())
        except workers.deaths as error:
            raise WorkerDiedError(
                "the process that measures costs died twice (killed, or out of memory?)"
            ) from error
        finally:
            screen.end_costs()


def _outcome_text(record: dict[str, Any]) -> str:
    if record["error"]:
        return str(record["error"])
    return f"loss {loss_text(record['loss'], '')} after {record['seconds']:.1f} s"
