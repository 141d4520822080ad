"""The norm of a loss's gradient by lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.graph.unrolled import UnrolledGraph


def gradient_norms(graph: UnrolledGraph) -> Any:
    """The norm of the last loss's gradient with respect to each state, by lag.

        norms[k, i] = || dL_t / dS_{t-k} ||  for example i, t = n - 1

    All lags come from one backward pass. A state of several parts (an LSTM's hidden and cell, the
    layers of a stack) counts as one vector.

    Args:
        graph: Any graph.

    Returns:
        A tensor [num_steps, batch_size], lag 0 first.

    Source: Pascanu et al. 2013, section 2.1; Aicher et al. 2019, section 3.
    """
    with graph.tf_graph.as_default(), tf.name_scope("gradient_norms"):
        states = [tf.nest.flatten(state) for state in graph.states]
        parts = tf.nest.flatten(states)
        gradients = tf.gradients(graph.losses[-1], parts, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        by_step = tf.nest.pack_sequence_as(states, gradients)
        squares = [tf.add_n([tf.reduce_sum(tf.square(part), axis=1) for part in step]) for step in by_step]
        return tf.sqrt(tf.stack(squares[::-1]))


def mean_gradient_norms(graph: UnrolledGraph) -> Any:
    """The mean of `gradient_norms` over examples, [num_steps]."""
    return tf.reduce_mean(gradient_norms(graph), axis=1)
