"""`train` is the loop of the notes: the same losses, states and weights, to the last bit."""

from __future__ import annotations

import functools
import itertools
import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Adding, Echo, Stream, Task
from tf_rnn.training import (
    Callback,
    CurvePoint,
    DivergedError,
    Evaluator,
    Progress,
    TrainingResult,
    Truncation,
    session_loop,
    train,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# 5 blocks an epoch of 3 rows times 4 steps; 2 tokens stay over.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=9)
UPDATES = 12  # into the third epoch
CELLS: dict[str, Any] = {"vanilla": lambda: cells.VanillaCell(6), "lstm": lambda: cells.LSTMCell(5)}


@functools.cache
def graph_of(cell: str = "vanilla", sizes: tuple[int, ...] = (4, 3, 2, 2), **options: Any) -> UnrolledGraph:
    """One graph for all tests that need the same; each of its sessions starts from the same weights."""
    return UnrolledGraph(CELLS[cell](), *sizes, **({"seed": 7} | options))


def run(graph: UnrolledGraph | None = None, **options: Any) -> TrainingResult:
    graph = graph or graph_of()
    with graph.session(threads=1) as session:
        return train(graph, TASK, **{"session": session, "callbacks": ()} | options)


class Trained(NamedTuple):
    epochs: list[int]
    losses: list[float]
    final_states: list[Any]
    weights: list[Any]


def hand_written(
    graph: UnrolledGraph, session: Any, state_rule: str, *, carries_over: bool = False, fresh: bool = True
) -> Trained:
    """The loop of the notes; the last two arguments are mistakes that one could make in it."""
    numbers, losses, final_states = [], [], []
    state = graph.zero_state()
    for epoch in itertools.count():
        if not carries_over:
            state = graph.zero_state()
        for inputs, targets in TASK.blocks(3, 4, epoch=epoch if fresh else 0):
            if state_rule == "reset":
                state = graph.zero_state()
            loss, state, _ = session.run(
                [graph.total_loss, graph.final_state, graph.train_step],
                feed_dict=graph.feed(inputs, targets, state),
            )
            numbers.append(epoch + 1)
            losses.append(float(loss))
            final_states.append(state)
            if len(losses) == UPDATES:
                return Trained(numbers, losses, final_states, session.run(list(graph.variables)))
    raise AssertionError


@functools.cache
def by_hand(cell: str = "vanilla", state: str = "carry", **mistakes: bool) -> Trained:
    graph = graph_of(cell)
    with graph.session(threads=1) as session:
        return hand_written(graph, session, state, **mistakes)


@pytest.mark.parametrize(("cell", "state"), [("vanilla", "reset"), ("lstm", "carry")])
def test_session_loop_and_train_are_the_loop_of_the_notes(cell: str, state: str) -> None:
    """Whether `train` evaluates after every update or never but at the end."""
    expected, graph = by_hand(cell, state), graph_of(cell)
    with graph.session(threads=1) as session:
        updates = list(itertools.islice(session_loop(graph, TASK, session, state), UPDATES))
        weights = session.run(list(graph.variables))
    assert [update.epoch for update in updates] == expected.epochs == [1] * 5 + [2] * 5 + [3] * 2
    assert [update.loss for update in updates] == expected.losses
    assert_close([update.final_state for update in updates], expected.final_states, 0, "states")
    assert_close(weights, expected.weights, 0, "weights")
    results = [run(graph, updates=UPDATES, state=state, evaluations=often) for often in (UPDATES, 1)]
    assert [point.train_loss for point in results[0].curve[1:]] == expected.losses
    for result in results:
        assert_close(result.final_state, expected.final_states[-1], 0, "final state")
        assert_close(list(result.weights.values()), expected.weights, 0, "weights")
        assert (result.updates, result.tokens) == (UPDATES, 12 * UPDATES)
        assert type(result.final_state) is type(expected.final_states[0])
    bias = {"vanilla": "layer_0/b_s", "lstm": "layer_0/b"}[cell]
    assert [*result.weights] == ["layer_0/W", bias, "readout/U", "readout/b_p"]


def test_the_wrong_loops_would_be_noticed() -> None:
    """State kept over the epoch's border, old data, the other state: each changes the losses."""
    right, reset = by_hand().losses, by_hand(state="reset").losses
    kept, stale = by_hand(carries_over=True).losses, by_hand(fresh=False).losses
    assert reset[0] == right[0]
    assert reset[1] != right[1], f"{reset[1]} with a state of zero, {right[1]} with the one before"
    assert kept[:5] == stale[:5] == right[:5]
    assert kept[5] != right[5], f"{kept[5]} with the last epoch's state, {right[5]} without"
    assert stale[5] != right[5], f"{stale[5]} on the last epoch's data, {right[5]} on fresh ones"


def test_an_open_session_keeps_its_values_before_and_after() -> None:
    graph = graph_of()
    with graph.session(threads=1) as session:
        second = [hand_written(graph, session, "carry") for _ in range(2)][-1]
    with graph.session(threads=1) as session:
        result = [run(graph, updates=UPDATES, evaluations=UPDATES, session=session) for _ in range(2)][-1]
        assert_close(session.run(list(graph.variables)), second.weights, 0, "weights")
    assert [point.train_loss for point in result.curve[1:]] == second.losses
    first, again = (train(graph, TASK, updates=1, callbacks=()) for _ in range(2))
    assert first.curve[0].valid_loss == again.curve[0].valid_loss, "without a session: the initial weights"


def test_the_curve_is_what_the_evaluator_says() -> None:
    evaluator = Evaluator(graph_of(), TASK, "reset")
    with graph_of().session(threads=1) as session:
        before = evaluator(session)
        result = run(updates=3, state="reset", session=session)
        after = evaluator(session)
    assert result.curve[0].valid_loss == before.loss
    assert result.evaluation == after
    assert result.curve[-1].valid_loss == after.loss != before.loss


class Notebook(Callback):
    """Records all calls, with the weights at each evaluation."""

    report_seconds = 0.0

    def __init__(self, variables: Sequence[Any] = ()) -> None:
        self.variables = list(variables)
        self.reports: list[Progress] = []
        self.points: list[CurvePoint] = []
        self.values: list[Any] = []
        self.calls: list[str] = []

    def __enter__(self) -> Self:
        self.calls.append("enter")
        return self

    def on_progress(self, progress: Progress) -> None:
        assert self.calls == ["enter"]
        self.reports.append(progress)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        assert self.calls == ["enter"]
        self.points.append(point)
        self.values.append(session.run(self.variables))

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.calls.append("exit" if error is None else f"exit after {type(error).__name__}")


class Seldom(Notebook):
    report_seconds = 1e9


def test_a_callback_gets_every_report_that_is_due() -> None:
    notes = Notebook()
    result = run(updates=8, evaluations=4, callbacks=[notes])
    assert notes.calls == ["enter", "exit"]
    assert [report.updates for report in notes.reports] == list(range(1, 9))
    assert [report.epoch for report in notes.reports] == [1] * 5 + [2] * 3
    assert [report.fraction for report in notes.reports] == [k / 8 for k in range(1, 9)]
    assert [report.loss for report in notes.reports] == by_hand().losses[:8]
    evaluated = [0, 0, 2, 2, 4, 4, 6, 6]  # a report comes before the evaluation
    by_updates = {point.updates: point.valid_loss for point in result.curve}
    assert [report.valid_loss for report in notes.reports] == [by_updates[k] for k in evaluated]
    assert all(report.tokens_per_second > 0 for report in notes.reports)
    assert notes.reports[-1].seconds_left == 0
    assert all(report.seconds_left > 0 for report in notes.reports[:-1])
    seldom = Seldom()
    run(updates=3, callbacks=[seldom])
    assert [(report.updates, report.fraction) for report in seldom.reports] == [(3, 1.0)], "the end"


def test_a_callback_gets_every_point_of_the_curve_with_its_weights() -> None:
    graph = graph_of()
    notes = Notebook(graph.variables)
    with graph.session(threads=1) as session:
        start = session.run(list(graph.variables))
        result = run(epochs=2.5, session=session, callbacks=[notes])
    assert [(point.epoch, point.updates) for point in notes.points] == [(0, 0), (1, 5), (2, 10), (3, 12)]
    assert notes.points[1:] == result.curve[1:]
    assert_close(notes.values[0], start, 0, "before any update")
    assert_close(notes.values[-1], list(result.weights.values()), 0, "at the end")
    assert (notes.values[1][0] != notes.values[2][0]).any()
    notes = Notebook()
    with pytest.raises(DivergedError):
        run(graph_of(optimizer="sgd", learning_rate=3e38), updates=3, callbacks=[notes])
    assert notes.calls == ["enter", "exit after DivergedError"]


def test_patience_ends_a_run() -> None:
    """After so many evaluations without a lower loss: the same curve, cut off there."""
    graph = graph_of(optimizer="sgd", learning_rate=3.0)
    losses = [point.valid_loss for point in run(graph, epochs=12).curve[1:]]
    ago = [end - losses.index(min(losses[: end + 1])) for end in range(12)]
    for patience in (1, 2):
        assert patience in ago[:-1], f"no end before the end: {losses}"
        found = run(graph, epochs=12, patience=patience)
        last = ago.index(patience) + 1
        assert [point.valid_loss for point in found.curve[1:]] == losses[:last]
        assert found.updates == 5 * last


def test_dropout_is_a_function_of_the_seed_and_the_update() -> None:
    """The seed may be any whole number, however large."""
    graph = graph_of(dropout=0.3)
    state = graph.zero_state()
    with graph.session(threads=1) as session:
        for number, (inputs, targets) in enumerate(itertools.islice(TASK.blocks(3, 4), 3)):
            feed = graph.feed(inputs, targets, state) | {graph.dropout_seed: [3, number]}
            state, _ = session.run([graph.final_state, graph.train_step], feed)
        expected = session.run(list(graph.variables))
    weights = {seed: list(run(graph, updates=3, seed=seed).weights.values()) for seed in (3, 4, 2**80 + 6)}
    assert_close(weights.pop(3), expected, 0, "weights")
    for seed, other in weights.items():
        assert any((a != b).any() for a, b in zip(other, expected, strict=True)), f"seeds 3 and {seed}"


class OneBased(Task):
    """Classes 1, 2, 3 of 3."""

    name = "one-based"
    input_size = num_classes = 3

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        classes = np.arange(60, dtype=np.int32) % 3 + 1
        return Stream(classes - 1, classes)

    def options(self) -> dict[str, Any]:
        return {}


ADDING = Adding(6, length=240, valid_length=60)
REAL: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
ONLY_SOME = "loss_steps must be 'marked' for the task adding, which has targets at some steps only; "


@pytest.mark.parametrize(
    ("task", "sizes", "options", "message"),
    [
        (TASK, (1, 3, 3, 2), {}, "input_size must be 2 for the task echo, the graph has 3"),
        (TASK, (1, 3, 2, 5), {}, "num_classes must be 2 for the task echo, the graph has 5"),
        (TASK, (1, 3, 2, 2), {"input_kind": "real"}, "input_kind must be 'classes' for the task echo, "),
        (TASK, (4, 3, 2, 2), {"optimizer": None}, "graph must have an optimizer to be trained, "),
        (TASK, (1, 63, 2, 2), {}, "batch_size must be at most 62 for the 62 tokens of split 'train', got 63"),
        (TASK, (21, 3, 2, 2), {}, "num_steps must be at most 20 (the 62 tokens of split 'train' cut into "),
        (ADDING, (2, 3, 2, 1), REAL | {"loss_steps": "all"}, ONLY_SOME + "the graph has 'all'"),
        (ADDING, (2, 3, 2, 1), REAL | {"loss_steps": "last"}, ONLY_SOME + "the graph has 'last'"),
        (OneBased(), (1, 3, 3, 3), {}, "targets of split 'train' must be classes from 0 to 2, got "),
    ],
)
def test_a_graph_data_and_a_plan_that_do_not_fit_are_refused_before_training(
    tmp_path: Path, task: Task, sizes: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        train(graph_of(sizes=sizes, **options), task, updates=1, out=tmp_path / "out", callbacks=())
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_is_none_is_refused() -> None:
    wrong: dict[str, Any] = {"truncation": "sliding", "schedule": 0.5, "seed": None, "state": "keep"}
    for name, value in wrong.items():
        with pytest.raises(OptionError, match=rf"^{name} must be .*{re.escape(repr(value))}$"):
            train(graph_of(), TASK, updates=1, callbacks=(), **{name: value})


BUDGETS = [{"epochs": 3}, {"epochs": 2.3}, {"updates": 13}, {"tokens": 150}, {"seconds": 1e-9}]


@pytest.mark.parametrize(
    ("style", "budget"),
    [
        pytest.param(style, budget, marks=() if number == place else pytest.mark.slow)
        for number, style in enumerate(["block", "sliding", "random", "adaptive", "full"])
        for place, budget in enumerate(BUDGETS)
        if (place - number) % len(BUDGETS) in (0, 2)
    ],
)
def test_no_report_counts_past_its_end(
    style: str, budget: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs and steps, of a run and of its rest, also at another width and with other rows.

    Rows of 20 steps do not come out even, and an adaptive epoch has many more windows than blocks.
    """
    monkeypatch.setattr("tf_rnn.training.loop.TensorBoard", lambda *_: Callback())
    truncation = Truncation(style, stride=1 if "updates" in budget else 3, seed=5)
    folder = tmp_path / "run"
    run(truncation=truncation, updates=7, out=folder)
    for number, (width, rows) in enumerate([(4, 3), (3, 2)]):
        notes = Notebook()
        copy = shutil.copytree(folder, tmp_path / str(number))
        graph = graph_of(sizes=(width, rows, 2, 2))
        result = run(graph, truncation=truncation, callbacks=[notes], resume=copy, **budget)
        shown = [(report.epoch, report.epochs, report.step, report.steps) for report in notes.reports]
        for epoch, epochs, step, steps in shown:
            assert epochs is None or epoch <= epochs, shown
            assert steps is None or 1 <= step <= steps, shown
        if shown:
            last = shown[-1]
            assert last[1] in (None, last[0]), f"{shown}, {result.curve}"
            assert (last[3] is None) == (style in ("random", "adaptive"))
            if "updates" in budget and style not in ("random", "adaptive"):
                assert last[2] == last[3], shown
