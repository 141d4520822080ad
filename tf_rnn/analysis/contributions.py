"""The contribution of each step back to the gradient of one loss."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph


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
        all variables of a third-party cell) in one row.
    """
    with graph.tf_graph.as_default(), tf.name_scope("contributions"):
        parts = _layered(graph) if graph.network.is_layered else _third_party(graph)
        return tf.stack(parts[::-1])


def _loss(graph: UnrolledGraph) -> Any:
    return tf.reduce_mean(graph.losses[-1])


def _layered(graph: UnrolledGraph) -> list[Any]:
    """The contribution of each step, step 0 first."""
    tapes = graph.tapes
    wanted = [[[tape.projected, tape.recurrents] for tape in layer] for layer in tapes]
    flat = tf.gradients(
        _loss(graph), tf.nest.flatten(wanted), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    found = tf.nest.pack_sequence_as(wanted, flat)
    inputs = graph.cell_inputs
    by_layer = []
    for layer, layer_tapes in enumerate(tapes):
        steps: list[Any] = []
        for tape, (of_projected, of_recurrents) in zip(layer_tapes, found[layer], strict=True):
            of_steps = tf.split(of_projected, len(tape.before), axis=0)
            for before, of_step, of_recurrent in zip(tape.before, of_steps, of_recurrents, strict=True):
                steps.append(
                    tf.concat(
                        [
                            _outer(inputs[layer][len(steps)], of_step),
                            _outer(before, of_recurrent),
                        ],
                        axis=0,
                    )
                )
        by_layer.append(steps)
    return [tf.concat(parts, axis=0) for parts in zip(*by_layer, strict=True)]


def _outer(rows: Any, gradients: Any) -> Any:
    return tf.reshape(tf.matmul(rows, gradients, transpose_a=True), [-1])


def _third_party(graph: UnrolledGraph) -> list[Any]:
    variables = [part for part in tf.trainable_variables() if part not in graph.network.variables]
    size = sum(variable.shape.num_elements() for variable in variables)
    truncated = [tf.zeros([size], graph.options.dtype)]
    for step in range(graph.num_steps):
        border = graph.states[graph.num_steps - 2 - step] if step < graph.num_steps - 1 else []
        gradients = tf.gradients(
            _loss(graph),
            variables,
            stop_gradients=tf.nest.flatten(border),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        truncated.append(tf.concat([tf.reshape(part, [-1]) for part in gradients], axis=0))
    return [after - before for before, after in itertools.pairwise(truncated)][::-1]
