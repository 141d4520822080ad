"""Loss functions of logits, for any number of rows at once, left unreduced."""

from __future__ import annotations

import abc
import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tf_rnn._tensorflow import tf
from tf_rnn.cells.own_gradient import own_gradient
from tf_rnn.cells.products import joined, precision_of_products, products_in
from tf_rnn.graph.readout import UpstreamLogits
from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.graph.readout import Backward, Readout
    from tf_rnn.options import GraphOptions


# Up to this many classes a pass over the logits costs less than starting an operation, so one operation
# of TensorFlow's is faster than ten smaller ones.
FEW_CLASSES = 16


class Loss(abc.ABC):
    """A loss of logits H U + b_p, one number for each row."""

    @classmethod
    def of(cls, options: GraphOptions) -> Self:  # noqa: ARG003 -- some need them
        """The loss of a graph with some options."""
        return cls()

    @abc.abstractmethod
    def placeholder(self, options: GraphOptions) -> Any:
        """The placeholder of the targets, [batch_size, num_steps, ...]."""

    @abc.abstractmethod
    def predict(self, logits: Any) -> Any:
        """Predictions P_t of logits [rows, num_classes], the same shape."""

    @abc.abstractmethod
    def losses(self, logits: Any, targets: Any) -> Any:
        """The loss of each row, [rows]."""

    @abc.abstractmethod
    def marks(self, targets: Any) -> Any:
        """Which rows have a target, booleans [rows]: a class other than -1, a real value other than nan."""

    def of_outputs(
        self, readout: Readout, weights: tuple[Any, ...], outputs: Sequence[Any], targets: Sequence[Any]
    ) -> list[Any]:
        """The loss of each row of a cell's outputs, chunk by chunk.

        Args:
            readout: From outputs to logits.
            weights: Those of the readout.
            outputs: [rows, output_size] of each chunk.
            targets: [rows, ...] of each chunk.
        """
        logits = [readout.logits(weights, each) for each in outputs]
        return list(map(self.losses, logits, targets))

    def of_marked_outputs(
        self, readout: Readout, weights: tuple[Any, ...], outputs: Sequence[Any], targets: Sequence[Any]
    ) -> list[Any]:
        """As `of_outputs`, and 0 for a row without a target."""
        marks = list(map(self.marks, targets))
        some_target = [
            tf.where_v2(mark, each, tf.zeros_like(each)) for mark, each in zip(marks, targets, strict=True)
        ]
        losses = self.of_outputs(readout, weights, outputs, some_target)
        return [
            tf.where_v2(mark, each, tf.zeros_like(each)) for mark, each in zip(marks, losses, strict=True)
        ]


class CrossEntropy(Loss):
    """-ln P_t[Y_t] in nats, P_t = softmax(H_t U + b_p)."""

    def placeholder(self, options: GraphOptions) -> Any:
        """Class indices, int32 [batch_size, num_steps]."""
        return tf.placeholder(tf.int32, [options.batch_size, options.num_steps], name="targets")

    def predict(self, logits: Any) -> Any:
        """The softmax of each row."""
        return tf.nn.softmax(logits)

    def marks(self, targets: Any) -> Any:
        """Class indices other than -1."""
        return targets >= 0

    def losses(self, logits: Any, targets: Any) -> Any:
        """TensorFlow's own operation, the fastest for few classes."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)

    def of_outputs(
        self, readout: Readout, weights: tuple[Any, ...], outputs: Sequence[Any], targets: Sequence[Any]
    ) -> list[Any]:
        """Fuses readout and loss for many classes, which saves the gradient a pass over the logits."""
        if readout.num_classes <= FEW_CLASSES:
            return super().of_outputs(readout, weights, outputs, targets)
        chunks = [
            _losses_in_parts(readout.logits(weights, each), labels, each)
            for each, labels in zip(outputs, targets, strict=True)
        ]
        found = (_fused(readout, weights, chunks[group]) for group in joined(outputs))
        return list(itertools.chain.from_iterable(found))


class RealLoss(Loss):
    """The mean over outputs of how far P_t = H_t U + b_p is from Y_t; marked, over outputs with a target."""

    @abc.abstractmethod
    def differences(self, logits: Any, targets: Any) -> Any:
        """The difference of each output, [rows, num_classes]."""

    def placeholder(self, options: GraphOptions) -> Any:
        """Real values, [batch_size, num_steps, num_classes]."""
        shape = [options.batch_size, options.num_steps, options.num_classes]
        return tf.placeholder(options.dtype, shape, name="targets")

    def predict(self, logits: Any) -> Any:
        """The logits themselves."""
        return tf.identity(logits)

    def marks(self, targets: Any) -> Any:
        """Rows with a value other than nan."""
        return tf.reduce_any(tf.logical_not(tf.is_nan(targets)), axis=1)

    def losses(self, logits: Any, targets: Any) -> Any:
        """The mean difference of each row."""
        return tf.reduce_mean(self.differences(logits, targets), axis=1)

    def of_marked_outputs(
        self, readout: Readout, weights: tuple[Any, ...], outputs: Sequence[Any], targets: Sequence[Any]
    ) -> list[Any]:
        """The mean over the outputs of a row that have a target; 0 for a row without one."""
        logits = [readout.logits(weights, each) for each in outputs]
        return list(map(self._marked_losses, logits, targets))

    def _marked_losses(self, logits: Any, targets: Any) -> Any:
        is_known = tf.logical_not(tf.is_nan(targets))
        some_target = tf.where_v2(is_known, targets, tf.zeros_like(targets))
        differences = self.differences(logits, some_target)
        known = tf.cast(is_known, differences.dtype)
        return tf.reduce_sum(differences * known, axis=1) / tf.maximum(tf.reduce_sum(known, axis=1), 1)


class SquaredError(RealLoss):
    """(P_t - Y_t)^2."""

    def differences(self, logits: Any, targets: Any) -> Any:
        """The squared difference of each output."""
        return tf.squared_difference(logits, targets)


class Pinball(RealLoss):
    """max(q e, (q - 1) e), e = Y_t - P_t.

    Its expectation is least where P_t is the q-quantile of Y_t. Output j is for the quantile j modulo their
    number.

    Source: Koenker & Bassett 1978.
    """

    def __init__(self, quantiles: Sequence[float] = (0.5,)) -> None:
        self._quantiles = quantiles

    @classmethod
    def of(cls, options: GraphOptions) -> Self:
        """The loss for the quantiles of a graph, output by output."""
        quantiles = options.quantiles or ()
        return cls([quantiles[number % len(quantiles)] for number in range(options.num_classes)])

    def differences(self, logits: Any, targets: Any) -> Any:
        """The pinball loss of each output."""
        errors = targets - logits
        quantiles = tf.constant(list(self._quantiles), errors.dtype)
        return tf.maximum(quantiles * errors, (quantiles - 1) * errors)


LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "squared_error": SquaredError,
    "pinball": Pinball,
}


class _Parts(NamedTuple):
    """The losses of a chunk, and what their gradient p - onehot(label) is made from.

    Attributes:
        losses: [rows].
        probabilities: p = softmax(logits), [rows, classes].
        positions: Row and label, int32 [rows, 2].
        outputs: H, [rows, output_size].
    """

    losses: Any
    probabilities: Any
    positions: Any
    outputs: Any


def _losses_in_parts(logits: Any, labels: Any, outputs: Any) -> _Parts:
    """-ln softmax(logits)[label] of each row, in nats.

    With m = max_j logits_j and p = softmax(logits), max_j p_j = 1 / sum_j exp(logits_j - m), so

        loss = (m - logits[label]) - ln(max_j p_j)

    needs no second exponential and cannot meet ln 0, as max_j p_j >= 1 / classes. The logits of a row are
    subtracted first, since what they have in common may be much larger than the loss. TensorFlow's own
    operation gives the same numbers, but takes several times longer for many classes.

    Args:
        logits: [rows, classes].
        labels: int32 [rows], in [0, classes).
        outputs: What the logits were read from.
    """
    probabilities = tf.nn.softmax(logits)
    positions = tf.stack([tf.range(tf.size(labels)), labels], axis=1)
    below_most = tf.reduce_max(logits, axis=1) - tf.gather_nd(logits, positions)
    losses = below_most - tf.log(tf.reduce_max(probabilities, axis=1))
    return _Parts(losses, probabilities, positions, outputs)


def _fused(readout: Readout, weights: tuple[Any, ...], chunks: Sequence[_Parts]) -> list[Any]:
    """The losses of some chunks, with one gradient of the readout's weights."""
    precision = precision_of_products()
    name = f"cross_entropy_{type(readout).__qualname__}"
    name += "" if precision == FLOAT32 else f"_{precision}"
    with own_gradient("IdentityN", name, _fused_gradient(type(readout).backward, precision)):
        made: list[Any] = tf.identity_n([*itertools.chain.from_iterable(chunks), *weights])
    return made[: len(chunks) * len(_Parts._fields) : len(_Parts._fields)]


@functools.cache
def _fused_gradient(backward: Callable[..., Backward], precision: str) -> Callable[..., list[Any]]:
    """The gradient of an operation with the parts of each chunk, and then the weights, as its inputs.

    Args:
        backward: `Readout.backward` of the kind of readout.
        precision: That of its products, whenever the gradient is asked for.
    """

    def gradient(operation: Any, *upstream: Any) -> list[Any]:
        size = len(_Parts._fields)
        count = len(operation.inputs) // size  # a readout has fewer weights than a chunk has parts
        parts = [_Parts(*operation.inputs[size * k : size * (k + 1)]) for k in range(count)]
        chunks = []
        for (_, probabilities, positions, outputs), d_losses in zip(
            parts, upstream[: size * count : size], strict=True
        ):
            factors = tf.convert_to_tensor(d_losses)  # sparse where somebody gathers some of the losses
            d_logits = tf.tensor_scatter_nd_sub(probabilities, positions, tf.ones_like(factors))
            chunks.append(UpstreamLogits(outputs, d_logits, factors))
        with products_in(precision):
            found = backward(tuple(operation.inputs[size * count :]), chunks)
        of_parts = ([None, None, None, d_outputs] for d_outputs in found.outputs)
        return [*itertools.chain.from_iterable(of_parts), *found.weights]

    return gradient
