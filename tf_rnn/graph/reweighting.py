"""Factors fed to a graph: how much each loss counts, and how much of a gradient crosses each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.options import GraphOptions


class Reweighting:
    """Weights of the losses and of the backward flow, to feed; the forward pass is unchanged.

        total_loss = sum over t and examples of loss_weights[t] L_t
        the gradient that flows from step t + 1 back to S_t is multiplied by flow[t]

    Attributes:
        flow: [num_steps]; the last element has no effect.
        loss_weights: [num_steps].

    Source: Tallec & Ollivier 2017 ("Unbiasing truncated backpropagation through time"), section 4.
    """

    def __init__(self, options: GraphOptions) -> None:
        self.flow: Any = tf.placeholder(options.dtype, [options.num_steps], name="flow")
        self.loss_weights: Any = tf.placeholder(options.dtype, [options.num_steps], name="loss_weights")
        self._factors: list[Any] = tf.unstack(self.flow)

    def on_state(self, t: int, state: Any, _: Any) -> Any:
        """S_t for step t + 1: the same value, with a gradient `flow[t]` times as large."""
        if t < 0:
            return state
        more = self._factors[t] - 1
        # Exactly the same: a sum of flow * part and (1 - flow) * part would be rounded.
        return tf.nest.map_structure(lambda part: part + more * (part - tf.stop_gradient(part)), state)

    def on_state_gradient(self, t: int, gradient: Any) -> Any:
        """The gradient with respect to S_t, `flow[t]` times as large."""
        return tf.nest.map_structure(lambda part: self._factors[t] * part, gradient)

    def last_state(self, states: list[Any]) -> Any:
        """The state after the last step whose loss has a weight."""
        counted = tf.cast(tf.not_equal(self.loss_weights, 0), tf.int32)
        last = tf.reduce_max(counted * tf.range(len(states)))
        return tf.nest.map_structure(lambda *parts: tf.gather(tf.stack(parts), last), *states)
