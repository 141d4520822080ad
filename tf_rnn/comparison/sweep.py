"""The sweep: costs first, while nothing else runs, then every run on all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.comparison import worker
from tf_rnn.comparison.executors import WorkerDiedError, completed
from tf_rnn.comparison.local import local_workers
from tf_rnn.comparison.reach import share_of_errors
from tf_rnn.comparison.settings import RunKey, anywhere
from tf_rnn.comparison.slopes import cost_slopes
from tf_rnn.comparison.summary import gap, summarise
from tf_rnn.comparison.verdict import Verdict, decide
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.analysis.study import LagStudy
    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.screen import Screen
    from tf_rnn.comparison.settings import Comparison
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task


def sweep(
    comparison: Comparison, results: Results, task: Task, screen: Screen, workers: Workers
) -> tuple[list[Summary], Verdict | None]:
    """Computes what is missing of a comparison and saves it after every run.

    Args:
        comparison: What to compare.
        results: What there is already; filled up.
        task: The comparison's task.
        screen: Where progress is shown.
        workers: Who trains.

    Returns:
        A summary of each state and width, and the verdict (None where no run ended with a finite
        loss). Runs that failed, since their worker died each time, are in `results.failures`.

    Raises:
        WorkerDiedError: If costs cannot be measured. Finished runs are kept.
        KeyboardInterrupt: If interrupted. Finished runs are kept.
    """
    if not set(comparison.num_steps) <= set(results.costs):
        screen.say_costs(len(set(comparison.num_steps)))
        results.add_costs(_measured_costs(comparison, screen))
        results.save(verdict=None)
    missing = results.missing(comparison.keys)
    if missing:
        _train_missing(comparison, results, task, screen, workers, missing)
    summaries = summarise(results, comparison.keys, task)
    verdict = decide(summaries)
    save(results, task, verdict)
    return summaries, verdict


def _measured_costs(comparison: Comparison, screen: Screen) -> list[dict[str, Any]]:
    """What all widths cost on this machine, in a process that has run nothing before and ends then."""
    with local_workers("local", 1, screen) as alone:
        future = alone.executor.submit(worker.cost_runs, comparison, alone.contact)
        try:
            return list(future.result())
        except alone.deaths as error:
            raise WorkerDiedError(
                "the process that measures costs died twice (killed, or out of memory?)"
            ) from error


def _train_missing(
    comparison: Comparison,
    results: Results,
    task: Task,
    screen: Screen,
    workers: Workers,
    missing: list[RunKey],
) -> None:
    screen.start_runs(total=len(comparison.keys), done=len(comparison.keys) - len(missing))
    shared = anywhere(comparison)
    digest = results.identity.get("data_sha256")
    calls = ((key, (shared, key, digest, workers.contact)) for key in missing)
    for key, outcome in completed(workers, worker.train_run, calls):
        if isinstance(outcome, WorkerDiedError):
            results.add_failure(key, str(outcome))
            screen.finish_run(key, f"failed: {outcome}")
        else:
            results.add_run(outcome)
            screen.finish_run(key, _words(outcome))
        save(results, task, verdict=None)


def _words(record: dict[str, Any]) -> str:
    if record["error"]:
        return str(record["error"])
    return f"loss {loss_text(record['loss'], '')} after {record['seconds']:.1f} s"


def require_no_failures(results: Results, keys: Sequence[RunKey]) -> None:
    """Raises WorkerDiedError if runs among the keys failed, naming them."""
    failed = [key for key in keys if key in results.failures]
    if failed:
        named = "; ".join(f"{key.title}: {results.failures[key]}" for key in failed)
        raise WorkerDiedError(f"{len(failed)} of {len(keys)} runs failed ({named})")


def study_seeds(
    setup: Setup, task: Task, num_steps: int, tokens: float, seeds: int, screen: Screen, workers: Workers
) -> list[LagStudy]:
    """Trains a network from each seed, and returns what the gradients of each say, by seed.

    Args:
        setup: The networks and their training.
        task: The setup's task.
        num_steps: The width to train at, and how far back to look.
        tokens: How long to train each.
        seeds: How many.
        screen: Where progress is shown.
        workers: Who trains.

    Raises:
        DivergedError: If a loss is not finite.
        WorkerDiedError: If a worker died each time that a network was trained.
    """
    keys = [RunKey(num_steps, "carry", seed) for seed in range(seeds)]
    screen.start_runs(total=seeds, done=0)
    shared, digest = anywhere(setup), getattr(task, "sha256", None)
    calls = ((key, (shared, key, tokens, digest, workers.contact)) for key in keys)
    studies: dict[RunKey, LagStudy] = {}
    for key, outcome in completed(workers, worker.study_run, calls):
        if isinstance(outcome, WorkerDiedError):
            raise WorkerDiedError(f"{key.title}: {outcome}")
        studies[key] = outcome
        screen.finish_run(key, f"loss {loss_text(outcome.evaluation.loss, '')}")
    return [studies[key] for key in keys]


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
