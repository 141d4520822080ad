"""n steps of the `Stepper` are one run of the n-wide graph; see also test_step_graph."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, random_block

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell, LSTMState
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.inference import Stepper
from tf_rnn.options import OptionError

NUM_STEPS, BATCH_SIZE = 6, 3
KINDS: dict[str, dict[str, Any]] = {
    "classes": {"input_size": 4},
    "float32": {"input_size": 4, "dtype": "float32"},
    "real": {"input_size": 4, "input_kind": "real"},
    "none": {"input_size": 0, "input_kind": "none"},
}


def run_steps(stepper: Stepper, inputs: Any) -> tuple[list[Any], list[Any]]:
    predictions, states = [], []
    for t in range(NUM_STEPS):
        predictions.append(stepper.step(None if inputs is None else inputs[:, t]))
        states.append(stepper.state)
    return predictions, states


@pytest.mark.parametrize("kind", KINDS)
def test_n_steps_are_one_run_of_the_wide_graph(kind: str) -> None:
    options: dict[str, Any] = {"num_classes": 5, "dtype": "float64", "seed": 5} | KINDS[kind]
    cell, tolerance = LSTMCell(7), 1e-6 if kind == "float32" else 1e-12
    wide = UnrolledGraph(cell, NUM_STEPS, BATCH_SIZE, optimizer=None, **options)
    step = StepGraph(cell, BATCH_SIZE, **options)
    inputs, targets = random_block(np.random.default_rng(8), wide)
    zero = wide.zero_state()
    with wide.session() as session:
        stepper, other = Stepper(step, session), Stepper(step, session)
        assert type(stepper.state) is LSTMState
        assert_close(stepper.state, zero, 0)
        state = zero
        for what in ("from zero", "the state is kept"):
            fetches = [wide.predictions, wide.states]
            expected = session.run(fetches, wide.feed(inputs, targets, state))
            found = run_steps(stepper, inputs)
            assert {array.dtype for array in tf.nest.flatten(found)} == {np.dtype(options["dtype"])}
            assert_close(found, expected, tolerance, what)
            state = expected[1][-1]
        other.state = stepper.state
        assert_close(run_steps(other, inputs), run_steps(stepper, inputs), 0, "the state can be set")
        stepper.reset()
        assert_close(stepper.state, zero, 0, "the state is reset")


def test_single_rows_are_reset_where_a_sequence_starts_in_the_wide_graph() -> None:
    options: dict[str, Any] = {"input_size": 4, "num_classes": 5, "dtype": "float64", "seed": 5}
    cell = LSTMCell(7)
    wide = UnrolledGraph(cell, NUM_STEPS, BATCH_SIZE, optimizer=None, starts=True, **options)
    inputs, targets = random_block(np.random.default_rng(8), wide)
    starts = np.array([[0, 0, 1, 0, 0, 0], [1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]])
    with wide.session() as session:
        stepper, found = Stepper(StepGraph.of(wide, BATCH_SIZE), session), []
        assert inputs is not None
        for t in range(NUM_STEPS):
            stepper.reset(starts[:, t])
            found.append(stepper.step(inputs[:, t]))
        expected = session.run(wide.predictions, wide.feed(inputs, targets, wide.zero_state(), starts))
        assert_close(found, expected, 1e-12, "predictions")
        before = stepper.state
        for wrong, message in [
            ([True], "rows must have shape [3], got [1]"),
            ([0, 2, 1], "rows must hold True or False, got 2"),
        ]:
            with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
                stepper.reset(wrong)
        assert_close(stepper.state, before, 0, "unchanged")


def test_bad_inputs_are_refused_and_change_nothing() -> None:
    graph = StepGraph(LSTMCell(2), BATCH_SIZE, 4, 5)
    with graph.session() as session:
        stepper = Stepper(graph, session)
        for wrong, message in [
            ([0, -1, 1], "x must hold classes from 0 to 3, got -1"),
            ([0, 4, 1], "x must hold classes from 0 to 3, got 4"),
            ([0, 1], "x must have shape [3], got [2]"),
            (None, "x must have shape [3], got []"),
            (["a", "b", "c"], "x must hold whole class indices, got np.str_('a')"),
            ([0, 0.5, 1], "x must hold whole class indices, got 0.5"),
        ]:
            with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
                stepper.step(wrong)
            assert not np.any(stepper.state), stepper.state
