"""The result of a training run."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from tf_rnn.files import as_path, claim_folder, plain, read_config, write_text
from tf_rnn.options import OptionError, call_text
from tf_rnn.reporting import Image, Page, Table
from tf_rnn.reporting.page import REPORTS, baseline_sections, command_code
from tf_rnn.reporting.style import draw_baselines, line_styles, literal, make_figure, short_ticks
from tf_rnn.text import loss_in_units, loss_text, perplexity

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tf_rnn.training.evaluation import Evaluation
    from tf_rnn.training.state import CurvePoint

TITLE = "Learning curve"
FILES = ("curve.csv", "curve.png", *REPORTS)
# Evaluations in the table of the page.
MOST_ROWS = 30
# The configuration of a folder that holds nothing else.
CONTENT = {"content": "learning curve"}


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The result of a training run.

    Attributes:
        curve: The evaluations, the first before any update, the last after the last one.
        evaluation: The last evaluation in full.
        updates: Training steps.
        tokens: Rows times time steps.
        seconds: Training time, without evaluations.
        final_state: The state after the last update, in the structure of the cell's state.
        weights: The trained weights by name (`layer_0/W`, `readout/U`, ...), NumPy arrays.
        unit: The unit of losses.
    """

    curve: list[CurvePoint] = dataclasses.field(repr=False)
    evaluation: Evaluation
    updates: int
    tokens: int
    seconds: float
    final_state: Any = dataclasses.field(repr=False)
    weights: dict[str, np.ndarray] = dataclasses.field(repr=False)
    unit: str = "nats"

    def __repr__(self) -> str:
        facts = {"updates": self.updates, "tokens": self.tokens, "valid_loss": round(self.evaluation.loss, 4)}
        return call_text(TrainingResult, facts)

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each evaluation after training began: the lines of `metrics.jsonl`."""
        return records(self.curve, self.unit)

    @property
    def _trained(self) -> list[CurvePoint]:
        """The evaluations after training began."""
        return [point for point in self.curve if point.updates]

    @property
    def _best(self) -> CurvePoint | None:
        """The evaluation with the lowest validation loss, the first of several; None without any."""
        return min(self._trained, key=lambda point: point.valid_loss, default=None)

    def table(self, most: int | None = None) -> Table:
        """The learning curve: a row for each evaluation after training began.

        Args:
            most: The largest number of rows: the best evaluation, and others that are evenly spread, the
                first and the last among them; None for all.
        """
        points, best = self._trained, self._best
        if most is not None and len(points) > most:
            spread = {round(number * (len(points) - 1) / (most - 2)) for number in range(most - 1)}
            points = [point for number, point in enumerate(points) if number in spread or point is best]
        columns = {
            "epoch": [str(point.epoch) for point in points],
            "step": [f"{point.updates:,}" for point in points],
            "tokens": [f"{point.tokens:,}" for point in points],
            "training\nloss": [loss_text(point.train_loss, self.unit) for point in points],
            "validation\nloss": [loss_text(point.valid_loss, self.unit) for point in points],
            "seconds": [f"{point.seconds:.1f}" for point in points],
        }
        return Table.of_columns(TITLE, columns)

    def figure(self, baselines: Mapping[str, float] | None = None) -> Any:
        """Training and validation loss against tokens: a `matplotlib.figure.Figure`.

        Args:
            baselines: Losses to compare with, by name; drawn as lines.
        """
        figure, axes = make_figure(TITLE, (8, 5))
        losses = {
            "training": [point.train_loss for point in self.curve],
            "validation": [point.valid_loss for point in self.curve],
        }
        for (name, values), style in zip(losses.items(), line_styles(), strict=False):
            axes.plot([point.tokens for point in self.curve], values, label=name, **style)
        drawn = [loss for values in losses.values() for loss in values if not math.isnan(loss)]
        draw_baselines(axes, baselines or {}, drawn)
        short_ticks(axes)
        axes.set_xlabel("tokens: rows times time steps")
        axes.set_ylabel(literal(f"loss ({self.unit})"))
        axes.legend(edgecolor="none")
        return figure

    def page(self, command: Sequence[str] = (), baselines: Mapping[str, float] | None = None) -> Page:
        """The report.

        Args:
            command: The command line to show, without `python -m tf_rnn`.
            baselines: Losses to compare with, by name.
        """
        last = f"Validation loss: {loss_in_units(self.evaluation.loss, self.unit)}."
        best, number = self._best, len(self._trained)
        lowest = ""
        if best is not None and best is not self._trained[-1]:
            loss = loss_text(best.valid_loss, self.unit)
            lowest = f"The lowest was {loss} {self.unit}, after epoch {best.epoch} (step {best.updates:,})."
        figure = functools.partial(self.figure, baselines)
        return Page(
            "A training run",
            f"{last} {lowest}".rstrip(),
            command_code(command),
            Image("Training and validation loss against tokens", "curve.png", figure),
            *baseline_sections(baselines or {}, self.unit),
            self.table(MOST_ROWS),
            f"Of {number} evaluations; all are in curve.csv." if number > MOST_ROWS else None,
        )

    def write(
        self,
        out: str | os.PathLike[str],
        command: Sequence[str] = (),
        baselines: Mapping[str, float] | None = None,
    ) -> list[Path]:
        """Writes the page, `curve.csv` and `curve.png`; a run that is saved has checkpoints beside.

        Args:
            out: The folder of the run, a new one, or one that has been written to in this way.
            command: The command line to show in the report, without `python -m tf_rnn`.
            baselines: Losses to compare with, by name.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if it cannot be written or has other files.
        """
        folder = as_path("out", out)
        try:
            read_config(folder)
        except OptionError:  # not the folder of a run
            claim_folder(folder, CONTENT)
        table = Table.of_records(TITLE, self.records, list(self.records[0]) if self.records else [])
        write_text(folder / FILES[0], table.csv())
        self.page(command, baselines).write(folder)
        return [folder / name for name in FILES]


def records(curve: list[CurvePoint], unit: str) -> list[dict[str, Any]]:
    """The points of a curve after training began, ready for JSON; perplexity only for losses in nats."""
    return [
        plain(
            {
                "epoch": point.epoch,
                "step": point.updates,
                "tokens": point.tokens,
                "train_loss": point.train_loss,
                "valid_loss": point.valid_loss,
                "perplexity": perplexity(point.valid_loss) if unit == "nats" else None,
                "seconds": point.seconds,
            }
        )
        for point in curve
        if point.updates
    ]
