"""Sending a run's curves to an experiment tracker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tf_rnn.training.callbacks import Callback, figures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tf_rnn.training.callbacks import Progress
    from tf_rnn.training.state import CurvePoint


class Run(Protocol):
    """A run of a tracker with the interface of Weights & Biases, as trackio has it, too."""

    def log(self, data: dict[str, Any], step: int | None = None) -> Any:
        """Receives numbers by name after a number of updates."""


class Tracker(Callback):
    """Sends progress and evaluations to a run of Weights & Biases or of a tracker with the same interface.

        run = wandb.init(project="mine", config={"num_steps": 50})
        experiment.train(num_steps=50, epochs=3, callbacks=[Tracker(run), ProgressLine()])
        run.finish()

    The names are those of the TensorBoard summaries: `loss/train`, `loss/valid`, `gradient_norm`,
    `learning_rate`, `tokens_per_second`; steps are updates. Numbers that are not finite are left out.

    Args:
        run: An object with a method `log(data, step)`. The caller finishes it.
    """

    report_seconds: ClassVar[float] = 1.0

    def __init__(self, run: Run) -> None:
        self._run = run

    def on_progress(self, progress: Progress) -> None:
        """Sends the training loss, the gradient's norm, the learning rate and the speed."""
        self._log({"loss/train": progress.loss} | figures(progress), progress.updates)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Sends the validation loss."""
        self._log({"loss/valid": point.valid_loss}, point.updates)

    def _log(self, values: Mapping[str, float], updates: int) -> None:
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        if finite:
            self._run.log(finite, step=updates)
