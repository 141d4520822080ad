"""n steps of the `Stepper` are one run of the n-wide graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import CASES, assert_close

from tf_rnn import cells
from tf_rnn._tensorflow import tf
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.inference import Stepper
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_STEPS, BATCH_SIZE, INPUT_SIZE, NUM_CLASSES = 6, 3, 4, 5
KINDS: dict[str, dict[str, Any]] = {
    "classes": {"input_kind": "classes"},
    "embedded": {"input_kind": "classes", "embedding_size": 7},
    "real": {"input_kind": "real", "loss": "squared_error"},
    "none": {"input_kind": "none"},
}


def make_graphs(cell: Any, kind: str = "classes", dtype: str = "float64") -> tuple[UnrolledGraph, StepGraph]:
    options = {**KINDS[kind], "dtype": dtype, "seed": 5}
    input_size = 0 if kind == "none" else INPUT_SIZE
    sizes = (BATCH_SIZE, input_size, NUM_CLASSES)
    wide = UnrolledGraph(cell, NUM_STEPS, *sizes, optimizer=None, **options)
    return wide, StepGraph(cell, *sizes, **options)


def random_inputs(kind: str) -> NDArray[Any] | None:
    generator = np.random.default_rng(8)
    if kind == "none":
        return None
    if kind == "real":
        return generator.normal(size=(BATCH_SIZE, NUM_STEPS, INPUT_SIZE))
    return generator.integers(INPUT_SIZE, size=(BATCH_SIZE, NUM_STEPS))


def run_wide(graph: UnrolledGraph, session: Any, inputs: Any, state: Any) -> tuple[list[Any], list[Any]]:
    """Predictions and states of all steps; the targets, which neither depends on, are 0."""
    shape: tuple[int, ...] = (BATCH_SIZE, NUM_STEPS)
    shape += () if graph.options.loss == "cross_entropy" else (NUM_CLASSES,)
    feed = graph.feed(inputs, np.zeros(shape, np.int32), state)
    predictions, states = session.run([graph.predictions, graph.states], feed)
    return predictions, states


def run_steps(stepper: Stepper, inputs: Any) -> tuple[list[Any], list[Any]]:
    predictions, states = [], []
    for t in range(NUM_STEPS):
        predictions.append(stepper.step(None if inputs is None else inputs[:, t]))
        states.append(stepper.state)
    return predictions, states


@pytest.mark.parametrize(
    ("case", "dtype", "tolerance"), [*((case, "float64", 1e-12) for case in CASES), ("gru", "float32", 1e-6)]
)
def test_n_steps_are_one_run_of_the_wide_graph(case: str, dtype: str, tolerance: float) -> None:
    wide, step = make_graphs(CASES[case].make(), dtype=dtype)
    inputs = random_inputs("classes")
    with wide.session() as session:
        stepper = Stepper(step, session)
        expected = run_wide(wide, session, inputs, wide.zero_state())
        found = run_steps(stepper, inputs)
        assert {array.dtype for array in tf.nest.flatten(found)} == {np.dtype(dtype)}
        assert_close(found, expected, tolerance)
        expected = run_wide(wide, session, inputs, expected[1][-1])
        assert_close(run_steps(stepper, inputs), expected, tolerance, "the state is kept")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input(kind: str) -> None:
    wide, step = make_graphs(cells.LSTMCell(6), kind)
    inputs = random_inputs(kind)
    with wide.session() as session:
        expected = run_wide(wide, session, inputs, wide.zero_state())
        assert_close(run_steps(Stepper(step, session), inputs), expected, 1e-12)


def test_reset_sets_the_state_to_zero() -> None:
    _, step = make_graphs(cells.LSTMCell(6))
    inputs = random_inputs("classes")
    with step.session() as session:
        stepper = Stepper(step, session)
        zero = np.zeros((BATCH_SIZE, 6))
        assert type(stepper.state) is cells.LSTMState
        assert_close(stepper.state, (zero, zero), 0)
        first = run_steps(stepper, inputs)
        unlike = run_steps(stepper, inputs)
        assert np.abs(unlike[0][0] - first[0][0]).max() > 1e-4
        stepper.reset()
        assert_close(stepper.state, (zero, zero), 0)
        assert_close(run_steps(stepper, inputs), first, 0)


def test_the_state_can_be_set() -> None:
    _, step = make_graphs(cells.VanillaCell(6))
    inputs = random_inputs("classes")
    with step.session() as session:
        one, other = Stepper(step, session), Stepper(step, session)
        predictions, _ = run_steps(one, inputs)
        other.state = one.state
        assert_close(run_steps(other, inputs), run_steps(one, inputs), 0)
    assert_close(predictions[0].sum(axis=1), np.ones(BATCH_SIZE), 1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([0, -1, 1], "x must hold classes from 0 to 3, got -1"),
        ([0, INPUT_SIZE, 1], "x must hold classes from 0 to 3, got 4"),
        ([0, 1], "x must have shape [3], got [2]"),
        (None, "x must have shape [3], got []"),
        (["a", "b", "c"], "x must hold whole class indices, got np.str_('a')"),
        ([0, 0.5, 1], "x must hold whole class indices, got 0.5"),
    ],
)
def test_bad_inputs_are_refused_and_change_nothing(wrong: Any, message: str) -> None:
    _, graph = make_graphs(cells.VanillaCell(2))
    with graph.session() as session:
        stepper = Stepper(graph, session)
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            stepper.step(wrong)
        assert not np.any(stepper.state), stepper.state
