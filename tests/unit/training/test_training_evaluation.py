"""The evaluation counts every held-out token once, as a loop over single tokens would."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import assign

from tf_rnn import cells
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.inference import Stepper
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import Evaluator, evaluation

LAGS: dict[str, Any] = {"lags": (2, 5), "effects": (0.35, -0.2)}


class Cut(NamedTuple):
    """A held-out split and how the evaluation is to cut it."""

    length: int
    row_length: int
    num_rows: int
    minimum_row_length: int = 1000
    maximum_rows: int = 50
    carried_steps: int = 50


CUTS = {
    "a short row": Cut(13, row_length=13, num_rows=1),
    "one token": Cut(1, row_length=1, num_rows=1),
    "two rows and a ragged end": Cut(2301, row_length=1151, num_rows=2, carried_steps=20),
    "a row of filling alone": Cut(23, row_length=4, num_rows=7, minimum_row_length=3, carried_steps=3),
    "as many rows as allowed": Cut(61, row_length=21, num_rows=3, minimum_row_length=5, maximum_rows=3),
    "even rows and blocks": Cut(24, row_length=12, num_rows=2, minimum_row_length=9, carried_steps=4),
}


@pytest.fixture(params=CUTS)
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cut:
    chosen = CUTS[request.param]
    monkeypatch.setattr(evaluation, "MINIMUM_ROW_LENGTH", chosen.minimum_row_length)
    monkeypatch.setattr(evaluation, "MAXIMUM_ROWS", chosen.maximum_rows)
    monkeypatch.setattr(evaluation, "CARRIED_STEPS", chosen.carried_steps)
    return chosen


@functools.cache
def vanilla(
    num_steps: int = 4, batch_size: int = 3, state_size: int = 6, activation: str = "tanh"
) -> UnrolledGraph:
    """One graph for all tests that need the same."""
    return make_graph(cells.VanillaCell(state_size, activation=activation), num_steps, batch_size)


def make_graph(cell: Any, num_steps: int = 4, batch_size: int = 3) -> UnrolledGraph:
    return UnrolledGraph(cell, num_steps, batch_size, 2, 2, seed=3, dtype="float64")


class Tokens(NamedTuple):
    losses: np.ndarray
    rows: np.ndarray
    predictions: np.ndarray


def token_by_token(cell: Any, session: Any, task: Echo, cut: Cut, *, block: int | None) -> Tokens:
    """Losses of one token after another; the state is zero at each row's start, and each block's."""
    step = Stepper(StepGraph(cell, 1, 2, 2, dtype="float64"), session)
    inputs, targets = task.stream("valid")
    losses, predictions = [], []
    for t, (x, y) in enumerate(zip(inputs, targets, strict=True)):
        place = t % cut.row_length
        if place % (block or cut.row_length) == 0:
            step.reset()
        p = step.step([x])[0]
        losses.append(-math.log(p[y]))
        predictions.append(p[1])
    filled = cut.length // cut.row_length * cut.row_length
    shape = (-1, cut.row_length)
    return Tokens(
        np.array(losses), inputs[:filled].reshape(shape), np.array(predictions)[:filled].reshape(shape)
    )


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_it_is_a_loop_over_tokens(cut: Cut, state: str) -> None:
    task = Echo(**LAGS, valid_length=cut.length)
    graph = make_graph(cells.LSTMCell(5)) if cut.length == 23 else vanilla()
    evaluator = Evaluator(graph, task, state)
    with graph.session() as session:
        found = evaluator(session)
        block = {"carry": None, "reset": 4}[state]
        expected = token_by_token(graph.cell, session, task, cut, block=block)
    assert cut.num_rows == len(next(iter(evaluator._blocks)).targets)
    assert found.tokens == cut.length
    assert found.loss == pytest.approx(expected.losses.mean(), rel=1e-12)
    error = expected.losses.std() / math.sqrt(cut.length)
    assert found.standard_error == pytest.approx(error, rel=1e-10)
    scores = task.dependency_scores(expected.rows, expected.predictions)
    assert found.dependency_scores == pytest.approx(scores, abs=1e-10)


def test_reset_and_carried_state_differ_and_splits_have_their_tokens() -> None:
    task = Echo(**LAGS, length=41, valid_length=37)
    evaluators = [Evaluator(vanilla(), task, state) for state in ("carry", "reset")]
    with vanilla().session() as session:
        carry, reset = (evaluator(session) for evaluator in evaluators)
        assert (carry.tokens, Evaluator(vanilla(), task, split="train")(session).tokens) == (37, 41)
    assert abs(carry.loss - reset.loss) > 1e-4, f"{carry.loss} and {reset.loss}"
    with pytest.raises(OptionError, match=r"^state must be one of carry, reset; got 'zero'$"):
        Evaluator(vanilla(), task, "zero")


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_an_evaluation_depends_on_the_graph_no_more_than_it_must(state: str) -> None:
    """To the last bit: if carried on neither width nor batch, if reset on the width alone."""
    task = Echo(**LAGS, valid_length=1201)
    cell = cells.VanillaCell(6)
    sizes = ((4, 3), (4, 7), (5, 3), (1, 2)) if state == "carry" else ((4, 3), (4, 7), (5, 3))
    graphs = [make_graph(cell, n, batch) for n, batch in sizes]
    evaluators = [Evaluator(graph, task, state) for graph in graphs]
    with graphs[0].session() as session:
        first, other_batch, *wider = (evaluator(session) for evaluator in evaluators)
    assert first == other_batch
    assert [found == first for found in wider] == ([True, True] if state == "carry" else [False])
    assert [found.loss == first.loss for found in wider] == [found == first for found in wider]


def test_each_session_has_weights_of_its_own() -> None:
    """One evaluator for two of them, in turns."""
    graph = vanilla()
    evaluator = Evaluator(graph, Echo(**LAGS, valid_length=37))
    with graph.session() as one, graph.session() as other:
        assign(other, graph.variables, [2 * value for value in other.run(list(graph.variables))])
        found = [evaluator(session).loss for session in (one, other, one, other)]
    assert found[:2] == found[2:]
    assert abs(found[0] - found[1]) > 1e-3, f"{found[0]} and {found[1]}"


def shift_register(effect: float) -> list[np.ndarray]:
    """W, b_s, U, b_p of a ReLU network that knows X_{t-2}, and P(1) = 0.5 + effect X_{t-2}.

    S_t = (X_t, X_{t-1}, X_{t-2}); the logits are those of log p / (1 - p) for X_{t-2} = 1, else 0.
    """
    W = np.zeros((2 + 3, 3))
    W[1, 0] = W[2, 1] = W[3, 2] = 1.0
    U = np.zeros((3, 2))
    U[2, 1] = math.log((0.5 + effect) / (0.5 - effect))
    return [W, np.zeros(3), U, np.zeros(2)]


@pytest.mark.parametrize("shown", [0.4, 0.2, -0.1])
def test_dependency_scores_of_a_network_that_knows_the_task(shown: float) -> None:
    """With the true effect the score is 1 and the loss the optimum; with half of it, 0.5."""
    true = 0.4
    task = Echo(lags=(2,), effects=(true,), valid_length=20_000)
    graph = vanilla(state_size=3, activation="relu")
    evaluator = Evaluator(graph, task)
    with graph.session() as session:
        assign(session, graph.variables, shift_register(shown))
        found = evaluator(session)
    assert found.dependency_scores == pytest.approx({2: shown / true}, abs=1e-9)
    entropy = -sum(p * math.log(q) for p, q in ((0.9, 0.5 + shown), (0.1, 0.5 - shown)))
    expected = (entropy + math.log(2)) / 2
    distance = abs(found.loss - expected)
    assert distance < 4 * found.standard_error, f"{found.loss}, not {expected}"
    assert (shown == true) == (expected == pytest.approx(task.optimum()))


def test_a_text_has_no_dependency_scores(tmp_path: Any) -> None:
    path = tmp_path / "cats.txt"
    path.write_text("a cat sat. " * 30, encoding="utf-8")
    task = Text(path)
    graph = UnrolledGraph(cells.VanillaCell(6), 4, 3, task.input_size, task.num_classes, seed=1)
    with graph.session() as session:
        found = Evaluator(graph, task)(session)
    assert found.dependency_scores == {}
    assert found.tokens == len(task.stream("valid").targets) == 15


def test_weights_that_are_not_numbers_give_a_loss_that_is_none() -> None:
    """The evaluation does not fail over them: whoever asked for it says what is wrong."""
    graph = vanilla()
    evaluator = Evaluator(graph, Echo(**LAGS, valid_length=50))
    with graph.session() as session:
        assign(session, graph.variables, [np.full(v.shape, np.nan) for v in graph.variables])
        assert math.isnan(evaluator(session).loss)
