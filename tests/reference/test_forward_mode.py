"""The gradient over the whole past, carried forward in time: against backpropagation over all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import ALL_CASES, Foreign, assert_close, assign, random_block, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.analysis import contributions as contributions_module
from tf_rnn.analysis.bias import Parts, truncation_bias
from tf_rnn.analysis.contributions import contributions, sampled_contributions, weights_of
from tf_rnn.analysis.lags import check_lags, measure_lags
from tf_rnn.analysis.past import Directions, Influence, Past, start_gradient, whole_past
from tf_rnn.cells import LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph, make_graph
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Adding, Echo, Stream, make_task

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH, INPUTS, CLASSES = 3, 5, 2


CELLS: dict[str, Callable[[], Any]] = {name: case.make for name, case in ALL_CASES.items()}
CELLS |= {"third-party": Foreign, "two layers": lambda: StackedCell([LSTMCell(4), VanillaCell(7)])}


def along(count: int, rows: int) -> Callable[[UnrolledGraph, Any], Past]:
    return lambda graph, session: Directions(graph, session, rows, count)


def graph_of(cell: Any, num_steps: int, **options: Any) -> UnrolledGraph:
    given = {"dtype": "float64", "optimizer": None, "seed": 3, "input_size": INPUTS} | options
    return UnrolledGraph(cell, num_steps, BATCH, num_classes=CLASSES, **given)


def flat_gradient(graph: UnrolledGraph, loss: Any) -> Any:
    """Of the weights that contributions are of, in one row."""
    return tf.concat([tf.reshape(each, [-1]) for each in tf.gradients(loss, weights_of(graph))], axis=0)


class Walk:
    """Windows of a sequence of random data, one after the other.

    Attributes:
        parts: The contributions at each window.
        last: By backpropagation, the gradient of each window's last loss over all steps up to it; of none
            unless of `every` window.
        total: That of all losses together.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        windows: int,
        make: Callable[[UnrolledGraph, Any], Past],
        *,
        every: bool = True,
    ) -> None:
        n = graph.num_steps
        wide = graph.forward(num_steps=n * windows)
        generator = np.random.default_rng(5)
        inputs, targets = random_block(generator, wide)
        starts: Any = None
        if graph.options.starts:  # a row without any, too
            starts = np.random.default_rng(1).random(targets.shape) < np.array([[0.2], [0.4], [0]])
        with graph.tf_graph.as_default():
            means = [tf.reduce_mean(loss) for loss in wide.losses]
            last = [flat_gradient(wide, loss) for loss in means[n - 1 :: n]] if every else []
            wanted = last, flat_gradient(wide, tf.add_n(means))
            variables = tf.trainable_variables()
        fetches = (
            graph.cached(sampled_contributions, windows),
            graph.cached(start_gradient),
            graph.final_state,
        )
        with graph.session() as session:
            assign(session, variables, random_values(generator, variables, 0.5))
            run, past, state = graph.runner(session, *fetches), make(graph, session), graph.zero_state()
            self.past, self.parts = past, []
            for number in range(windows):
                cut = slice(n * number, n * (number + 1))
                own: Any = None if inputs is None else inputs[:, cut]
                window = Stream(own, targets[:, cut], None if starts is None else starts[:, cut])
                lags, d_start, final = run(*window, state, starts=window.starts)
                self.parts.append(past.parts(lags, d_start))
                past.advance(window, state)
                state = final
            fed = wide.feed(inputs, targets, wide.zero_state(), starts)
            self.last, self.total = session.run(wanted, fed)


# --- exact ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gru", {"embedding_size": 3}),
        ("gru_reset_before", {"input_kind": "real"}),
        ("tanh", {"input_kind": "none", "input_size": 0}),
        ("lstm", {"starts": True}),
        ("normed tanh", {}),
    ],
)
def test_real_time_recurrent_learning_is_full_backpropagation(name: str, options: dict[str, Any]) -> None:
    """Step by step over 5 steps: the sum of the gradients of all losses."""
    walk = Walk(graph_of(ALL_CASES[name].make(), 1, **options), 5, Influence, every=False)
    total = sum(parts.known.sum(axis=0) for parts in walk.parts)
    assert_close(total, walk.total, 1e-12, name)
    older = np.linalg.norm(sum(parts.known[-1] for parts in walk.parts)) / np.linalg.norm(walk.total)
    assert older > 0.1, f"{older} of the gradient is older than a step"


def test_windows_of_several_steps_give_the_same() -> None:
    walk = Walk(graph_of(CELLS["two layers"](), 2, starts=True), 3, Influence)
    for number, (parts, expected) in enumerate(zip(walk.parts, walk.last, strict=True)):
        assert parts.known.shape[0] == 3
        assert_close(parts.known.sum(axis=0), expected, 1e-12, f"window {number}")
    assert np.abs(walk.parts[0].known[-1]).max() == 0, "nothing is older than the first window"


# --- along directions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sample", "starts"),
    [
        ("two layers", None, False),
        ("normed tanh", 20, False),
        ("third-party", None, True),
    ],
)
def test_tangents_are_the_older_part_along_each_direction(
    name: str, sample: int | None, starts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly; with a sample of 20 weights along directions of these alone."""
    if sample:
        monkeypatch.setattr(contributions_module, "MOST_NUMBERS", 3 * sample)
    count = 3
    with tf.Graph().as_default():
        walk = Walk(graph_of(CELLS[name](), 2, starts=starts), 3, along(count, 3))
    assert isinstance(walk.past, Directions)
    directions = [np.concatenate([part.ravel() for part in walk.past._weights(j)]) for j in range(count)]
    assert [np.count_nonzero(v) for v in directions] == [sample or len(walk.total)] * count
    for number, (parts, expected) in enumerate(zip(walk.parts, walk.last, strict=True)):
        assert_close(parts.along.sum(axis=0), np.stack(directions) @ expected, 1e-12, f"window {number}")


def test_products_along_directions_are_unbiased() -> None:
    """Within 4 standard errors of 200 directions, fewer than the 221 weights of two layers."""
    count, graph = 200, graph_of(CELLS["two layers"](), 3)
    walk = Walk(graph, 2, along(count, 2), every=False)
    exact = Walk(graph, 2, Influence, every=False).parts[-1]
    found, expected = walk.parts[-1].products(walk.parts[-1]), exact.products(exact)
    assert_close(found[:3, :3], expected[:3, :3], 1e-12, "known lags")
    # The variance of (a . v)(b . v) is |a|^2 |b|^2 + (a . b)^2.
    squares = np.diag(expected)
    errors = np.sqrt((squares[:, np.newaxis] * squares + expected**2) / count)
    away = ((found - expected) / errors)[3]
    assert np.abs(away).max() < 4, f"{found[3]}, not {expected[3]}: {away} standard errors"
    assert np.abs(away).min() > 0, away
    assert errors[3, 3] / expected[3, 3] == pytest.approx(np.sqrt(2 / count), rel=1e-12)


def test_few_weights_are_followed_exactly() -> None:
    """20 + 16 + 12 of them, and 50 directions."""
    with tf.Graph().as_default():
        walk = Walk(graph_of(Foreign(), 2), 4, lambda graph, session: whole_past(graph, session, 4))
    assert (walk.past.directions, len(walk.total)) == (0, 48)
    for number, (parts, expected) in enumerate(zip(walk.parts, walk.last, strict=True)):
        whole = parts.whole()
        assert_close(whole.products(whole).sum(), expected @ expected, 1e-12, f"window {number}")


def test_the_influence_matrix_is_used_where_it_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(LSTMCell(4), 2)  # 3 rows, 8 numbers in the state, (5 + 4) * 16 weights
    with graph.session() as session:
        assert isinstance(whole_past(graph, session, 9), Influence)
        monkeypatch.setattr("tf_rnn.analysis.past.MOST_PRODUCTS", 3 * 8 * 144 * 32)
        assert isinstance(whole_past(graph, session, 9), Influence)
        monkeypatch.setattr("tf_rnn.analysis.past.MOST_PRODUCTS", 3 * 8 * 144 * 32 - 1)
        past = whole_past(graph, session, 9)
        assert (type(past), past.directions) == (Directions, 50)


def test_a_cell_without_second_derivatives_is_refused() -> None:
    class Rough(Foreign):
        def combine(self, state: Any) -> Any:
            return tf.cast(
                tf.reshape(tf.nn.lrn(tf.cast(state, "float32")[:, None, None]), [-1, 4]), state.dtype
            )

    with tf.Graph().as_default():
        graph = graph_of(Rough(), 2, input_size=2)
        with graph.session() as session, pytest.raises(OptionError, match=r"^reference must be 'widest' for"):
            measure_lags(graph, session, Echo(length=99, valid_length=99), 2, reference="infinite")


# --- end to end ----------------------------------------------------------------------------------


def test_measured_against_the_whole_past() -> None:
    """4 positions of 3 steps; the gradient of the last by backpropagation over 12."""
    task = Echo(lags=(1,), effects=(0.3,), length=36, valid_length=36)
    graph = graph_of(VanillaCell(4, recurrent_gain=1.1), 3, input_size=2)
    inputs, targets = task.rows(BATCH, "valid")
    products = np.zeros((4, 4))
    with graph.session() as session:
        found = measure_lags(graph, session, task, 3, reference="infinite")
        for number in range(4):
            wide = graph.forward(num_steps=3 * (number + 1))
            with wide.tf_graph.as_default():
                parts = contributions(wide)
            fed = wide.feed(inputs[:, : wide.num_steps], targets[:, : wide.num_steps], wide.zero_state())
            lags = session.run(parts, fed)
            all_parts = np.concatenate([lags[:3], lags[3:].sum(axis=0, keepdims=True)])
            products += all_parts @ all_parts.T
        widest = measure_lags(graph, session, task, 3)
    bias, cosine, block_bias = truncation_bias(products)
    assert (found.positions, found.reference, found.directions) == (4, "infinite", 0)
    assert_close(np.array(found.relative_bias), bias[:3], 1e-12, "relative bias")
    assert_close(np.array(found.cosine), cosine[:3], 1e-12, "cosine")
    assert_close(np.array(found.block_bias), block_bias[:3], 1e-12, "in blocks")
    assert found.relative_bias[-1] > 0.05, found.relative_bias
    assert (widest.relative_bias[-1], widest.lyapunov, widest.reference) == (0, None, "widest")
    assert found.gradient_norm == widest.gradient_norm


def test_of_examples_the_past_begins_with_the_example() -> None:
    task = Adding(span=7, length=70, valid_length=70)
    graph = UnrolledGraph(
        LSTMCell(3), 4, BATCH, input_size=2, num_classes=1, input_kind="real", loss="squared_error",
        loss_steps="marked", dtype="float64", optimizer=None, seed=3,
    )  # fmt: skip
    with graph.session() as session:
        whole = measure_lags(graph, session, task, 7)
        found = measure_lags(graph, session, task, 4, reference="infinite")
        again = measure_lags(graph, session, task, 7, reference="infinite")
    for name in ("gradient_norm", "relative_bias", "cosine", "block_bias"):
        assert_close(getattr(found, name), getattr(whole, name)[:4], 1e-12, name)
        assert_close(getattr(again, name), getattr(whole, name), 1e-12, name)
    assert (found.positions, found.lyapunov) == (whole.positions, None)
    assert found.relative_bias[-1] > 0.01, found.relative_bias


@pytest.mark.slow
def test_the_influence_task_has_the_bias_that_it_was_made_for() -> None:
    """One weight, whose effect within K steps is known: at first it has the wrong sign."""
    task = make_task("influence", length=2000, valid_length=2000)
    setup = Setup(task="influence", batch_size=2)
    graph = make_graph(setup, task, 10, seed=0)
    with graph.session() as session:
        found = measure_lags(graph, session, task, 10, reference="infinite")
    effect = graph.cell.truncated_influence
    # The first windows have less of a past than the rest.
    expected = [abs(effect(K) - effect(10_000)) / abs(effect(10_000)) for K in range(1, 11)]
    assert found.relative_bias == pytest.approx(expected, rel=0.2), expected
    assert max(found.cosine) < -0.7, found.cosine
    assert found.lyapunov == pytest.approx(np.log(0.5), abs=0.1)


def test_an_example_too_long_for_a_graph_is_refused() -> None:
    task = Adding(span=10_003, length=20_006, valid_length=20_006)
    setup = Setup(task="adding", batch_size=1)
    check_lags(setup, task, 3, "infinite")
    message = r"^reference must be 'widest' where an example has more than 10000 steps before the last 2; "
    with pytest.raises(OptionError, match=message):
        check_lags(setup, task, 2, "infinite")
    check_lags(setup, task, 2)


def test_parts_are_added_and_averaged() -> None:
    generator = np.random.default_rng(2)
    known, along = generator.normal(size=(2, 3, 4)), generator.normal(size=(2, 4, 6))
    one, other = Parts(known[0], along[0]), Parts(known[1], along[1])
    mean = (one + other).divided(2)
    assert_close([mean.known, mean.along], [known.mean(axis=0), along.mean(axis=0)], 1e-15)
    assert_close(mean.whole().known, known.mean(axis=0).sum(axis=0, keepdims=True), 1e-15)
    assert_close(
        list(mean.whole().along), [along[:, :3].sum(axis=(0, 1)) / 2, along[:, 3].mean(axis=0)], 1e-14
    )
