"""The tasks of the atlas, their settings, and what rules of thumb know about them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from benchmarks.atlas import series, texts
from tf_rnn import Experiment
from tf_rnn.tasks import Arrays

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

TUNING, SCORING = "tuning", "scoring"
# The widths of all sweeps: 35, 50 and 70 are rules of thumb, the others about 1.5 times the one before.
LADDER = (1, 2, 3, 5, 8, 12, 20, 35, 50, 70)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A task of the atlas.

    Attributes:
        part: "tuning" or "scoring".
        tokens: The training of each run.
        task: The name of a task of the package, or "series".
        options: Options of the experiment; of `data`, the name of a text in `benchmarks.atlas.texts`.
        series: Makes the series, if it is one.
        horizon: How many steps ahead a series is forecast; 0 for other tasks.
    """

    part: str
    tokens: int
    task: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    series: Callable[[], NDArray[np.float64]] | None = None
    horizon: int = 0

    def experiment(self, folder: Path) -> Experiment:
        """The experiment; a text is written to a file in `folder` first."""
        if self.series is not None:
            values = self.series()
            inputs, targets = values[: -self.horizon], values[self.horizon :]
            return Experiment(Arrays(inputs, targets, valid_fraction=0.25), **self.options)
        options = dict(self.options)
        if "data" in options:
            options["data"] = str(texts.written(options["data"], folder))
        return Experiment(self.task, **options)


def _echo(part: str, lags: list[int], effects: list[float], tokens: int = 5_000_000, **more: Any) -> Entry:
    return Entry(part, tokens, "echo", {"lags": lags, "effects": effects, **more})


def _example(part: str, task: str, tokens: int, **options: Any) -> Entry:
    return Entry(part, tokens, task, options)


def _text(part: str, name: str, tokens: int, task: str = "text", **options: Any) -> Entry:
    network = {"cell": "lstm", "state_size": 48, "batch_size": 20, "learning_rate": 0.002} | options
    return Entry(part, tokens, task, {"data": name, "optimizer": "adam", "clip_norm": 5.0, **network})


def _series(
    part: str, make: Callable[[], NDArray[np.float64]], horizon: int, tokens: int = 2_000_000, **options: Any
) -> Entry:
    network = {"cell": "gru", "state_size": 16, "batch_size": 20, "learning_rate": 0.005} | options
    return Entry(part, tokens, "series", network, make, horizon)


ADAM = {"optimizer": "adam", "learning_rate": 0.005, "batch_size": 50}
TASKS: dict[str, Entry] = {
    "echo 3 8": _echo(TUNING, [3, 8], [0.5, -0.25]),
    "echo 2": _echo(TUNING, [2], [0.5]),
    "echo 13": _echo(TUNING, [13], [0.5]),
    "echo 4 11 gru": _echo(TUNING, [4, 11], [0.5, -0.25], 3_000_000, cell="gru", **ADAM),
    "memory 6": _example(TUNING, "memory", 2_000_000, lag=6),
    "copy 4": _example(TUNING, "copy", 2_000_000, delay=4, num_recalled=2, num_symbols=4, state_size=24),
    "english": _text(TUNING, "english", 4_000_000),
    "daily": _series(TUNING, series.daily, 1),
    "autoregressive 2": _series(TUNING, series.autoregressive, 1),
    "henon": _series(TUNING, series.henon, 1),
    "echo 1": _echo(SCORING, [1], [0.5]),
    "echo 5": _echo(SCORING, [5], [-0.5]),
    "echo 2 6": _echo(SCORING, [2, 6], [0.2, 0.3]),
    "echo 1 4 9": _echo(SCORING, [1, 4, 9], [0.25, -0.5, 0.25]),
    "echo 6 15": _echo(SCORING, [6, 15], [0.25, 0.25]),
    "echo 3 7 lstm": _echo(SCORING, [3, 7], [0.3, -0.5], 3_000_000, cell="lstm", **ADAM),
    "echo 2 9 gru": _echo(SCORING, [2, 9], [-0.4, 0.4], 3_000_000, cell="gru", **ADAM),
    "memory 3": _example(SCORING, "memory", 2_000_000, lag=3),
    "memory 10": _example(SCORING, "memory", 3_000_000, lag=10),
    "memory 8 gru": _example(SCORING, "memory", 2_000_000, lag=8, cell="gru"),
    "copy 8": _example(SCORING, "copy", 2_000_000, delay=8, num_recalled=3, num_symbols=4, state_size=24),
    "adding 10": _example(SCORING, "adding", 3_000_000, span=10, state_size=32),
    "code": _text(SCORING, "code", 4_000_000),
    "german": _text(SCORING, "german", 4_000_000),
    "words": _text(SCORING, "spelled", 500_000, "words", vocabulary_size=60, embedding_size=32),
    "hourly": _series(SCORING, series.hourly, 3),
    "weekly": _series(SCORING, series.weekly, 1),
    "seasonal": _series(SCORING, series.seasonal, 12),
    "mackey-glass": _series(SCORING, series.mackey_glass, 6),
    "moving average": _series(SCORING, series.moving_average, 1),
}
