"""Forward mode: how a small change of the state and the weights is carried over a graph, and how it grows."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.contributions import weights_of
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task

# Steps over which the growth is measured; the first fifth is not counted.
MOST_STEPS = 1000


class Tangent(NamedTuple):
    """The derivative of a graph's final state along a direction.

    Attributes:
        given: The direction, to feed: the parts of S_{-1}, then the weights (`weights_of`).
        found: The parts of S_{n-1}.
    """

    given: list[Any]
    found: list[Any]


def state_tangent(graph: UnrolledGraph, *, of_weights: bool = True) -> Tangent:
    """Lays the tangent of the state beside the graph.

        dS_{n-1} = (dS_{n-1}/dS_{-1}) dS_{-1} + (dS_{n-1}/dW) dW

    The backward pass u -> J^T u is linear in u, and its own gradient is dS -> J dS: two backward passes
    make a forward one, for any cell whose operations have second derivatives.

    Args:
        graph: Any graph.
        of_weights: Whether the weights change, too.

    Raises:
        OptionError: If TensorFlow has no second derivative of an operation of the cell.
    """
    ends, starts = tf.nest.flatten(graph.final_state), tf.nest.flatten(graph.init_state)
    sources = [*starts, *(weights_of(graph) if of_weights else [])]
    given = [tf.placeholder(each.dtype.base_dtype, each.shape, name="tangent") for each in sources]
    upstream = [tf.zeros_like(end) for end in ends]
    zero = tf.UnconnectedGradients.ZERO
    try:
        back = tf.gradients(ends, sources, upstream, unconnected_gradients=zero)
        back = [tf.convert_to_tensor(gradient) for gradient in back]
        return Tangent(given, tf.gradients(back, upstream, given, unconnected_gradients=zero))
    except LookupError as error:
        raise OptionError("reference", f"must be 'widest' for this cell: {error}") from error


def lyapunov_exponent(graph: UnrolledGraph, session: Any, task: Task, split: str) -> tuple[float, float]:
    """The largest Lyapunov exponent of the network as the data drive it, and its standard error.

        (1 / T) sum_t ln(||dS_t|| / ||dS_{t-1}||),   dS_t = (dS_t/dS_{t-1}) dS_{t-1}

    from a random dS_0 that is renormalised at each step. The error is that over rows and tenths of the
    time, but at least rounding. -inf where a change of the state is forgotten altogether.

    Args:
        graph: Holds the variables.
        session: An open session of the graph.
        task: Provides the data.
        split: "train" or "valid".

    Source: Benettin et al. 1980.
    """
    step = graph.forward(num_steps=1)
    given, found = step.cached(_state_alone)
    run = step.runner(session, found, step.final_state, feeding=given)
    random, dtype = np.random.default_rng(0), graph.options.dtype
    tangent = [random.standard_normal(part.shape).astype(dtype) for part in given]
    state, logs = step.zero_state(), []
    blocks = itertools.islice(task.blocks(step.batch_size, 1, split), MOST_STEPS)
    if graph.options.initial_state == "learnt":  # no change of what is fed crosses the first start
        for block in itertools.islice(blocks, 1):
            _, state = run(block.inputs, block.targets, state, *tangent, starts=block.starts)
    for block in blocks:
        tangent, state = run(block.inputs, block.targets, state, *tangent, starts=block.starts)
        growth = np.sqrt(sum(np.square(part, dtype=np.float64).sum(axis=1) for part in tangent))
        if not growth.all():
            return -math.inf, 0.0
        tangent = [(part / growth[:, np.newaxis]).astype(dtype) for part in tangent]
        logs.append(np.log(growth))
    counted = np.array(logs[len(logs) // 5 or 1 :] or logs)
    means = np.concatenate([part.mean(axis=0) for part in np.array_split(counted, min(10, len(counted)))])
    error = float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else math.inf
    return float(counted.mean()), math.hypot(error, 4 * float(np.finfo(dtype).eps))


def _state_alone(graph: UnrolledGraph) -> Tangent:
    return state_tangent(graph, of_weights=False)
