"""The head of a network: readout and loss, for many rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.graph.losses import LOSSES, Loss
from tf_rnn.graph.readout import READOUTS, Readout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.options import GraphOptions


class Head:
    """From a cell's outputs to predictions and losses.

    The functions take the readout's weights as they were read (`Readout.read`).

    Attributes:
        readout: Outputs to logits.
        loss: Logits to predictions and losses.

    Args:
        output_size: Size of the cell's output.
        options: Options of the graph.
        name: What the seeds of the readout's weights are made from.
    """

    def __init__(self, output_size: int, options: GraphOptions, name: str) -> None:
        self.readout: Readout = READOUTS[options.readout](output_size, options, name)
        self.loss: Loss = LOSSES[options.loss].of(options)
        self._is_marked = options.loss_steps == "marked"

    def predict(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """Predictions [rows, num_classes] of outputs [rows, output_size]."""
        return self.loss.predict(self.readout.logits(weights, outputs))

    def losses(self, weights: tuple[Any, ...], outputs: Sequence[Any], targets: Sequence[Any]) -> list[Any]:
        """The loss of each row of each chunk; where losses are marked, 0 for a row without a target."""
        of_outputs = self.loss.of_marked_outputs if self._is_marked else self.loss.of_outputs
        return of_outputs(self.readout, weights, outputs, targets)

    def count(self, targets: Any, dtype: Any) -> Any:
        """The number of rows that have a target, a scalar."""
        return tf.count_nonzero(self.loss.marks(targets), dtype=dtype)
