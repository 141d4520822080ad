"""An n-wide graph's values against NumPy, and its gradients against those of a naive graph."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from helpers import (
    ALL_CASES,
    CASES,
    Run,
    assert_close,
    assert_gradients_agree,
    assert_slopes_agree,
    assign,
    gradients_of,
    input_vectors,
    make_run,
    new_session,
    random_block,
    random_state,
    random_values,
)
from references import cross_entropy, lstm_step, run_steps, softmax, squared_error, stacked_step, tanh_step

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.chunks import Chunks
from tf_rnn.options import GraphOptions

# 3 examples and 3 steps are 9 rows: tables of up to 4 classes are projected whole, and those of
# more than 512 are scattered.
INPUTS: dict[str, dict[str, Any]] = {
    "few classes": {"input_size": 2},
    "many classes": {"input_size": 11},
    "scattered classes": {"input_size": 520},
    "few embedded": {"input_size": 4, "embedding_size": 5},
    "many embedded": {"input_size": 11, "embedding_size": 5},
    "scattered embedded": {"input_size": 520, "embedding_size": 5},
    "real": {"input_size": 5, "input_kind": "real"},
    "none": {"input_size": 0, "input_kind": "none"},
}
LOSSES = list(itertools.product(["cross_entropy", "squared_error"], ["all", "last"], ["mean", "sum"]))
# A cell knows nothing of where its vectors come from, nor of what is made of its outputs. Each cell meets one
# kind of inputs, so that each kind and each of the losses is met, and two more in a slow run.
COVERING = [
    pytest.param(
        cell,
        kind,
        LOSSES[(row + 2 * column) % len(LOSSES)],
        marks=() if (column - row) % len(INPUTS) == 2 else pytest.mark.slow,
    )
    for row, cell in enumerate(ALL_CASES)
    for column, kind in enumerate(INPUTS)
    if (column - row) % len(INPUTS) in (1, 2, 5)
    if (cell in CASES) or kind != "none"  # nothing is normalised: `test_layer_norm.py`
]


def assert_values_agree(run: Run, step: Any) -> None:
    """States, predictions, losses and total loss are NumPy's."""
    graph, options = run.graph, run.graph.options
    cell_values = run.values[len(graph.network.encoding.variables) : -2]
    vectors = input_vectors(graph, run.inputs, run.values)
    outputs, states = run_steps(step, cell_values, vectors, run.state)
    logits = [output @ run.values[-2] + run.values[-1] for output in outputs]
    loss, predict = {
        "cross_entropy": (cross_entropy, softmax),
        "squared_error": (squared_error, lambda readout: readout),
    }[options.loss]
    losses = [loss(row, run.targets[:, t]) for t, row in enumerate(logits)]
    shown = losses if options.loss_steps == "all" else losses[-1:]
    total = np.sum(shown) / options.batch_size
    total /= len(shown) if options.reduction == "mean" else 1
    fetches = [graph.states, graph.predictions, graph.losses, graph.total_loss, graph.final_state]
    found = run.fetch(fetches)
    assert_close(found[0], states, 1e-12, "states")
    assert_close(found[1], [predict(row) for row in logits], 1e-12, "predictions")
    assert_close(found[2], losses, 1e-12, "losses")
    assert_close(found[3], total, 1e-12, "total loss")
    assert_close(found[4], found[0][-1], 0, "final state")


@pytest.mark.parametrize(
    ("cell", "kind", "losses"), COVERING, ids=lambda part: part if isinstance(part, str) else "-".join(part)
)
@pytest.mark.usefixtures("chunks_of_two")
def test_values_and_gradients_of_every_kind(cell: str, kind: str, losses: tuple[str, str, str]) -> None:
    options = dict(zip(("loss", "loss_steps", "reduction"), losses, strict=True))
    run = make_run(ALL_CASES[cell].make(), 3, 3, **INPUTS[kind], **options)
    assert len(run.graph._forward.unrolled.outputs) == 2
    assert_values_agree(run, ALL_CASES[cell].step)
    assert_gradients_agree(run)
    if cell in CASES:  # differences are less precise where steps are normalised: `test_layer_norm.py`
        assert_slopes_agree(run)


@pytest.mark.parametrize(
    ("num_steps", "batch_size", "expected"),
    [
        (1, 7, [1]),
        (2, 50, [1, 1]),  # two chunks at least
        (10, 20, [5, 5]),
        (10, 50, [4, 4, 2]),  # 200 rows
        (20, 20, [10, 10]),
        (20, 50, [5, 5, 5, 5]),  # four chunks
        (35, 64, [9, 9, 9, 8]),
        (50, 50, [13, 13, 13, 11]),
        (100, 50, [20] * 5),  # twenty steps at most
        (51, 3, [17, 17, 17]),  # and even ones
    ],
)
def test_how_many_steps_a_chunk_has(num_steps: int, batch_size: int, expected: list[int]) -> None:
    options = GraphOptions(num_steps=num_steps, batch_size=batch_size, input_size=2, num_classes=2)
    cut = Chunks(options, 1e9).cut(list(range(num_steps)))
    assert [len(chunk) for chunk in cut] == expected


@pytest.mark.parametrize(
    ("cell", "num_steps", "batch_size"),
    [("lstm", 3, 1), ("stacked", 1, 1)],
)
def test_values_and_gradients_in_one_chunk(cell: str, num_steps: int, batch_size: int) -> None:
    run = make_run(CASES[cell].make(), num_steps, batch_size, input_size=5, input_kind="real")
    assert len(run.graph._forward.unrolled.outputs) == 1
    assert_values_agree(run, CASES[cell].step)
    assert_gradients_agree(run)


@pytest.mark.parametrize("embedding_size", [None, 3])
def test_a_large_table_that_is_projected_whole(embedding_size: int | None) -> None:
    # 2 * 513 classes are no more than 1026 rows, and more than the 512 that a product is good for.
    run = make_run(VanillaCell(2), 2, 513, input_size=513, embedding_size=embedding_size)
    run.inputs[:, 1:] %= 7  # most rows of the table several times
    assert_gradients_agree(run)


def test_gradients_in_float32() -> None:
    run = make_run(LSTMCell(4), 3, 3, input_size=4, embedding_size=6, dtype="float32")
    assert {gradient.dtype for gradient, _ in run.graph.gradients} == {tf.float32}
    assert_gradients_agree(run, 2e-6)


def test_values_and_gradients_in_chunks_of_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_rnn.graph.chunks.TINY_STEP", 0)
    monkeypatch.setattr("tf_rnn.graph.chunks.CHUNK_STEPS", 1)
    run = make_run(StackedCell([LSTMCell(4), VanillaCell(5)]), 3, 3, input_size=5)
    assert len(run.graph._forward.unrolled.outputs) == 3
    assert_values_agree(run, stacked_step((lstm_step, 2), (tanh_step, 2)))
    assert_gradients_agree(run)


def test_steps_are_chunked_only_where_they_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    # A step of 2 * 3 * 7^2 * 4 = 1176 operations.
    monkeypatch.setattr("tf_rnn.graph.chunks.CHUNK_STEPS", 2)
    for limit, chunks in [(1177, 1), (1176, 3)]:
        monkeypatch.setattr("tf_rnn.graph.chunks.TINY_STEP", limit)
        run = make_run(StackedCell([LSTMCell(7), VanillaCell(8)]), 5, 3, input_size=2, optimizer=None)
        assert len(run.graph._forward.unrolled.outputs) == chunks, limit


def test_two_blocks_are_one_of_twice_the_width_but_for_the_border() -> None:
    n = 3
    generator = np.random.default_rng(59)
    options: dict[str, Any] = {"reduction": "sum", "dtype": "float64", "optimizer": "sgd"}
    with tf.Graph().as_default(), new_session() as session:
        made = StackedCell([LSTMCell(4), GRUCell(3)])
        wide = UnrolledGraph(made, 2 * n, 3, 5, 4, **options)
        block = UnrolledGraph(made, n, 3, 5, 4, **options)
        assign(session, wide.variables, random_values(generator, wide.variables))
        inputs, targets = random_block(generator, wide)
        first = random_state(generator, wide.init_state)

        def fetches(graph: UnrolledGraph) -> list[Any]:
            values = [graph.losses, graph.predictions, graph.states]
            return [*values, graph.total_loss, gradients_of(graph)]

        whole = session.run(fetches(wide), wide.feed(inputs, targets, first))
        feed_1 = block.feed(inputs[:, :n], targets[:, :n], first)  # type: ignore[index]
        one = session.run(fetches(block), feed_1)
        feed_2 = block.feed(inputs[:, n:], targets[:, n:], one[2][-1])  # type: ignore[index]
        two = session.run(fetches(block), feed_2)
        for name, a, b, c in zip(("losses", "predictions", "states"), whole, one, two, strict=False):
            assert_close(b + c, a, 0, name)
        assert_close(one[3] + two[3], whole[3], 1e-14, "total loss")  # the sum's order differs

        # What flows over the border: dL_2/dS of the state carried in, times dS/dW of the first block.
        states = tf.nest.flatten(block.init_state)
        at_border = session.run(tf.gradients(block.total_loss, states), feed_2)
        carried = tf.gradients(
            tf.nest.flatten(block.final_state),
            list(block.variables),
            grad_ys=[tf.constant(gradient) for gradient in at_border],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        expected = session.run(carried, feed_1)
        found = [a - b - c for a, b, c in zip(whole[4], one[4], two[4], strict=True)]
        assert_close(found, expected, 1e-12, "gradient over the border")
        for variable, gradient in zip(block.variables[:-2], expected, strict=False):
            assert np.abs(gradient).max() > 1e-3, f"nothing flows to {variable.name}"
