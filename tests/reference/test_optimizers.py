"""One training step: clipping, updates of embeddings, learning rates, weight decay, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    assert_close,
    assign,
    naive_gradients,
    new_session,
    random_block,
    random_values,
)
from references import Optimizer

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.gradients import true_gradients
from tf_rnn.graph.naming import weight_names
from tf_rnn.graph.optimizers import OPTIMIZERS, SPARSE_EXACT


def whole_norm(gradients: list[Any]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients)))


# Tables of 4 classes are projected whole, of 11 looked up by a product, of 520 scattered.
TABLES = [
    (4, "linear", 0.01),
    (11, "tied", None),
    (11, "linear", 100.0),
    (520, "linear", None),
    (520, "tied", 0.01),
]
# Each optimizer meets one of them by default, and RMSProp, which must not be given single rows, the sparse
# one; in a slow run two more.
PAIRS = [
    pytest.param(
        optimizer,
        table,
        marks=() if row == column or (optimizer, column) == ("rmsprop", 3) else pytest.mark.slow,
    )
    for row, optimizer in enumerate(OPTIMIZERS)
    for column, table in enumerate(TABLES)
    if (row - column) % 5 in (0, 1, 3)
]


@pytest.mark.parametrize(("optimizer", "table"), PAIRS)
def test_training_is_that_of_dense_gradients_by_hand(
    optimizer: str, table: tuple[int, str, float | None]
) -> None:
    input_size, readout, clip_norm = table
    generator = np.random.default_rng(79)
    num_classes = input_size if readout == "tied" else 2
    options: dict[str, Any] = {"embedding_size": 3, "readout": readout, "dtype": "float64"}
    options |= {"optimizer": optimizer, "learning_rate": 0.07, "clip_norm": clip_norm}
    with tf.Graph().as_default(), new_session() as session:
        graph = UnrolledGraph(VanillaCell(3), 3, 2, input_size, num_classes, **options)
        assert readout == "linear" or isinstance(graph.gradients[0].gradient, tf.Tensor)
        _, naive = naive_gradients(graph)
        session.run(tf.global_variables_initializer())
        values = random_values(generator, graph.variables)
        assign(session, graph.variables, values)
        reference = Optimizer(optimizer, 0.07, values)
        for run in range(4):
            inputs, targets = random_block(generator, graph)
            assert inputs is not None
            # Rows that are looked up twice in a run, and rows that come back in a later one.
            inputs = inputs % 4 + (run % 2) * (input_size - 4)
            fed = graph.feed(inputs, targets, graph.zero_state())
            gradients = session.run(naive, fed)  # a run of its own: the naive graph reads at any time
            norm, _ = session.run([graph.gradient_norm, graph.train_step], fed)
            expected_norm = whole_norm(gradients)
            assert_close(norm, expected_norm, 1e-12, "norm before clipping")
            scale = 1.0 if clip_norm is None else min(1.0, clip_norm / expected_norm)
            assert (scale < 1) == (clip_norm == 0.01), scale
            reference.update([scale * gradient for gradient in gradients])
            found = session.run(graph.variables)
            assert_close(found, reference.values, 1e-12, f"{optimizer}, run {run}")
        assert np.abs(found[0] - values[0]).max() > 1e-5, "the embedding was not trained"


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_row_looked_up_twice_counts_once_as_the_sum(optimizer: str) -> None:
    with tf.Graph().as_default(), new_session() as session:
        variable = tf.get_variable("E", [5, 2], tf.float64, use_resource=True)
        values = tf.constant([[3.0, 0], [1, 1], [3, 8], [2, 0]], tf.float64)
        indices = tf.constant([4, 1, 4, 2])
        slices = tf.IndexedSlices(values, indices, tf.constant([5, 2]))
        ((gradient, its_variable),) = true_gradients([(slices, variable)], optimizer)  # type: ignore[list-item]
        assert its_variable is variable
        assert isinstance(gradient, tf.IndexedSlices) == (optimizer in SPARSE_EXACT)
        norm, written_out = session.run([tf.global_norm([gradient]), tf.convert_to_tensor(gradient)])
        expected = np.zeros((5, 2))
        expected[[4, 1, 2]] = [[6, 8], [1, 1], [2, 0]]
        assert_close(written_out, expected, 0, "gradient")
        assert_close(norm, np.sqrt(100 + 2 + 4), 1e-14, "norm, not that of the four parts")


def test_sparse_updates_leave_other_rows_alone() -> None:
    for optimizer in SPARSE_EXACT:
        graph = UnrolledGraph(VanillaCell(2), 3, 1, 520, 2, embedding_size=3, optimizer=optimizer, seed=0)
        assert isinstance(graph.gradients[0][0], tf.IndexedSlices)
        with graph.session() as session:
            before = session.run(graph.variables[0])
            session.run(graph.train_step, graph.feed([[7, 519, 7]], [[1, 0, 1]], graph.zero_state()))
            after = session.run(graph.variables[0])
        assert sorted(set(np.nonzero(after - before)[0])) == [7, 519]


def test_the_learning_rate_can_be_fed() -> None:
    graph = UnrolledGraph(
        LSTMCell(3), 4, 3, 5, 2, optimizer="sgd", learning_rate=0.5, dtype="float64", seed=1
    )
    fed = graph.feed(np.ones((3, 4)), np.zeros((3, 4)), graph.zero_state())
    with graph.session() as session:
        assert session.run(graph.learning_rate) == 0.5
        for extra, rate in [({}, 0.5), ({graph.learning_rate: 0.125}, 0.125), ({}, 0.5)]:
            before = session.run(graph.variables)
            fetches = [[gradient for gradient, _ in graph.gradients], graph.train_step]
            gradients, _ = session.run(fetches, fed | extra)
            expected = [v - rate * g for v, g in zip(before, gradients, strict=True)]
            assert_close(session.run(graph.variables), expected, 1e-16, f"rate {rate}")
    other = UnrolledGraph(graph.cell, 2, 3, 5, 2, learning_rate=0.25, optimizer="sgd", dtype="float64")
    with graph.session() as session:
        rates = session.run([graph.learning_rate, other.learning_rate], {graph.learning_rate: 0.75})
        assert rates == [0.75, 0.25], "each width has a rate of its own"


@pytest.mark.parametrize(
    ("optimizer", "cell"),
    [
        ("sgd", VanillaCell),
        ("adam", GRUCell),
        pytest.param("momentum", LSTMCell, marks=pytest.mark.slow),
        pytest.param("adagrad", VanillaCell, marks=pytest.mark.slow),
        pytest.param("rmsprop", GRUCell, marks=pytest.mark.slow),
    ],
)
def test_matrices_decay_by_the_fed_rate_beside_the_step(optimizer: str, cell: Any) -> None:
    """All rows of a table of 520, of which a step looks up six; neither biases nor what Adam averages."""
    decaying = ("embedding/E", "layer_0/W", "readout/U")
    generator = np.random.default_rng(83)
    options: dict[str, Any] = {"embedding_size": 3, "dtype": "float64", "optimizer": optimizer}
    options |= {"clip_norm": 0.01, "weight_decay": 0.7}
    graph = UnrolledGraph(cell(4), 3, 2, 520, 5, **options)
    names = weight_names(graph)
    with graph.session() as session:
        values = random_values(generator, list(names.values()))
        assign(session, list(names.values()), values)
        reference = Optimizer(optimizer, 0.0, values)
        for rate in (0.5, 0.125, 0.25):
            fed = graph.feed(*random_block(generator, graph), graph.zero_state())
            gradients = session.run([tf.convert_to_tensor(pair.gradient) for pair in graph.gradients], fed)
            before, reference.learning_rate = reference.values, rate
            reference.values = [*before]
            reference.update([gradient * 0.01 / whole_norm(gradients) for gradient in gradients])
            for place, name in enumerate(names):
                if name in decaying:
                    reference.values[place] = reference.values[place] - rate * 0.7 * before[place]
            session.run(graph.train_step, fed | {graph.learning_rate: rate})
            found = dict(zip(names, session.run(list(names.values())), strict=True))
            for name, expected in zip(names, reference.values, strict=True):
                assert_close(found[name], expected, 1e-12, f"{optimizer}, rate {rate}: {name}")


def test_no_decay_is_no_operation() -> None:
    def operations(**options: Any) -> tuple[str, list[str]]:
        graph = UnrolledGraph(LSTMCell(4), 3, 2, 7, 5, embedding_size=3, optimizer="adam", **options)
        return graph.train_step.name, [op.name for op in graph.tf_graph.get_operations()]

    (step, none), (decaying_step, some) = operations(weight_decay=0), operations(weight_decay=0.1)
    assert (step, decaying_step) == ("lstm/Adam", "width_3/weight_decay_1/group_deps")
    added = {*some} - {*none}
    assert {*none} < {*some}, {*none} - {*some}
    assert not any("decay" in name for name in none)
    assert all("decay" in name or name.startswith("lstm/Adam/ReadVariableOp") for name in added), added


def test_without_an_optimizer_there_is_nothing_to_train() -> None:
    graph = UnrolledGraph(VanillaCell(3), 4, 3, 5, 2, optimizer=None)
    assert graph.train_step is None
    assert graph.learning_rate is None
    assert graph.gradient_norm is None
    assert graph.gradients == []
    with graph.tf_graph.as_default():
        assert tf.global_variables() == list(graph.variables)
        assert not any("radient" in op.type for op in graph.tf_graph.get_operations())
