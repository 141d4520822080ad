"""The gradient of a block's loss with respect to every variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.pieces import join_rows
from tf_rnn.graph.optimizers import SPARSE_EXACT
from tf_rnn.graph.through_time import back_through_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.graph.network import Network, Reading
    from tf_rnn.graph.unroll import ChunkTrace, Unrolled


class GradientAndVariable(NamedTuple):
    """A pair, in the order in which v1 optimizers want it."""

    gradient: Any
    variable: Any


def plain_gradients(total_loss: Any) -> list[GradientAndVariable]:
    """`tf.gradients` with respect to every trainable variable that the loss depends on."""
    variables = tf.trainable_variables()
    gradients = tf.gradients(total_loss, variables)
    return [
        GradientAndVariable(gradient, variable)
        for gradient, variable in zip(gradients, variables, strict=True)
        if gradient is not None
    ]


class LayeredGradients(NamedTuple):
    """What `layered_gradients` found.

    Attributes:
        pairs: A pair for each of the network's variables, in their order.
        states: The gradient of each layer's state before the first step.
    """

    pairs: list[GradientAndVariable]
    states: list[Any]


def layered_gradients(
    total_loss: Any,
    network: Network,
    reading: Reading,
    unrolled: Unrolled,
    hand_back: Callable[[int, Any], Any],
    of_states: Sequence[Any] | None = None,
) -> LayeredGradients:
    """The same gradients, layer by layer from the top, with one product a chunk for W_s.

    `tf.gradients` of W_s would add up n small products H_{t-1}^T dL/dz_t. Here the sum over a chunk of
    steps is one product of what is already side by side:

        dL/dW_s = sum over chunks of (H before each step)^T (dL/dz of each step)

    Of what has no time in it, the readout and the projections, TensorFlow finds the gradients.

    Args:
        total_loss: Scalar.
        network: Whose variables.
        reading: The read that the loss was computed from.
        unrolled: The unrolled layers.
        hand_back: See `back_through_time`.
        of_states: The gradient of each layer's state after the last step, from what comes after it;
            None where the loss is all there is.
    """
    if of_states is None:
        of_states = tf.nest.map_structure(tf.zeros_like, unrolled.handed_on)
    read_out = [*reading.readout, *reading.tied]
    of_read_out, of_outputs = _flow_down([total_loss], [None], read_out, unrolled.traces[-1])
    of_readout, of_tied = of_read_out[: len(reading.readout)], of_read_out[len(reading.readout) :]
    of_layers: list[Any] = []
    states: list[Any] = []
    for number in reversed(range(len(unrolled.traces))):
        layer, weights, traces = network.cell.layers[number], reading.layers[number], unrolled.traces[number]
        below = unrolled.traces[number - 1] if number else []
        read = [weights.input_kernel, weights.biases[0], *([] if number else reading.embedding)]
        back = back_through_time(layer, weights, traces, of_outputs, of_states[number], hand_back)
        tops = [trace.projected for trace in traces]
        (of_kernel, of_bias, *of_embedding), of_outputs = _flow_down(tops, back.projected, read, below)
        of_kernels = join_rows([of_kernel, _recurrent_kernel_gradient(traces, back.recurrents)])
        of_layers[:0] = [of_kernels, of_bias, *layer.other_bias_gradients(back.recurrents)]
        states.insert(0, back.state)
    if reading.tied:
        of_embedding = list(map(_of_both_uses, of_embedding, of_tied))
    gradients = [*of_embedding, *of_layers, *of_readout]
    return LayeredGradients(list(map(GradientAndVariable, gradients, network.variables)), states)


def _flow_down(
    tops: list[Any], upstream: list[Any], weights: list[Any], below: list[ChunkTrace]
) -> tuple[list[Any], list[Any]]:
    """From what stands above a layer to the weights between and to the layer's outputs.

    Returns:
        The gradients of the weights, zero where nothing flows, and of the outputs of each chunk, None
        where nothing flows.
    """
    wanted = [*weights, *(trace.outputs for trace in below)]
    found = tf.gradients(tops, wanted, upstream)
    of_weights = [
        tf.zeros_like(weight) if gradient is None else gradient
        for weight, gradient in zip(weights, found, strict=False)
    ]
    return of_weights, found[len(weights) :]


def _of_both_uses(looked_up: Any, read_out: Any) -> Any:
    """The gradient of an embedding that the readout uses, too; dense, as that of the readout is.

    TensorFlow alone would write out the rows looked up in each chunk before adding them all.
    """
    if isinstance(looked_up, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(read_out, looked_up.indices[:, tf.newaxis], looked_up.values)
    return read_out + looked_up


def _recurrent_kernel_gradient(traces: list[ChunkTrace], recurrents: list[Any]) -> Any:
    products = [
        tf.matmul(join_rows(trace.before), after, transpose_a=True)
        for trace, after in zip(traces, recurrents, strict=True)
    ]
    return tf.add_n(products)


def true_gradients(pairs: list[GradientAndVariable], optimizer: str) -> list[GradientAndVariable]:
    """Gradients in which every row stands once, so that norms and updates are the true ones.

    The gradient of an embedding names a row as often as it was looked up. Its norm is that of the
    sum, and so is an optimizer's step, once the duplicates are summed. It stays sparse for
    optimizers that leave a row without a gradient alone, and is written out for the others, whose
    averages decay everywhere.
    """
    return [GradientAndVariable(_once(gradient, optimizer), variable) for gradient, variable in pairs]


def _once(gradient: Any, optimizer: str) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if optimizer not in SPARSE_EXACT:
        return tf.convert_to_tensor(gradient)
    rows, positions = tf.unique(gradient.indices)
    values = tf.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
