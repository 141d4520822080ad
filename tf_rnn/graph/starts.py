"""Rows that hold several sequences end to end: the state before a sequence's first step is zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.options import GraphOptions


class Starts:
    """Where sequences start, to feed; nowhere if not fed.

        P_t, S_t = G(X_t, S'_{t-1}),   S'_{t-1} = 0 in the rows where starts[t] is set, else S_{t-1}

    No gradient flows from step t back to S_{t-1} in those rows.

    Attributes:
        packed: All flags, bool [batch_size, num_steps].
        flags: The n flags of each step, bool [batch_size].

    Args:
        options: Options of the graph.
    """

    def __init__(self, options: GraphOptions) -> None:
        shape = [options.batch_size, options.num_steps]
        self.packed: Any = tf.placeholder_with_default(tf.zeros(shape, tf.bool), shape, name="starts")
        self.flags: list[Any] = tf.unstack(self.packed, axis=1)
        self._zeros: dict[Any, Any] = {}

    def on_state(self, t: int, state: Any) -> Any:
        """S_t for step t + 1, t = -1 the initial state."""
        return self._cleared(t + 1, state)

    def on_state_gradient(self, t: int, gradient: Any) -> Any:
        """The gradient with respect to S_t, as step t + 1 gives it."""
        return self._cleared(t + 1, gradient)

    def _cleared(self, t: int, state: Any) -> Any:
        """A state, or its gradient, with zeros in the rows where a sequence starts at step t."""
        if t == len(self.flags):
            return state
        # A choice, not a product: what is cleared may be nan.
        return tf.nest.map_structure(lambda part: tf.where(self.flags[t], self._zero(part), part), state)

    def _zero(self, part: Any) -> Any:
        """Zeros like a part of a state, the same tensor for all steps."""
        key = part.dtype, tuple(part.shape.as_list())
        if key not in self._zeros:
            with tf.control_dependencies(None):
                self._zeros[key] = tf.zeros(part.shape, part.dtype)
        return self._zeros[key]
