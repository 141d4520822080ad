"""Comparisons of widths: costs first, while nothing else runs, then all runs on all workers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison import worker
from tf_rnn.comparison.executors import WorkerDiedError, completed
from tf_rnn.comparison.local import local_workers
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.plots import cost_figure, loss_figure
from tf_rnn.comparison.reach import share_of_errors
from tf_rnn.comparison.report import comparison_line, comparison_page
from tf_rnn.comparison.results import FILE, Results
from tf_rnn.comparison.scheduler import LOCAL, open_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.slopes import cost_slopes, slope_sentence
from tf_rnn.comparison.summary import Summary, gap, summarise
from tf_rnn.comparison.tables import cost_table, learning_table, run_table
from tf_rnn.comparison.verdict import Verdict, answer_sentence, decide
from tf_rnn.files import as_path, write_figure, write_text
from tf_rnn.lock import made_and_held
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.reporting import Table
    from tf_rnn.tasks import Task

FILES = ("report.md", FILE, "results.csv", "loss.png", "cost.png")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The results of a comparison.

    Attributes:
        comparison: The settings.
        task: What was learnt.
        results: All runs and costs; a folder may hold more than the comparison asks for.
    """

    comparison: Comparison
    task: Task
    results: Results

    @functools.cached_property
    def summaries(self) -> list[Summary]:
        """A summary of each state and width of the comparison."""
        return summarise(self.results, self.comparison.keys, self.task)

    @functools.cached_property
    def answer(self) -> Verdict | None:
        """Which width to use; None if no run ended with a finite loss."""
        return decide(self.summaries)

    @property
    def sentence(self) -> str:
        """The answer in words, or why there is none."""
        return answer_sentence(self.summaries, self.answer)

    @property
    def line(self) -> str:
        """The settings in words."""
        return comparison_line(self.comparison)

    @property
    def cost_sentence(self) -> str:
        """The cost of one more step of width, in words; empty for a single width."""
        return slope_sentence(cost_slopes(self._costs))

    @property
    def _costs(self) -> list[dict[str, Any]]:
        return [self.results.costs[width] for width in self.comparison.widths]

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each finished run, as in `results.json`."""
        _annotate(self.results, self.task)
        return self.results.records

    @property
    def failures(self) -> dict[RunKey, str]:
        """Error messages of the comparison's failed runs."""
        failures = self.results.failures
        return {key: failures[key] for key in self.comparison.keys if key in failures}

    def table(self) -> Table:
        """What each width learns."""
        return learning_table(self.summaries, self.task)

    def cost_table(self) -> Table:
        """What each width costs."""
        return cost_table(self._costs)

    def figure(self) -> Any:
        """Held-out loss against width: a `matplotlib.figure.Figure`."""
        return loss_figure(self.summaries, self.task, f"What each width learns\n{self.line}")

    def cost_figure(self) -> Any:
        """Cost against width: a `matplotlib.figure.Figure`."""
        return cost_figure(self._costs, f"What each width costs\n{self.line}")

    def require_no_failures(self) -> None:
        """Raises WorkerDiedError if runs failed, naming them."""
        if self.failures:
            named = "; ".join(f"{key.title}: {error}" for key, error in self.failures.items())
            total = len(self.comparison.keys)
            raise WorkerDiedError(f"{len(self.failures)} of {total} runs failed ({named})")

    def write(self, out: str | os.PathLike[str], command: Sequence[str] = ()) -> list[Path]:
        """Writes `report.md`, `results.json`, `results.csv`, `loss.png` and `cost.png`.

        Args:
            out: The folder; runs of the same configuration that it holds are kept.
            command: The command line to show in the report, without `python -m tf_rnn`.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if it cannot be written or holds other results.
        """
        folder = as_path("out", out)
        with made_and_held("out", folder):
            results = Results(folder, self.results.identity)
            results.update(self.results)
            return dataclasses.replace(self, results=results).write_files(folder, command)

    def write_files(self, folder: Path, command: Sequence[str]) -> list[Path]:
        """Writes the files to a folder that is claimed and locked; see `write`."""
        save(self.results, self.task, self.answer)
        rows = sorted(
            [*self.records, *self.results.failed_records],
            key=lambda run: (run["num_steps"], run["state"], run["seed"]),
        )
        write_text(folder / "results.csv", run_table(rows, self.task.lags).csv())
        write_figure(folder / "loss.png", self.figure())
        write_figure(folder / "cost.png", self.cost_figure())
        comparison_page(self, command).write(folder / "report.md")
        return [folder / name for name in FILES]


def compare(
    comparison: Comparison,
    task: Task | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str = LOCAL,
    screen: Screen | None = None,
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
    screen = Screen() if screen is None else screen
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_workers(scheduler, workers, screen))
        if folder is not None:
            stack.enter_context(made_and_held("out", folder))
        stack.enter_context(screen)
        sweep = run_comparison(comparison, task, parcel, Results(folder, identity), screen, opened)
        if folder is not None:
            sweep.write_files(folder, command)
    return sweep


def run_comparison(
    comparison: Comparison, task: Task, parcel: Parcel, results: Results, screen: Screen, workers: Workers
) -> Sweep:
    """Computes the missing costs and runs of a comparison, and saves after each; see `compare`."""
    if not set(comparison.widths) <= set(results.costs):
        results.add_costs(measured_costs(parcel, comparison.widths, screen))
        results.save(verdict=None)
    missing = results.missing(comparison.keys)
    if missing:
        screen.start_runs(total=len(comparison.keys), done=len(comparison.keys) - len(missing))
        amount = {comparison.budget: comparison.amount}
        calls = ((key, (parcel, key, amount, workers.channel)) for key in missing)
        for key, outcome in completed(workers, worker.train_run, calls):
            if isinstance(outcome, WorkerDiedError):
                results.add_failure(key, str(outcome))
                screen.finish_run(key, f"failed: {outcome}")
            else:
                results.add_run(outcome)
                screen.finish_run(key, _outcome_text(outcome))
            save(results, task, None)
    sweep = Sweep(comparison, task, results)
    save(results, task, sweep.answer)
    return sweep


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


def _outcome_text(record: dict[str, Any]) -> str:
    if record["error"]:
        return str(record["error"])
    return f"loss {loss_text(record['loss'], '')} after {record['seconds']:.1f} s"


def save(results: Results, task: Task, verdict: Verdict | None) -> None:
    """Saves results with everything that follows from them and from the task's definition."""
    _annotate(results, task)
    results.save(
        baselines=task.baselines(),
        optimum=task.optimum(),
        floors={str(width): task.floor(width) for width in sorted(results.costs)},
        cost_slopes=cost_slopes([results.costs[width] for width in sorted(results.costs)]),
        verdict=verdict and verdict._asdict(),
    )


def _annotate(results: Results, task: Task) -> None:
    """Adds to each run what follows from the task's definition."""
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
