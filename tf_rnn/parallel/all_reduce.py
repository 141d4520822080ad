"""The mean gradient of all workers, as an operation of the training step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.parallel.ring import Ring


class AllReduce:
    """Makes the training step of every worker apply the gradient of all rows.

        g = (sum over workers of c_w g_w) / (sum over workers of c_w)

    with g_w the gradient of worker w's loss and c_w the number of losses that it is the mean of: all
    alike, unless losses are marked. Every worker then clips and applies the same g, bit for bit, and
    starting from equal weights all weights stay equal. They are those of one
    process that reads all rows, up to the rounding of sums.

    It is given to a graph, and to the graphs of other widths that are made from it:

        with Ring(task) as ring, AllReduce(ring) as all_reduce:
            graph = UnrolledGraph(cell, ..., reduce_gradients=all_reduce)

    after which the session loop is that of one process. All workers must make the same steps.

    Used as a context it raises the errors of the ring themselves, LostWorkerError above all, where
    `session.run` would raise one of TensorFlow's in their place.

    Args:
        ring: The connections to the other workers.

    Attributes:
        numbers: Further numbers to be summed with the next step's gradient, as many in all workers.
        sums: Their sums over the workers in the last step; the same for all.
    """

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.numbers: tuple[float, ...] = ()
        self.sums: tuple[float, ...] = ()
        self._losses: dict[UnrolledGraph, Any] = {}
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._error is not None and isinstance(error, tf.errors.OpError):
            raise self._error from None

    def __call__(self, gradients: Sequence[Any], graph: UnrolledGraph) -> list[Any]:
        """Returns the mean gradients of all workers, dense tensors.

        Gradients, loss, count and further numbers are summed in one message.

        Args:
            gradients: Those of the graph's loss. The rows of an embedding that were looked up are
                written out.
            graph: Whose `total_loss` exists by now.
        """
        parts = [tf.convert_to_tensor(each) for each in [*gradients, graph.total_loss]]
        count = tf.cast(graph.loss_count, parts[-1].dtype)
        means = tf.numpy_function(self._mean, [count, *parts], [part.dtype for part in parts])
        for mean, part in zip(means, parts, strict=True):
            mean.set_shape(part.shape)
        self._losses[graph] = means[-1]
        return list(means[:-1])

    def loss(self, graph: UnrolledGraph) -> Any:
        """The mean loss of all workers in a training step of this graph, a scalar tensor."""
        return self._losses[graph]

    def _mean(self, count: np.ndarray, *parts: np.ndarray) -> list[np.ndarray]:
        """The means over all workers' losses; further numbers travel along."""
        ends = np.cumsum([part.size for part in parts])
        more = np.array([count, *self.numbers], count.dtype)
        message = np.concatenate([*map(np.ravel, parts), more])
        values, sums = message[: -len(more)], message[-len(more) :]
        values *= count
        try:
            self.ring.sum_in_place(message)
        except BaseException as error:  # an interrupt, too: the runtime keeps nothing but its text
            self._error = error
            raise
        self.sums = tuple(sums[1:].tolist())
        values /= sums[0] or 1
        split = np.split(values, ends[:-1])
        return [mean.reshape(part.shape) for mean, part in zip(split, parts, strict=True)]
