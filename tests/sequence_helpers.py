"""Rows that hold several sequences end to end, and each of the sequences alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from helpers import assert_close, assign, new_session

from tf_rnn._tensorflow import tf
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Stream, Task

if TYPE_CHECKING:
    from helpers import Run

INPUTS, CLASSES = 5, 4
# Where sequences start in rows of five steps: in the first step, two in a row, in the last step, and nowhere.
STARTS = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)


class Plain:
    """A third-party cell of two parts: c_t = tanh(X V + h_{t-1} R), h_t = c_t + c_{t-1} / 2."""

    state_size, output_size = (6, 6), 6

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 6], dtype), tf.zeros([batch_size, 6], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        V = tf.get_variable("V", [inputs.shape[1], 6], inputs.dtype, use_resource=True)
        R = tf.get_variable("R", [6, 6], inputs.dtype, use_resource=True)
        c = tf.tanh(tf.matmul(inputs, V) + tf.matmul(state[1], R))
        return c + state[0] / 2, (c, c + state[0] / 2)


class Sequences(Task):
    """Random classes in sequences of a random length of about 4, the first at the beginning."""

    name = "sequences"
    input_size, num_classes = INPUTS, CLASSES
    has_starts = True

    def __init__(self, length: int = 61, valid_length: int = 53) -> None:
        self._lengths = {"train": length, "valid": valid_length}

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        length, rng = self._lengths[split], np.random.default_rng([epoch, len(split)])
        inputs = rng.integers(INPUTS, size=length).astype(np.int32)
        targets = rng.integers(CLASSES, size=length).astype(np.int32)
        return Stream(inputs, targets, rng.random(length) < np.r_[1, np.full(length - 1, 0.25)])

    def options(self) -> dict[str, Any]:
        return dict(self._lengths)


class Found(NamedTuple):
    losses: Any
    states: list[Any]
    total: Any
    gradients: list[Any]


def packed(run: Run, graph: UnrolledGraph, *more: Any, starts: Any = STARTS) -> Found:
    """All rows at once; losses [batch_size, num_steps], states a list of parts [batch, steps, size]."""
    with new_session(graph.tf_graph) as session:
        assign(session, run.graph.variables, run.values)
        gradients = [gradient for gradient, _ in graph.gradients]
        step = graph.runner(session, graph.losses, graph.states, graph.total_loss, gradients)
        losses, states, total, found = step(run.inputs, run.targets, run.state, *more, starts=starts)
    parts = zip(*(tf.nest.flatten(state) for state in states), strict=True)
    return Found(np.stack(losses, axis=1), [np.stack(part, axis=1) for part in parts], total, found)


def one_by_one(run: Run, flow: Any, weights: Any, starts: Any) -> Found:
    """Each sequence by a graph of its own, which knows no starts, and the sum over all of them.

    Where the initial state is learnt, its values are fed, and its gradient is TensorFlow's of what is fed.

    Args:
        run: Weights and data.
        flow: The factor of what flows back over each step, [num_steps].
        weights: How much each step's loss counts, [num_steps].
        starts: Where the sequences start.
    """
    batch_size, num_steps = run.targets.shape
    losses = np.full((batch_size, num_steps), np.nan)
    states = [np.full((batch_size, num_steps, part.shape[1]), np.nan) for part in tf.nest.flatten(run.state)]
    total: Any = 0.0
    gradients: dict[str, Any] = {variable.name: 0.0 for variable in run.graph.variables}
    learnt = run.graph.network.initial_state
    with new_session(run.graph.tf_graph) as session:
        assign(session, run.graph.variables, run.values)
        s_0 = [value[np.newaxis] for value in session.run(learnt.variables)] if learnt else []
        for row in range(batch_size):
            borders = [0, *(t for t in range(1, num_steps) if starts[row, t]), num_steps]
            for first, end in itertools.pairwise(borders):
                graph = without_starts(run.graph, end - first)
                steps, one = slice(first, end), slice(row, row + 1)
                state = graph.zero_state()
                if learnt:
                    state = tf.nest.pack_sequence_as(state, s_0)
                if not starts[row, first]:
                    state = tf.nest.map_structure(lambda part, one=one: part[one], run.state)
                own_gradients = {variable.name: gradient for gradient, variable in graph.gradients}
                if learnt and starts[row, first]:
                    names = [variable.name for variable in learnt.variables]
                    own_gradients |= dict(zip(names, graph.cached(_gradient_of_what_is_fed), strict=True))
                fetches = [graph.losses, graph.states, graph.total_loss, own_gradients]
                fed = graph.feed(run.inputs[one, steps], run.targets[one, steps], state)
                fed |= {graph.reweighting.flow: flow[steps], graph.reweighting.loss_weights: weights[steps]}
                own_losses, own_states, own_total, own = session.run(fetches, fed)
                losses[one, steps] = np.stack(own_losses, axis=1)
                for t, own_state in enumerate(own_states):
                    for part, own_part in zip(states, tf.nest.flatten(own_state), strict=True):
                        part[row, first + t] = own_part[0]
                total += own_total
                for name, gradient in own.items():
                    gradients[name] = gradients[name] + gradient
    return Found(losses, states, total, list(gradients.values()))


def _gradient_of_what_is_fed(graph: UnrolledGraph) -> list[Any]:
    """dL/dS_{-1} of the one row."""
    return [gradient[0] for gradient in tf.gradients(graph.total_loss, tf.nest.flatten(graph.init_state))]


def without_starts(graph: UnrolledGraph, num_steps: int) -> Any:
    """A reweighted graph of one row on the same variables, kept."""
    return graph.cached(_without_starts, num_steps)


def _without_starts(graph: UnrolledGraph, num_steps: int) -> Any:
    options: dict[str, Any] = {"input_kind": graph.options.input_kind, "dtype": "float64", "optimizer": "sgd"}
    return UnrolledGraph(graph.cell, num_steps, 1, INPUTS, CLASSES, reweighted=True, **options)


def assert_equal_to(found: Found, expected: Found) -> None:
    assert_close(found.losses, expected.losses, 1e-13, "losses")
    assert_close(found.states, expected.states, 1e-13, "states")
    assert_close(found.total, expected.total, 1e-13, "total_loss")
    for number, gradient in enumerate(expected.gradients):
        assert np.abs(gradient).max() > 1e-4, f"nothing to compare for variable {number}"
    assert_close(found.gradients, expected.gradients, 1e-12, "gradients")
