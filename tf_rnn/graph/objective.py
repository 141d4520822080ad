"""The total loss of a graph, a weighted sum over steps and examples.

    total_loss = sum over steps t and examples i of w_t L_{t,i}

The weights are constant ("all", "last", the last k), counted ("marked": 1 / number of targets), or fed: for
each target, or for each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.graph.head import Head
    from tf_rnn.options import GraphOptions


class ChunkLosses(NamedTuple):
    """The losses of consecutive steps.

    Attributes:
        first_step: The number of the first of them.
        rows: L_{t,i}, [steps * batch_size], time first.
    """

    first_step: int
    rows: Any


class LossWeights(Protocol):
    """How much the loss of each step counts.

    Attributes:
        first_step: The first step that counts; losses before it are not computed.
        loss_count: The number of losses of which the weighted sum is the mean, or the sum of their weights,
            where it depends on what is fed; else 1.
    """

    first_step: int
    loss_count: Any

    def weighted_sum(self, chunks: Sequence[ChunkLosses]) -> Any:
        """The sum over steps and examples of w_t L_{t,i}, a scalar."""


class UniformWeights:
    """One weight for the steps that count: w_t = 1 / d.

        d = number of losses that count, over steps and examples,   where reduction is "mean"
        d = batch_size,                                             where it is "sum"

    Args:
        options: Options of the graph.
        head: Tells which targets are none.
        targets: All targets of the graph, [batch_size, num_steps, ...].
    """

    def __init__(self, options: GraphOptions, head: Head, targets: Any) -> None:
        self.first_step = options.num_steps - options.num_loss_steps
        self.loss_count: Any = 1
        self._divisor: Any = options.batch_size
        if options.reduction == "mean":
            self._divisor *= options.num_loss_steps
            if options.loss_steps == "marked":
                rows = tf.reshape(targets, [options.rows, *targets.shape[2:]])
                self.loss_count = head.count(rows, options.dtype)
                self._divisor = tf.maximum(self.loss_count, 1)

    def weighted_sum(self, chunks: Sequence[ChunkLosses]) -> Any:
        """See `LossWeights.weighted_sum`."""
        return tf.add_n([tf.reduce_sum(chunk.rows) for chunk in chunks]) / self._divisor


class TargetWeights:
    """A weight v of each target, fed: w_{t,i} = v_{t,i} / d.

        d = sum of the weights of targets that count, over steps and examples,   where reduction is "mean"
        d = batch_size,                                                          where it is "sum"

    Weights of 0 and 1 are the losses of "marked" targets.

    Args:
        options: Options of the graph.
        head: Tells which targets are none; they have no weight.
        targets: All targets of the graph, [batch_size, num_steps, ...].
        weights: v, [batch_size, num_steps].
    """

    def __init__(self, options: GraphOptions, head: Head, targets: Any, weights: Any) -> None:
        self.first_step = options.num_steps - options.num_loss_steps
        self._batch_size = options.batch_size
        self._by_step = tf.transpose(weights)
        self.loss_count: Any = 1
        self._divisor: Any = options.batch_size
        if options.reduction == "mean":
            counted = weights[:, self.first_step :]
            if options.loss_steps == "marked":
                rows = tf.reshape(targets, [options.rows, *targets.shape[2:]])
                counted *= tf.reshape(tf.cast(head.loss.marks(rows), counted.dtype), counted.shape)
            self.loss_count = tf.reduce_sum(counted)
            self._divisor = tf.where(self.loss_count > 0, self.loss_count, tf.ones_like(self.loss_count))

    def weighted_sum(self, chunks: Sequence[ChunkLosses]) -> Any:
        """See `LossWeights.weighted_sum`."""
        sums = []
        for first, rows in chunks:
            steps = int(rows.shape[0]) // self._batch_size
            sums.append(tf.reduce_sum(rows * tf.reshape(self._by_step[first : first + steps], rows.shape)))
        return tf.add_n(sums) / self._divisor


class FedWeights:
    """A weight for each step, fed.

    Args:
        weights: w, [num_steps].
        batch_size: Examples side by side.
    """

    first_step = 0
    loss_count = 1

    def __init__(self, weights: Any, batch_size: int) -> None:
        self._weights, self._batch_size = weights, batch_size

    def weighted_sum(self, chunks: Sequence[ChunkLosses]) -> Any:
        """See `LossWeights.weighted_sum`."""
        sums = [tf.reduce_sum(tf.reshape(each.rows, [-1, self._batch_size]), axis=1) for each in chunks]
        sums_by_step = join_rows(sums)
        first = chunks[0].first_step
        return tf.reduce_sum(sums_by_step * self._weights[first : first + int(sums_by_step.shape[0])])


class Objective:
    """Losses of a cell's outputs, and their weighted sum.

    Args:
        head: Outputs to losses.
        weights: How much the loss of each step counts.
        batch_size: Examples side by side.

    Attributes:
        loss_count: See `LossWeights`.
    """

    def __init__(self, head: Head, weights: LossWeights, batch_size: int) -> None:
        self._head, self._weights, self._batch_size = head, weights, batch_size
        self.loss_count = weights.loss_count

    def losses(
        self, readout: tuple[Any, ...], outputs: list[Any], targets: list[list[Any]]
    ) -> list[ChunkLosses]:
        """The losses of all steps.

        Args:
            readout: One read of the readout's weights.
            outputs: A tensor [steps * batch_size, output_size] for each chunk, time first.
            targets: Y_t of each step, in the same chunks.
        """
        return self._losses(readout, outputs, targets, first_step=0, skipped=0)

    def counted_losses(
        self, readout: tuple[Any, ...], outputs: list[Any], targets: list[list[Any]], first_step: int = 0
    ) -> list[ChunkLosses]:
        """The losses of the steps that count; the others are neither read out nor compared with targets.

        Args:
            readout: One read of the readout's weights.
            outputs: As for `losses`.
            targets: As for `losses`.
            first_step: The number of their first step.
        """
        skipped = self._weights.first_step - first_step
        return self._losses(readout, outputs, targets, first_step, skipped)

    def total(self, chunks: list[ChunkLosses]) -> Any:
        """The weighted sum of losses, a scalar; None where there are none."""
        return self._weights.weighted_sum(chunks) if chunks else None

    def _losses(
        self,
        readout: tuple[Any, ...],
        outputs: list[Any],
        targets: list[list[Any]],
        first_step: int,
        skipped: int,
    ) -> list[ChunkLosses]:
        """The losses of all steps but the first ones; `skipped` says how many."""
        first_steps, counted, wanted, step = [], [], [], first_step
        for rows, of_steps in zip(outputs, targets, strict=True):
            left_out = min(max(0, first_step + skipped - step), len(of_steps))
            if left_out < len(of_steps):
                first_steps.append(step + left_out)
                counted.append(rows[left_out * self._batch_size :] if left_out else rows)
                wanted.append(join_rows(of_steps[left_out:]))
            step += len(of_steps)
        return list(map(ChunkLosses, first_steps, self._head.losses(readout, counted, wanted)))
