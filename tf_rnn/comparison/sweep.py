"""The results of a comparison of widths."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.executors import WorkerDiedError
from tf_rnn.comparison.hparams import write_sessions
from tf_rnn.comparison.plots import cost_figure, curve_figure, loss_figure
from tf_rnn.comparison.reach import share_of_errors
from tf_rnn.comparison.report import comparison_line, comparison_page
from tf_rnn.comparison.results import FILE, Results
from tf_rnn.comparison.sentences import answer_sentence
from tf_rnn.comparison.settings import run_file
from tf_rnn.comparison.slopes import cost_slopes, slope_sentence
from tf_rnn.comparison.summary import Summary, gap, summarise
from tf_rnn.comparison.tables import answer_table, cost_table, learning_table, run_table
from tf_rnn.comparison.verdict import Verdict, decide
from tf_rnn.comparison.widths import FourWidths, four_widths
from tf_rnn.files import as_path, plain, those_there, write_text
from tf_rnn.lock import made_and_held
from tf_rnn.options.file import RUN_FILE
from tf_rnn.reporting.page import REPORTS

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.reporting import Table
    from tf_rnn.tasks import Task

FILES = (*REPORTS, FILE, "results.csv", "loss.png", "curves.png", "cost.png", RUN_FILE)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The results of a comparison.

    Attributes:
        comparison: The settings.
        task: What was learnt.
        results: All runs and costs; a folder may hold more than the comparison asks for.
        files: The files that were written.
    """

    comparison: Comparison
    task: Task
    results: Results = dataclasses.field(repr=False)
    files: Sequence[Path] = ()

    def __repr__(self) -> str:
        return f"Sweep({self.line}: {self.sentence})"

    @functools.cached_property
    def summaries(self) -> list[Summary]:
        """A summary of each state and width of the comparison."""
        return summarise(self.results, self.comparison.keys, self.task)

    @functools.cached_property
    def answer(self) -> Verdict | None:
        """Which width to use, if that can be told; None if no run ended with a finite loss."""
        return decide(self.summaries, self.comparison.question(self.task))

    @functools.cached_property
    def widths(self) -> FourWidths | None:
        """What the loss, the gradient and the state need, and what lasts; None without an answer."""
        return four_widths(self.answer, self.comparison, self.task, self.results, self.summaries)

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

    def answer_table(self) -> Table | None:
        """The width to use between its neighbours; None without an answer."""
        return answer_table(self.answer, self.task.unit) if self.answer and self.answer.rows else None

    def curve_figure(self) -> Any:
        """The learning curves of all widths: a `matplotlib.figure.Figure`."""
        chosen = self.answer.choice if self.answer else None
        return curve_figure(self.summaries, self.task, f"Learning curves\n{self.line}", chosen)

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
        """Writes the page, `results.json`, `results.csv`, `loss.png`, `curves.png` and `cost.png`: `FILES`.

        Args:
            out: The folder; runs of the same configuration that it holds are kept.
            command: The command line to show in the report, without `python -m tf_rnn`.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if it cannot be written or holds other results.
        """
        folder = as_path("out", out)
        with made_and_held("out", folder) as absolute:
            self.saved_in(absolute).write_files(absolute, command)
        return those_there(absolute, FILES, folder)

    def saved_in(self, folder: Path) -> Sweep:
        """Adds the results to those in a locked folder, and returns the sweep that has them all."""
        results = Results(folder, self.results.identity)
        results.update(self.results)
        save(results, self.task, self.answer, self.widths)
        return dataclasses.replace(self, results=results)

    def write_files(self, folder: Path, command: Sequence[str], *, tensorboard: bool = False) -> None:
        """Writes the files to a folder that is claimed and locked; see `write`."""
        save(self.results, self.task, self.answer, self.widths)
        rows = sorted(
            [*self.records, *self.results.failed_records],
            key=lambda run: (run["num_steps"], run["state"], run["learning_rate"], run["seed"]),
        )
        write_text(folder / "results.csv", run_table(rows, self.task.lags).csv())
        if text := run_file("compare", self.comparison, self.task):
            write_text(folder / RUN_FILE, text)
        comparison_page(self, command).write(folder)
        if tensorboard:
            write_sessions(self.results, self.task.unit, folder)


def save(results: Results, task: Task, verdict: Verdict | None, widths: FourWidths | None = None) -> None:
    """Saves results with everything that follows from them and from the task's definition."""
    _annotate(results, task)
    results.save(
        unit=task.unit,
        baselines=task.baselines(),
        optimum=task.optimum(),
        floors={str(width): task.floor(width) for width in sorted(results.costs)},
        cost_slopes=cost_slopes([results.costs[width] for width in sorted(results.costs)]),
        verdict=verdict and plain(dataclasses.asdict(verdict)),
        widths=widths.records if widths else [],
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
