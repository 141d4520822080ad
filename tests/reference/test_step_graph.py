"""The single-step graph, run once for each step, against the n-wide graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    CASES,
    assert_close,
    assign,
    new_session,
    random_block,
    random_state,
    random_values,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell
from tf_rnn.graph import StepGraph, UnrolledGraph

KINDS: dict[str, dict[str, Any]] = {
    "classes": {"input_size": 5},
    "embedded": {"input_size": 5, "embedding_size": 2},
    "real": {"input_size": 5, "input_kind": "real", "loss": "squared_error"},
    "none": {"input_size": 0, "input_kind": "none"},
}
TIED: dict[str, Any] = {"input_size": 6, "num_classes": 6, "embedding_size": 3, "readout": "tied"}


# By default every cell, and every kind of inputs, once.
PAIRS = [
    pytest.param(cell, kind, marks=pytest.mark.slow if (row - column) % 4 else ())
    for row, cell in enumerate(CASES)
    for column, kind in enumerate(KINDS)
    if (row - column) % 2 == 0
]


@pytest.mark.parametrize(("cell", "kind"), [*PAIRS, ("stacked", "tied")])
def test_single_steps_are_one_wide_run(cell: str, kind: str) -> None:
    generator = np.random.default_rng(107)
    num_steps, batch_size = 4, 3
    options: dict[str, Any] = {"num_classes": 2, "dtype": "float64"} | (KINDS | {"tied": TIED})[kind]
    with tf.Graph().as_default(), new_session() as session:
        made = CASES[cell].make()
        if kind == "real":  # the single step is made first
            step = StepGraph(made, batch_size, **options)
        wide = UnrolledGraph(made, num_steps, batch_size, **options, optimizer=None)
        if kind != "real":
            step = StepGraph(made, batch_size, **options)
        assert set(map(id, tf.global_variables())) == set(map(id, wide.variables))
        assign(session, wide.variables, random_values(generator, wide.variables))
        inputs, targets = random_block(generator, wide)
        state = random_state(generator, wide.init_state)
        fetches = [wide.predictions, wide.states]
        predictions, states = session.run(fetches, wide.feed(inputs, targets, state))
        forward = wide.forward()
        again = session.run(forward.predictions, forward.feed(inputs, targets, state))
        assert_close(again, predictions, 0, "forward")
        for t in range(num_steps):
            flat = zip(tf.nest.flatten(step.init_state), tf.nest.flatten(state), strict=True)
            fed = dict(flat) | ({} if inputs is None else {step.input: inputs[:, t]})
            prediction, state = session.run([step.prediction, step.state], fed)
            assert_close(prediction, predictions[t], 1e-14, f"prediction {t}")
            assert_close(state, states[t], 1e-14, f"state {t}")


def test_shapes_and_the_state_that_is_zero_if_not_fed() -> None:
    step = StepGraph(LSTMCell(7), 3, 5, 2, embedding_size=4)
    assert step.input.shape.as_list() == [3]
    assert step.prediction.shape.as_list() == [3, 2]
    for state in (step.init_state, step.state):
        tf.nest.assert_same_structure(state, step.cell.state_size)
        assert [part.shape.as_list() for part in state] == [[3, 7], [3, 7]]
    with step.session() as session:
        zeros = {part: np.zeros((3, 7)) for part in step.init_state}
        ones = {part: np.ones((3, 7)) for part in step.init_state}
        found, expected, other = (
            session.run(step.prediction, {step.input: [0, 4, 1]} | fed) for fed in ({}, zeros, ones)
        )
    assert_close(found, expected, 0)
    assert np.abs(found - other).max() > 1e-3


def test_a_single_step_never_trains() -> None:
    step = StepGraph(LSTMCell(3), 2, 5, 2, optimizer="adam")
    assert step.options.optimizer is None
    with step.tf_graph.as_default():
        assert tf.global_variables() == list(step.network.variables)
