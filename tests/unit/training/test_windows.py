"""Truncation styles in training: options, windows cut from rows, counts, losses, repeatability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close, chessboard

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph import make_graph as make_graph_of
from tf_rnn.graph.lags import gradient_norms
from tf_rnn.options import STYLES as STYLE_NAMES
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Adding, Echo, Influence
from tf_rnn.training import DivergedError, Truncation, session_loop, train
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.stepper import Stepper
from tf_rnn.truncation import Style, Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tf_rnn.training import TrainingResult

# 3 rows of 20 steps; 2 tokens stay over.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=9)
BATCH, STEPS, LENGTH = 3, 4, 20
EVERY_STYLE = pytest.mark.parametrize("style", STYLE_NAMES)


def make_graph(num_steps: int = STEPS, cell: Any = None, **options: Any) -> UnrolledGraph:
    return UnrolledGraph(cell or VanillaCell(5), num_steps, BATCH, 2, 2, **({"seed": 7} | options))


def run(truncation: Truncation, graph: UnrolledGraph | None = None, **budget: Any) -> TrainingResult:
    graph = graph or make_graph()
    with graph.session(threads=1) as session:
        return train(graph, TASK, session=session, truncation=truncation, callbacks=(), **budget)


# --- options -------------------------------------------------------------------------------------


def test_a_stride_beyond_the_width_is_refused_where_it_matters() -> None:
    graph = make_graph()
    Truncation("sliding", stride=4).check(graph)
    Truncation("block", stride=5).check(graph)
    message = r"^stride must be from 1 to num_steps \(4\), got 5$"
    with pytest.raises(OptionError, match=message):
        Truncation("sliding", stride=5).check(graph)
    with pytest.raises(OptionError, match=message):
        train(graph, TASK, updates=1, truncation=Truncation("sliding", stride=5), callbacks=())


def test_a_row_too_long_for_a_graph_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    graph, out = make_graph(), tmp_path / "run"
    monkeypatch.setattr("tf_rnn.setup.LARGEST_WIDTH", LENGTH - 1)
    message = "^style must be another than 'full' where a row has more than 19 steps; here it has 20$"
    with pytest.raises(OptionError, match=message):
        train(graph, TASK, updates=1, truncation=Truncation("full"), callbacks=(), out=out)
    assert not out.exists()
    train(graph, TASK, updates=1, truncation=Truncation("block"), callbacks=())
    monkeypatch.setattr("tf_rnn.setup.LARGEST_WIDTH", LENGTH)
    train(graph, TASK, updates=1, truncation=Truncation("full"), callbacks=())


def test_a_width_of_1_cannot_adapt() -> None:
    Truncation("adaptive").check(make_graph(2))
    message = r"^num_steps must be at least 2 for the style adaptive, got 1$"
    with pytest.raises(OptionError, match=message):
        train(make_graph(1), TASK, updates=1, truncation=Truncation("adaptive"), callbacks=())


@EVERY_STYLE
@pytest.mark.parametrize("loss_steps", ["marked", "last", 3])
def test_losses_at_some_steps_need_blocks_or_whole_rows(style: str, loss_steps: str | int) -> None:
    task = Adding(span=5, length=60, valid_length=20)
    graph = UnrolledGraph(
        VanillaCell(4), 5, 3, 2, 1, input_kind="real", loss="squared_error", loss_steps=loss_steps
    )
    truncation = Truncation(style)
    if style in ("block", "full"):
        truncation.check(graph)
        if loss_steps == "marked":
            result = train(graph, task, updates=2, truncation=truncation, callbacks=())
            assert result.tokens == 2 * 3 * {"block": 5, "full": 20}[style]
        made = truncation.of(graph, 20).windows(0, lambda _: np.ones(5))
        assert next(made).graph.options.loss_steps == loss_steps, "a wider graph counts the same losses"
        return
    option = "style" if loss_steps == "marked" else "loss_steps"
    with pytest.raises(OptionError, match=f"^{option} must be ") as refused:
        train(graph, task, updates=2, truncation=truncation, callbacks=())
    assert refused.value.option == option


def test_a_setup_counts_all_losses_where_its_style_needs_them() -> None:
    """Influence balancing has one loss at the end of each block, and blocks are what "random" has not."""
    for style in STYLE_NAMES:
        setup = Setup(task="influence", cell="influence", style=style)
        graph = make_graph_of(setup, Influence(length=50, valid_length=210), 4, seed=0)
        assert graph.options.loss_steps == ("last" if style in ("block", "full") else "all")
        Truncation(style).check(graph)


# --- runs and probes -------------------------------------------------------------------------------


def test_a_run_is_a_training_step_and_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []
    runner = UnrolledGraph.runner

    def counting(graph: UnrolledGraph, *arguments: Any, **options: Any) -> Any:
        prepared.append(graph.num_steps)
        return runner(graph, *arguments, **options)

    monkeypatch.setattr(UnrolledGraph, "runner", counting)
    graph, rows = make_graph(), TASK.rows(BATCH)
    with graph.session(threads=1) as session:
        runs = Stepper(session)
        first = Window(graph, 2, 4, 1, graph.states[0])
        before = session.run(list(graph.variables))
        feed = graph.feed(*rows.steps(2, 6), graph.zero_state())
        expected = session.run([graph.total_loss, graph.gradient_norm, graph.states[0]], feed)
        assert_close(list(runs(first, rows, graph.zero_state())), expected, 0, "loss, norm, state")
        assert any((a != b).any() for a, b in zip(before, session.run(list(graph.variables)), strict=True))
        runs(first._replace(start=3), rows, graph.zero_state())
        assert prepared == [4]
        runs(first._replace(next_state=graph.final_state), rows, graph.zero_state())
        assert prepared == [4, 4]


@pytest.mark.parametrize("style", ["block", "random"])
def test_a_run_is_fed_its_controls(style: str) -> None:
    """After whatever the window itself is fed: a rate of 0 moves nothing, a rate of 1 the gradient."""
    graph, rows = make_graph(optimizer="sgd", dropout=0.5), TASK.rows(BATCH)
    window = next(Truncation(style).of(graph, LENGTH).windows(0, lambda _: np.ones(STEPS)))
    seed = np.array([3, 1], np.int32)
    with graph.session(threads=1) as session:
        runs = Stepper(session, ("learning_rate", "dropout_seed"))
        before = session.run(list(graph.variables))
        first, *_ = runs(window, rows, graph.zero_state(), learning_rate=0.0, dropout_seed=seed)
        assert_close(session.run(list(graph.variables)), before, 0, "variables")
        again, *_ = runs(window, rows, graph.zero_state(), learning_rate=1.0, dropout_seed=seed)
        assert again == first, f"{again}, not {first} with the same seed"
        session.run(tf.variables_initializer(graph.variables))
        other, *_ = runs(window, rows, graph.zero_state(), learning_rate=0.0, dropout_seed=seed + 1)
        assert other != first, f"{other} with either seed"


@pytest.mark.parametrize(
    ("start", "most", "positions"),
    [(0, 4, [0, 4, 8, 12]), (3, 4, [3, 7, 11, 15]), (13, 4, [13]), (0, 2, [0, 4])],
)
@pytest.mark.parametrize("cell", [VanillaCell, LSTMCell])
def test_the_probe_is_the_gradient_by_lag_over_a_few_blocks(
    cell: Any, start: int, most: int, positions: list[int]
) -> None:
    graph, rows = make_graph(cell=cell(5), dtype="float64"), TASK.rows(BATCH)
    state = tf.nest.map_structure(lambda zeros: zeros + 0.25, graph.zero_state())
    with graph.session() as session:
        before = session.run(list(graph.variables))
        found = GradientProbe(graph, session, most).norms(rows, start, state)
        norms, expected = gradient_norms(graph), []
        for position in positions:
            feed = graph.feed(*rows.steps(position, position + STEPS), state)
            block, state = session.run([norms, graph.final_state], feed)
            expected.append(block.mean(axis=1))
        assert_close(session.run(list(graph.variables)), before, 0, "variables")
    assert_close(found, np.mean(expected, axis=0), 1e-15, "norms")


# --- counts --------------------------------------------------------------------------------------


class Outline:
    """As much of a graph as a style looks at."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self.states = list(range(num_steps))
        self.final_state = num_steps - 1
        self.loss_scale = 1.0

    def with_steps(self, num_steps: int, loss_steps: str | int | None = None) -> Outline:
        return Outline(num_steps)


def outlined(style: str, num_steps: int, stride: int, length: int) -> tuple[Style, list[Window]]:
    made = Truncation(style, stride).of(Outline(num_steps), length)
    return made, list(made.windows(0, lambda _: np.ones(num_steps)))


def sizes() -> Iterator[tuple[int, int, int]]:
    for num_steps in range(1, 6):
        for stride in range(1, num_steps + 1):
            for length in range(num_steps, 14):
                yield num_steps, stride, length


@pytest.mark.parametrize("style", ["block", "sliding", "full"])
def test_an_epoch_counts_as_many_steps_as_its_windows(style: str) -> None:
    for num_steps, stride, length in sizes():
        made, windows = outlined(style, num_steps, stride, length)
        where = f"{style}, width {num_steps}, stride {stride}, row of {length}"
        counted = [window.new_steps for window in windows]
        assert made.steps_per_epoch == sum(counted), where
        usual = made.steps_per_update
        # The first window of a row may count more than the others, since none was before it.
        assert set(counted[1:]) <= {usual}, where
        assert counted[0] == (num_steps if style == "sliding" else usual), where


@pytest.mark.parametrize("style", ["block", "sliding", "full", "adaptive"])
def test_windows_count_every_step_once_and_hand_on_the_state_before_the_next(style: str) -> None:
    for num_steps, stride, length in sizes():
        counted: list[int] = []
        start = 0
        for window in outlined(style, num_steps, stride, length)[1]:
            where = f"{style}, width {num_steps}, stride {stride}, row of {length}: {window.start}"
            assert window.start == start, where
            end = window.start + window.graph.num_steps
            assert end <= length, where
            counted += range(end - window.new_steps, end)
            assert window.next_state == window.advance - 1, where
            start += window.advance
        assert counted == list(range(len(counted))), f"{style}, {num_steps}, {stride}, {length}: {counted}"
        left_over = {"block": num_steps, "sliding": stride, "full": 1, "adaptive": num_steps}[style]
        assert length - left_over < len(counted) <= length, (style, num_steps, stride, length)


# Tokens of an epoch: rows times steps that have their errors counted.
@pytest.mark.parametrize(
    ("style", "stride", "updates", "steps"),
    [
        ("block", 1, 5, 20),
        ("full", 1, 1, 20),
        ("sliding", 1, 17, 20),
        ("sliding", 2, 9, 20),
        ("sliding", 3, 6, 19),
        ("sliding", 4, 5, 20),
    ],
)
def test_train_counts_an_epoch(style: str, stride: int, updates: int, steps: int) -> None:
    truncation = Truncation(style, stride=stride)
    graph = make_graph()
    with graph.session() as session:
        counted = []
        for update in session_loop(graph, TASK, session, truncation=truncation):
            if update.epoch == 2:
                break
            counted.append(update.tokens)
    assert (len(counted), sum(counted)) == (updates, BATCH * steps)
    made = truncation.of(graph, LENGTH)
    usual = made.steps_per_update
    spent = np.cumsum(counted)
    enough = int(np.argmax(spent >= made.steps_per_epoch // usual * BATCH * usual)) + 1
    result = run(truncation, epochs=1)
    assert (result.updates, result.tokens) == (enough, spent[enough - 1])
    assert updates - result.updates < STEPS / stride, "the first window counts for several updates, no more"


@pytest.mark.parametrize("style", ["random", "adaptive"])
def test_train_counts_what_the_windows_count(style: str) -> None:
    result = run(Truncation(style, seed=3), tokens=150)
    graph = make_graph()
    spent, updates = 0, 0
    with graph.session(threads=1) as session:
        for update in session_loop(graph, TASK, session, truncation=Truncation(style, seed=3)):
            spent, updates = spent + update.tokens, updates + 1
            if spent >= 150 // (BATCH * STEPS) * BATCH * STEPS:
                break
    assert (result.tokens, result.updates) == (spent, updates)
    assert result.tokens >= 144


def test_random_segments_fill_every_row() -> None:
    graph = make_graph()
    tokens: dict[int, int] = {}
    with graph.session() as session:
        for update in session_loop(graph, TASK, session, truncation=Truncation("random", seed=3)):
            if update.epoch > 4:
                break
            tokens[update.epoch] = tokens.get(update.epoch, 0) + update.tokens
    assert tokens == dict.fromkeys((1, 2, 3, 4), BATCH * LENGTH)


# --- repeatability, and what is learnt -----------------------------------------------------------


@EVERY_STYLE
def test_training_is_a_function_of_the_seeds(style: str) -> None:
    results = [run(Truncation(style, seed=seed), updates=7) for seed in (3, 3, 4)]
    weights = [list(result.weights.values()) for result in results]
    assert_close(weights[1], weights[0], 0, "the same seed")
    assert results[1].tokens == results[0].tokens
    same = all((a == b).all() for a, b in zip(weights[2], weights[0], strict=True))
    assert same == (style != "random"), "only random truncation has a seed"


@pytest.mark.parametrize(("style", "state"), chessboard(STYLE_NAMES, ["carry", "reset"]))
def test_every_style_learns(style: str, state: str) -> None:
    task = Echo(lags=(1,), effects=(0.45,), length=2000, valid_length=1000)
    graph = UnrolledGraph(GRUCell(5), 8, 50, 2, 2, seed=1, optimizer="adam", learning_rate=0.02)
    result = train(
        graph, task, updates=200, state=state, evaluations=1,
        truncation=Truncation(style, stride=4), callbacks=(),
    )  # fmt: skip
    first, last = result.curve[0].valid_loss, result.curve[-1].valid_loss
    bound = (task.expected_entropy(()) + (task.floor(8) if state == "reset" else task.optimum())) / 2
    assert last < bound < first, f"{first} -> {last}, {bound} is half way"


@pytest.mark.parametrize("style", ["block", "sliding", "full", "random"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_told_is_that_of_a_step(style: str, reduction: str) -> None:
    """Whatever the gradient is of: the mean over the window's counted steps and the examples."""
    truncation = Truncation(style, stride=2, seed=5)
    graph = make_graph(dtype="float64", reduction=reduction, optimizer="sgd", learning_rate=1e-300)
    rows = TASK.rows(BATCH)
    whole = graph.forward(num_steps=LENGTH)
    with graph.session() as session:
        # At weights that do not move, the losses of the row one by one.
        losses = np.array(session.run(whole.losses, whole.feed(*rows, whole.zero_state()))).mean(axis=1)
        made = []
        end = 0
        for update in session_loop(graph, TASK, session, truncation=truncation):
            if update.epoch == 2:
                break
            start, end = end, end + update.tokens // BATCH
            made.append((update.loss, losses[start:end].mean()))
    assert len(made) >= 1
    for found, expected in made:
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("style", ["block", "sliding", "random"])
def test_the_gradient_of_the_sum_is_that_of_the_mean_times_the_steps(style: str) -> None:
    found = {}
    for reduction in ("mean", "sum"):
        graph = make_graph(dtype="float64", reduction=reduction)
        truncation = Truncation(style, stride=3, seed=5)
        with graph.session() as session:
            rows, runs = TASK.rows(BATCH), Stepper(session)
            norms = []
            for window in truncation.of(graph, LENGTH).windows(0, lambda _: np.ones(STEPS)):
                session.run(tf.variables_initializer(graph.variables))
                norms.append((window.graph.options.num_loss_steps, runs(window, rows, graph.zero_state())[1]))
        found[reduction] = norms
    for (steps, mean), (_, total) in zip(found["mean"], found["sum"], strict=True):
        steps_of_mean = STEPS if style == "random" else steps
        assert total == pytest.approx(steps_of_mean * mean, rel=1e-12)


# --- the cell that misleads truncated gradients ---------------------------------------------------


def balance(num_steps: int, tokens: int, style: str = "block", rate: float = 0.001, seed: int = 0) -> float:
    """The held-out loss of influence balancing after training; it starts at 16."""
    from tf_rnn.cells import InfluenceCell  # noqa: PLC0415

    graph = UnrolledGraph(
        InfluenceCell(), num_steps, 1, 0, 1, input_kind="none", loss="squared_error",
        loss_steps="last" if style == "block" else "all",
        readout="none", optimizer="sgd", learning_rate=rate,
    )  # fmt: skip
    with graph.session(threads=1) as session:
        result = train(
            graph, Influence(), tokens=tokens, session=session, evaluations=1,
            truncation=Truncation(style, seed=seed), callbacks=(),
        )  # fmt: skip
    assert result.curve[0].valid_loss == pytest.approx(16, abs=1e-4)
    return result.evaluation.loss


@pytest.mark.parametrize("num_steps", [1, 10, 20])
def test_narrow_blocks_diverge(num_steps: int) -> None:
    with pytest.raises(DivergedError, match=r"^the gradient's norm is inf, of a loss of \S+, at update \d+ "):
        balance(num_steps, 100_000)


def test_a_width_of_40_leads_away_and_one_of_41_the_right_way() -> None:
    assert balance(40, 20_000) > 1000
    assert balance(41, 20_000) < 16 / 10


def test_a_width_of_50_arrives() -> None:
    assert balance(50, 20_000) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_truncation_arrives_where_blocks_of_the_same_mean_length_diverge(seed: int) -> None:
    assert balance(10, 60_000, "random", rate=0.0001, seed=seed) < 1e-6
    with pytest.raises(DivergedError):
        balance(10, 60_000, rate=0.0001)
