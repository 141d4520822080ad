"""The result of a training run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.files import plain
from tf_rnn.text import perplexity

if TYPE_CHECKING:
    import numpy as np

    from tf_rnn.training.evaluation import Evaluation
    from tf_rnn.training.state import CurvePoint


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

    curve: list[CurvePoint]
    evaluation: Evaluation
    updates: int
    tokens: int
    seconds: float
    final_state: Any
    weights: dict[str, np.ndarray]
    unit: str = "nats"

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each evaluation after training began: the lines of `metrics.jsonl`."""
        return records(self.curve, self.unit)


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
