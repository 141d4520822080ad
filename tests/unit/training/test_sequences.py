"""Training and evaluating on sequences that start within rows: each is as if it were alone."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import Run, assert_close, assign, random_values
from sequence_helpers import CLASSES, INPUTS, Sequences, one_by_one

from tf_rnn.cells import LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph, UnrolledGraph, make_graph
from tf_rnn.inference import Stepper as SingleSteps
from tf_rnn.options import STYLES, OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Echo
from tf_rnn.training import Evaluator, StreamPosition, Truncation, evaluation, train
from tf_rnn.training.epoch import Epoch
from tf_rnn.training.evaluation import lay_rows
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.stepper import Stepper

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.truncation import Window

BATCH, STEPS = 3, 4
TASK = Sequences(length=49)  # 3 rows of 16 steps, and a token that is left over


def graph_of(cell: Any, num_steps: int = STEPS, **options: Any) -> UnrolledGraph:
    """A rate so small that no weight changes."""
    given: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e-300, "dtype": "float64", "starts": True}
    return UnrolledGraph(cell, num_steps, BATCH, INPUTS, CLASSES, **given | options)


def flow_and_weights(window: Window) -> tuple[Any, Any]:
    """How much of the gradient a window lets cross each step, and how much each loss counts in it."""
    if window.more:
        return window.more
    options = window.graph.options
    counted = np.arange(options.num_steps) >= options.num_steps - options.num_loss_steps
    return np.ones(options.num_steps), counted / (options.num_loss_steps * BATCH)


@functools.cache
def graph_of_all_styles() -> UnrolledGraph:
    """One, which keeps those that it is compared with, a graph for each length of a sequence."""
    return graph_of(VanillaCell(6))


@pytest.mark.parametrize("style", STYLES)
def test_windows_of_every_style_are_their_sequences_one_by_one(style: str) -> None:
    """Loss, norm of the gradient and next state of each window of an epoch."""
    graph = graph_of_all_styles()
    truncation = Truncation(style, stride=3, tolerance=0.5)
    values = random_values(np.random.default_rng(2), graph.variables)
    with graph.session(1) as session:
        assign(session, graph.variables, values)
        epoch = Epoch(graph, TASK, truncation, GradientProbe(graph, session), StreamPosition())
        stepper, carried, norms = Stepper(session), graph.zero_state(), []
        assert epoch.rows.starts is not None
        while window := epoch.next_window(carried):
            step = stepper(window, epoch.rows, carried)
            block = epoch.rows.steps(window.start, window.start + window.graph.num_steps)
            run = Run(graph, values, block.inputs, block.targets, carried)
            expected = one_by_one(run, *flow_and_weights(window), block.starts)
            whole = math.sqrt(sum(np.sum(np.square(gradient)) for gradient in expected.gradients))
            assert_close(step.gradient_norm, whole, 1e-12, f"norm of the window at {window.start}")
            assert_close(step.loss, expected.total * window.loss_scale, 1e-12, "loss")
            assert_close(step.state, expected.states[0][:, window.advance - 1], 1e-12, "next state")
            carried = step.state
            norms.append(step.gradient_norm)
    assert len(norms) == 1 if style == "full" else len(norms) > 3


def test_a_graph_without_starts_is_refused_for_a_task_that_has_them(tmp_path: Path) -> None:
    """And one that has them is trained on any other task, as if it had none."""
    graph = graph_of(VanillaCell(3), starts=False)
    message = (
        "starts must be True for the task sequences, whose sequences start within rows; the graph has False"
    )
    with pytest.raises(OptionError, match=f"^{message}$"):
        train(graph, TASK, updates=1, out=tmp_path / "run", callbacks=())
    assert not (tmp_path / "run").exists()
    losses = []
    for starts in (False, True):
        echo = UnrolledGraph(VanillaCell(3), STEPS, BATCH, 2, 2, seed=1, dtype="float64", starts=starts)
        losses.append(train(echo, Echo(length=60, valid_length=30), callbacks=()).evaluation.loss)
    assert losses[0] == losses[1]
    setup = Setup(task=TASK, cell="vanilla", state_size=3, batch_size=BATCH)
    assert make_graph(setup, TASK, STEPS, seed=0).options.starts


def test_train_is_the_loop_of_the_notes_with_starts() -> None:
    found: list[Any] = []
    graph = UnrolledGraph(LSTMCell(4), STEPS, BATCH, INPUTS, CLASSES, starts=True, seed=4)
    for _ in range(2):
        with graph.session(1) as session:
            if found:
                train(graph, TASK, epochs=2, session=session, callbacks=())
            else:
                for epoch in range(2):
                    state = graph.zero_state()
                    for block in TASK.blocks(BATCH, STEPS, "train", epoch):
                        fed = graph.feed(block.inputs, block.targets, state, block.starts)
                        state, _ = session.run([graph.final_state, graph.train_step], fed)
            found.append(session.run(list(graph.variables)))
    assert_close(found[1], found[0], 0, "weights")


def single_steps(graph: UnrolledGraph, session: Any, task: Any, split: str = "valid") -> np.ndarray:
    """The loss of each token of a split in one row, a step at a time."""
    step, losses = SingleSteps(StepGraph.of(graph), session), []
    stream = task.stream(split)
    for x, y, start in zip(stream.inputs, stream.targets, stream.starts, strict=True):
        step.reset([start])
        losses.append(-math.log(step.step([x])[0][y]))
    return np.array(losses)


@pytest.mark.parametrize(("num_steps", "minimum"), [(1, 11), (4, 1000), (7, 11), (4, 3)])
def test_an_evaluation_is_a_loop_of_single_steps_at_any_width_and_in_any_number_of_rows(
    monkeypatch: pytest.MonkeyPatch, num_steps: int, minimum: int
) -> None:
    """Rows begin where sequences do, so that it makes no difference how many there are."""
    monkeypatch.setattr(evaluation, "MINIMUM_ROW_LENGTH", minimum)
    monkeypatch.setattr(evaluation, "CARRIED_STEPS", num_steps)
    task = Sequences(valid_length=53)
    starts = task.stream("valid").starts
    assert starts is not None
    assert all(starts[first : first + 11].any() for first in range(0, 53, 11)), (
        "a row starts with no sequence"
    )
    graph = graph_of(VanillaCell(5), num_steps)
    evaluator = Evaluator(graph, task)
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(2), graph.variables))
        found, losses = evaluator(session), single_steps(graph, session, task)
    assert found.tokens == 53
    if minimum >= 11:
        assert_close(found.loss, losses.mean(), 1e-12, f"{53 // minimum} rows")
    else:  # some rows of 4 tokens begin within a sequence
        assert abs(found.loss - losses.mean()) > 1e-6


def test_rows_of_an_evaluation_hold_every_time_once() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        length, num_rows = int(rng.integers(1, 40)), int(rng.integers(1, 9))
        row_length = math.ceil(length / num_rows)
        starts = rng.random(length) < rng.choice([0, 0.1, 0.5])
        for flags in (None, starts):
            rows = lay_rows(length, num_rows, row_length, flags)
            assert len(rows) == num_rows
            assert rows[rows < length].tolist() == list(range(length)), (length, num_rows, flags)
            assert rows.shape[1] <= 2 * row_length
    rows = lay_rows(11, 3, 4, np.isin(np.arange(11), [3, 6]))
    assert rows.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 11, 11, 11, 11], [8, 9, 10, 11, 11, 11]]


def test_the_probe_measures_no_gradient_across_a_start() -> None:
    """By lag over one block: the last row of flags is that of a sequence as long as the block."""
    graph = graph_of(StackedCell([VanillaCell(4), VanillaCell(7)]), 5)
    block = TASK.rows(BATCH).steps(0, 5)
    starts = np.array([[0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], bool)
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(2), graph.variables))
        probe, expected = GradientProbe(graph, session, 1), np.zeros(5)
        rows = type(block)(block.inputs, block.targets, starts)
        found = probe.norms(rows, 0, graph.zero_state())
        for row, first in enumerate((2, 4, 0)):
            alone = UnrolledGraph(graph.cell, 5 - first, 1, INPUTS, CLASSES, dtype="float64")
            own = type(block)(block.inputs[row : row + 1, first:], block.targets[row : row + 1, first:])
            norms = GradientProbe(alone, session).norms(own, 0, alone.zero_state())
            expected[: 5 - first] += norms / BATCH
    assert_close(found, expected, 1e-12, "norms by lag")
