"""The gated recurrent unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.base import Cell, StepGradient, Weights
from tf_rnn.cells.concat import join_columns, join_rows, over_rows, split_columns
from tf_rnn.cells.products import operand, product

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Residuals(NamedTuple):
    """What the derivative of a step needs, in the symbols of `GRUCell`."""

    gates: Any  # r || z
    recurrent_candidate: Any  # S_{t-1} W_sn + b_n
    candidate: Any  # n
    change: Any  # S_{t-1} - n


class _LocalDerivatives(NamedTuple):
    """The factors of the upstream gradient: see `GRUCell.backward`."""

    gates: Any  # sigmoid'(a_r) (S_{t-1} W_sn + b_n) || sigmoid'(a_z) (S_{t-1} - n)
    candidate: Any  # tanh'(a_n) (1 - z)
    reset: Any  # r
    keep: Any  # z


class GRUCell(Cell):
    """Gated recurrent unit, the reset gate applied after the recurrent product.

        (r || z) = sigmoid of the first two thirds of (X_t || S_{t-1}) W + b
        n   = tanh(X_t W_xn + b_n' + r * (S_{t-1} W_sn + b_n))
        S_t = z * S_{t-1} + (1 - z) * n;   the output is S_t

    with W_xn, W_sn, b_n' the last third of the columns of W and b. The reset gate after the product
    is the variant of the first version of the paper and of the common fast kernels (Keras'
    `reset_after=True`): it needs one recurrent product a step, the other variant needs two.

    With layer normalisation, gate by gate,

        (r || z) = sigmoid of the first two thirds of g_x * N(X_t W_x) + g_s * N(S_{t-1} W_s) + b
        n = tanh(g_xn * N(X_t W_xn) + b_n' + r * (g_sn * N(S_{t-1} W_sn) + b_n))

    as in the supplementary material of Ba et al. 2016, with one bias for both sums of r and of z.

    Variables: W [input_size + state_size, 3 * state_size], b [3 * state_size], b_n [state_size]; with layer
    normalisation g_x and g_s [3 * state_size].

    Args:
        state_size: Number of units d, at least 1.
        recurrent_init: "orthogonal", "glorot" or "identity", for each gate.
        recurrent_gain: The factor of the rows that multiply the state.
        layer_norm: Whether there is layer normalisation.

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
        projected_gates, projected_candidate = split_columns(projected, [2 * d, d])
        recurrent_gates, recurrent_candidate = split_columns(recurrent, [2 * d, d])
        gates = tf.sigmoid(projected_gates + recurrent_gates)
        reset, keep = split_columns(gates, [d, d])
        recurrent_candidate += weights.biases[1]
        candidate = tf.tanh(projected_candidate + reset * recurrent_candidate)
        change = state - candidate
        return candidate + keep * change, _Residuals(gates, recurrent_candidate, candidate, change)

    def local_derivatives(self, residuals: Sequence[_Residuals]) -> list[_LocalDerivatives]:
        """Computed for all steps at once; see `Cell.local_derivatives`."""
        return over_rows(_local_derivatives, residuals)

    def backward(self, local_derivatives: _LocalDerivatives, upstream: Any) -> StepGradient:
        """The derivative of a step; see `Cell.backward`.

        With n = tanh(a_n), r = sigmoid(a_r), z = sigmoid(a_z):

            dL/da_n = tanh'(a_n) (1 - z) dL/dS_t
            dL/da_z = sigmoid'(a_z) (S_{t-1} - n) dL/dS_t
            dL/da_r = sigmoid'(a_r) (S_{t-1} W_sn + b_n) dL/da_n
            dL/d(S_{t-1} W_sn) = r dL/da_n
        """
        candidate = local_derivatives.candidate * upstream
        gates = local_derivatives.gates * join_columns([candidate, upstream])
        return StepGradient(
            join_columns([gates, candidate]),
            join_columns([gates, local_derivatives.reset * candidate]),
            local_derivatives.keep * upstream,
        )

    def other_bias_gradients(self, recurrents: list[Any]) -> tuple[Any, ...]:
        """That of b_n; see `Cell.other_bias_gradients`."""
        return (tf.add_n([tf.reduce_sum(rows[:, 2 * self._units :], axis=0) for rows in recurrents]),)


def _local_derivatives(residuals: _Residuals) -> _LocalDerivatives:
    """All factors in `GRUCell.backward`, for any number of rows."""
    units = int(residuals.candidate.shape[1])
    reset, keep = split_columns(residuals.gates, [units, units])
    factors = join_columns([residuals.recurrent_candidate, residuals.change])
    return _LocalDerivatives(
        tf.raw_ops.SigmoidGrad(y=residuals.gates, dy=factors),
        tf.raw_ops.TanhGrad(y=residuals.candidate, dy=1 - keep),
        reset,
        keep,
    )


class _ResetBeforeResiduals(NamedTuple):
    """What the derivative of a step needs, in the symbols of `GRUResetBeforeCell`."""

    kernel: Any  # W_sn, as products read it
    before: Any  # S_{t-1}
    reset: Any  # r
    keep: Any  # z
    candidate: Any  # n


class GRUResetBeforeCell(Cell):
    """Gated recurrent unit, the reset gate applied before the recurrent product.

        (r || z) = sigmoid of the first two thirds of (X_t || S_{t-1}) W + b
        n   = tanh(X_t W_xn + (r * S_{t-1}) W_sn + b_n)
        S_t = z * S_{t-1} + (1 - z) * n;   the output is S_t

    with W_xn, W_sn, b_n the last third of the columns of W and b: Keras' `reset_after=False`. The second
    product has to wait for the first, so that a step takes longer than that of `GRUCell`.

    Variables: W [input_size + state_size, 3 * state_size], b [3 * state_size].

    Args:
        state_size: Number of units d, at least 1.
        recurrent_init: "orthogonal", "glorot" or "identity", for each gate.
        recurrent_gain: The factor of the rows that multiply the state.

    Raises:
        OptionError: If an option is not allowed.

    Source: Cho et al. 2014 (arXiv:1406.1078v3), eq. 5-8.
    """

    name = "gru_reset_before"
    num_gates = 3

    def __init__(
        self, state_size: int, recurrent_init: str = "orthogonal", recurrent_gain: float = 1.0
    ) -> None:  # no layer normalisation: the candidate's product is not one of H_{t-1}
        super().__init__(state_size, recurrent_init, recurrent_gain)

    def combine(self, weights: Weights, projected: Any, recurrent: Any, state: Any) -> tuple[Any, Any]:
        """Gates, candidate and state; see `Cell.combine`."""
        d = self._units
        projected_gates, projected_candidate = split_columns(projected, [2 * d, d])
        recurrent_gates, _ = split_columns(recurrent, [2 * d, d])
        reset, keep = split_columns(tf.sigmoid(projected_gates + recurrent_gates), [d, d])
        kernel = operand(weights.recurrent_kernel)[:, 2 * d :]
        candidate = tf.tanh(projected_candidate + product(reset * state, kernel))
        residuals = _ResetBeforeResiduals(kernel, state, reset, keep, candidate)
        return candidate + keep * (state - candidate), residuals

    def backward(self, local_derivatives: _ResetBeforeResiduals, upstream: Any) -> StepGradient:
        """The derivative of a step; see `Cell.backward`.

        With n = tanh(a_n), r = sigmoid(a_r), z = sigmoid(a_z), q = r * S_{t-1}:

            dL/da_n = tanh'(a_n) (1 - z) dL/dS_t,   dL/dq = dL/da_n W_sn^T
            dL/da_z = sigmoid'(a_z) (S_{t-1} - n) dL/dS_t
            dL/da_r = sigmoid'(a_r) S_{t-1} dL/dq
        """
        kernel, before, reset, keep, n = local_derivatives
        candidate = tf.raw_ops.TanhGrad(y=n, dy=(1 - keep) * upstream)
        d_reset = product(candidate, kernel, transpose_b=True)
        gates = [
            tf.raw_ops.SigmoidGrad(y=reset, dy=before * d_reset),
            tf.raw_ops.SigmoidGrad(y=keep, dy=(before - n) * upstream),
        ]
        return StepGradient(
            join_columns([*gates, candidate]),
            join_columns([*gates, tf.zeros_like(candidate)]),
            keep * upstream + reset * d_reset,
        )

    def recurrent_factors(
        self, before: Any, residuals: Sequence[Any], projected: Any, recurrent: Any
    ) -> list[tuple[Any, Any]]:
        """H_{t-1} for the gates, r * H_{t-1} for the candidate; see `Cell.recurrent_factors`."""
        gates = 2 * self._units
        after_reset = join_rows([step.reset * step.before for step in residuals])
        return [(before, recurrent[:, :gates]), (after_reset, projected[:, gates:])]
