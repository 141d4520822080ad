"""The influence balancing dynamics: a cell with one parameter, whose truncated gradients mislead."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.options import require_number, require_number_of, require_whole

LARGEST = 1000


class InfluenceCell:
    """A chain of units through which a single parameter acts first one way, then the other.

        S_t = A S_{t-1} + theta v,   A_ii = 1/2,  A_i,i+1 = 1/2,  else 0
        v = (1, ..., 1, -1, ..., -1) with `num_positive` ones;   the output is the first unit

    Unit j affects unit 1 only after some 2 (j - 1) steps. The near, positive units thus dominate the
    gradient of the recent steps, the far, negative ones the whole: with d units, p of them positive,
    the effect of theta on unit 1 within k steps is the sum over i < k of
    sum_j v_j C(i, j-1) / 2^i, which tends to 2 (2p - d) and changes its sign on the way.

    Variable: theta, a scalar; inputs are ignored.

    Args:
        state_size: Number of units d, at most 1000, as A is a dense matrix.
        num_positive: The number p of units that get theta, the rest get -theta; None for the
            proportion 10 of 23.
        start: Initial value of theta.

    Raises:
        OptionError: If an option is not allowed.

    Source: Tallec & Ollivier 2017, section 5.
    """

    name = "influence"
    output_size = 1

    def __init__(self, state_size: int = 23, num_positive: int | None = None, start: float = 0.5) -> None:
        self.state_size = require_whole("state_size", state_size, at_most=LARGEST)
        self._positive = self._checked_positive(num_positive)
        self._start = require_number("start", start)
        self.variables: tuple[Any, ...] = ()

    def _checked_positive(self, num_positive: int | None) -> int:
        d = self.state_size
        if num_positive is None:
            return (20 * d + 23) // 46  # 10 d / 23, rounded
        return require_whole("num_positive", num_positive, at_least=0, at_most=d)

    def options(self) -> dict[str, Any]:
        """The constructor's options; see `Cell.options`."""
        return {"state_size": self.state_size, "num_positive": self._positive, "start": self._start}

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        """S_{-1} = 0, [batch_size, state_size]."""
        return tf.zeros([batch_size, self.state_size], dtype)

    def truncated_influence(self, num_steps: int) -> float:
        """The derivative of unit 1 with respect to theta, truncated after `num_steps` steps."""
        chain, sign = self._chain(), self._signs()
        total, power = 0.0, sign
        for _ in range(num_steps):
            total += float(power[0])
            power = chain @ power
        return total

    def _chain(self) -> np.ndarray:
        d = self.state_size
        return np.asarray((np.eye(d) + np.eye(d, k=1)) / 2)

    def _signs(self) -> np.ndarray:
        return np.where(np.arange(self.state_size) < self._positive, 1.0, -1.0)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """One step: (anything, S_{t-1}) -> (unit 1 [batch_size, 1], S_t).

        Raises:
            OptionError: If the initial theta does not fit into the state's dtype.
        """
        require_number_of("start", self._start, state.dtype.name)
        theta = tf.get_variable(
            "theta", [], state.dtype, tf.constant_initializer(self._start), use_resource=True
        )
        self.variables = (theta,)
        chain = tf.constant(self._chain().T, state.dtype)
        state = tf.matmul(state, chain) + theta * tf.constant(self._signs(), state.dtype)
        return state[:, :1], state
