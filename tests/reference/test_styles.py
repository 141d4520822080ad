"""Truncation styles against their definitions: NumPy, full backpropagation, finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, random_block, random_values

from tf_rnn import options
from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.truncation import STYLES, Truncation, Window, draw_segment, needed_steps

BATCH, INPUTS, UNITS, CLASSES, LENGTH = 3, 5, 4, 2, 13
rng = np.random.default_rng(7)
ROWS = rng.integers(0, INPUTS, (BATCH, LENGTH))
TARGETS = rng.integers(0, CLASSES, (BATCH, LENGTH))


def make_graph(num_steps: int, cell: Any = None, **options: Any) -> UnrolledGraph:
    cell = VanillaCell(UNITS) if cell is None else cell
    options = {"dtype": "float64", "optimizer": "sgd", "seed": 3, **options}
    return UnrolledGraph(cell, num_steps, BATCH, INPUTS, CLASSES, **options)


def windows_of(
    style: str,
    graph: UnrolledGraph,
    length: int = LENGTH,
    epoch: int = 0,
    measure: Any = None,
    **options: Any,
) -> list[Window]:
    measure = measure or (lambda _: np.ones(graph.num_steps))
    return list(Truncation(style, **options).of(graph, length).windows(epoch, measure))


def cut(array: np.ndarray, window: Window) -> np.ndarray:
    """The steps that a window reads, filled up with the last one where it reaches beyond the row."""
    places = np.arange(window.start, window.start + window.graph.num_steps)
    return array[:, np.minimum(places, array.shape[1] - 1)]


PREPARED: dict[Any, Any] = {}


def summed_gradients(
    windows: list[Window],
    session: Any,
    inputs: np.ndarray = ROWS,
    targets: np.ndarray = TARGETS,
    state: Any = None,
) -> list[np.ndarray]:
    """The gradients of a course's windows at fixed weights, of the sum over steps of the mean loss."""
    total: list[np.ndarray] = []
    state = windows[0].graph.zero_state() if state is None else state
    for window in windows:
        pairs = [gradient for gradient, _ in window.graph.gradients]
        key = session, id(window.graph), id(window.next_state)
        if key not in PREPARED:  # a window is run thousands of times
            PREPARED[key] = window.graph.runner(session, window.next_state, *pairs)
        run = PREPARED[key]
        state, *gradients = run(cut(inputs, window), cut(targets, window), state, *window.more)
        scale = window.loss_scale * window.new_steps
        total = [scale * g + (total[i] if total else 0) for i, g in enumerate(gradients)]
    return total


def in_numpy(values: list[np.ndarray], window_starts: list[int]) -> list[np.ndarray]:
    """Truncated backpropagation by its definition, an error at a time.

    Args:
        values: W, b_s, U, b_p of a vanilla network.
        window_starts: For each step, the first step that its error goes back to.
    """
    W, b_s, U, b_p = values
    one_hot = np.eye(INPUTS)[ROWS]
    states = [np.zeros((BATCH, UNITS))]
    for t in range(LENGTH):
        states.append(np.tanh(np.concatenate([one_hot[:, t], states[-1]], axis=1) @ W + b_s))
    gradients = [np.zeros_like(value) for value in values]
    for t, first in enumerate(window_starts):
        logits = states[t + 1] @ U + b_p
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        error = (p - np.eye(CLASSES)[TARGETS[:, t]]) / BATCH
        gradients[2] += states[t + 1].T @ error
        gradients[3] += error.sum(axis=0)
        flow = error @ U.T
        for back in range(t, first - 1, -1):
            z = flow * (1 - states[back + 1] ** 2)
            gradients[0] += np.concatenate([one_hot[:, back], states[back]], axis=1).T @ z
            gradients[1] += z.sum(axis=0)
            flow = z @ W[INPUTS:].T
    return gradients


@pytest.mark.parametrize(("num_steps", "stride"), [(1, 1), (3, 2), (5, 1), (5, 3)])
def test_sliding_is_its_definition(num_steps: int, stride: int) -> None:
    graph = make_graph(num_steps)
    windows = windows_of("sliding", graph, stride=stride)
    starts = [0] * num_steps
    while len(starts) + stride <= LENGTH:
        starts += [len(starts) + stride - num_steps] * stride
    assert sum(window.new_steps for window in windows) == len(starts)
    with graph.session() as session:
        values = session.run(list(graph.variables))
        for mine, his in zip(summed_gradients(windows, session), in_numpy(values, starts), strict=True):
            assert_close(mine, his, 1e-12, f"sliding, n {num_steps}, k {stride}")


@pytest.mark.parametrize("num_steps", [1, 4])
def test_block_is_its_definition_and_sliding_by_the_whole_width(num_steps: int) -> None:
    assert tuple(STYLES) == options.STYLES
    graph = make_graph(num_steps)
    windows = windows_of("block", graph)
    assert windows_of("sliding", graph, stride=num_steps) == [
        Window(graph, w.start, w.new_steps, w.advance, graph.states[-1]) for w in windows
    ]
    starts = [t // num_steps * num_steps for t in range(LENGTH // num_steps * num_steps)]
    with graph.session() as session:
        values = session.run(list(graph.variables))
        for mine, his in zip(summed_gradients(windows, session), in_numpy(values, starts), strict=True):
            assert_close(mine, his, 1e-12, f"block, n {num_steps}")


def test_every_style_is_full_where_the_window_covers_the_row() -> None:
    graph = make_graph(LENGTH, LSTMCell(UNITS))
    found = {}
    with graph.session() as session:
        for style in ("full", "block", "sliding"):
            found[style] = summed_gradients(windows_of(style, graph), session)
        whole = LENGTH * graph.total_loss
        with graph.tf_graph.as_default():
            plain = tf.gradients(whole, [variable for _, variable in graph.gradients])
        feed = graph.feed(ROWS, TARGETS, graph.zero_state())
        expected = session.run(plain, feed)
        for style, gradients in found.items():
            for mine, his in zip(gradients, expected, strict=True):
                assert_close(mine, his, 1e-10, style)
        # and that is the slope of the loss itself
        variable, gradient = graph.variables[0], expected[0]
        value = session.run(variable)
        direction = np.random.default_rng(5).normal(size=value.shape)
        losses = []
        for step in (1e-6, -1e-6):
            variable.load(value + step * direction, session)
            losses.append(session.run(whole, feed))
        assert_close(np.sum(gradient * direction), (losses[0] - losses[1]) / 2e-6, 1e-7, "slope")


@pytest.mark.parametrize("name", ["gru_reset_before", "stacked"])
def test_fed_factors_leave_the_forward_pass_unchanged(name: str) -> None:
    """Whatever the flow, states and losses are those of the plain graph, bit for bit."""
    plain = make_graph(4, CASES[name].make(), optimizer=None)
    fed = make_graph(4, plain.cell, optimizer=None, reweighted=True)
    generator = np.random.default_rng(5)
    block = (*random_block(generator, plain), plain.zero_state())
    with plain.session() as session:
        assign(session, plain.variables, random_values(generator, plain.variables))
        expected = plain.runner(session, plain.states, plain.losses)(*block)
        flow = np.array([1000 / 3, 0.1, -7.7, 1])
        found = fed.runner(session, fed.states, fed.losses)(*block, flow, np.ones(4))
    assert_close(found, expected, 0)


class PowerCell:
    """S_t = w S_{t-1}; the output is S_t."""

    state_size = output_size = 1

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        w = tf.get_variable("w", [], state.dtype, tf.constant_initializer(0.6), use_resource=True)
        state = w * state
        return state, state


@pytest.mark.parametrize("style", ["full", "sliding", "block"])
def test_an_error_is_followed_back_once(style: str) -> None:
    # L = S_3 = w^3 x_0 with w = 0.6, x_0 = 0.1: dL/dw = 3 w^2 x_0 = 0.108. Recipes that keep the
    # graphs of all steps and go back from every one of them count some paths twice and find 0.288.
    with tf.Graph().as_default():
        graph = UnrolledGraph(
            PowerCell(), 3, 1, 0, 1, input_kind="none", readout="none", loss="squared_error",
            optimizer="sgd", dtype="float64",
        )  # fmt: skip
        states = 0.1 * 0.6 ** np.arange(1, 4)
        targets = (states - [0, 0, 0.5])[np.newaxis, :, np.newaxis]  # so that dL/dS is 0, 0, 1
        windows = windows_of(style, graph, length=3)
        with graph.session() as session:
            (found,) = summed_gradients(windows, session, np.zeros((1, 3, 0)), targets, np.array([[0.1]]))
    assert_close(found, 0.108, 1e-12, style)


def test_random_truncation_is_unbiased_and_block_is_not() -> None:
    mean, draws = 3, 600
    graph = make_graph(mean)

    def gradient(session: Any, style: str, epoch: int = 0) -> Any:
        windows = windows_of(style, graph, epoch=epoch, seed=11)
        return np.concatenate([g.ravel() for g in summed_gradients(windows, session)])

    with graph.session() as session:
        full, block = gradient(session, "full"), gradient(session, "block")
        samples = np.stack([gradient(session, "random", epoch) for epoch in range(draws)])
    assert graph.with_steps(mean) is graph
    deviation = samples.mean(axis=0) - full
    error = samples.std(axis=0, ddof=1) / np.sqrt(draws)
    # Standardised, the deviations are those of a standard normal: the mean square is 1.
    score = np.mean((deviation / np.maximum(error, 1e-12)) ** 2)
    assert score < 2.5, f"mean squared deviation {score:.3f} standard errors, expected about 1"
    # The error falls with the root of the number of draws.
    quarter = np.linalg.norm(samples[: draws // 16].mean(axis=0) - full)
    assert np.linalg.norm(deviation) < quarter, (np.linalg.norm(deviation), quarter)
    away, close = np.linalg.norm(block - full), np.linalg.norm(deviation)
    assert away > 5 * close, f"block is {away:.4f} away from the full gradient, random {close:.4f}"


def test_random_segments_have_the_mean_and_the_weights_of_their_definition() -> None:
    generator = np.random.default_rng(2)
    mean = 5
    drawn = [draw_segment(generator, mean, 10_000) for _ in range(5_000)]
    lengths = np.array([length for length, _ in drawn])
    steps = np.arange(1, 10_000)
    keep = np.cumprod(1 - np.minimum(1, 6 / (5 * mean + steps)))
    expected = 1 + keep.sum()
    error = lengths.std() / np.sqrt(len(lengths))
    assert abs(lengths.mean() - expected) < 4 * error, (lengths.mean(), expected, error)
    assert expected == pytest.approx(mean, abs=1)
    length, flow = max(drawn, key=lambda pair: pair[0])
    # Probability of getting this far times the weight of getting this far is 1.
    assert_close(np.prod(flow) * keep[length - 2], 1, 1e-12, "weight")
    ends = {(length, len(flow)) for length, flow in (draw_segment(generator, 30, 7) for _ in range(50))}
    assert max(ends) == (7, 6), "a segment ends with the row"


@pytest.mark.parametrize(
    ("norms", "tolerance", "needed"),
    [
        # 8, 4, 2, 1, and 1/2 + 1/4 + ... = 1 beyond: 16 in all
        ([8, 4, 2, 1], 0.5, 1),
        ([8, 4, 2, 1], 0.25, 2),
        ([8, 4, 2, 1], 0.12, 4),
        ([8, 4, 2, 1], 0.01, 4),  # not enough was measured: all of it
        ([3, 2, 0, 0], 0.39, 2),
        ([1, 1, 1, 1], 0.5, 4),  # does not decay
        ([1, 2, 4, 8], 0.5, 4),
    ],
)
def test_needed_steps(norms: list[float], tolerance: float, needed: int) -> None:
    assert needed_steps(np.array(norms, float), tolerance) == needed


def test_adaptive_follows_what_is_measured() -> None:
    graph = make_graph(8)
    measured = []

    def measure(start: int) -> np.ndarray:
        measured.append(start)
        return 0.5 ** np.arange(8)

    windows = windows_of("adaptive", graph, tolerance=0.25, measure=measure)
    # K = 2: windows of 4 that slide by 2, over all 13 steps but the last.
    assert measured == [0]
    assert [(w.graph.num_steps, w.start, w.new_steps, w.advance) for w in windows] == [
        (4, 0, 4, 2), (4, 2, 2, 2), (4, 4, 2, 2), (4, 6, 2, 2), (4, 8, 2, 2),
    ]  # fmt: skip
    assert all(w.graph.variables == graph.variables for w in windows)


def test_adaptive_measures_again_and_counts_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_rnn.truncation.MEASURE_EVERY", 3)
    graph = make_graph(4)
    decays = iter([0.01, 1.0, 0.01, 1.0, 0.01, 1.0, 0.01])
    windows = windows_of("adaptive", graph, measure=lambda _: next(decays) ** np.arange(4))
    shown = [(w.graph.num_steps, w.start, w.new_steps, w.advance) for w in windows]
    assert shown == [
        (2, 0, 2, 1), (2, 1, 1, 1), (2, 2, 1, 2),
        (4, 4, 4, 2), (4, 6, 2, 2), (4, 8, 2, 4),
    ]  # fmt: skip
    assert sum(w.new_steps for w in windows) == 12
