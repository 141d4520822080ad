"""The contribution of each step back to the gradient of one loss."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph

# Contributions that are held at a time; with more weights, a sample of them counts.
MOST_NUMBERS = 2**24


def contributions(graph: UnrolledGraph) -> Any:
    """The parts of the last loss's gradient that come from each step, by lag.

    With z_t the sum of projected inputs and recurrent product of a layer, and W its weights,

        c_k = (X_{t-k} || H_{t-k-1})^T dL_t/dz_{t-k},   t = n - 1

    so that c_0 + ... + c_{K-1} is the gradient truncated after K steps. All come from one backward
    pass. A third-party cell does not expose its z; its parts are the differences of its gradients
    truncated after k + 1 and after k steps, which takes a backward pass each.

    Args:
        graph: Any graph.

    Returns:
        A tensor [num_steps, number of weights], lag 0 first: the entries of the cell's matrices W (of
        all variables of a third-party cell) in one row. Biases, the gains of layer normalisation and a
        learnt initial state are not among them, nor are embedding and readout.
    """
    with graph.tf_graph.as_default(), tf.name_scope("contributions"):
        parts = _layered(graph) if graph.network.is_layered else _third_party(graph)
        return tf.stack(parts[::-1])


def sampled_contributions(graph: UnrolledGraph, rows: int) -> Any:
    """The contributions to a random sample of the weights, so that some of them can be held in memory.

    They are scaled so that inner products estimate, without bias, those over all weights.

    Args:
        graph: Any graph.
        rows: How many vectors of contributions are to be held.
    """
    parts = contributions(graph)
    chosen, scale = sampled_weights(int(parts.shape[1]), max(rows, graph.num_steps))
    return parts if chosen is None else tf.gather(parts, chosen, axis=1) * scale


def sampled_weights(size: int, rows: int) -> tuple[np.ndarray | None, float]:
    """Which of the weights count, in ascending order (None for all), and the factor of their gradients."""
    count = max(1, MOST_NUMBERS // rows)
    if size <= count:
        return None, 1.0
    chosen = np.random.default_rng(0).choice(size, count, replace=False)
    return np.sort(chosen), math.sqrt(size / count)


def last_loss(graph: UnrolledGraph) -> Any:
    """The mean over examples of the last step's loss, a scalar."""
    return tf.reduce_mean(graph.losses[-1])


def weights_of(graph: UnrolledGraph) -> list[Any]:
    """The variables that contributions are of: the layers' matrices W, or all of a third-party cell."""
    if graph.network.is_layered:
        return [layer.variables[0] for layer in graph.cell.layers]
    known = graph.network.variables
    return [variable for variable in tf.trainable_variables() if variable not in known]


class Flow(NamedTuple):
    """What flows back to the sums of one layer in one step, and what they were computed from.

    Attributes:
        inputs: X_t, [batch_size, input_size].
        projected: dL/d(X_t W_x), [batch_size, columns].
        recurrent: See `Cell.recurrent_factors`, [batch_size, ...]; as a rule H_{t-1} and dL/d(H_{t-1} W_s).
    """

    inputs: Any
    projected: Any
    recurrent: list[tuple[Any, Any]]


def flows(graph: UnrolledGraph, tops: Any, upstream: Any = None) -> list[list[Flow]]:
    """What flows back from some tensors, for each layer and each step.

    Args:
        graph: Of a cell that has layers.
        tops: Tensors to begin at.
        upstream: Their gradients; ones if None.
    """
    tapes = graph.tapes
    wanted = [[[tape.projected, tape.recurrents] for tape in layer] for layer in tapes]
    zero = tf.UnconnectedGradients.ZERO
    flat = tf.gradients(tops, tf.nest.flatten(wanted), upstream, unconnected_gradients=zero)
    found = tf.nest.pack_sequence_as(wanted, flat)
    inputs, by_layer = graph.cell_inputs, []
    for layer, (cell, layer_tapes) in enumerate(zip(graph.cell.layers, tapes, strict=True)):
        weights = cell.read()
        steps: list[Flow] = []
        for tape, (of_projected, of_recurrents) in zip(layer_tapes, found[layer], strict=True):
            of_steps = tf.split(of_projected, len(tape.before), axis=0)
            parts = zip(tape.before, tape.residuals, of_steps, of_recurrents, strict=True)
            for before, residual, of_step, of_recurrent in parts:
                vectors = inputs[layer][len(steps)]
                factors = cell.recurrent_factors(before, [residual], of_step, of_recurrent)
                if weights.gains:  # the sums were normalised, of all steps that look up a table at once
                    products = tf.matmul(vectors, weights.input_kernel)
                    (of_step,) = tf.gradients(cell.finish(weights, products), products, of_step)  # noqa: PLW2901
                steps.append(Flow(vectors, of_step, factors))
        by_layer.append(steps)
    return by_layer


def _layered(graph: UnrolledGraph) -> list[Any]:
    """The contribution of each step, step 0 first."""
    layers = [[_of_step(flow) for flow in steps] for steps in flows(graph, last_loss(graph))]
    return [tf.concat(parts, axis=0) for parts in zip(*layers, strict=True)]


def _of_step(flow: Flow) -> Any:
    of_inputs = tf.matmul(flow.inputs, flow.projected, transpose_a=True)
    of_state = [tf.matmul(left, right, transpose_a=True) for left, right in flow.recurrent]
    return tf.reshape(tf.concat([of_inputs, tf.concat(of_state, axis=1)], axis=0), [-1])


def _third_party(graph: UnrolledGraph) -> list[Any]:
    variables = weights_of(graph)
    size = sum(variable.shape.num_elements() for variable in variables)
    truncated = [tf.zeros([size], graph.options.dtype)]
    for step in range(graph.num_steps):
        border = graph.states[graph.num_steps - 2 - step] if step < graph.num_steps - 1 else []
        gradients = tf.gradients(
            last_loss(graph),
            variables,
            stop_gradients=tf.nest.flatten(border),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        truncated.append(tf.concat([tf.reshape(part, [-1]) for part in gradients], axis=0))
    return [after - before for before, after in itertools.pairwise(truncated)][::-1]
