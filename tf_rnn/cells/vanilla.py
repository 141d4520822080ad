"""The vanilla recurrent step (Elman 1990)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.base import Cell, StepGradient, Weights
from tf_rnn.options import require_choice

if TYPE_CHECKING:
    from collections.abc import Callable


class Activation(NamedTuple):
    """A nonlinearity.

    Attributes:
        of: z -> f(z).
        gradient: (f(z), dL/df) -> dL/dz.
    """

    of: Callable[[Any], Any]
    gradient: Callable[[Any, Any], Any]


def _tanh(z: Any) -> Any:
    return tf.tanh(z)


def _relu(z: Any) -> Any:
    return tf.nn.relu(z)


def _tanh_gradient(value: Any, upstream: Any) -> Any:
    return tf.raw_ops.TanhGrad(y=value, dy=upstream)


def _relu_gradient(value: Any, upstream: Any) -> Any:
    return tf.raw_ops.ReluGrad(gradients=upstream, features=value)


ACTIVATIONS = {"tanh": Activation(_tanh, _tanh_gradient), "relu": Activation(_relu, _relu_gradient)}


class VanillaCell(Cell):
    """One fully connected layer over the inputs and its own previous output.

        S_t = f((X_t || S_{t-1}) W + b_s),   f = tanh or ReLU;   the output is S_t

    which is f(X_t U + S_{t-1} W' + b_s) with U the upper and W' the lower rows of W.

    With layer normalisation, S_t = f(g_x * N(X_t U) + g_s * N(S_{t-1} W') + b_s); see `Cell`.

    Variables: W [input_size + state_size, state_size], b_s [state_size]; with layer normalisation g_x and g_s
    [state_size].

    Args:
        state_size: Number of units d, at least 1.
        activation: "tanh" or "relu".
        recurrent_init: Initial rows of W that multiply the state: "orthogonal" (all singular values 1,
            so that nothing grows or decays at first, Saxe et al. 2014), "glorot", or "identity"
            (with "relu", Le et al. 2015).
        recurrent_gain: The factor of these rows; with 1.5 and "orthogonal" the spectral radius is 1.5,
            and gradients may explode.
        layer_norm: Whether there is layer normalisation.

    Raises:
        OptionError: If an option is not allowed.

    Source: Elman 1990; the concatenated form as in Goodfellow et al. 2016, section 10.2.
    """

    name = "vanilla"
    num_gates = 1

    def __init__(
        self,
        state_size: int,
        activation: str = "tanh",
        recurrent_init: str = "orthogonal",
        recurrent_gain: float = 1.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(state_size, recurrent_init, recurrent_gain, layer_norm)
        self._activation = require_choice("activation", activation, ACTIVATIONS)

    def options(self) -> dict[str, Any]:
        """See `Cell.options`."""
        return super().options() | {"activation": self._activation}

    def _make_biases(self, dtype: Any) -> tuple[Any, ...]:
        return (tf.get_variable("b_s", [self._units], dtype, tf.zeros_initializer(), use_resource=True),)

    def combine(self, weights: Weights, projected: Any, recurrent: Any, state: Any) -> tuple[Any, Any]:
        """S_t = f(projected + recurrent); see `Cell.combine`."""
        state = ACTIVATIONS[self._activation].of(projected + recurrent)
        return state, state

    def backward(self, local_derivatives: Any, upstream: Any) -> StepGradient:
        """dL/dz = f'(z) dL/dS_t, computed from S_t = f(z); see `Cell.backward`."""
        gradient = ACTIVATIONS[self._activation].gradient(local_derivatives, upstream)
        return StepGradient(gradient, gradient, None)
