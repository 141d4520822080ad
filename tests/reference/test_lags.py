"""The gradient by lag, what each lag adds, and the bias of truncation: against their definitions."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import ALL_CASES, CASES, Foreign, assert_close, assign, random_block, random_state, random_values
from references import run_steps, softmax

from tf_rnn._tensorflow import tf
from tf_rnn.analysis import lags as lags_module
from tf_rnn.analysis.bias import truncation_bias
from tf_rnn.analysis.contributions import contributions
from tf_rnn.analysis.lags import (
    LagAnalysis,
    fitted_decay,
    half_life,
    measure_lags,
    trend,
)
from tf_rnn.analysis.study import study_lags
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph, make_graph
from tf_rnn.graph.lags import gradient_norms
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Adding, Copy, Echo, make_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tf_rnn.tasks import Task

BATCH, STEPS, INPUTS, CLASSES = 3, 4, 5, 2


def new_graph(cell: Any, num_steps: int = STEPS, batch_size: int = BATCH, **options: Any) -> UnrolledGraph:
    sizes = {"input_size": INPUTS, "num_classes": CLASSES} | {
        name: options.pop(name) for name in ("input_size", "num_classes") if name in options
    }
    given = {"dtype": "float64", "optimizer": None, "seed": 3} | options
    return UnrolledGraph(cell, num_steps, batch_size, **sizes, **given)


def random_feed(graph: UnrolledGraph, seed: int = 5) -> dict[Any, Any]:
    generator = np.random.default_rng(seed)
    state = random_state(generator, graph.init_state)
    return graph.feed(*random_block(generator, graph), state)


# --- the norm by lag -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "batch_size", "num_steps"),
    [("lstm", BATCH, 3), ("tanh", 1, 1)],
)
def test_norms_are_those_of_plain_gradients_of_each_example(
    name: str, batch_size: int, num_steps: int
) -> None:
    graph = new_graph(CASES[name].make(), num_steps, batch_size)
    norms = gradient_norms(graph)
    assert norms.shape == (num_steps, batch_size)
    with graph.tf_graph.as_default():
        # For each example alone: rows of the other examples must have no part in it. The parts of a state
        # are independent variables.
        states = [tf.nest.flatten(state) for state in graph.states]
        plain = [
            [
                tf.gradients(
                    graph.losses[-1][i],
                    parts,
                    stop_gradients=parts,
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                for i in range(batch_size)
            ]
            for parts in states[::-1]
        ]
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(1), graph.variables, 0.4))
        found, gradients = session.run((norms, plain), random_feed(graph))
    for k, i in itertools.product(range(num_steps), range(batch_size)):
        parts = gradients[k][i]
        expected = np.sqrt(sum((part**2).sum() for part in parts))
        assert_close(found[k, i], expected, 1e-14, f"{name}, lag {k}, example {i}")
        assert all(np.abs(np.delete(part, i, axis=0)).sum() == 0 for part in parts)
    assert found.min() > 1e-6, found


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_norms_are_those_of_backpropagation_in_numpy(name: str) -> None:
    graph = new_graph(CASES[name].make(), input_kind="real")
    generator = np.random.default_rng(2)
    values = random_values(generator, graph.variables, 0.4)
    W, _, U, b_p = values
    inputs, targets = random_block(generator, graph)
    assert inputs is not None
    start = random_state(generator, graph.init_state)
    with graph.session() as session:
        assign(session, graph.variables, values)
        found = session.run(gradient_norms(graph), graph.feed(inputs, targets, start))
    _, states = run_steps(CASES[name].step, values[:2], np.moveaxis(inputs, 1, 0), start)
    flow = (softmax(states[-1] @ U + b_p) - np.eye(CLASSES)[targets[:, -1]]) @ U.T
    for lag in range(STEPS):
        assert_close(found[lag], np.linalg.norm(flow, axis=1), 1e-14, f"{name}, lag {lag}")
        state = states[-1 - lag]
        flow = (flow * (1 - state**2 if name == "tanh" else state > 0)) @ W[INPUTS:].T


def test_a_state_without_effect_counts_as_0() -> None:
    """Layers above the one that is read: none; a block whose last target is missing: no gradient."""
    graph = new_graph(
        VanillaCell(4), loss="squared_error", loss_steps="marked", input_kind="real", num_classes=1
    )
    inputs, targets = random_block(np.random.default_rng(1), graph)
    targets[1, -1] = np.nan
    with graph.session() as session:
        found = session.run(gradient_norms(graph), graph.feed(inputs, targets, graph.zero_state()))
    assert_close(found[:, 1], np.zeros(STEPS), 0, "no target")
    assert found[:, [0, 2]].min() > 0


def linear_graph(W_s: NDArray[Any], num_steps: int = 7) -> tuple[UnrolledGraph, list[NDArray[Any]]]:
    """A ReLU network none of whose units is ever at 0, so that it is linear, and its weights."""
    cell = VanillaCell(len(W_s), activation="relu", recurrent_init="identity")
    graph = new_graph(cell, num_steps, batch_size=2, input_kind="real", input_size=1, loss="squared_error")
    values = [np.concatenate([np.ones((1, len(W_s))), W_s])]
    values += [np.zeros(len(W_s)), np.random.default_rng(8).normal(size=(len(W_s), CLASSES)), np.zeros(2)]
    return graph, values


def linear_norms(*kernels: NDArray[Any]) -> list[NDArray[Any]]:
    """For each of the recurrent kernels."""
    graph, (W, *others) = linear_graph(kernels[0])
    norms, found = gradient_norms(graph), []
    with graph.session() as session:
        for W_s in kernels:
            assign(session, graph.variables, [np.concatenate([W[:1], W_s]), *others])
            found.append(session.run(norms, linear_feed(graph)))
    return found


def linear_feed(graph: UnrolledGraph) -> dict[Any, Any]:
    """Ones in both examples, which differ in their targets."""
    targets = np.stack([np.full((graph.num_steps, CLASSES), value) for value in (-1.0, 1.0)])
    return graph.feed(np.ones((2, graph.num_steps, 1)), targets, graph.zero_state())


def test_norms_of_a_linear_network_are_powers_of_its_gain() -> None:
    gains = (0.5, 1.0, 2.0)
    for gain, found in zip(gains, linear_norms(*(gain * np.eye(3) for gain in gains)), strict=True):
        assert found.min() > 0
        # Powers of 2 are exact in every operation on the way.
        np.testing.assert_array_equal(found / found[0], np.tile(gain ** np.arange(7)[:, np.newaxis], 2))
        assert_close(fitted_decay(found.mean(axis=1)), gain, 1e-14, f"decay of gain {gain}")


def test_the_largest_singular_value_bounds_the_norms_and_is_reached() -> None:
    W_s = np.random.default_rng(4).uniform(0, 0.5, size=(5, 5))
    bound = float(np.linalg.norm(W_s, 2))
    (found,) = linear_norms(W_s)
    limits = found[0] * bound ** np.arange(7)[:, np.newaxis]
    assert np.all(found <= limits * (1 + 1e-14)), (found / limits).max()
    # A diagonal matrix whose largest element stands where the error comes in reaches the bound ...
    graph, values = linear_graph(np.diag([1.25, 0.5]))
    values[2] = np.array([[1.0, -1.0], [0, 0]])
    with graph.session() as session:
        assign(session, graph.variables, values)
        norms = session.run(gradient_norms(graph), linear_feed(graph))
        assert_close(norms[6] / norms[0], np.full(2, 1.25**6), 1e-13, "bound reached")
    # ... and is reported.
    assert lags_module._bound(graph, FakeSession(values[0])) == 1.25


class FakeSession:
    def __init__(self, value: Any) -> None:
        self._value = value

    def run(self, _: Any) -> Any:
        return self._value


def test_the_bound_holds_for_tanh() -> None:
    graph = new_graph(VanillaCell(6), num_steps=9)
    norms = gradient_norms(graph)
    with graph.session() as session:
        for scale in (0.4, 2.0):
            values = random_values(np.random.default_rng(6), graph.variables, scale)
            bound = np.linalg.norm(values[0][INPUTS:], 2)
            assign(session, graph.variables, values)
            found = session.run(norms, random_feed(graph))
            limits = found[0] * bound ** np.arange(9)[:, np.newaxis]
            assert np.all(found <= limits), (scale, (found / limits).max())


# --- what each lag adds --------------------------------------------------------------------------


KINDS: dict[str, dict[str, Any]] = {
    "one-hot": {},
    "one-hot, more classes than rows": {"input_size": 17},
    "embedding": {"embedding_size": 3},
    "embedding, more classes than rows": {"input_size": 17, "embedding_size": 3},
    "real": {"input_kind": "real"},
    "none": {"input_kind": "none", "input_size": 0},
}


def matrices(graph: UnrolledGraph) -> list[Any]:
    """The variables that `contributions` are of."""
    if graph.network.is_layered:
        return [layer.variables[0] for layer in graph.cell.layers]
    known = {id(variable) for variable in graph.network.variables}
    return [variable for variable in tf.trainable_variables() if id(variable) not in known]


def check_contributions(graph: UnrolledGraph) -> None:
    n = graph.num_steps
    parts = contributions(graph)
    with graph.tf_graph.as_default():
        wanted = matrices(graph)
        truncated = []
        for K in range(1, n + 1):
            border = tf.nest.flatten(graph.states[n - 1 - K]) if n > K else []
            truncated.append(
                tf.gradients(
                    tf.reduce_mean(graph.losses[-1]),
                    wanted,
                    stop_gradients=border,
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
            )
        variables = tf.trainable_variables()
    size = sum(variable.shape.num_elements() for variable in wanted)
    assert parts.shape == (n, size)
    with graph.session() as session:
        assign(session, variables, random_values(np.random.default_rng(1), variables, 0.4))
        found, expected = session.run((parts, truncated), random_feed(graph))
    for K, (mine, his) in enumerate(zip(np.cumsum(found, axis=0), expected, strict=True), start=1):
        assert_close(mine, np.concatenate([part.ravel() for part in his]), 1e-14, f"K {K}")
    sizes = np.linalg.norm(found, axis=1)
    assert sizes.min() > 1e-9, sizes


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gru", "embedding"),
        ("lstm", "embedding, more classes than rows"),
        ("gru_reset_before", "one-hot"),  # two products a step
        ("gru_reset_before", "real"),
        ("relu", "none"),
        ("normed gru", "one-hot"),
        ("normed stacked", "one-hot, more classes than rows"),
    ],
)
def test_contributions_sum_to_truncated_gradients(name: str, kind: str) -> None:
    check_contributions(new_graph(ALL_CASES[name].make(), 3, **KINDS[kind]))


@pytest.mark.parametrize(("num_steps", "chunks"), [(1, [1]), (5, [2, 2, 1])])
@pytest.mark.usefixtures("chunks_of_two")
def test_contributions_of_chunks(num_steps: int, chunks: list[int]) -> None:
    graph = new_graph(StackedCell([GRUCell(3), LSTMCell(2)]), num_steps)
    assert [len(trace.recurrents) for trace in graph.tapes[0]] == chunks
    check_contributions(graph)


def test_contributions_of_a_foreign_cell() -> None:
    """The slots of an optimizer beside it are no part of it."""
    with tf.Graph().as_default():
        check_contributions(new_graph(Foreign(), 3, optimizer="adam"))
    with tf.Graph().as_default():
        assert contributions(new_graph(Foreign(), 1, dtype="float32")).dtype == tf.float32


# --- the bias of truncation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "bias", "cosine", "block_bias"),
    [
        ([[3, 0], [0, 4]], [4 / 5, 0], [3 / 5, 1], [4 / 5, 2 / 5]),
        # g = 2, -1: the truncated gradient points the other way.
        ([[2], [-3]], [3, 0], [-1, 1], [3, 1.5]),
        # g = 1, 1, 2; blocks: 1, 1, 4/3
        ([[1], [0], [1]], [0.5, 0.5, 0], [1, 1, 1], [0.5, 0.5, 1 / 3]),
        ([[7]], [0], [1], [0]),
    ],
)
def test_bias_by_hand(
    parts: list[list[float]], bias: list[float], cosine: list[float], block_bias: list[float]
) -> None:
    c = np.array(parts, float)
    assert_close(truncation_bias(c @ c.T), (np.array(bias), np.array(cosine), np.array(block_bias)), 1e-15)


def test_bias_is_that_of_the_vectors_of_all_positions() -> None:
    positions, n, size = 3, 5, 7
    c = np.random.default_rng(9).normal(size=(positions, n, size))
    found = truncation_bias(np.einsum("pis,pjs->ij", c, c))
    g = np.cumsum(c, axis=1).transpose(1, 0, 2).reshape(n, -1)  # g[K - 1] of all positions in a row
    whole = g[-1]
    for K in range(1, n + 1):
        block = g[:K].mean(axis=0)
        expected = (
            np.linalg.norm(g[K - 1] - whole) / np.linalg.norm(whole),
            g[K - 1] @ whole / (np.linalg.norm(g[K - 1]) * np.linalg.norm(whole)),
            np.linalg.norm(block - whole) / np.linalg.norm(whole),
        )
        # Squares are summed before they cancel, so what should be 0 is the root of rounding.
        assert_close([values[K - 1] for values in found], expected, 1e-7 if n == K else 1e-13, f"K {K}")


@pytest.mark.parametrize("parts", [[[0.0], [0.0]], [[1.0], [-1.0]]])
def test_there_is_no_bias_relative_to_nothing(parts: list[list[float]]) -> None:
    c = np.array(parts)
    bias, cosine, _ = truncation_bias(c @ c.T)
    assert not np.isfinite(bias[0])
    assert np.isnan(cosine[-1])


# --- decay, half-life, trend ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decay", "steps"), [(0.5, 1.0), (0.25, 0.5), (2**-0.25, 4.0), (2.0, -1.0), (2**0.5, -2.0)]
)
def test_a_geometric_sequence_is_fitted_exactly(decay: float, steps: float) -> None:
    for first in (1.0, 1e-20, 3.0):
        found = fitted_decay(first * decay ** np.arange(9))
        assert_close(found, decay, 1e-14, f"decay of {first} * {decay}^k")
    assert half_life(decay) == pytest.approx(steps, rel=1e-15)


def test_the_fit_is_least_squares_in_logarithms() -> None:
    # ln: 0, 3, 0 -> slope 0;  0, 0, 1 -> slope 1/2;  the 0 at lag 1 left out: 1 to 1/16 in 4 lags
    assert fitted_decay(np.exp([0.0, 3, 0])) == pytest.approx(1, abs=1e-14)
    assert fitted_decay(np.exp([0.0, 0, 1])) == pytest.approx(math.exp(0.5), rel=1e-14)
    assert fitted_decay(np.array([1, 0, 0, 0, 1 / 16])) == pytest.approx(0.5, rel=1e-14)
    for norms in ([], [2.0], [2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        assert math.isnan(fitted_decay(np.array(norms))), f"{norms}: one norm is no sequence"
    assert half_life(1.0) == math.inf
    assert math.isnan(half_life(math.nan))


@pytest.mark.parametrize(
    ("decay", "num_steps", "word"),
    [
        (0.5, 2, "vanishes"),
        (2.0, 2, "explodes"),
        (1.0, 1000, "holds"),
        (0.99, 60, "holds"),  # 0.547
        (0.99, 70, "vanishes"),  # 0.495
        (1.01, 69, "holds"),  # 1.99
        (1.01, 70, "explodes"),  # 2.007
        (math.nan, 5, "vanishes"),  # nothing beyond lag 0
    ],
)
def test_trend_is_a_factor_of_2_over_the_width(decay: float, num_steps: int, word: str) -> None:
    assert trend(decay, num_steps) == word


SHORT = Echo(lags=(1,), effects=(0.3,), length=100, valid_length=100)

# --- end to end ----------------------------------------------------------------------------------


def by_hand(
    graph: UnrolledGraph,
    session: Any,
    blocks: Sequence[Any],
    num_steps: int,
    *,
    carries: bool,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean norms by lag, and the inner products of what the lags add, summed over blocks."""
    probe = graph.forward(num_steps=num_steps)
    fetches = [gradient_norms(probe), probe.cached(contributions), probe.final_state]
    state, norms, products = probe.zero_state(), [], np.zeros((num_steps, num_steps))
    for inputs, targets in blocks:
        found, parts, after = session.run(fetches, probe.feed(inputs, targets, state))
        norms.append(found.mean(axis=1))
        products += parts @ parts.T
        state = after if carries else state
    return np.mean(norms, axis=0), products


def assert_analysis(found: LagAnalysis, norms: NDArray[Any], products: NDArray[Any]) -> None:
    n = len(norms)
    assert (found.lags, found.truncations) == (list(range(n)), list(range(1, n + 1)))
    assert_close(np.array(found.gradient_norm), norms, 1e-13, "norms")
    bias, cosine, block_bias = truncation_bias(products)
    assert_close(np.array(found.relative_bias), bias, 1e-10, "relative bias")
    assert_close(np.array(found.cosine), cosine, 1e-10, "cosine")
    assert_close(np.array(found.block_bias), block_bias, 1e-10, "block bias")
    assert found.relative_bias[-1] == 0
    assert found.cosine[-1] == pytest.approx(1, abs=1e-14)
    assert found.decay == pytest.approx(fitted_decay(norms), rel=1e-12)
    assert found.half_life == half_life(found.decay)
    assert found.trend == trend(found.decay, n)


def test_measure_lags_carries_the_state_over_the_blocks_of_a_stream() -> None:
    task = Echo(lags=(1, 3), effects=(0.3, -0.15), length=130, valid_length=100)
    graph = new_graph(VanillaCell(6), num_steps=2, input_size=2)
    num_steps = 5  # 100 // 3 // 5 = 6 blocks, 130 // 3 // 5 = 8
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(1), graph.variables))
        for split, positions in (("train", 8), ("valid", 6)):
            found = measure_lags(graph, session, task, num_steps, split)
            blocks = list(task.blocks(BATCH, num_steps, split))
            expected = by_hand(graph, session, blocks, num_steps, carries=True)
            assert found.positions == len(blocks) == positions
            assert_analysis(found, *expected)
        reset = by_hand(graph, session, blocks, num_steps, carries=False)
        W = session.run(graph.variables[0])
    assert np.abs(reset[0] - expected[0]).max() > 1e-3, "a state of zero would not be noticed"
    assert found.bound == pytest.approx(np.linalg.svd(W[2:])[1][0], rel=1e-14)


@pytest.mark.parametrize(("task", "num_steps"), [
    (Adding(span=7, length=70, valid_length=70), 4),
    (Copy(delay=2, num_symbols=3, num_recalled=2, length=60, valid_length=60), 3),
])  # fmt: skip
def test_measure_lags_looks_back_from_the_end_of_each_example(task: Task, num_steps: int) -> None:
    graph = new_graph(
        LSTMCell(4), 2, input_size=task.input_size, num_classes=task.num_classes, input_kind=task.input_kind,
        loss=task.loss, loss_steps=task.loss_steps,
    )  # fmt: skip
    inputs, targets = task.rows(BATCH, "valid")
    ends = range(task.period, inputs.shape[1] + 1, task.period)
    blocks = [(inputs[:, end - num_steps : end], targets[:, end - num_steps : end]) for end in ends]
    with graph.session() as session:
        found = measure_lags(graph, session, task, num_steps)
        expected = by_hand(graph, session, blocks, num_steps, carries=False)
    assert found.positions == len(blocks) == len(task.stream("valid").targets) // task.period // BATCH
    assert_analysis(found, *expected)
    assert min(found.gradient_norm) > 0, "the last step has no target"
    assert found.bound is None


def test_measure_lags_may_look_back_beyond_an_example() -> None:
    """Ten steps of examples of 4: the ends of every third example, 2 rows of 7 of them."""
    task = Adding(span=4, length=4 * 14, valid_length=4 * 14)
    graph = new_graph(
        VanillaCell(3), 2, batch_size=2, input_size=2, num_classes=1, input_kind="real",
        loss="squared_error", loss_steps="marked",
    )  # fmt: skip
    inputs, targets = task.rows(2, "valid")
    blocks = [(inputs[:, end - 10 : end], targets[:, end - 10 : end]) for end in (12, 24)]
    with graph.session() as session:
        found = measure_lags(graph, session, task, 10)
        expected = by_hand(graph, session, blocks, 10, carries=False)
    assert found.positions == 2
    assert_analysis(found, *expected)


def test_measure_lags_stops_after_enough_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lags_module, "MOST_POSITIONS", 3)
    graph = new_graph(GRUCell(3), num_steps=2, input_size=2)
    with graph.session() as session:
        assert measure_lags(graph, session, SHORT, 4).positions == 3


def test_data_too_short_and_gradients_too_large_are_errors() -> None:
    graph = new_graph(VanillaCell(3, activation="relu"), input_size=2, dtype="float32")
    message = (
        "num_steps must be at most 33 (the 100 tokens of split 'valid' cut into 3 rows), got 34; "
        "it fits with a batch_size of at most 2"
    )
    with graph.session() as session:
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            measure_lags(graph, session, SHORT, 34)
        assign(session, graph.variables, [np.full(variable.shape, 1e30) for variable in graph.variables])
        message = (
            r"^the gradient's norm is (inf|nan) at lag \d of 5, in block 1 of the data: it explodes, or "
        )
        with pytest.raises(OverflowError, match=message):
            measure_lags(graph, session, SHORT, 5)


SETUP = Setup(task="echo", state_size=3, batch_size=7)
TINY: dict[str, Any] = {"lags": (1, 2), "effects": (0.3, -0.15), "length": 700, "valid_length": 140}


def test_a_study_measures_before_and_after_training(tmp_path: Path) -> None:
    task = make_task("echo", **TINY)
    study = study_lags(SETUP, task, 4, tokens=1400, seed=2, callbacks=())
    graph = make_graph(SETUP, task, 4, seed=2)
    with graph.session() as session:
        assert study.untrained == measure_lags(graph, session, task, 4)
    assert study.trained is not None
    assert study.evaluation is not None
    assert study.trained.gradient_norm != study.untrained.gradient_norm
    assert study.evaluation.tokens == 140
    assert study_lags(SETUP, task, 4, tokens=1400, seed=2, callbacks=()) == study
    assert study.last is study.trained
    expected = [(weights, lag) for weights in ("untrained", "trained") for lag in range(4)]
    assert [(record["weights"], record["lag"]) for record in study.records] == expected
    assert [record["gradient_norm"] for record in study.records[4:]] == study.last.gradient_norm
    assert [row[0] for row in study.table().rows] == ["0", "1", "2", "3"]
    assert len(study.figure().axes) == 2
    files = study.write(tmp_path / "out")
    assert {path.name for path in files} | {"config.json"} == {p.name for p in (tmp_path / "out").iterdir()}


def test_a_study_without_training_at_width_1() -> None:
    """It has a norm and no decay."""
    study = study_lags(SETUP, make_task("echo", **TINY), 1, tokens=0)
    assert (study.trained, study.evaluation) == (None, None)
    found = study.last
    assert (found.lags, found.truncations, found.relative_bias, found.cosine) == ([0], [1], [0.0], [1.0])
    assert math.isnan(found.decay)
    assert found.gradient_norm[0] > 0


def test_the_sum_over_steps_does_not_matter() -> None:
    """The last loss is unreduced: neither reduction nor which losses count is of any effect."""
    shown = []
    choices: list[dict[str, Any]] = [{}, {"reduction": "sum"}, {"loss_steps": "last"}]
    for options in choices:
        graph = new_graph(VanillaCell(4), **options)
        with graph.session() as session:
            shown.append(session.run([gradient_norms(graph), contributions(graph)], random_feed(graph)))
    assert_close(shown[1:], [shown[0]] * 2, 0, "options")
