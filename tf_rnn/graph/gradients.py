"""The gradient of a block's loss with respect to every variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.graph.optimizers import SPARSE_EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cells import Cell
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
        others: The gradients of whatever else was asked for.
    """

    pairs: list[GradientAndVariable]
    others: list[Any]


def layered_gradients(
    total_loss: Any, network: Network, reading: Reading, unrolled: Unrolled, others: Sequence[Any] = ()
) -> LayeredGradients:
    """The same gradients, with one product a chunk for each layer's recurrent weights.

    `tf.gradients` of W_s would add up n small products H_{t-1}^T dL/dz_t. Here TensorFlow is asked
    for dL/dz_t alone, and the sum over a chunk of steps is one product of what is already side by
    side:

        dL/dW_s = sum over chunks of (H before each step)^T (dL/dz of each step)

    Args:
        total_loss: Scalar.
        network: Whose variables.
        reading: The read that the loss was computed from.
        unrolled: The unrolled layers.
        others: Further tensors whose gradients are wanted.
    """
    layers = network.cell.layers
    wanted = {
        "embedding": list(reading.embedding),
        "readout": list(reading.readout),
        "tied": list(reading.tied),
        "kernels": [weights.input_kernel for weights in reading.layers],
        "biases": [list(weights.biases) for weights in reading.layers],
        "projected": [[trace.projected for trace in traces] for traces in unrolled.traces],
        "recurrents": [[trace.recurrents for trace in traces] for traces in unrolled.traces],
        "others": list(others),
    }
    flat = tf.gradients(
        total_loss,
        tf.nest.flatten(wanted),
        stop_gradients=list(reading.tied),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # Gradients of embeddings are IndexedSlices, which count as one leaf each.
    found = tf.nest.pack_sequence_as(wanted, flat)
    gradients = list(found["embedding"])
    if reading.tied:
        gradients = list(map(_of_both_uses, gradients, found["tied"]))
    for number, layer in enumerate(layers):
        recurrent = _recurrent_kernel_gradient(
            layer, unrolled.traces[number], found["projected"][number], found["recurrents"][number]
        )
        gradients.append(tf.concat([found["kernels"][number], recurrent], axis=0))
        gradients.extend(found["biases"][number])
    gradients.extend(found["readout"])
    pairs = list(map(GradientAndVariable, gradients, network.variables))
    return LayeredGradients(pairs, found["others"])


def _of_both_uses(looked_up: Any, read_out: Any) -> Any:
    """The gradient of an embedding that the readout uses, too; dense, as that of the readout is.

    TensorFlow alone would write out the rows looked up in each chunk before adding them all.
    """
    if isinstance(looked_up, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(read_out, looked_up.indices[:, tf.newaxis], looked_up.values)
    return read_out + looked_up


def _recurrent_kernel_gradient(
    layer: Cell, traces: list[ChunkTrace], projected: list[Any], recurrents: list[list[Any]]
) -> Any:
    parts = []
    for trace, of_projected, of_recurrents in zip(traces, projected, recurrents, strict=True):
        before = tf.concat(trace.before, axis=0)
        after = layer.recurrent_gradient(of_projected, of_recurrents)
        parts.append(tf.matmul(before, after, transpose_a=True))
    return tf.add_n(parts)


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
