"""Where sequences start: the state before a sequence's first step is zero, or learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_rows
from tf_rnn.graph.initial_state import is_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.graph.network import Reading
    from tf_rnn.options import GraphOptions


class Starts:
    """Where sequences start: nowhere if nothing is fed, but for rows whose initial state is `NOTHING`.

        P_t, S_t = G(X_t, S'_{t-1}),   S'_{t-1} = s_0 in the rows where a sequence starts at t, else S_{t-1}

    with s_0 = 0 unless it is learnt. No gradient flows from step t back to S_{t-1} in those rows; that of
    s_0 is the sum of dL/dS'_{t-1} over all of them, and all t.

    Attributes:
        packed: All flags, bool [batch_size, num_steps]; None where the option `starts` is False.
        flags: The n flags of each step, bool [batch_size]; none where it is False.

    Args:
        options: Options of the graph; `starts` is True, or `initial_state` "learnt".
        init_state: S_{-1}, as it is fed.
    """

    def __init__(self, options: GraphOptions, init_state: Any) -> None:
        self.packed: Any = None
        self.flags: list[Any] = []
        if options.starts:
            shape = [options.batch_size, options.num_steps]
            self.packed = tf.placeholder_with_default(tf.zeros(shape, tf.bool), shape, name="starts")
            self.flags = tf.unstack(self.packed, axis=1)
        # For each step the rows in which a sequence starts; None where there cannot be any.
        self._rows: list[Any] = self.flags or [None] * options.num_steps
        if options.initial_state == "learnt":
            flags, first = self.flags[:1], is_nothing(init_state)
            self._rows = [tf.logical_or(first, *flags) if flags else first, *self._rows[1:]]
        self._made: dict[Any, Any] = {}

    def on_state(self, t: int, state: Any, start: Any) -> Any:
        """S_t for step t + 1, t = -1 the initial state; s_0 is `start`, None for zero."""
        return self._chosen(t + 1, state, start)

    def on_state_gradient(self, t: int, gradient: Any) -> Any:
        """The gradient with respect to S_t, as step t + 1 gives it."""
        return self._chosen(t + 1, gradient, None)

    def start_gradient(self, steps: Sequence[Sequence[int]], gradients: Sequence[Sequence[Any]]) -> list[Any]:
        """The gradient of s_0, of one layer.

        Args:
            steps: The steps of the layer, in chunks.
            gradients: dL/dS'_{t-1} of each of them, in chunks, in the structure of the state.

        Returns:
            A vector for each part of the state, in the order of `tf.nest.flatten`.
        """
        sums = [[tf.zeros_like(part[0]) for part in tf.nest.flatten(gradients[0][0])]]
        for own_steps, own_gradients in zip(steps, gradients, strict=True):
            pairs = zip((self._rows[t] for t in own_steps), own_gradients, strict=True)
            counted = [(rows, tf.nest.flatten(gradient)) for rows, gradient in pairs if rows is not None]
            if counted:
                rows, parts = zip(*counted, strict=True)
                chosen, joined = join_rows(rows), map(join_rows, zip(*parts, strict=True))
                # A choice, not a product: what does not count may be nan.
                sums.append([tf.reduce_sum(tf.where(chosen, d, tf.zeros_like(d)), axis=0) for d in joined])
        return list(map(tf.add_n, zip(*sums, strict=True)))

    def _chosen(self, t: int, state: Any, start: Any) -> Any:
        """A state, or its gradient, with `start` in the rows where a sequence starts at step t."""
        if t == len(self._rows) or self._rows[t] is None:
            return state
        # A choice, not a product: what is replaced may be nan.
        if start is None:
            return tf.nest.map_structure(lambda part: tf.where(self._rows[t], self._zero(part), part), state)
        return tf.nest.map_structure(
            lambda part, own: tf.where(self._rows[t], self._repeated(own, part), part), state, start
        )

    def _zero(self, part: Any) -> Any:
        """Zeros like a part of a state, the same tensor for all steps."""
        key = part.dtype, tuple(part.shape.as_list())
        if key not in self._made:
            with tf.control_dependencies(None):
                self._made[key] = tf.zeros(part.shape, part.dtype)
        return self._made[key]

    def _repeated(self, start: Any, part: Any) -> Any:
        """A part of s_0 in each row of a part of a state, the same tensor for all steps."""
        key = start.ref()
        if key not in self._made:
            self._made[key] = tf.broadcast_to(start, tf.shape(part))
        return self._made[key]


def started(options: GraphOptions, init_state: Any, reading: Reading) -> Any:
    """The state that a single step starts from: what is fed, or s_0 where that is learnt and is to be."""
    if options.initial_state == "zero":
        return init_state
    return Starts(options, init_state).on_state(-1, init_state, *reading.start)
