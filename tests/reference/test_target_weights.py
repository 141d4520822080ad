"""Targets that count more or less: the loss is the weighted mean, in training as in evaluation."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, make_run, random_values
from sequence_helpers import CLASSES, INPUTS, Sequences

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.positions import by_position
from tf_rnn.cells import VanillaCell
from tf_rnn.graph import UnrolledGraph, make_graph
from tf_rnn.inference import load
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup, check_setup
from tf_rnn.tasks.constant import constant_loss
from tf_rnn.training import Evaluator, Truncation, evaluation, train
from tf_rnn.training.evaluation import mean_and_error

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.tasks import Stream, Task

pytestmark = pytest.mark.usefixtures("chunks_of_two")
STEPS, BATCH = 5, 3
WEIGHTS = np.random.default_rng(4).choice([0.0, 0.25, 1, 3], size=(BATCH, STEPS))


class Weighted(Sequences):
    """Every third step counts nothing, the others between 1 and 5."""

    has_target_weights = True

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        stream = super().stream(split, epoch)
        steps = np.arange(len(stream.targets))
        weights = np.where(steps % 3 == 2, 0, 1 + steps % 5).astype(np.float32)
        return dataclasses.replace(stream, target_weights=weights)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"recompute": 3, "reduction": "sum", "starts": True}),
        ("gru", {"recompute": 2, "loss_steps": 3}),
        ("relu", {"input_kind": "real", "loss": "squared_error"}),
    ],
)
def test_loss_and_gradient_are_the_weighted_ones(cell: str, options: dict[str, Any]) -> None:
    """Against plain TensorFlow on the losses of a graph of the same network that knows no weights."""
    run = make_run(CASES[cell].make(), STEPS, BATCH, input_size=INPUTS, target_weights=True, **options)
    graph, weights = run.graph, np.array(WEIGHTS)
    weights[:, : STEPS - graph.options.num_loss_steps] = 0
    changes = {"target_weights": False, "loss_steps": "all", "recompute": None}
    with graph.tf_graph.as_default():
        plain = UnrolledGraph(graph.cell, **dataclasses.asdict(graph.options) | changes)
        sums = tf.reduce_sum(tf.stack(plain.losses, axis=1) * weights)
        gradients_of_sums = tf.gradients(sums, list(graph.variables))
    run.more = plain.feed(run.inputs, run.targets, run.state)
    run.more |= graph.feed(run.inputs, run.targets, run.state, target_weights=WEIGHTS)
    gradients = [gradient for gradient, _ in graph.gradients]
    found, expected = run.fetch([[graph.total_loss, *gradients], [sums, *gradients_of_sums]])
    divisor = BATCH if graph.options.reduction == "sum" else weights.sum()
    assert_close(found, [each / divisor for each in expected], 1e-12, "loss and gradients")


def test_weights_of_0_and_1_are_marked_targets_and_a_step_without_a_target_has_no_weight() -> None:
    marks, found = WEIGHTS > 0, []
    for options, given in (
        ({"loss_steps": "marked"}, None),
        ({"target_weights": True}, marks.astype(float)),
        ({"loss_steps": "marked", "target_weights": True}, np.ones_like(WEIGHTS)),
    ):
        run = make_run(VanillaCell(7), STEPS, BATCH, input_size=INPUTS, **options)
        if "loss_steps" in options:
            run.targets[~marks] = -1
        run.more = run.graph.feed(run.inputs, run.targets, run.state, target_weights=given)
        gradients = [gradient for gradient, _ in run.graph.gradients]
        found.append(run.fetch([run.graph.total_loss, run.graph.loss_count, gradients]))
    assert found[0][1] == marks.sum()
    for each in found[1:]:
        assert_close(each, found[0], 1e-13, "loss, count and gradients")


def test_weights_are_1_where_none_are_fed_and_only_their_ratios_matter() -> None:
    plain, weighted = (
        make_run(VanillaCell(7), STEPS, BATCH, input_size=INPUTS, target_weights=given)
        for given in (False, True)
    )
    found = []
    for run, weights in ((plain, None), (weighted, None), (weighted, WEIGHTS), (weighted, 7 * WEIGHTS)):
        with tf.Session(graph=run.graph.tf_graph) as session:
            assign(session, run.graph.variables, run.values)
            step = run.graph.runner(session, run.graph.total_loss, run.graph.gradient_norm)
            found.append(step(run.inputs, run.targets, run.state, target_weights=weights))
    assert_close(found[1], found[0], 1e-13, "none fed")
    assert_close(found[3], found[2], 1e-13, "seven times the weights")
    run = weighted
    nothing = np.zeros_like(WEIGHTS).tolist()
    run.more = run.graph.feed(run.inputs, run.targets, run.state, target_weights=nothing)
    assert run.fetch([run.graph.total_loss, run.graph.gradient_norm]) == [0, 0]
    run.more = {tensor: WEIGHTS[:, t] for t, tensor in enumerate(run.graph.target_weights)}
    assert_close(run.fetch(run.graph.total_loss), found[2][0], 1e-13, "fed step by step")


def test_weights_that_are_none_are_refused() -> None:
    run = make_run(VanillaCell(7), STEPS, BATCH, input_size=INPUTS, target_weights=True, optimizer=None)
    for value, problem in (
        (WEIGHTS - 1, "must be finite and at least 0, got -1.0"),
        (WEIGHTS + math.inf, "must be finite and at least 0, got inf"),
        (WEIGHTS[1:], "must have shape [3, 5], got [2, 5]"),
    ):
        with pytest.raises(OptionError, match=f"^target_weights {re.escape(problem)}$"):
            run.graph.feed(run.inputs, run.targets, run.state, target_weights=value)


def test_where_weights_cannot_be_is_said_by_name() -> None:
    task = Weighted()
    graph = UnrolledGraph(VanillaCell(3), 4, BATCH, INPUTS, CLASSES, starts=True, target_weights=True)
    block = np.zeros((BATCH, 4), int)
    plain = UnrolledGraph(VanillaCell(3), 4, BATCH, INPUTS, CLASSES, starts=True)
    setup = Setup(task=task, cell="vanilla", state_size=3, batch_size=BATCH, style="random")
    refusals: list[tuple[Any, str]] = [
        (lambda: graph.with_steps(4, reweighted=True), "target_weights must be False for a reweighted graph"),
        (
            lambda: plain.feed(block, block, plain.zero_state(), target_weights=block),
            "target_weights must be left out, as the graph was made without target_weights=True",
        ),
        (
            lambda: train(plain, task, updates=1, callbacks=()),
            "target_weights must be True for the task sequences, whose targets have weights; the graph",
        ),
        (
            lambda: train(graph, task, updates=1, truncation=Truncation("sliding"), callbacks=()),
            "style must be block or full where targets have weights, got 'sliding'",
        ),
        (
            lambda: check_setup(setup, task, [4]),
            "style must be block or full where targets have weights, got 'random'",
        ),
    ]
    for refused, message in refusals:
        with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
            refused()
    assert make_graph(Setup(task=task, cell="gru", state_size=3), task, 4, seed=0).options.target_weights


def test_training_is_the_loop_of_the_notes_with_weights() -> None:
    found, task = [], Weighted()
    for by_hand in (True, False):
        options: dict[str, Any] = {"starts": True, "target_weights": True, "seed": 4}
        graph = UnrolledGraph(VanillaCell(4), 4, BATCH, INPUTS, CLASSES, **options)
        with graph.session(1) as session:
            if not by_hand:
                train(graph, task, epochs=1, session=session, callbacks=())
            state = graph.zero_state()
            for block in task.blocks(BATCH, 4) if by_hand else ():
                fed = graph.feed(block.inputs, block.targets, state, block.starts, block.target_weights)
                state, _ = session.run([graph.final_state, graph.train_step], fed)
            found.append(session.run(list(graph.variables)))
    assert_close(found[1], found[0], 0, "weights of the network")


def test_an_evaluation_is_the_weighted_mean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one row and in several, of a graph and of a loaded model."""
    task = Weighted(valid_length=29)
    options: dict[str, Any] = {"starts": True, "target_weights": True, "dtype": "float64", "seed": 4}
    graph = UnrolledGraph(VanillaCell(4), 4, BATCH, INPUTS, CLASSES, **options)
    stream = task.stream("valid")
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(2), graph.variables))
        found = []
        for minimum in (1000, 9):
            monkeypatch.setattr(evaluation, "MINIMUM_ROW_LENGTH", minimum)
            found.append(Evaluator(graph, task)(session))
        whole = graph.forward(num_steps=29, batch_size=1)
        assert stream.starts is not None
        fed = whole.feed(stream.inputs[None], stream.targets[None], whole.zero_state(), stream.starts[None])
        losses = np.concatenate(session.run(whole.losses, fed))
        train(graph, task, updates=1, out=tmp_path / "run", session=session, callbacks=())
        after = Evaluator(graph, task)(session)
    w = np.asarray(stream.target_weights, np.float64)
    mean = (w * losses).sum() / w.sum()
    error = math.sqrt((w**2 * (losses - mean) ** 2).sum()) / w.sum()
    for each in found:
        assert each.tokens == (w > 0).sum() < 29
        assert_close([each.loss, each.standard_error], [mean, error], 1e-12, "loss and standard error")
    loaded = load(tmp_path / "run", task=task).evaluator()
    assert_close([loaded.loss, loaded.standard_error], [after.loss, after.standard_error], 1e-12, "loaded")
    assert loaded.tokens == after.tokens


def lowest_on_a_grid(task: Task) -> float:
    """The loss of the best of many constants for two values from 0 to 1, each step a mean over its own."""
    targets = task.stream("valid").targets
    one, other = np.meshgrid(*[np.linspace(0, 1, 201)] * 2)
    errors = np.stack([one.ravel(), other.ravel()], axis=1)[:, np.newaxis] - targets
    of_values = errors**2
    if task.quantiles is not None:
        of_values = np.maximum(-np.array(task.quantiles) * errors, (1 - np.array(task.quantiles)) * errors)
    return float(np.nanmean(of_values, axis=2).mean(axis=1).min())


def test_whole_weights_are_repetitions() -> None:
    """Of tokens: in the mean, in the best constant, and in the means by position; an error is not."""
    rng = np.random.default_rng(6)
    losses, weights = rng.random(9), np.array([2, 1, 3, 1, 1, 2, 1, 4, 1])
    repeated = np.repeat(losses, weights)
    assert_close(mean_and_error(losses, weights.astype(float))[0], repeated.mean(), 1e-15, "mean")
    assert_close(
        mean_and_error(losses, np.full(9, 2.0)), mean_and_error(losses, None), 1e-15, "equal weights"
    )

    class Repeated(Sequences):
        def __init__(self, loss: str, *, weighted: bool) -> None:
            super().__init__()
            self.loss, self.num_classes, self.has_starts = loss.partition(",")[0], 2, False
            self.quantiles = (0.3, 0.8) if "pinball" in loss else None
            self.missing = ([1, 4, 7], [0, 1, 0]) if "missing" in loss else ([], [])
            self.has_target_weights = weighted

        def stream(self, split: str = "train", epoch: int = 0) -> Stream:
            targets = np.array([0, 2, 1, 1, 0, 2, 2, 2, 0], np.int32)
            if self.loss != "cross_entropy":
                targets = np.stack([losses, losses**2], axis=1).astype(np.float32)
                targets[self.missing] = np.nan
            if not self.has_target_weights:
                targets = np.repeat(targets, weights, axis=0)
            found = Weighted().stream(split).at(np.arange(len(targets)))
            own = weights.astype(np.float32) if self.has_target_weights else None
            return dataclasses.replace(found, targets=targets, starts=None, target_weights=own)

    for loss in ("cross_entropy", "squared_error", "squared_error, missing", "pinball", "pinball, missing"):
        of_weights, of_repetitions = (constant_loss(Repeated(loss, weighted=each)) for each in (True, False))
        assert_close(of_weights, of_repetitions, 1e-7, loss)
        if loss != "cross_entropy":
            assert_close(of_weights, lowest_on_a_grid(Repeated(loss, weighted=False)), 1e-4, loss)
    fresh, carried = rng.random((2, 9, 4))
    shape = weights[:, np.newaxis] * np.ones((9, 4))
    found = by_position(fresh, carried, shape, 3)
    fresh, carried = (np.repeat(each, weights, axis=0) for each in (fresh, carried))
    expected = by_position(fresh, carried, np.ones((16, 4)), 3)
    assert_close([found.fresh, found.carried], [expected.fresh, expected.carried], 1e-14, "by position")
