"""A graph whose backward pass can be cut and reweighted at every step."""

from __future__ import annotations

from typing import Any

from tf_rnn._tensorflow import tf
from tf_rnn.graph.unrolled import UnrolledGraph


class ReweightedGraph(UnrolledGraph):
    """An n-wide graph that reads a segment of at most n steps and weights what flows back.

    The gradient that flows from step t + 1 back to the state S_t is multiplied by `flow[t]`; the
    forward pass is not changed. Only the first `length` steps count:

        total_loss = (sum over t < length of the mean over examples of L_t) / loss_divisor

    Three more arrays are fed after the state: `flow` [num_steps], `length` and `loss_divisor`
    (scalars), in this order. `final_state` is S_{length-1}.

    Args and attributes are those of `UnrolledGraph`.

    Source: the reweighting of Tallec & Ollivier 2017 ("Unbiasing truncated backpropagation through
    time"), section 4.
    """

    def _place_inputs(self) -> None:
        super()._place_inputs()
        dtype = self.options.dtype
        self._flow = tf.placeholder(dtype, [self.num_steps], name="flow")
        self._length = tf.placeholder(tf.int32, [], name="length")
        self._divisor = tf.placeholder(dtype, [], name="loss_divisor")
        self._flow_steps = tf.unstack(self._flow)
        self._more_to_feed = (self._flow, self._length, self._divisor)

    def _hand_on(self, t: int, state: Any) -> Any:
        flow = self._flow_steps[t]
        return tf.nest.map_structure(lambda part: flow * part + tf.stop_gradient((1 - flow) * part), state)

    def _hand_back(self, t: int, gradient: Any) -> Any:
        return tf.nest.map_structure(lambda part: self._flow_steps[t] * part, gradient)

    def _place_losses(self) -> None:
        super()._place_losses()
        self.final_state = tf.nest.map_structure(
            lambda *parts: tf.gather(tf.stack(parts), self._length - 1), *self.states
        )

    def _reduce(self, rows_of_loss: list[Any]) -> Any:
        per_step = tf.reshape(tf.concat(rows_of_loss, axis=0), [self.num_steps, self.batch_size])
        counted = tf.sequence_mask(self._length, self.num_steps, dtype=per_step.dtype)
        return tf.reduce_sum(counted * tf.reduce_mean(per_step, axis=1)) / self._divisor

    def _shares(self) -> Any:
        counted = tf.sequence_mask(self._length, self.num_steps, dtype=self.options.dtype)
        return counted / (self.batch_size * self._divisor)
