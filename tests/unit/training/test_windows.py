"""Truncation styles in training: options, windows cut from rows, counts, losses, repeatability."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph import make_graph as make_graph_of
from tf_rnn.graph.lags import gradient_norms
from tf_rnn.options import STYLES as STYLE_NAMES
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Adding, Echo, Influence
from tf_rnn.training import Truncation, session_loop, train
from tf_rnn.training.epoch import Epoch
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.state import StreamPosition
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


@functools.cache
def graph_of(num_steps: int = STEPS, cell: Any = VanillaCell, **options: Any) -> UnrolledGraph:
    """One graph for all tests that need the same; each of its sessions starts from the same weights."""
    return UnrolledGraph(cell(5), num_steps, BATCH, 2, 2, **({"seed": 7} | options))


def run(truncation: Truncation, graph: UnrolledGraph | None = None, **options: Any) -> TrainingResult:
    graph = graph or graph_of()
    with graph.session(threads=1) as session:
        return train(graph, TASK, session=session, truncation=truncation, callbacks=(), **options)


def ones(_: int) -> Any:
    """As if the gradient did not decay."""
    return np.ones(STEPS)


def test_what_does_not_suit_width_or_rows_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for truncation, width, words in [
        (Truncation("sliding", stride=5), STEPS, r"stride must be from 1 to num_steps \(4\), got 5"),
        (Truncation("adaptive"), 1, "num_steps must be at least 2 for the style adaptive, got 1"),
    ]:
        with pytest.raises(OptionError, match=f"^{words}$"):
            run(truncation, graph_of(width), updates=1, out=out)
    for truncation in (Truncation("sliding", stride=4), Truncation("block", stride=5)):
        truncation.check(graph_of())
    monkeypatch.setattr("tf_rnn.setup.LARGEST_WIDTH", LENGTH - 1)
    words = "style must be another than 'full' where a row has more than 19 steps; here it has 20"
    with pytest.raises(OptionError, match=f"^{words}$"):
        run(Truncation("full"), updates=1, out=out)
    assert not out.exists()
    run(Truncation("block"), updates=1)
    monkeypatch.setattr("tf_rnn.setup.LARGEST_WIDTH", LENGTH)
    run(Truncation("full"), updates=1)


@pytest.mark.parametrize("loss_steps", ["marked", "last", 3])
def test_losses_at_some_steps_need_blocks_or_whole_rows(loss_steps: str | int) -> None:
    task = Adding(span=5, length=30, valid_length=10)
    kinds: dict[str, Any] = {"input_kind": "real", "loss": "squared_error", "loss_steps": loss_steps}
    graph = UnrolledGraph(VanillaCell(4), 5, 3, 2, 1, **kinds)
    option = "style" if loss_steps == "marked" else "loss_steps"
    for style in STYLE_NAMES:
        truncation = Truncation(style)
        if style not in ("block", "full"):
            with pytest.raises(OptionError, match=f"^{option} must be ") as refused:
                train(graph, task, updates=2, truncation=truncation, callbacks=())
            assert refused.value.option == option
            continue
        truncation.check(graph)
        if loss_steps == "marked":
            result = train(graph, task, updates=2, truncation=truncation, callbacks=())
            assert result.tokens == 2 * 3 * {"block": 5, "full": 10}[style]
        window = next(truncation.of(graph, 10).windows(0, ones))
        assert window.graph.options.loss_steps == loss_steps, "a wider graph counts the same losses"


def test_a_setup_counts_all_losses_where_its_style_needs_them() -> None:
    """Influence balancing has one loss at the end of each block, and blocks are what "random" has not."""
    for style in STYLE_NAMES:
        setup = Setup(task="influence", cell="influence", style=style)
        graph = make_graph_of(setup, Influence(length=50, valid_length=210), 2, seed=0)
        assert graph.options.loss_steps == ("last" if style in ("block", "full") else "all"), style
        Truncation(style).check(graph)


def test_a_run_is_a_training_step_and_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, runner = [], UnrolledGraph.runner

    def counting(graph: UnrolledGraph, *arguments: Any, **options: Any) -> Any:
        prepared.append(graph.num_steps)
        return runner(graph, *arguments, **options)

    monkeypatch.setattr(UnrolledGraph, "runner", counting)
    graph, rows = graph_of(), TASK.rows(BATCH)
    first = Window(graph, 2, 4, 1, graph.states[0])
    with graph.session(threads=1) as session:
        runs, before = Stepper(session), session.run(list(graph.variables))
        block = rows.steps(2, 6)
        feed = graph.feed(block.inputs, block.targets, graph.zero_state())
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
    graph, rows = graph_of(optimizer="sgd", dropout=0.5), TASK.rows(BATCH)
    window = next(Truncation(style).of(graph, LENGTH).windows(0, ones))
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


@pytest.mark.parametrize("cell", [VanillaCell, LSTMCell])
def test_the_probe_is_the_gradient_by_lag_over_a_few_blocks(cell: Any) -> None:
    graph, rows = graph_of(cell=cell, dtype="float64"), TASK.rows(BATCH)
    norms = gradient_norms(graph)
    with graph.session() as session:
        before = session.run(list(graph.variables))
        for start, most, positions in [
            (0, 4, [0, 4, 8, 12]),
            (3, 4, [3, 7, 11, 15]),
            (13, 4, [13]),
            (0, 2, [0, 4]),
        ]:
            state = begin = tf.nest.map_structure(lambda zeros: zeros + 0.25, graph.zero_state())
            expected = []
            for position in positions:
                block = rows.steps(position, position + STEPS)
                feed = graph.feed(block.inputs, block.targets, state)
                block, state = session.run([norms, graph.final_state], feed)
                expected.append(block.mean(axis=1))
            found = GradientProbe(graph, session, most).norms(rows, start, begin)
            assert_close(found, np.mean(expected, axis=0), 1e-15, f"norms from {start}")
        assert_close(session.run(list(graph.variables)), before, 0, "variables")


class Outline:
    """As much of a graph as a style looks at."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self.states = list(range(num_steps))
        self.final_state = num_steps - 1
        self.loss_scale = 1.0

    def with_steps(self, num_steps: int, loss_steps: str | int | None = None) -> Outline:
        return Outline(num_steps)


def outlined(style: str) -> Iterator[tuple[str, Style, list[Window], tuple[int, int, int]]]:
    """A style's windows at all small sizes: width, stride, steps in a row."""
    for num_steps in range(1, 6):
        for stride in range(1, num_steps + 1):
            for length in range(num_steps, 14):
                made = Truncation(style, stride).of(Outline(num_steps), length)
                windows = list(made.windows(0, lambda _: np.ones(num_steps)))  # noqa: B023
                where = f"{style}, width {num_steps}, stride {stride}, row of {length}"
                yield where, made, windows, (num_steps, stride, length)


@pytest.mark.parametrize("style", ["block", "sliding", "full", "adaptive"])
def test_windows_count_every_step_once_and_return_the_state_before_the_next(style: str) -> None:
    for where, made, windows, (num_steps, stride, length) in outlined(style):
        counted: list[int] = []
        start = 0
        for window in windows:
            assert window.start == start, where
            end = window.start + window.graph.num_steps
            assert end <= length, where
            counted += range(end - window.new_steps, end)
            assert window.next_state == window.advance - 1, where
            start += window.advance
        assert counted == list(range(len(counted))), f"{where}: {counted}"
        left_over = {"block": num_steps, "sliding": stride, "full": 1, "adaptive": num_steps}[style]
        assert length - left_over < len(counted) <= length, where
        if style != "adaptive":
            new = [window.new_steps for window in windows]
            assert made.steps_per_epoch == sum(new), where
            # The first window of a row may count more than the others, since none was before it.
            assert {*new[1:]} <= {made.steps_per_update}, where
            assert new[0] == (num_steps if style == "sliding" else made.steps_per_update), where


# Tokens of an epoch: rows times steps that have their errors counted.
@pytest.mark.parametrize(
    ("style", "stride", "updates", "steps"),
    [
        ("block", 1, 5, 20),
        ("full", 1, 1, 20),
        ("sliding", 1, 17, 20),
        ("sliding", 3, 6, 19),
        ("sliding", 4, 5, 20),
    ],
)
def test_train_counts_an_epoch(style: str, stride: int, updates: int, steps: int) -> None:
    truncation, graph, counted = Truncation(style, stride=stride), graph_of(), []
    with graph.session() as session:
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


class Measuring:
    """A probe of gradients that end after lag 0 at some starts, and do not decay at others."""

    def __init__(self, *short: int) -> None:
        self.short, self.starts = short, list[int]()

    def norms(self, _rows: Any, start: int, _state: Any) -> np.ndarray:
        self.starts.append(start)
        return np.eye(STEPS)[0] if start in self.short else np.ones(STEPS)


def test_a_resumed_epoch_measures_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The windows that were trained on are those of norms measured then, with other weights."""
    monkeypatch.setattr("tf_rnn.truncation.MEASURE_EVERY", 3)
    first, graph, position = Measuring(0), graph_of(), StreamPosition()
    whole = Epoch(graph, TASK, Truncation("adaptive"), first, position)  # type: ignore[arg-type]
    windows = []
    while (window := whole.next_window(None)) is not None:
        windows.append(window)
        if len(windows) == 2:
            position = whole.after(window)
    other = Measuring()
    rest = Epoch(graph, TASK, Truncation("adaptive"), other, position)  # type: ignore[arg-type]
    for expected in windows[2:]:
        found = rest.next_window(None)
        assert found is not None
        assert (found.start, found.graph.num_steps) == (expected.start, expected.graph.num_steps)
    assert rest.next_window(None) is None
    assert windows[0].graph.num_steps < windows[-1].graph.num_steps, "one width alone shows nothing"
    assert (first.starts[0], other.starts) == (0, first.starts[1:])


@pytest.mark.parametrize("style", ["random", "adaptive"])
def test_train_counts_what_the_windows_count(style: str) -> None:
    result = run(Truncation(style, seed=3), tokens=150)
    graph, tokens = graph_of(), list[int]()
    of_epoch: dict[int, int] = {}
    with graph.session(threads=1) as session:
        for update in session_loop(graph, TASK, session, truncation=Truncation(style, seed=3)):
            if update.epoch > 3:
                break
            tokens.append(update.tokens)
            of_epoch[update.epoch] = of_epoch.get(update.epoch, 0) + update.tokens
    enough = int(np.argmax(np.cumsum(tokens) >= 150 // (BATCH * STEPS) * BATCH * STEPS)) + 1
    assert (result.updates, result.tokens) == (enough, sum(tokens[:enough]))
    assert result.tokens >= 144
    if style == "random":
        assert of_epoch == dict.fromkeys((1, 2, 3), BATCH * LENGTH), "segments fill every row"


@EVERY_STYLE
def test_training_is_a_function_of_the_seeds(style: str) -> None:
    results = [run(Truncation(style, seed=seed), updates=7) for seed in (3, 3, 4)]
    weights = [list(result.weights.values()) for result in results]
    assert_close(weights[1], weights[0], 0, "the same seed")
    assert results[1].tokens == results[0].tokens
    same = all((a == b).all() for a, b in zip(weights[2], weights[0], strict=True))
    assert same == (style != "random"), "only random truncation has a seed"


@pytest.mark.slow
def test_every_style_learns() -> None:
    """With either state, by turns."""
    task = Echo(lags=(1,), effects=(0.45,), length=2000, valid_length=1000)
    graph = UnrolledGraph(GRUCell(5), 8, 50, 2, 2, seed=1, optimizer="adam", learning_rate=0.02)
    options: dict[str, Any] = {"updates": 200, "evaluations": 1, "callbacks": ()}
    lowest = {"carry": task.optimum(), "reset": task.floor(8)}
    for style, state in zip(STYLE_NAMES, itertools.cycle(lowest), strict=False):
        bound = (task.expected_entropy(()) + lowest[state]) / 2
        curve = train(graph, task, truncation=Truncation(style, stride=4), state=state, **options).curve
        first, last = curve[0].valid_loss, curve[-1].valid_loss
        assert last < bound < first, f"{style}: {first} -> {last}, {bound} is half way"


def test_the_reported_loss_is_that_of_a_step_and_the_gradient_of_the_sum_that_of_the_mean_times_n() -> None:
    """The loss is the mean over the window's counted steps and the examples, whatever the gradient is of."""
    graphs = [
        graph_of(dtype="float64", reduction=reduction, optimizer="sgd", learning_rate=1e-300)
        for reduction in ("mean", "sum")
    ]
    whole, rows = graphs[0].forward(num_steps=LENGTH), TASK.rows(BATCH)
    with graphs[0].session() as session:
        # At weights that do not move, the losses of the row one by one.
        fed = whole.feed(rows.inputs, rows.targets, whole.zero_state())
        losses = np.array(session.run(whole.losses, fed)).mean(axis=1)
    for style in ("block", "sliding", "full", "random"):
        truncation, norms = Truncation(style, stride=3, seed=5), []
        for graph in graphs:
            end, found = 0, []
            with graph.session() as session:
                for update in session_loop(graph, TASK, session, truncation=truncation):
                    if update.epoch == 2:
                        break
                    start, end = end, end + update.tokens // BATCH
                    assert update.loss == pytest.approx(losses[start:end].mean(), rel=1e-12), style
                    found.append(update.gradient_norm)
            norms.append(np.array(found))
        windows = truncation.of(graphs[1], LENGTH).windows(0, ones)
        steps = [STEPS if style == "random" else window.graph.options.num_loss_steps for window in windows]
        np.testing.assert_allclose(norms[1], steps * norms[0], rtol=1e-12, err_msg=style)
