"""The gradient of a wide graph in less memory: steps are computed again during the backward pass."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_rows
from tf_rnn.graph.gradients import GradientAndVariable, layered_gradients

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph.borders import Borders
    from tf_rnn.graph.layers import LayerUnroller
    from tf_rnn.graph.network import Network, Reading
    from tf_rnn.graph.unroll import Unrolled


@dataclasses.dataclass(frozen=True)
class Segment:
    """A stretch of steps that is computed twice.

    Attributes:
        inputs: X_t of its steps, in chunks.
        targets: Y_t of its steps, in chunks.
        first_step: The number of its first step.
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

        Every segment but the first waits for its states. Otherwise whatever does not depend on them
        would be computed long before it is needed, and stay in memory until then.
        """
        inputs = self.inputs
        if self.first_step:
            with tf.control_dependencies(tf.nest.flatten(self.states)):
                inputs = tf.nest.map_structure(tf.identity, inputs)
        return unroller(inputs, self.states, self.first_step, self.first_chunk)

    def after(self, tensors: list[Any]) -> Segment:
        """A copy that is computed after other tensors, and that no gradient flows out of."""
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
    borders: Borders,
    network: Network,
    reading: Reading,
    total_loss: Any,
) -> list[GradientAndVariable]:
    """The gradients of `layered_gradients`, with only the states between the segments in memory.

    From the last segment to the first, its steps are computed again from the state before it. Its part
    of the loss, and dL/dS of the state after it, give the segment's share of dL/dweights, and dL/dS of
    the state before it for the next segment back. During the backward pass of one segment the one
    before it is computed again, and no other: of n steps in segments of k, about 2 k + n / k are in
    memory instead of n. (With only one segment at a time cores would be idle at its ends.)

    Args:
        segments: In the order of time.
        unroller_of: Maps a reading to what lays the layers over a segment.
        loss_of: Maps a reading, a segment's outputs, its targets in chunks, and the number of its first
            step to its part of the total loss; None where none of its steps counts.
        borders: What happens to states between the steps.
        network: Whose variables.
        reading: The read that the loss was computed from.
        total_loss: Of the forward pass; the last two segments wait for it.

    Returns:
        A pair for each of `network.variables`, in that order.

    Source: Chen et al. 2016, section 4 (sublinear memory); Gruslys et al. 2016 for recurrent networks.
    """
    totals: list[Any] = []
    upstream: Any = None
    waits_for = [total_loss]
    for segment in reversed(segments):
        # TensorFlow searches all that is computed from the weights: with copies, one segment alone.
        again, own = segment.after(waits_for), reading.after(waits_for)
        if totals:
            # The operands of the weights' gradients would otherwise stay in memory as well.
            waits_for = [*tf.nest.flatten(upstream), *map(_tensor, totals)]
        unrolled = again.laid_by(unroller_of(own))
        part = loss_of(own, unrolled.outputs, again.targets, segment.first_step)
        pairs, d_states = layered_gradients(part, network, own, unrolled, borders, upstream)
        upstream = [before[0] for before in d_states]
        gradients = [gradient for gradient, _ in pairs]
        totals = list(map(_sum, totals, gradients)) if totals else gradients
    return list(map(GradientAndVariable, totals, network.variables))


def _tensor(gradient: Any) -> Any:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def _sum(one: Any, other: Any) -> Any:
    """The sum of two gradients of a variable; sparse ones are concatenated."""
    if isinstance(one, tf.IndexedSlices):
        return tf.IndexedSlices(
            join_rows([one.values, other.values]),
            join_rows([one.indices, other.indices]),
            one.dense_shape,
        )
    return one + other
