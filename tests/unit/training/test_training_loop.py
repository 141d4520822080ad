"""`train` is the loop of the notes: the same losses, states and weights, to the last bit."""

from __future__ import annotations

import itertools
import math
import pickle
import re
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pytest

from tf_rnn import cells
from tf_rnn._tensorflow import tf
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Adding, Echo, Stream, Task
from tf_rnn.training import (
    Callback,
    CurvePoint,
    DivergedError,
    Evaluator,
    Progress,
    Truncation,
    session_loop,
    train,
)
from tf_rnn.training.stepper import Step, Stepper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


# 5 blocks an epoch of 3 rows times 4 steps; 2 tokens stay over.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=9)
UPDATES = 12  # into the third epoch
CELLS: dict[str, Any] = {"vanilla": lambda: cells.VanillaCell(6), "lstm": lambda: cells.LSTMCell(5)}


def make_graph(cell: str = "vanilla", **options: Any) -> UnrolledGraph:
    return UnrolledGraph(CELLS[cell](), 4, 3, 2, 2, **({"seed": 7} | options))


class Trained(NamedTuple):
    epochs: list[int]
    losses: list[float]
    final_states: list[Any]
    weights: list[Any]


def epochs_of_blocks(epochs: Iterator[int]) -> Iterator[tuple[int, list[Any]]]:
    for epoch in epochs:
        yield epoch, list(TASK.blocks(3, 4, epoch=epoch))


def hand_written(
    graph: UnrolledGraph, session: Any, *, resets: bool, carries_over: bool = False, fresh: bool = True
) -> Trained:
    """The loop of the notes; the last two arguments are the mistakes that one could make in it."""
    numbers, losses, final_states = [], [], []
    state = graph.zero_state()
    for epoch, blocks in epochs_of_blocks(itertools.count() if fresh else itertools.repeat(0)):
        if not carries_over:
            state = graph.zero_state()
        for inputs, targets in blocks:
            if resets:
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
    raise AssertionError("the blocks came to an end")


def by_hand(cell: str, **options: bool) -> Trained:
    graph = make_graph(cell)
    with graph.session(threads=1) as session:
        return hand_written(graph, session, **options)


def assert_equal(found: Any, expected: Any) -> None:
    flat, flat_expected = tf.nest.flatten(found), tf.nest.flatten(expected)
    for one, other in zip(flat, flat_expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_session_loop_is_the_loop_of_the_notes(cell: str, state: str) -> None:
    expected = by_hand(cell, resets=state == "reset")
    graph = make_graph(cell)
    with graph.session(threads=1) as session:
        updates = list(itertools.islice(session_loop(graph, TASK, session, state), UPDATES))
        weights = session.run(list(graph.variables))
    assert [update.epoch for update in updates] == expected.epochs == [1] * 5 + [2] * 5 + [3] * 2
    assert [update.loss for update in updates] == expected.losses
    assert_equal([update.final_state for update in updates], expected.final_states)
    assert_equal(weights, expected.weights)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_train_is_the_loop_of_the_notes(state: str) -> None:
    expected = by_hand("lstm", resets=state == "reset")
    graph = make_graph("lstm")
    with graph.session(threads=1) as session:
        result = train(
            graph,
            TASK,
            updates=UPDATES,
            state=state,
            evaluations=UPDATES,
            session=session,
            callbacks=(),
        )
    assert [point.train_loss for point in result.curve[1:]] == expected.losses
    assert_equal(result.final_state, expected.final_states[-1])
    assert type(result.final_state) is cells.LSTMState
    assert list(result.weights) == ["layer_0/W", "layer_0/b", "readout/U", "readout/b_p"]
    assert_equal(list(result.weights.values()), expected.weights)
    assert (result.updates, result.tokens) == (UPDATES, 12 * UPDATES)


def test_the_wrong_loops_would_be_noticed() -> None:
    """State kept over the epoch's border, old data, the other state: each changes the losses."""
    right = by_hand("vanilla", resets=False).losses
    reset = by_hand("vanilla", resets=True).losses
    kept = by_hand("vanilla", resets=False, carries_over=True).losses
    stale = by_hand("vanilla", resets=False, fresh=False).losses
    assert reset[0] == right[0]
    assert reset[1] != right[1], f"{reset[1]} with a state of zero, {right[1]} with the one before"
    assert kept[:5] == stale[:5] == right[:5]
    assert kept[5] != right[5], f"{kept[5]} with the last epoch's state, {right[5]} without"
    assert stale[5] != right[5], f"{stale[5]} on the last epoch's data, {right[5]} on fresh ones"


def test_evaluations_leave_training_as_it_is() -> None:
    weights = []
    for evaluations in (1, UPDATES):
        graph = make_graph()
        with graph.session(threads=1) as session:
            result = train(
                graph,
                TASK,
                updates=UPDATES,
                evaluations=evaluations,
                session=session,
                callbacks=(),
            )
        weights.append(list(result.weights.values()))
    assert_equal(*weights)


def test_an_open_session_keeps_its_values_before_and_after() -> None:
    expected, graph = make_graph(), make_graph()
    with expected.session(threads=1) as session:
        hand_written(expected, session, resets=False)
        second = hand_written(expected, session, resets=False)
    with graph.session(threads=1) as session:
        options = {"updates": UPDATES, "evaluations": UPDATES, "session": session}
        train(graph, TASK, callbacks=(), **options)
        result = train(graph, TASK, callbacks=(), **options)
        assert_equal(session.run(list(graph.variables)), list(result.weights.values()))
    assert [point.train_loss for point in result.curve[1:]] == second.losses
    assert_equal(list(result.weights.values()), second.weights)


def test_without_a_session_training_starts_from_the_initial_weights() -> None:
    graph = make_graph()
    first, second = (train(graph, TASK, updates=3, callbacks=()) for _ in range(2))
    assert first.curve[0].valid_loss == second.curve[0].valid_loss
    assert_equal(list(first.weights.values()), list(second.weights.values()))


def test_the_curve_is_what_the_evaluator_says() -> None:
    graph = make_graph()
    evaluator = Evaluator(graph, TASK, "reset")
    with graph.session(threads=1) as session:
        before = evaluator(session)
        result = train(graph, TASK, updates=3, state="reset", session=session, callbacks=())
        after = evaluator(session)
    assert result.curve[0].valid_loss == before.loss
    assert result.evaluation == after
    assert result.curve[-1].valid_loss == after.loss != before.loss


def test_reduction_sum_reports_the_loss_of_a_step() -> None:
    shown = [
        train(make_graph(reduction=reduction), TASK, updates=1, callbacks=()).curve[-1].train_loss
        for reduction in ("mean", "sum")
    ]
    assert shown[1] == pytest.approx(shown[0], rel=1e-6)


class Notebook(Callback):
    """Writes everything down."""

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


def test_a_callback_gets_every_report_that_is_due() -> None:
    notes = Notebook()
    result = train(make_graph(), TASK, updates=8, evaluations=4, callbacks=[notes])
    assert notes.calls == ["enter", "exit"]
    assert [report.updates for report in notes.reports] == list(range(1, 9))
    assert [report.epoch for report in notes.reports] == [1] * 5 + [2] * 3
    assert [report.fraction for report in notes.reports] == [k / 8 for k in range(1, 9)]
    losses = by_hand("vanilla", resets=False).losses[:8]
    assert [report.loss for report in notes.reports] == losses
    evaluated = [0, 0, 2, 2, 4, 4, 6, 6]  # a report comes before the evaluation
    by_updates = {point.updates: point.valid_loss for point in result.curve}
    assert [report.valid_loss for report in notes.reports] == [by_updates[k] for k in evaluated]
    assert all(report.tokens_per_second > 0 for report in notes.reports)
    assert notes.reports[-1].seconds_left == 0
    assert all(report.seconds_left > 0 for report in notes.reports[:-1])


def test_a_callback_gets_every_point_of_the_curve_with_the_weights_that_it_is_of() -> None:
    graph = make_graph()
    notes = Notebook(graph.variables)
    with graph.session(threads=1) as session:
        start = session.run(list(graph.variables))
        result = train(graph, TASK, epochs=2.5, session=session, callbacks=[notes])
    assert [point.updates for point in notes.points] == [0, 5, 10, 12]
    assert [point.epoch for point in notes.points] == [0, 1, 2, 3]
    assert notes.points[1:] == result.curve[1:]
    assert_equal(notes.values[0], start)
    assert_equal(notes.values[-1], list(result.weights.values()))
    assert (notes.values[1][0] != notes.values[2][0]).any()


def test_the_end_of_each_epoch_is_evaluated_and_the_very_end() -> None:
    """By default; what `evaluations` spreads evenly need not be at an epoch's end."""
    result = train(make_graph(), TASK, updates=UPDATES, callbacks=())
    assert [(point.epoch, point.updates) for point in result.curve] == [(0, 0), (1, 5), (2, 10), (3, 12)]
    result = train(make_graph(), TASK, updates=UPDATES, evaluations=2, callbacks=())
    assert [(point.epoch, point.updates) for point in result.curve] == [(0, 0), (2, 6), (3, 12)]


def test_patience_ends_a_run() -> None:
    """After so many evaluations without a lower loss: the same curve, cut off there."""
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 3.0}
    whole = train(make_graph(**options), TASK, epochs=12, callbacks=()).curve
    losses = [point.valid_loss for point in whole[1:]]
    for patience in (1, 2):
        lowest = [min(losses[: end + 1]) for end in range(len(losses))]
        ago = [end - losses.index(lowest[end]) for end in range(len(losses))]
        assert patience in ago[:-1], f"no end before the end: {losses}"
        expected = whole[: ago.index(patience) + 2]
        found = train(make_graph(**options), TASK, epochs=12, patience=patience, callbacks=())
        assert [point.valid_loss for point in found.curve] == [point.valid_loss for point in expected]
        assert found.updates == expected[-1].updates


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience must be a whole number of at least 1, got 0"),
        ({"patience": 1.5}, "patience must be a whole number of at least 1, got 1.5"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number of at least 0, got None"),
        ({"evaluations": 0}, "evaluations must be a whole number of at least 1, got 0"),
        ({"truncation": "sliding"}, "truncation must be a tf_rnn.Truncation, got 'sliding'"),
        ({"schedule": 0.5}, "schedule must be a tf_rnn.Schedule, got 0.5"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        train(make_graph(), TASK, updates=1, callbacks=(), **options)


def test_what_dropout_drops_is_a_function_of_the_seed_and_the_update() -> None:
    """By hand; the seed may be any whole number, however large."""
    graph = make_graph(dropout=0.3)

    def trained(seed: int) -> list[Any]:
        with graph.session(threads=1) as session:
            train(graph, TASK, updates=3, seed=seed, session=session, callbacks=())
            return list(session.run(list(graph.variables)))

    state = graph.zero_state()
    with graph.session(threads=1) as session:
        for number, (inputs, targets) in enumerate(itertools.islice(TASK.blocks(3, 4), 3)):
            feed = graph.feed(inputs, targets, state) | {graph.dropout_seed: [3, number]}
            state, _ = session.run([graph.final_state, graph.train_step], feed)
        expected = session.run(list(graph.variables))
    assert_equal(trained(3), expected)
    for seed in (4, 2**80 + 6):
        other = trained(seed)
        assert any((a != b).any() for a, b in zip(other, expected, strict=True)), f"seeds 3 and {seed}"


def test_a_short_run_reports_its_end() -> None:
    class Seldom(Notebook):
        report_seconds = 1e9

    notes = Seldom()
    train(make_graph(), TASK, updates=3, callbacks=[notes])
    assert [(report.updates, report.fraction) for report in notes.reports] == [(3, 1.0)]


def explosive(**options: Any) -> UnrolledGraph:
    """A graph whose weights are no longer finite after one update."""
    return make_graph(optimizer="sgd", learning_rate=3e38, **options)


ADVICE = "limit the gradient's norm with clip_norm, or lower learning_rate"


def first_norm() -> float:
    """The norm of the first update's gradient, which is that of `explosive` too."""
    graph = make_graph()
    with graph.session() as session:
        return next(session_loop(graph, TASK, session)).gradient_norm


def test_a_loss_that_is_not_finite_names_the_update_and_the_largest_norm() -> None:
    graph = explosive()
    with graph.session() as session:
        norms = [update.gradient_norm for update in itertools.islice(session_loop(graph, TASK, session), 2)]
    assert norms[0] == first_norm() < norms[1], norms
    message = (
        "the loss is inf at update 2 (epoch 1), "
        f"after gradients that grew to a norm of {norms[1]:.3g}; by lag, with the weights after update 0, "
    )
    notes = Notebook()
    with pytest.raises(DivergedError, match=f"^{re.escape(message)}.*; {ADVICE}$") as caught:
        train(explosive(), TASK, updates=UPDATES, evaluations=1, callbacks=[notes])
    assert (caught.value.update, caught.value.epoch) == (2, 1)
    assert (caught.value.loss, caught.value.largest_norm) == (math.inf, norms[1])
    assert notes.calls == ["enter", "exit after DivergedError"]


def test_a_held_out_loss_that_is_not_finite_names_the_update() -> None:
    """The last update may spoil the weights: then no training loss tells."""
    message = (
        f"the loss is inf at update 1 (epoch 1), after gradients that grew to a norm of {first_norm():.3g}"
    )
    with pytest.raises(DivergedError, match=f"^{re.escape(message)}; by lag, .*; {ADVICE}$"):
        train(explosive(), TASK, updates=1, callbacks=())


def test_weights_that_are_spoilt_from_the_start_are_told() -> None:
    """An open session may hold anything; there was no update and no gradient to speak of."""
    graph = make_graph()
    with graph.session() as session:
        graph.variables[0].load(np.full(graph.variables[0].shape, np.nan), session)
        with pytest.raises(
            DivergedError, match=f"^{re.escape(f'the loss is nan before any update; {ADVICE}')}$"
        ):
            train(graph, TASK, updates=1, session=session, callbacks=())


def test_the_update_counts_over_epochs_and_the_norm_is_the_largest_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    norms = iter([0.25, 6.5, 2.0, 0.5, 0.125, 0.75, math.nan])
    take = Stepper.__call__

    def with_norm(*arguments: Any, **fed: Any) -> Step:
        step, norm = take(*arguments, **fed), next(norms)
        return step._replace(gradient_norm=norm, loss=math.inf if math.isnan(norm) else step.loss)

    monkeypatch.setattr(Stepper, "__call__", with_norm)
    message = "the loss is inf at update 7 (epoch 2), after gradients that grew to a norm of 6.5; "
    with pytest.raises(DivergedError, match=f"^{re.escape(message)}"):
        train(make_graph(), TASK, updates=UPDATES, callbacks=())


def test_the_norm_is_that_before_clipping() -> None:
    graph = make_graph(optimizer="sgd", learning_rate=1e-3, clip_norm=1e-3)
    with graph.session() as session:
        update = next(session_loop(graph, TASK, session))
    assert update.gradient_norm == first_norm() > 1e-3, update.gradient_norm


def test_the_error_passes_from_process_to_process() -> None:
    error = pickle.loads(pickle.dumps(DivergedError(math.inf, 12, 3, 4.5)))
    assert str(error) == str(DivergedError(math.inf, 12, 3, 4.5))
    assert (error.loss, error.update, error.epoch, error.largest_norm) == (math.inf, 12, 3, 4.5)


@pytest.mark.parametrize(
    ("update", "norm", "words"),
    [
        (12, 1234.0, "at update 12 (epoch 3), after gradients that grew to a norm of 1.23e+03"),
        (12, math.inf, "at update 12 (epoch 3), after gradients that grew to a norm of inf"),
        (12, 0.0, "at update 12 (epoch 3)"),  # none was finite
        (0, 0.0, "before any update"),
    ],
)
def test_the_words_of_the_error(update: int, norm: float, words: str) -> None:
    assert str(DivergedError(math.nan, update, 3, norm)) == f"the loss is nan {words}; {ADVICE}"


def test_a_limited_gradient_does_not_diverge() -> None:
    graph = make_graph(optimizer="sgd", learning_rate=3e38, clip_norm=1e-38)
    result = train(graph, TASK, updates=UPDATES, callbacks=())
    assert math.isfinite(result.evaluation.loss)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((3, 2), {}, "input_size must be 2 for the task echo, the graph has 3"),
        ((2, 5), {}, "num_classes must be 2 for the task echo, the graph has 5"),
        (
            (2, 2),
            {"input_kind": "real"},
            "input_kind must be 'classes' for the task echo, the graph has 'real'",
        ),
        ((2, 2), {"optimizer": None}, "graph must have an optimizer to be trained, got optimizer=None"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(
    sizes: tuple[int, int], options: dict[str, Any], message: str
) -> None:
    graph = UnrolledGraph(cells.VanillaCell(6), 4, 3, *sizes, **options)
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        train(graph, TASK, updates=1, callbacks=())


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^state must be one of carry, reset; got 'keep'$"):
        train(make_graph(), TASK, updates=1, state="keep", callbacks=())


def test_a_batch_larger_than_the_data_is_refused() -> None:
    graph = UnrolledGraph(cells.VanillaCell(6), 4, 63, 2, 2)
    message = "batch_size must be at most 62 for the 62 tokens of split 'train', got 63"
    with pytest.raises(OptionError, match=f"^{message}$"):
        train(graph, TASK, updates=1, callbacks=())


def test_a_width_larger_than_the_rows_is_refused() -> None:
    graph = UnrolledGraph(cells.VanillaCell(6), 21, 3, 2, 2)
    message = "num_steps must be at most 20 (the 62 tokens of split 'train' cut into 3 rows), got 21"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        train(graph, TASK, updates=1, callbacks=())


def test_a_task_with_marked_targets_needs_a_graph_with_marked_losses(tmp_path: Path) -> None:
    """Without them the loss would be nan, as if training had diverged."""
    task = Adding(6, length=240, valid_length=60)
    options: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
    for loss_steps in ("all", "last"):
        graph = UnrolledGraph(cells.VanillaCell(3), 6, 3, 2, 1, loss_steps=loss_steps, **options)
        message = (
            "loss_steps must be 'marked' for the task adding, which has targets at some steps only; "
            f"the graph has {loss_steps!r}"
        )
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            train(graph, task, updates=1, out=tmp_path / "out", callbacks=())
    assert list(tmp_path.iterdir()) == []


class Series(Adding):
    """Real inputs, of which one may be spoilt in an epoch or in validation data."""

    spoilt: tuple[str, int, str] = ("", 0, "")
    value = math.nan

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        stream = super().stream(split, epoch)
        where, at, name = self.spoilt
        if (split, epoch if split == "train" else 0) == (where, at):
            getattr(stream, name)[333] = self.value
        return stream


@pytest.mark.parametrize(
    ("spoilt", "value"),
    [
        (("train", 0, "inputs"), math.nan),
        (("train", 0, "targets"), math.inf),
        (("valid", 0, "inputs"), -math.inf),
        (("train", 1, "inputs"), math.inf),
    ],
)
def test_data_that_are_not_finite_are_named(tmp_path: Path, spoilt: Any, value: float) -> None:
    """Before training, if they are in the first epoch; training is not to blame."""
    task = Series(6, length=600, valid_length=600)
    options: dict[str, Any] = {
        "input_kind": "real",
        "loss": "squared_error",
        "loss_steps": "marked",
        "seed": 1,
    }
    graph = UnrolledGraph(cells.VanillaCell(3), 6, 3, 2, 1, **options)
    train(graph, task, updates=1, callbacks=())
    task.spoilt, task.value = spoilt, value
    split, epoch, name = spoilt
    message = f"{name} of split {split!r} must be finite, got {value} at step 333"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        train(graph, task, epochs=2, out=tmp_path / "out", callbacks=())
    assert (tmp_path / "out").exists() == (epoch == 1)


# --- counts that are shown ------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["block", "sliding", "random", "adaptive", "full"])
@pytest.mark.parametrize(
    "budget", [{"epochs": 3}, {"epochs": 2.3}, {"updates": 13}, {"tokens": 150}, {"seconds": 1e-9}]
)
def test_no_report_counts_past_its_end(style: str, budget: dict[str, float], tmp_path: Path) -> None:
    """Epochs and steps, of a run and of its rest at another width and with other rows.

    Rows of 20 steps do not come out even, and an adaptive epoch has many more windows than blocks.
    """
    truncation = Truncation(style, stride=1 if "updates" in budget else 3, seed=5)
    sizes, folder = [(4, 3), (4, 3), (3, 3), (4, 2)], tmp_path / "run"
    for number, (width, rows) in enumerate(sizes):
        notes = Notebook()
        graph = UnrolledGraph(cells.VanillaCell(5), width, rows, 2, 2, seed=7)
        given: dict[str, Any] = {"out": folder, "updates": 7} if number == 0 else {"resume": folder, **budget}
        copy = shutil.copytree(folder, tmp_path / str(number)) if number else folder
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("tf_rnn.training.loop.TensorBoard", lambda *_: Callback())
            result = train(
                graph,
                TASK,
                truncation=truncation,
                callbacks=[notes],
                **given | {"resume": copy} if number else given,
            )
        shown = [(report.epoch, report.epochs, report.step, report.steps) for report in notes.reports]
        for epoch, epochs, step, steps in shown:
            assert epochs is None or epoch <= epochs, shown
            assert steps is None or 1 <= step <= steps, shown
        if shown:
            last = shown[-1]
            assert last[1] in (None, last[0]), f"{shown}, {result.curve}"
            assert (last[3] is None) == (style in ("random", "adaptive"))
            if "updates" in given and style not in ("random", "adaptive"):
                assert last[2] == last[3], shown


class OneBased(Task):
    """Classes 1, 2, 3 of 3, or no validation data."""

    name = "one-based"
    input_size = num_classes = 3
    valid_length = 60

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        classes = np.arange(60 if split == "train" else self.valid_length, dtype=np.int32) % 3 + 1
        return Stream(classes - 1, classes)

    def options(self) -> dict[str, Any]:
        return {}


def test_classes_out_of_range_and_missing_data_are_named_before_training(tmp_path: Path) -> None:
    graph, out = UnrolledGraph(cells.VanillaCell(2), 4, 3, 3, 3), tmp_path / "run"
    with pytest.raises(OptionError, match=r"^targets of split 'train' must be classes from 0 to 2, got "):
        train(graph, OneBased(), updates=1, callbacks=(), out=out)
    task = OneBased()
    task.num_classes, task.valid_length = 4, 0
    with pytest.raises(OptionError, match=r"^task must have data in the split 'valid', got none$"):
        train(UnrolledGraph(cells.VanillaCell(2), 4, 3, 3, 4), task, updates=1, callbacks=(), out=out)
    assert not out.exists()
