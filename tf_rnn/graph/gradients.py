"""The gradient of a block's loss with respect to every variable."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_columns, join_rows
from tf_rnn.cells.products import operand, sum_of_products
from tf_rnn.graph.optimizers import SPARSE_EXACT
from tf_rnn.graph.through_time import back_through_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cells import Cell
    from tf_rnn.graph.borders import Borders
    from tf_rnn.graph.network import Network, Reading
    from tf_rnn.graph.through_time import LayerGradient
    from tf_rnn.graph.unroll import ChunkTape, Unrolled


class GradientAndVariable(NamedTuple):
    """A gradient and its variable, in the order that v1 optimizers expect."""

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
    """The result of `layered_gradients`.

    Attributes:
        pairs: A pair for each of the network's variables, in their order.
        states: The gradient of each layer's state before each step.
    """

    pairs: list[GradientAndVariable]
    states: list[list[Any]]


def layered_gradients(
    total_loss: Any,
    network: Network,
    reading: Reading,
    unrolled: Unrolled,
    borders: Borders,
    d_states: Sequence[Any] | None = None,
) -> LayeredGradients:
    """The gradients layer by layer from the top, with one product a chunk for W_s.

    `tf.gradients` of W_s would add up n small products H_{t-1}^T dL/dz_t. Here the sum over a chunk of
    steps is one product of matrices that are already side by side:

        dL/dW_s = sum over chunks of (H before each step)^T (dL/dz of each step)

    The readout and the projections have no time in them; TensorFlow finds their gradients.

    Args:
        total_loss: Scalar; None where the gradient comes from what follows alone.
        network: Whose variables.
        reading: The read that the loss was computed from.
        unrolled: The unrolled layers.
        borders: What happens to states between the steps.
        d_states: The gradient of each layer's state after the last step, from whatever follows it;
            None where nothing does.
    """
    if d_states is None:
        d_states = tf.nest.map_structure(tf.zeros_like, unrolled.carried)
    loss, below = [] if total_loss is None else [total_loss], unrolled.tapes[-1]
    d_head, d_outputs = _flow_down(loss, [None] * len(loss), [*reading.head], below)
    d_layers: list[Any] = []
    d_starts: list[Any] = []
    states: list[list[Any]] = []
    for number in reversed(range(len(unrolled.tapes))):
        layer, weights, tapes = network.cell.layers[number], reading.layers[number], unrolled.tapes[number]
        below = unrolled.tapes[number - 1] if number else []
        gains = weights.gains[:1]
        is_looked_up = gains or any(tape.inputs is None for tape in tapes)
        kernels = [weights.input_kernel] if is_looked_up else []
        read = [weights.biases[0], *gains, *kernels, *([] if number else reading.embedding)]
        back = back_through_time(layer, weights, tapes, d_outputs, d_states[number], borders)
        tops = [tape.projected for tape in tapes]
        (d_bias, *others), d_outputs = _flow_down(tops, back.projected, read, below)
        d_gains, others = others[: len(gains)], others[len(gains) :]
        if not is_looked_up:
            inputs = [tape.inputs for tape in tapes]
            others.insert(0, sum_of_products(list(zip(inputs, back.projected, strict=True))))
        d_kernel, *d_embedding = others
        d_kernels = join_rows([d_kernel, _recurrent_kernel_gradient(layer, tapes, back)])
        d_layers[:0] = [d_kernels, d_bias, *back.biases, *d_gains, *back.gains]
        states.insert(0, list(itertools.chain(*back.states)))
        if reading.start and borders.starts:
            d_starts[:0] = borders.starts.start_gradient([tape.steps for tape in tapes], back.states)
    if network.head.readout.is_tied:
        d_embedding = [_of_both_uses(d_embedding[0], d_head.pop(0))]
    gradients = [*d_embedding, *d_layers, *d_head, *d_starts]
    return LayeredGradients(list(map(GradientAndVariable, gradients, network.variables)), states)


def state_gradients(
    loss: Any,
    network: Network,
    reading: Reading,
    unrolled: Unrolled,
    borders: Borders,
) -> list[Any]:
    """dL/dS_t of each step t, n structures like the cell's state: see `UnrolledGraph.state_gradients`.

    In the backward pass of a layer, dL/dS_t as step t + 1 gives it is what does not flow within step t. No
    step follows the last one: its state counts by what the readout reads.

    Args:
        loss: Scalar, of the outputs of the last step.
        network: The network.
        reading: The read that the loss was computed from.
        unrolled: The unrolled layers.
        borders: What happens to states between the steps.
    """
    layers = layered_gradients(loss, network, reading, unrolled, borders).states
    _, *after = zip(*layers, strict=True)
    by_step = [[borders.on_state_gradient(t, d_state) for d_state in d] for t, d in enumerate(after)]
    by_step.append(list(tf.nest.map_structure(tf.zeros_like, unrolled.states[-1])))
    top = network.cell.layers[-1]
    (d_hidden,) = tf.gradients(
        loss, [top.hidden(unrolled.states[-1][-1])], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    by_step[-1][-1] = top.with_hidden(by_step[-1][-1], d_hidden)
    return [network.cell.join_states(states) for states in by_step]


def plain_state_gradients(loss: Any, states: list[Any]) -> list[Any]:
    """The same for any cell, from the states S_t: the gradient of one step after the other."""
    found = [_through_a_step(loss, state) for state in states[-2:]]
    for after, before in itertools.pairwise(states[-2::-1]):
        found.insert(0, _through_a_step(after, before, found[0]))
    return found


def _through_a_step(outputs: Any, state: Any, upstream: Any = None) -> Any:
    """The gradient of a state, the parts of which are independent variables."""
    parts = tf.nest.flatten(state)
    gradients = tf.gradients(
        tf.nest.flatten(outputs),
        parts,
        None if upstream is None else tf.nest.flatten(upstream),
        stop_gradients=parts,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return tf.nest.pack_sequence_as(state, gradients)


def _flow_down(
    tops: list[Any], upstream: list[Any], weights: list[Any], below: list[ChunkTape]
) -> tuple[list[Any], list[Any]]:
    """The gradients of a layer's outputs, and of the weights between them and what is computed from them.

    Returns:
        The gradients of the weights, zero where there is none, and of the outputs of each chunk, None
        where there is none.
    """
    wanted = [*weights, *(tape.outputs for tape in below)]
    found = tf.gradients(tops, wanted, upstream) if tops else [None] * len(wanted)
    d_weights = [
        tf.zeros_like(weight) if gradient is None else gradient
        for weight, gradient in zip(weights, found, strict=False)
    ]
    return d_weights, found[len(weights) :]


def _of_both_uses(looked_up: Any, read_out: Any) -> Any:
    """The gradient of an embedding that the readout uses as well; dense, like that of the readout.

    TensorFlow alone would write out the rows looked up in each chunk before adding them all.
    """
    if isinstance(looked_up, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(read_out, looked_up.indices[:, tf.newaxis], looked_up.values)
    return read_out + looked_up


def _recurrent_kernel_gradient(layer: Cell, tapes: list[ChunkTape], back: LayerGradient) -> Any:
    factors = []
    for tape, projected, recurrent in zip(tapes, back.projected, back.recurrents, strict=True):
        before = join_rows(list(map(operand, tape.before)))
        factors.append(layer.recurrent_factors(before, tape.residuals, projected, recurrent))
    sums = list(map(sum_of_products, zip(*factors, strict=True)))
    return sums[0] if len(sums) == 1 else join_columns(sums)


def true_gradients(pairs: list[GradientAndVariable], optimizer: str) -> list[GradientAndVariable]:
    """Gradients with duplicate rows summed, so that norms and updates are the true ones.

    The gradient of an embedding lists a row as often as it was looked up. The true norm, and the true
    step of an optimizer, are those of the sums. The gradient stays sparse for optimizers that do not
    touch rows without a gradient, and is made dense for the others, whose averages decay everywhere.
    """
    return [GradientAndVariable(_summed(gradient, optimizer), variable) for gradient, variable in pairs]


def _summed(gradient: Any, optimizer: str) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if optimizer not in SPARSE_EXACT:
        return tf.convert_to_tensor(gradient)
    rows, positions = tf.unique(gradient.indices)
    values = tf.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
