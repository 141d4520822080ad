"""Losses at some steps alone: only what has a target counts, in loss, gradient and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import (
    CASES,
    assert_close,
    assign,
    gradients_of,
    input_vectors,
    random_block,
    random_state,
    random_values,
)
from references import cross_entropy, run_steps, squared_error

from tf_rnn._tensorflow import tf
from tf_rnn.cells import InfluenceCell, LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Adding, Influence
from tf_rnn.training import Evaluator, evaluation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tf_rnn.tasks import Task

BATCH, STEPS, INPUTS, CLASSES = 3, 5, 4, 2
BOTH_LOSSES = pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
REFERENCES = {"cross_entropy": cross_entropy, "squared_error": squared_error}
ABSENT: dict[str, float] = {"cross_entropy": -1, "squared_error": np.nan}

# A full row, an empty one, gaps; by step: 2, 1, 1, 2, 1 targets.
MARKS = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]], bool)


def make_graph(loss: str, cell: Any = None, **options: Any) -> UnrolledGraph:
    options = {"dtype": "float64", "seed": 3, "loss_steps": "marked", **options}
    return UnrolledGraph(cell or VanillaCell(7), STEPS, BATCH, INPUTS, CLASSES, loss=loss, **options)


def masked(loss: str, targets: NDArray[Any], marks: NDArray[Any]) -> NDArray[Any]:
    """The targets with those that are not marked taken away."""
    shown = targets.copy()
    shown[~marks] = ABSENT[loss]
    return shown


def losses_in_numpy(
    graph: UnrolledGraph, name: str, values: list[Any], inputs: Any, targets: Any, state: Any
) -> NDArray[Any]:
    """The loss of every step and example, [batch_size, num_steps]."""
    vectors = input_vectors(graph, inputs, values)
    outputs, _ = run_steps(CASES[name].step, values[:-2], vectors, state)
    reference = REFERENCES[graph.options.loss]
    rows = [reference(h @ values[-2] + values[-1], targets[:, t]) for t, h in enumerate(outputs)]
    return np.stack(rows, axis=1)


@pytest.mark.parametrize(("loss", "name"), [("squared_error", "tanh"), ("cross_entropy", "lstm")])
def test_only_marked_rows_count(loss: str, name: str) -> None:
    """The loss is the mean over marked rows; its gradient that of plain TensorFlow over those rows."""
    graph = make_graph(loss, CASES[name].make())
    generator = np.random.default_rng(1)
    inputs, targets = random_block(generator, graph)
    state, values = random_state(generator, graph.init_state), random_values(generator, graph.variables, 0.4)
    all_steps = make_graph(loss, graph.cell, loss_steps="all", optimizer=None)
    with graph.tf_graph.as_default():
        where = [(int(i), int(t)) for i, t in np.argwhere(MARKS)]
        plain = tf.add_n([all_steps.losses[t][i] for i, t in where]) / len(where)
        plain_gradients = tf.gradients(plain, list(graph.variables))
    with graph.session() as session:
        assign(session, graph.variables, values)
        feed = graph.feed(inputs, masked(loss, targets, MARKS), state)
        found, losses, gradients = session.run(
            (graph.total_loss, tf.stack(graph.losses, axis=1), gradients_of(graph)), feed
        )
        expected_gradients = session.run(plain_gradients, all_steps.feed(inputs, targets, state))
    expected = losses_in_numpy(graph, name, values, inputs, targets, state)
    assert_close(losses, np.where(MARKS, expected, 0), 1e-13, "losses")
    assert_close(found, expected[MARKS].mean(), 1e-13, "total loss")
    assert_close(gradients, expected_gradients, 1e-13, "gradients")


@BOTH_LOSSES
def test_the_sum_is_over_marked_steps_and_the_mean_over_all_examples(loss: str) -> None:
    mean, total = (make_graph(loss, reduction=each, optimizer=None) for each in ("mean", "sum"))
    generator = np.random.default_rng(3)
    inputs, targets = random_block(generator, mean)
    shown = []
    for graph in (mean, total):
        with graph.session() as session:
            feed = graph.feed(inputs, masked(loss, targets, MARKS), graph.zero_state())
            shown.append(session.run(graph.total_loss, feed))
    assert_close(shown[1] / shown[0], MARKS.sum() / BATCH, 1e-14, "sum / mean")


@pytest.mark.parametrize(
    ("loss", "reduction", "optimizer"),
    [("cross_entropy", "mean", "adam"), ("squared_error", "sum", "sgd")],
)
def test_a_block_without_targets_is_0_and_changes_nothing(loss: str, reduction: str, optimizer: str) -> None:
    graph = make_graph(loss, LSTMCell(4), reduction=reduction, optimizer=optimizer, clip_norm=1.0)
    inputs, targets = random_block(np.random.default_rng(4), graph)
    with graph.session() as session:
        before = session.run(list(graph.variables))
        feed = graph.feed(inputs, masked(loss, targets, np.zeros_like(MARKS)), graph.zero_state())
        found, norm, gradients, _ = session.run(
            (graph.total_loss, graph.gradient_norm, gradients_of(graph), graph.train_step), feed
        )
        after = session.run(list(graph.variables))
    assert (found, norm) == (0, 0)
    assert_close(gradients, [np.zeros(v.shape) for v in graph.variables], 0, "gradients")
    assert_close(after, before, 0, "variables")


def test_some_values_of_a_step_may_be_missing() -> None:
    """The loss of a step is the mean over the values that it has; with 2 and 3 of 3 values missing in places.

    The gradient is that of plain TensorFlow over what is known.
    """
    graph = UnrolledGraph(
        VanillaCell(7), STEPS, BATCH, INPUTS, 3, loss="squared_error", loss_steps="marked", dtype="float64"
    )
    inputs, targets = random_block(np.random.default_rng(5), graph)
    known = np.ones((BATCH, STEPS, 3), bool)
    known[0, 0, 1] = known[2, 4, :2] = known[1, 3] = False
    with graph.tf_graph.as_default():
        squares = tf.square(tf.stack(graph.predictions, axis=1) - targets) * known
        plain = tf.reduce_sum(squares, axis=2) / np.maximum(known.sum(axis=2), 1)
        total = tf.reduce_sum(plain) / (BATCH * STEPS - 1)
        expected = (total, plain, tf.gradients(total, list(graph.variables)))
    with graph.session() as session:
        fetches = (graph.total_loss, tf.stack(graph.losses, axis=1), gradients_of(graph))
        found = session.run(fetches, graph.feed(inputs, np.where(known, targets, np.nan), graph.zero_state()))
        assert_close(
            found, session.run(expected, graph.feed(inputs, targets, graph.zero_state())), 1e-13, "known"
        )


@pytest.mark.parametrize(("loss", "newest"), [("cross_entropy", 1), ("squared_error", 4)])
def test_a_number_counts_the_newest_steps(loss: str, newest: int) -> None:
    graph = make_graph(loss, loss_steps=newest)
    generator = np.random.default_rng(6)
    inputs, targets = random_block(generator, graph)
    state, values = random_state(generator, graph.init_state), random_values(generator, graph.variables, 0.4)
    with graph.tf_graph.as_default():
        plain = tf.add_n([tf.reduce_mean(loss) for loss in graph.losses[-newest:]]) / newest
        plain_gradients = tf.gradients(plain, list(graph.variables))
    with graph.session() as session:
        assign(session, graph.variables, values)
        feed = graph.feed(inputs, targets, state)
        found, gradients, expected = session.run(
            (graph.total_loss, gradients_of(graph), plain_gradients), feed
        )
    rows = losses_in_numpy(graph, "tanh", values, inputs, targets, state)
    assert_close(found, rows[:, -newest:].mean(), 1e-13, f"newest {newest}")
    assert_close(gradients, expected, 1e-13, "gradients")
    assert graph.options.num_loss_steps == newest


@pytest.mark.parametrize(("reduction", "newest"), [("mean", "all"), ("sum", "last"), ("sum", 3)])
def test_loss_scale_makes_a_mean_of_a_step(reduction: str, newest: str | int) -> None:
    graph = make_graph("cross_entropy", loss_steps=newest, reduction=reduction)
    inputs, targets = random_block(np.random.default_rng(8), graph)
    with graph.session() as session:
        fed = graph.feed(inputs, targets, graph.zero_state())
        total, losses = session.run((graph.total_loss, graph.losses), fed)
    expected = np.mean(losses[-graph.options.num_loss_steps :])
    assert_close(graph.loss_scale * total, expected, 1e-15, "mean of a step")


# --- a cell that predicts ------------------------------------------------------------------------


@pytest.mark.parametrize("loss_steps", ["all", "marked"])
def test_readout_none_is_the_output_itself(loss_steps: str) -> None:
    graph = UnrolledGraph(
        VanillaCell(CLASSES), STEPS, BATCH, INPUTS, CLASSES, input_kind="real", loss="squared_error",
        readout="none", loss_steps=loss_steps, dtype="float64",
    )  # fmt: skip
    generator = np.random.default_rng(9)
    inputs, targets = random_block(generator, graph)
    shown = masked("squared_error", targets, MARKS) if loss_steps == "marked" else targets
    values = random_values(generator, graph.variables)
    assert [variable.op.name for variable in graph.variables] == ["vanilla/W", "vanilla/b_s"]
    with graph.session() as session:
        assign(session, graph.variables, values)
        found, predictions = session.run(
            (graph.total_loss, graph.predictions), graph.feed(inputs, shown, graph.zero_state())
        )
    assert inputs is not None
    start = np.zeros((BATCH, CLASSES))
    outputs, _ = run_steps(CASES["tanh"].step, values, np.moveaxis(inputs, 1, 0), start)
    assert_close(predictions, outputs, 1e-14, "predictions")
    rows = np.stack([squared_error(h, targets[:, t]) for t, h in enumerate(outputs)], axis=1)
    expected = {"all": rows.mean(), "marked": rows[MARKS].mean()}
    assert_close(found, expected[loss_steps], 1e-14, loss_steps)


# --- evaluation ----------------------------------------------------------------------------------

ADDING = Adding(span=7, length=210, valid_length=7 * 11)


def graph_for(task: Task, num_steps: int = 4) -> UnrolledGraph:
    return UnrolledGraph(
        LSTMCell(4), num_steps, 2, task.input_size, task.num_classes, input_kind=task.input_kind,
        loss=task.loss, loss_steps=task.loss_steps, dtype="float64", seed=3, optimizer=None,
    )  # fmt: skip


def example_losses(graph: UnrolledGraph, session: Any, task: Task, begins: list[int]) -> NDArray[Any]:
    """The marked losses of the valid split in order, the state at zero at the steps in `begins`."""
    inputs, targets = task.stream("valid")
    values = session.run(list(graph.variables))
    state: Any = ()
    losses = []
    for t, (x, y) in enumerate(zip(inputs, targets, strict=True)):
        if t in begins:
            state = (np.zeros((1, 4)), np.zeros((1, 4)))
        vector = x[np.newaxis] if task.input_kind == "real" else np.eye(task.input_size)[[x]]
        h, state = CASES["lstm"].step(values[:2], vector, state)
        if task.loss == "cross_entropy" or not np.isnan(y).any():
            reference = REFERENCES[task.loss]
            losses.append(reference(h @ values[2] + values[3], np.asarray(y)[np.newaxis])[0])
    return np.array(losses)


def test_evaluation_counts_marked_tokens_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """77 tokens, 11 examples: one row, or 5 rows of 16 tokens rounded up to whole examples: 21."""
    graph = graph_for(ADDING)
    with graph.session() as session:
        for minimum_row_length, row, state in ((1000, 77, "carry"), (15, 21, "carry"), (15, 21, "reset")):
            monkeypatch.setattr(evaluation, "MINIMUM_ROW_LENGTH", minimum_row_length)
            evaluator = Evaluator(graph, ADDING, state)
            found = evaluator(session)
            begins = [t for t in range(77) if t % row == 0 or (state == "reset" and t % row % 4 == 0)]
            losses = example_losses(graph, session, ADDING, begins)
            assert evaluator._counted.shape[1] == row
            assert len(losses) == found.tokens == 11
            assert found.loss == pytest.approx(losses.mean(), rel=1e-6)  # the inputs are float32
            assert found.standard_error == pytest.approx(losses.std() / np.sqrt(11), rel=1e-6)


def test_evaluation_leaves_the_warm_up_out() -> None:
    """Theta 0.25: carried, unit 1 has settled at -6 theta; reset, it is at what a block makes of it."""
    task = Influence(valid_length=260)
    cell = InfluenceCell(start=0.25)
    graph = UnrolledGraph(
        cell, 3, 1, 0, 1, input_kind="none", loss="squared_error", loss_steps="last", readout="none",
        dtype="float64",
    )  # fmt: skip
    with graph.session() as session:
        carried, reset = (Evaluator(graph, task, state)(session) for state in ("carry", "reset"))
    assert (carried.tokens, reset.tokens) == (60, 60)
    assert carried.loss == pytest.approx((-6 * 0.25 - 1) ** 2, rel=1e-9)
    assert carried.standard_error < 1e-9
    by_step = [(0.25 * cell.truncated_influence(k) - 1) ** 2 for k in (1, 2, 3)]
    # 200 = 3 * 66 + 2: the 60 tokens begin with the last step of a block.
    assert reset.loss == pytest.approx(np.mean(by_step), rel=1e-14)
