"""Loss functions of logits, for any number of rows at once, left unreduced."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph.readout import Readout
    from tf_rnn.options import GraphOptions


# Up to this many classes a pass over the logits costs less than starting an operation, so one operation
# of TensorFlow's is faster than ten smaller ones.
FEW_CLASSES = 16


class Loss(abc.ABC):
    """A loss of logits H U + b_p, one number for each row."""

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
        """Which rows have a target, booleans [rows]: class indices other than -1, real values without nan."""

    def of_outputs(self, readout: Readout, weights: tuple[Any, ...], outputs: Any, targets: Any) -> Any:
        """The loss of each row of a cell's outputs, [rows]; `weights` are those of the readout."""
        return self.losses(readout.logits(weights, outputs), targets)


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

    def of_outputs(self, readout: Readout, weights: tuple[Any, ...], outputs: Any, targets: Any) -> Any:
        """Fuses readout and loss for many classes, which saves the gradient a pass over the logits."""
        if readout.num_classes <= FEW_CLASSES:
            return super().of_outputs(readout, weights, outputs, targets)

        @tf.custom_gradient
        def losses(outputs: Any, *weights: Any) -> tuple[Any, Callable[[Any], Any]]:
            rows, d_logits = _losses_and_gradient(readout.logits(weights, outputs), targets)
            return rows, lambda upstream: readout.backward(weights, outputs, d_logits(), upstream)

        return losses(outputs, *weights)


class SquaredError(Loss):
    """The mean over outputs of (P_t - Y_t)^2, P_t = H_t U + b_p."""

    def placeholder(self, options: GraphOptions) -> Any:
        """Real values, [batch_size, num_steps, num_classes]."""
        shape = [options.batch_size, options.num_steps, options.num_classes]
        return tf.placeholder(options.dtype, shape, name="targets")

    def predict(self, logits: Any) -> Any:
        """The logits themselves."""
        return tf.identity(logits)

    def marks(self, targets: Any) -> Any:
        """Rows without nan."""
        return tf.logical_not(tf.reduce_any(tf.is_nan(targets), axis=1))

    def losses(self, logits: Any, targets: Any) -> Any:
        """The mean squared difference of each row."""
        return tf.reduce_mean(tf.squared_difference(logits, targets), axis=1)


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}


def _losses_and_gradient(logits: Any, labels: Any) -> tuple[Any, Callable[[], Any]]:
    """-ln softmax(logits)[label] of each row, in nats, and its derivative p - onehot(label).

    With m = max_j logits_j and p = softmax(logits), max_j p_j = 1 / sum_j exp(logits_j - m), so

        loss = m - ln(max_j p_j) - logits[label]

    needs no second exponential and cannot meet ln 0, as max_j p_j >= 1 / classes. TensorFlow's own
    operation gives the same numbers, but takes several times longer for many classes.

    Args:
        logits: [rows, classes].
        labels: int32 [rows], in [0, classes).

    Returns:
        The losses [rows], and a function that makes the derivative [rows, classes].
    """
    probabilities = tf.nn.softmax(logits)
    positions = tf.stack([tf.range(tf.size(labels)), labels], axis=1)
    log_total = tf.reduce_max(logits, axis=1) - tf.log(tf.reduce_max(probabilities, axis=1))
    losses = log_total - tf.gather_nd(logits, positions)
    return losses, lambda: tf.tensor_scatter_nd_sub(probabilities, positions, tf.ones_like(losses))
