"""The norm of a loss's gradient by lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.graph.unrolled import UnrolledGraph


def gradient_norms(graph: UnrolledGraph) -> Any:
    """The norm of the last loss's gradient with respect to each state, by lag.

        norms[k, i] = || dL_t / dS_{t-k} ||  for example i, t = n - 1

    `UnrolledGraph.state_gradients` defines dL_t / dS_{t-k}. A state of several parts (an LSTM's hidden
    and cell, the layers of a stack) counts as one vector. At lag 0 that is what the readout reads alone.

    Args:
        graph: Any graph.

    Returns:
        A tensor [num_steps, batch_size], lag 0 first.

    Source: Pascanu et al. 2013, section 2.1; Aicher et al. 2019, section 3.
    """
    with graph.tf_graph.as_default(), tf.name_scope("gradient_norms"):
        steps = map(tf.nest.flatten, graph.state_gradients(tf.reduce_sum(graph.losses[-1])))
        squares = [tf.add_n([tf.reduce_sum(tf.square(part), axis=1) for part in step]) for step in steps]
        return tf.sqrt(tf.stack(squares[::-1]))


def mean_gradient_norms(graph: UnrolledGraph) -> Any:
    """The mean of `gradient_norms` over examples, [num_steps]."""
    return tf.reduce_mean(gradient_norms(graph), axis=1)
