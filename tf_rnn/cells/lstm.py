"""Long short-term memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.base import Cell, StepGradient, Weights
from tf_rnn.cells.concat import join_columns, over_rows, split_columns
from tf_rnn.cells.norm import norm_gradient, normalized
from tf_rnn.cells.products import product
from tf_rnn.options import require_number

if TYPE_CHECKING:
    from collections.abc import Sequence


class LSTMState(NamedTuple):
    """The state of an LSTM: `hidden` H_t (also its output) and `cell` C_t, [batch_size, state_size]."""

    hidden: Any
    cell: Any


class LSTMGates(NamedTuple):
    """The gates of an LSTM at a step: numbers from 0 to 1, [batch_size, state_size].

    Attributes:
        input: sigmoid(i): how much of the candidate is written to the cell.
        forget: sigmoid(f): how much of the cell is kept.
        output: sigmoid(o): how much of the cell is shown.
    """

    input: Any
    forget: Any
    output: Any


class _Residuals(NamedTuple):
    """What the derivative of a step needs, in the symbols of `LSTMCell`."""

    gates: LSTMGates
    candidate: Any  # tanh(g)
    before: Any  # C_{t-1}
    shown: Any  # tanh(C_t), or tanh(g_c * N(C_t) + b_c)
    norm: tuple[Any, ...] = ()  # N(C_t) and g_c, with layer normalisation


class _LocalDerivatives(NamedTuple):
    """The factors of the upstream gradient: see `LSTMCell.backward`."""

    gates: Any  # all but the last factors of dL/di || dL/df || dL/do || dL/dg
    cell: Any  # sigmoid(o) tanh'(C_t)
    forget: Any  # sigmoid(f)
    norm: tuple[Any, ...] = ()  # N(C_t) and g_c, with layer normalisation


class LSTMCell(Cell):
    """Long short-term memory with a forget gate.

        (i || f || o || g) = (X_t || H_{t-1}) W + b
        C_t = sigmoid(f) * C_{t-1} + sigmoid(i) * tanh(g)
        H_t = sigmoid(o) * tanh(C_t);   the output is H_t

    With layer normalisation, gate by gate and of the cell on its way out,

        (i || f || o || g) = g_x * N(X_t W_x) + g_s * N(H_{t-1} W_s) + b
        H_t = sigmoid(o) * tanh(g_c * N(C_t) + b_c)

    as in the supplementary material of Ba et al. 2016, with one bias for both sums of a gate.

    Variables: W [input_size + state_size, 4 * state_size], b [4 * state_size]; with layer normalisation b_c,
    g_c [state_size], g_x and g_s [4 * state_size].

    Args:
        state_size: Number of units d, at least 1.
        forget_bias: Initial value of the forget gate's bias. 1 lets the cell keep what it holds from
            the start (Gers et al. 2000; Jozefowicz et al. 2015); it is part of b, not added to it.
        recurrent_init: "orthogonal", "glorot" or "identity", for each gate.
        recurrent_gain: The factor of the rows that multiply the state.
        layer_norm: Whether there is layer normalisation.

    Raises:
        OptionError: If an option is not allowed.

    Source: Hochreiter & Schmidhuber 1997; Gers et al. 2000; Zaremba et al. 2014, eq. 3-6.
    """

    name = "lstm"
    num_gates = 4

    def __init__(
        self,
        state_size: int,
        forget_bias: float = 1.0,
        recurrent_init: str = "orthogonal",
        recurrent_gain: float = 1.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(state_size, recurrent_init, recurrent_gain, layer_norm)
        self._forget_bias = require_number("forget_bias", forget_bias)

    def options(self) -> dict[str, Any]:
        """See `Cell.options`."""
        return super().options() | {"forget_bias": self._forget_bias}

    @property
    def state_size(self) -> LSTMState:
        """LSTMState(state_size, state_size)."""
        return LSTMState(self._units, self._units)

    def _make_biases(self, dtype: Any) -> tuple[Any, ...]:
        d = self._units
        values = [0.0] * d + [self._forget_bias] * d + [0.0] * (2 * d)
        start = tf.constant_initializer(values)
        bias = tf.get_variable("b", [4 * d], dtype, start, use_resource=True)
        starts = {"b_c": tf.zeros_initializer(), "g_c": tf.ones_initializer()} if self._layer_norm else {}
        of_cell = (tf.get_variable(name, [d], dtype, one, use_resource=True) for name, one in starts.items())
        return (bias, *of_cell)

    def hidden(self, state: LSTMState) -> Any:
        """H_t."""
        return state.hidden

    def with_hidden(self, state: LSTMState, hidden: Any) -> LSTMState:
        """See `Cell.with_hidden`."""
        return state._replace(hidden=hidden)

    def combine(
        self, weights: Weights, projected: Any, recurrent: Any, state: LSTMState
    ) -> tuple[LSTMState, _Residuals]:
        """Gates, cell and output; see `Cell.combine`."""
        *opened, written = split_columns(projected + recurrent, [self._units] * 4)
        gates, candidate = LSTMGates(*map(tf.sigmoid, opened)), tf.tanh(written)
        cell = gates.forget * state.cell + gates.input * candidate
        shown: Any = cell
        norm: tuple[Any, ...] = ()
        if weights.gains:
            _, bias, gain = weights.biases
            norm = normalized(cell, self._units), gain
            shown = gain * norm[0].rows + bias
        shown = tf.tanh(shown)
        return LSTMState(gates.output * shown, cell), _Residuals(gates, candidate, state.cell, shown, norm)

    def local_derivatives(self, residuals: Sequence[_Residuals]) -> list[_LocalDerivatives]:
        """Computed for all steps at once; see `Cell.local_derivatives`."""
        found = over_rows(_local_derivatives, [each._replace(norm=()) for each in residuals])
        return [one._replace(norm=each.norm) for one, each in zip(found, residuals, strict=True)]

    def backward(self, local_derivatives: _LocalDerivatives, upstream: LSTMState) -> StepGradient:
        """The derivative of a step; see `Cell.backward`.

            dL/dC_t = (from C_{t+1}) + sigmoid(o) tanh'(C_t) dL/dH_t
            dL/di = sigmoid'(i) tanh(g) dL/dC_t,    dL/do = sigmoid'(o) tanh(C_t) dL/dH_t
            dL/df = sigmoid'(f) C_{t-1} dL/dC_t,    dL/dg = tanh'(g) sigmoid(i) dL/dC_t

        All factors but the last of each product are local derivatives. With layer normalisation what comes
        from H_t goes back through g_c * N(C_t) + b_c first.
        """
        shown = local_derivatives.cell * upstream.hidden
        biases: tuple[Any, ...] = ()
        if local_derivatives.norm:
            of, gain = local_derivatives.norm
            biases = (tf.reduce_sum(shown, axis=0), tf.reduce_sum(shown * of.rows, axis=0))
            shown = norm_gradient(gain * shown, of)
        cell = upstream.cell + shown
        gradient = local_derivatives.gates * join_columns([cell, cell, upstream.hidden, cell])
        return StepGradient(gradient, gradient, LSTMState(None, local_derivatives.forget * cell), biases)

    def gates(self, inputs: Any, state: LSTMState) -> LSTMGates:
        """The gates of the step `cell(inputs, state)`.

        Args:
            inputs: X_t, [batch_size, input_size].
            state: S_{t-1}.
        """
        self.build(int(inputs.shape[-1]), inputs.dtype)
        weights = self.read()
        recurrent = self.recur(weights, product(self.hidden(state), weights.recurrent_kernel))
        _, residuals = self.combine(weights, self.project(weights, inputs), recurrent.rows, state)
        return residuals.gates


def _local_derivatives(residuals: _Residuals) -> _LocalDerivatives:
    """All factors in `LSTMCell.backward`, for any number of rows."""
    gates = residuals.gates
    parts = [
        tf.raw_ops.SigmoidGrad(y=gates.input, dy=residuals.candidate),
        tf.raw_ops.SigmoidGrad(y=gates.forget, dy=residuals.before),
        tf.raw_ops.SigmoidGrad(y=gates.output, dy=residuals.shown),
        tf.raw_ops.TanhGrad(y=residuals.candidate, dy=gates.input),
    ]
    return _LocalDerivatives(
        join_columns(parts), tf.raw_ops.TanhGrad(y=residuals.shown, dy=gates.output), gates.forget
    )
