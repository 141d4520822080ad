"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.base import Cell, Weights


class GRUCell(Cell):
    """Gated recurrent unit, the reset gate applied after the recurrent product.

        (r || z) = sigmoid of the first two thirds of (X_t || S_{t-1}) W + b
        n   = tanh(X_t W_xn + b_n' + r * (S_{t-1} W_sn + b_n))
        S_t = z * S_{t-1} + (1 - z) * n;   the output is S_t

    with W_xn, W_sn, b_n' the last third of the columns of W and b. The reset gate after the product
    is the variant of the first version of the paper and of the common fast kernels (Keras'
    `reset_after=True`): it needs one recurrent product a step, the other variant needs two.

    Variables: W [input_size + state_size, 3 * state_size], b [3 * state_size], b_n [state_size].

    Args:
        state_size: Number of units d, at least 1.
        recurrent_init: "orthogonal", "glorot" or "identity", for each gate.
        recurrent_gain: What the rows that meet the state are multiplied by.

    Raises:
        OptionError: If an option is not allowed.

    Source: Cho et al. 2014 (arXiv:1406.1078v1), eq. 5-8.
    """

    name = "gru"
    num_gates = 3

    def _make_biases(self, dtype: Any) -> tuple[Any, ...]:
        zeros = tf.zeros_initializer()
        return (
            tf.get_variable("b", [3 * self._units], dtype, zeros, use_resource=True),
            tf.get_variable("b_n", [self._units], dtype, zeros, use_resource=True),
        )

    def combine(self, weights: Weights, projected: Any, recurrent: Any, state: Any) -> tuple[Any, Any]:
        """Gates, candidate and state; see `Cell.combine`."""
        d = self._units
        projected_gates, projected_candidate = tf.split(projected, [2 * d, d], axis=1)
        recurrent_gates, recurrent_candidate = tf.split(recurrent, [2 * d, d], axis=1)
        reset, keep = tf.split(tf.sigmoid(projected_gates + recurrent_gates), 2, axis=1)
        candidate = tf.tanh(projected_candidate + reset * (recurrent_candidate + weights.biases[1]))
        state = candidate + keep * (state - candidate)
        return state, state

    def recurrent_gradient(self, projected: Any, recurrents: list[Any]) -> Any:
        """The reset gate stands between the two gradients; see `Cell.recurrent_gradient`."""
        return tf.concat(recurrents, axis=0)
