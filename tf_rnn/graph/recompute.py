"""The gradient of a wide graph in less memory: most of the forward pass is done again on the way back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.pieces import join_rows
from tf_rnn.graph.gradients import GradientAndVariable, layered_gradients

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph.layers import LayerUnroller
    from tf_rnn.graph.network import Network, Reading
    from tf_rnn.graph.unroll import Unrolled


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of steps that is done again.

    Attributes:
        inputs: X_t of its steps, in chunks.
        targets: Y_t of its steps, in chunks.
        first_step: Its first step.
        first_chunk: The number of its first chunk.
        states: The states of the layers before it.
    """

    inputs: list[list[Any]]
    targets: list[list[Any]]
    first_step: int
    first_chunk: int
    states: list[Any]

    def laid_by(self, unroller: LayerUnroller) -> Unrolled:
        """The layers over its steps.

        What could be computed of later segments long before their turn would stand in memory until
        then: each but the first waits for its states.
        """
        inputs = self.inputs
        if self.first_step:
            with tf.control_dependencies(tf.nest.flatten(self.states)):
                inputs = tf.nest.map_structure(tf.identity, inputs)
        return unroller(inputs, self.states, self.first_step, self.first_chunk)

    def after(self, tensors: list[Any]) -> Segment:
        """The same segment, to be laid when other tensors are there; no gradient flows out of it."""
        with tf.control_dependencies(tensors):
            inputs, targets, states = tf.nest.map_structure(
                lambda tensor: tf.identity(tf.stop_gradient(tensor)),
                (self.inputs, self.targets, self.states),
            )
        return dataclasses.replace(self, inputs=inputs, targets=targets, states=states)


def recomputed_gradients(
    segments: list[Segment],
    unroller_of: Callable[[Reading], LayerUnroller],
    loss_of: Callable[[Reading, list[Any], list[list[Any]], int], Any],
    hand_back: Callable[[int, Any], Any],
    network: Network,
    reading: Reading,
    total_loss: Any,
) -> list[GradientAndVariable]:
    """The gradients that `layered_gradients` gives, keeping only the states between the segments.

    From the last segment to the first, its steps are taken again from the state before it, and its part
    of the loss together with dL/dS_out, of the state after it, gives the segment's share of
    dL/dweights, and dL/dS_in, with which the segment before goes on. While one segment goes back, the
    one before it is taken again, and no other: of n steps in segments of k, about 2 k + n / k are in
    memory instead of n. (With one at a time, cores stand idle at the ends of each.)

    Args:
        segments: In the order of time.
        unroller_of: What lays the layers over steps, with a reading's weights.
        loss_of: A segment's part of the total loss, of a reading, its outputs, its targets in chunks,
            and its first step.
        hand_back: See `back_through_time`.
        network: Whose variables.
        reading: The read that the loss was computed from.
        total_loss: Of the forward pass; what the last two segments wait for.

    Returns:
        A pair for each of `network.variables`, in that order.

    Source: Chen et al. 2016, section 4 (sublinear memory); Gruslys et al. 2016 for recurrent networks.
    """
    totals: list[Any] = []
    upstream: Any = None
    waits_for = [total_loss]
    for segment in reversed(segments):
        # TensorFlow looks for gradients in all that the weights lead to: here, to one segment alone.
        again, own = segment.after(waits_for), reading.after(waits_for)
        if totals:
            # What the weights' gradients are made of must not wait either: it would stand in memory.
            waits_for = [*tf.nest.flatten(upstream), *map(_tensor, totals)]
        unrolled = again.laid_by(unroller_of(own))
        part = loss_of(own, unrolled.outputs, again.targets, segment.first_step)
        pairs, upstream = layered_gradients(part, network, own, unrolled, hand_back, upstream)
        gradients = [gradient for gradient, _ in pairs]
        totals = list(map(_sum, totals, gradients)) if totals else gradients
    return list(map(GradientAndVariable, totals, network.variables))


def _tensor(gradient: Any) -> Any:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _sum(one: Any, other: Any) -> Any:
    """The sum of two gradients of a variable; rows that were looked up stay a list of rows."""
    if isinstance(one, tf.IndexedSlices):
        return tf.IndexedSlices(
            join_rows([one.values, other.values]),
            join_rows([one.indices, other.indices]),
            one.dense_shape,
        )
    return one + other
