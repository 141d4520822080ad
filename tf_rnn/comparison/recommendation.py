"""A recommended width, and the race that found it."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.elsewhere import elsewhere
from tf_rnn.comparison.hparams import write_sessions
from tf_rnn.comparison.plots import curve_figure
from tf_rnn.comparison.report import comparison_line
from tf_rnn.comparison.sentences import NO_VERDICT, duration
from tf_rnn.comparison.settings import run_file
from tf_rnn.comparison.sweep import save
from tf_rnn.comparison.tables import answer_table, cost_table
from tf_rnn.comparison.widths import FourWidths, four_widths
from tf_rnn.files import plain, those_there, write_json, write_text
from tf_rnn.options.file import RUN_FILE
from tf_rnn.reporting import Heading, Image, Page, Plain, Table
from tf_rnn.reporting.folder import results_folder
from tf_rnn.reporting.page import REPORTS, command_code
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.comparison.race import Round, Standing
    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.comparison.sweep import Sweep
    from tf_rnn.comparison.verdict import Verdict
    from tf_rnn.tasks import Task


FILES = (*REPORTS, "recommendation.json", "recommendation.csv", "recommendation.png", RUN_FILE)
COLUMNS = ("num_steps", "trained", "seeds", "loss", "expected", "at_best", "seconds", "fate")
NOTES = """\
All widths start with a small part of the budget; then they are compared as `compare` does, and those that
fall behind are not trained further. **expected** is the loss after the whole budget if the learning curve
continues as before, its pace shrinking with each doubling of the training, but not below the lowest loss
possible. A width is dropped if even at its present pace it could not reach what another has already; of the
others at most half stay, the leader, the best so far and those expected to be as good first. Where all that
are left are equally good and none is expected to fall by much, the race is over before the budget is used
up. **time** is that of the training steps for the whole budget."""


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A recommended width, and the race that found it.

    Attributes:
        comparison: The settings, with the widths that joined.
        task: What was learnt.
        rounds: The stages of the race.
        answer: Which width to use, if that can be told; None if all runs diverged.
        sweep: The comparison that verifies the answer; None without verification.
        results: All runs and costs.
        files: The files that were written.
        asked: The widths that were asked for.
    """

    comparison: Comparison
    task: Task
    rounds: list[Round] = dataclasses.field(repr=False)
    answer: Verdict | None
    sweep: Sweep | None = dataclasses.field(repr=False)
    results: Results = dataclasses.field(repr=False)
    files: Sequence[Path] = ()
    asked: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"Recommendation({self.line}: {self.reason})"

    @property
    def num_steps(self) -> int | None:
        """The recommended width; None if it cannot be told."""
        return self.answer.num_steps if self.answer else None

    @property
    def reason(self) -> str:
        """The answer in words, or why there is none."""
        return self.answer.sentence if self.answer else NO_VERDICT

    @property
    def line(self) -> str:
        """The settings in words."""
        return comparison_line(self.comparison)

    @functools.cached_property
    def standings(self) -> dict[int, Standing]:
        """Where each width stood when it was last in the race."""
        last = {each.summary.num_steps: each for stage in self.rounds for each in stage.standings}
        return dict(sorted(last.items()))

    @property
    def share(self) -> float:
        """The training time of the race as a fraction of that of the whole comparison."""
        total = spent = 0.0
        for key in self.comparison.keys:
            rate = self.results.costs[key.num_steps]["tokens_per_second"]
            spent += self._reached(key) / rate
            total += 1 / rate
        return spent / total

    def _reached(self, key: RunKey) -> float:
        """The fraction of the budget that a run had in the race."""
        stages = [
            stage.fraction
            for stage in self.rounds
            for each in stage.standings
            if each.summary.num_steps == key.num_steps and key.seed in each.summary.losses
        ]
        return max(stages, default=0.0)

    @property
    def price_sentence(self) -> str:
        """What the race took, in words."""
        number = len(self.standings)
        widths = f"all {number} widths" if number > 1 else "this width"
        return f"The race took {self.share:.0%} of the training of a comparison of {widths}."

    @functools.cached_property
    def widths(self) -> FourWidths | None:
        """What the loss, the gradient and the state need, and what lasts; None without an answer."""
        return four_widths(self.answer, self.comparison, self.task, self.results, self.summaries)

    @property
    def summaries(self) -> list[Summary]:
        """The runs that were in the last stage of the race."""
        return [each.summary for each in self.rounds[-1].standings]

    @property
    def verification(self) -> str | None:
        """Whether the whole comparison names the same width, in words; None without verification."""
        if self.sweep is None:
            return None
        found = self.sweep.answer
        if found is None or found.num_steps is None:
            return f"Verified: the whole comparison has no answer. {self.sweep.sentence}"
        if self.num_steps is None:
            return f"Verified: the whole comparison has an answer. {self.sweep.sentence}"
        if found.num_steps == self.num_steps:
            return f"Verified: the whole comparison names num_steps {found.num_steps}, too."
        names = f"the whole comparison names num_steps {found.num_steps}"
        if self.num_steps in found.equal:
            return f"Verified: {names}, as good as num_steps {self.num_steps} and cheaper."
        losses = {each.num_steps: each.loss for each in self.sweep.summaries}
        worse = loss_text(losses[self.num_steps] - found.loss, self.task.unit)
        return (
            f"Verified: the answer did not hold; {names}, num_steps {self.num_steps} is {worse} "
            f"{self.task.unit} worse."
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each width, as in `recommendation.csv`."""
        return [
            plain(
                {
                    "num_steps": width,
                    "trained": each.summary.fraction,
                    "seeds": each.summary.runs,
                    "loss": each.summary.loss,
                    "expected": each.expected,
                    "at_best": each.at_best,
                    "seconds": each.summary.seconds,
                    "fate": each.fate or "in the race to its end",
                }
            )
            for width, each in self.standings.items()
        ]

    def table(self) -> Table:
        """Where each width stood when it was last in the race."""
        unit = self.task.unit
        rows = list(self.standings.items())
        columns = {
            "width": [str(width) for width, _ in rows],
            "trained": [f"{each.summary.fraction:.0%}" for _, each in rows],
            "seeds": [str(each.summary.runs) for _, each in rows],
            "loss": [_loss(each.summary.loss, unit) for _, each in rows],
            "expected": [_loss(each.expected, unit) for _, each in rows],
            "time": [duration(each.summary.seconds) if each.summary.runs else "–" for _, each in rows],
            "fate": [each.fate or "in the race to its end" for _, each in rows],
        }
        return Table.of_columns("The race", columns)

    def answer_table(self) -> Table | None:
        """The width to use between its neighbours; None without an answer."""
        return answer_table(self.answer, self.task.unit) if self.answer and self.answer.rows else None

    def figure(self) -> Any:
        """The learning curves of all widths up to where they were dropped: a `matplotlib.figure.Figure`."""
        summaries = [each.summary for each in self.standings.values()]
        chosen = self.answer.choice if self.answer else None
        return curve_figure(summaries, self.task, f"A race of widths\n{self.line}", chosen)

    def as_json(self) -> dict[str, Any]:
        """The content of `recommendation.json`."""
        answer = self.answer
        cost = self.results.costs.get(self.num_steps or 0, {})
        gradient = self.widths.gradient if self.widths else {}
        content = {
            "task": self.results.identity["task"],
            "cell": self.results.identity["cell"],
            "num_steps": self.num_steps,
            "reason": self.reason,
            "widths": self.widths.records if self.widths else [],
            **{name: gradient.get(name, []) for name in ("relative_bias", "block_bias")},
            "step_milliseconds": cost.get("step_milliseconds"),
            "answer": dataclasses.asdict(answer) if answer else None,
            "race": self.records,
            "share_of_comparison": self.share,
            "verification": self.verification,
            "config": self.results.identity,
        }
        plain_content: dict[str, Any] = plain(content)
        return plain_content

    def page(self, command: Sequence[str] = ()) -> Page:
        """The report.

        Args:
            command: The command line to show, without `python -m tf_rnn`.
        """
        return Page(
            "Which width to use",
            self.reason,
            self.answer_table(),
            elsewhere(self.num_steps, self.task) if self.num_steps else None,
            self.verification,
            Plain(f"{self.line}."),
            command_code(command),
            Heading("How it was found"),
            Image("Held-out loss of each width against its training", "recommendation.png", self.figure),
            self.table(),
            self.price_sentence,
            NOTES,
            *(self.widths.sections if self.widths else ()),
            Heading("What it costs"),
            cost_table([self.results.costs[width] for width in self.standings]),
        )

    def require_no_failures(self) -> None:
        """Raises WorkerDiedError if runs of the verification failed, naming them."""
        if self.sweep:
            self.sweep.require_no_failures()

    def write(self, out: str | os.PathLike[str], command: Sequence[str] = ()) -> list[Path]:
        """Writes the page, `recommendation.json`, `recommendation.csv` and `recommendation.png`: `FILES`.

        Args:
            out: The folder.
            command: The command line to show in the report, without `python -m tf_rnn`.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if it cannot be written or holds other results.
        """
        with results_folder(out, self.results.identity) as folder:
            self.write_files(folder, command)
        return those_there(folder, FILES, out)

    def write_files(self, folder: Path, command: Sequence[str], *, tensorboard: bool = False) -> None:
        """Writes the files to a folder that is claimed and locked; see `write`."""
        verify = self.sweep is not None
        own = {"num_steps": self.asked or self.comparison.num_steps, "state": self.comparison.state[0]}
        if text := run_file("recommend", self.comparison, self.task, **own, verify=verify):
            write_text(folder / RUN_FILE, text)
        results = type(self.results)(folder, self.results.identity)
        results.update(self.results)
        save(results, self.task, self.sweep.answer if self.sweep else None)
        write_json(folder / "recommendation.json", self.as_json())
        write_text(folder / "recommendation.csv", Table.of_records("", self.records, COLUMNS).csv())
        self.page(command).write(folder)
        if tensorboard:
            write_sessions(results, self.task.unit, folder)


def _loss(loss: float, unit: str) -> str:
    return loss_text(loss, unit) if math.isfinite(loss) else "–"
