"""What a step predicts and what a wrong prediction costs, for many rows at once."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph.readout import Readout
    from tf_rnn.options import GraphOptions


# Up to here a pass over the logits costs less than the start of an operation, and one is quicker than ten.
FEW_CLASSES = 16


class Loss(abc.ABC):
    """A loss on the readout H U + b_p, left unreduced."""

    @abc.abstractmethod
    def placeholder(self, options: GraphOptions) -> Any:
        """Targets to be fed, [batch_size, num_steps, ...]."""

    @abc.abstractmethod
    def predict(self, logits: Any) -> Any:
        """Predictions P_t of a readout [rows, num_classes], the same shape."""

    @abc.abstractmethod
    def losses(self, logits: Any, targets: Any) -> Any:
        """The loss of each row, [rows]."""

    @abc.abstractmethod
    def marks(self, targets: Any) -> Any:
        """Which rows have a target, booleans [rows]: not -1 for classes, not nan for real ones."""

    def read_out(self, readout: Readout, weights: tuple[Any, ...], outputs: Any, targets: Any) -> Any:
        """The loss of each row of what a readout makes of a cell's outputs, [rows]."""
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
        """Class indices that are not -1."""
        return targets >= 0

    def losses(self, logits: Any, targets: Any) -> Any:
        """By TensorFlow's own operation, the quickest for few classes."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)

    def read_out(self, readout: Readout, weights: tuple[Any, ...], outputs: Any, targets: Any) -> Any:
        """For many classes in one with the readout: the gradient has one pass less over the logits."""
        if readout.num_classes <= FEW_CLASSES:
            return super().read_out(readout, weights, outputs, targets)

        @tf.custom_gradient
        def losses(outputs: Any, *weights: Any) -> tuple[Any, Callable[[Any], Any]]:
            rows, slopes = _losses_and_slopes(readout.logits(weights, outputs), targets)
            return rows, lambda upstream: readout.backward(weights, outputs, slopes(), upstream)

        return losses(outputs, *weights)


class SquaredError(Loss):
    """The mean over outputs of (P_t - Y_t)^2, P_t = H_t U + b_p."""

    def placeholder(self, options: GraphOptions) -> Any:
        """Real values, [batch_size, num_steps, num_classes]."""
        shape = [options.batch_size, options.num_steps, options.num_classes]
        return tf.placeholder(options.dtype, shape, name="targets")

    def predict(self, logits: Any) -> Any:
        """The readout itself."""
        return tf.identity(logits)

    def marks(self, targets: Any) -> Any:
        """Rows without a nan."""
        return tf.logical_not(tf.reduce_any(tf.is_nan(targets), axis=1))

    def losses(self, logits: Any, targets: Any) -> Any:
        """The mean squared difference of each row."""
        return tf.reduce_mean(tf.squared_difference(logits, targets), axis=1)


def columns_like(marks: Any, targets: Any) -> Any:
    """Booleans [rows], with as many axes as the targets."""
    return tf.reshape(marks, [-1] + [1] * (targets.shape.ndims - 1))


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}


def _losses_and_slopes(logits: Any, labels: Any) -> tuple[Any, Callable[[], Any]]:
    """-ln softmax(logits)[label] of each row, in nats, and what makes the derivative, p - onehot(label).

    With m = max_j logits_j and p = softmax(logits), max_j p_j = 1 / sum_j exp(logits_j - m), so

        loss = m - ln(max_j p_j) - logits[label]

    without a second exponential, and without the risk of ln 0: max_j p_j >= 1 / classes. TensorFlow's
    own operation gives the same numbers, and takes several times longer for many classes.

    Args:
        logits: [rows, classes].
        labels: int32 [rows], in [0, classes).

    Returns:
        [rows], and a function that gives [rows, classes].
    """
    probabilities = tf.nn.softmax(logits)
    positions = tf.stack([tf.range(tf.size(labels)), labels], axis=1)
    log_total = tf.reduce_max(logits, axis=1) - tf.log(tf.reduce_max(probabilities, axis=1))
    losses = log_total - tf.gather_nd(logits, positions)
    return losses, lambda: tf.tensor_scatter_nd_sub(probabilities, positions, tf.ones_like(losses))
