"""Variables do not depend on a graph's size: graphs that share them, and checkpoints."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import (
    CASES,
    assert_close,
    assign,
    new_session,
    random_block,
    random_state,
    random_values,
)
from references import Optimizer

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.cells.initial import named_seed
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.graph.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from pathlib import Path

FLOAT64: dict[str, Any] = {"dtype": "float64"}


def described(num_steps: int, batch_size: int, make: Any, **options: Any) -> list[Any]:
    with tf.Graph().as_default():
        UnrolledGraph(make(), num_steps, batch_size, **options)
        return [(v.op.name, v.shape.as_list()) for v in tf.global_variables()]


KINDS: list[dict[str, Any]] = [{}, {"embedding_size": 4}, {"input_kind": "real"}]


@pytest.mark.parametrize(("optimizer", "kind"), [*zip(OPTIMIZERS, itertools.cycle(KINDS), strict=False)])
def test_variables_do_not_depend_on_width_or_batch_size(optimizer: str, kind: dict[str, Any]) -> None:
    options: dict[str, Any] = {"input_size": 5, "num_classes": 2, "optimizer": optimizer, **kind}
    # 2 * 5 classes are more than 2 rows, no more than 12.
    narrow, wide = (described(*sizes, CASES["gru"].make, **options) for sizes in ((1, 2), (4, 3)))
    assert narrow == wide


def test_variables_of_the_network_have_the_documented_names() -> None:
    found = described(4, 3, lambda: VanillaCell(7), input_size=5, num_classes=2, optimizer=None)
    vanilla = [("vanilla/W", [12, 7]), ("vanilla/b_s", [7])]
    readout = [("vanilla/U", [7, 2]), ("vanilla/b_p", [2])]
    assert found == vanilla + readout
    options: dict[str, Any] = {"input_size": 5, "num_classes": 2, "embedding_size": 3}
    found = described(4, 3, lambda: LSTMCell(7), **options, optimizer="adam")
    values = [("lstm/W", [10, 28]), ("lstm/b", [28]), ("lstm/E", [5, 3])]
    values += [("lstm/U", [7, 2]), ("lstm/b_p", [2])]
    assert found[:5] == values
    slots = {f"{name}/Adam{end}": shape for name, shape in values for end in ("", "_1")}
    assert dict(found[5:]) == slots | {"lstm/beta1_power": [], "lstm/beta2_power": []}


def test_graphs_on_one_cell_have_one_set_of_variables() -> None:
    cell = StackedCell([VanillaCell(4), GRUCell(3)])
    options: dict[str, Any] = {"embedding_size": 6, "optimizer": "adam"}
    first = UnrolledGraph(cell, 2, 3, 5, 2, **options)
    with first.tf_graph.as_default():
        count = len(tf.global_variables())
        others: list[Any] = [
            UnrolledGraph(cell, 1, 3, 5, 2, **options),
            UnrolledGraph(cell, 3, 2, 5, 2, **options),
            UnrolledGraph(cell, 2, 2, 5, 2, **(options | {"learning_rate": 0.7, "clip_norm": 0.3})),
            StepGraph(cell, 1, 5, 2, **options),
            first.forward(num_steps=5),
        ]
        with tf.variable_scope("elsewhere"):
            others.append(UnrolledGraph(cell, 1, 2, 5, 2, **options))
        assert len(tf.global_variables()) == count, tf.global_variables()[count:]
    for other in others:
        assert other.tf_graph is first.tf_graph
        pairs = zip(other.network.variables, first.network.variables, strict=True)
        assert all(one is another for one, another in pairs)
    assert len(tf.get_collection("trainable_variables")) == 0, "variables outside the graph"


def test_cells_made_in_a_scope_keep_their_readout_there() -> None:
    with tf.Graph().as_default():
        cell = VanillaCell(7)
        with tf.variable_scope("model"):
            inside = UnrolledGraph(cell, 4, 3, 5, 2, optimizer=None)
        outside = UnrolledGraph(cell, 2, 3, 5, 2, optimizer=None)
        names = ["model/vanilla/W", "model/vanilla/b_s", "model/vanilla/U", "model/vanilla/b_p"]
        assert [variable.op.name for variable in inside.variables] == names
        assert [variable.op.name for variable in tf.global_variables()] == names
        assert outside.variables == inside.variables


def test_two_cells_in_one_graph_share_nothing() -> None:
    with tf.Graph().as_default():
        one, other = (UnrolledGraph(VanillaCell(7), 2, 3, 5, 2, seed=1) for _ in range(2))
        assert not set(map(id, one.variables)) & set(map(id, other.variables))
        with one.session() as session:
            start, other_start = session.run([one.variables, other.variables])
            assert_close(other_start, start, 0, "weights are a function of the seed")
            fed = one.feed(np.zeros((3, 2), int), np.ones((3, 2), int), one.zero_state())
            session.run(one.train_step, fed)
            assert_close(session.run(other.variables), start, 0, "the other is not trained")
            assert np.abs(session.run(one.variables[0]) - start[0]).max() > 0


def start(num_steps: int = 1, batch_size: int = 2, classes: int = 3, **options: Any) -> list[Any]:
    """What the variables of a network of three layers start with."""
    given: dict[str, Any] = {"embedding_size": 3, "seed": 3, "optimizer": None} | options
    graph = UnrolledGraph(CASES["stacked"].make(), num_steps, batch_size, classes, classes, **given)
    with graph.session() as session:
        values: list[Any] = session.run(graph.variables)
        return values


def test_the_whole_network_starts_the_same_at_every_width() -> None:
    first = start(num_steps=3)
    assert_close(start(batch_size=5), first, 0, "another size")
    for other in (start(seed=4), start(seed=None)):
        for value, another in zip(first, other, strict=True):
            if value.ndim == 2:  # biases are constants
                assert np.abs(value - another).max() > 1e-3


def test_every_matrix_starts_uniform_in_a_scale_at_every_width() -> None:
    first, plain = start(classes=50, init_scale=0.5), start(classes=50)
    assert_close(start(3, classes=50, init_scale=0.5), first, 0, "another width")
    for value, other in zip(first, plain, strict=True):
        if value.ndim == 1:
            assert_close(value, other, 0, "biases are as they were")
            continue
        size = value.size
        assert 0.5 * (1 - 20 / size) < np.abs(value).max() <= 0.5, value.shape
        assert abs(value.mean()) < 5 * 0.5 / np.sqrt(3 * size), value.shape


def test_embedding_and_readout_start_as_glorot_says() -> None:
    graph = UnrolledGraph(GRUCell(3), 4, 2, 5, 2, embedding_size=4, seed=3)
    with graph.session() as session:
        E, *_, U, _ = session.run(graph.variables)
    with tf.Graph().as_default(), new_session() as session:
        for name, value in [("E", E), ("U", U)]:
            start = tf.glorot_uniform_initializer(seed=named_seed(3, f"gru/{name}"))
            assert_close(session.run(start(value.shape, dtype=tf.float32)), value, 0, name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_widths_share_slots_and_models_do_not(optimizer: str) -> None:
    """Weights after training with two widths by turns, against NumPy with one set of slots."""
    generator, rates = np.random.default_rng(67), (0.1, 0.03)
    with tf.Graph().as_default(), new_session() as session:
        cell = VanillaCell(3)
        graphs = [
            UnrolledGraph(cell, n, 3, 5, 2, optimizer=optimizer, learning_rate=rate, **FLOAT64)
            for n, rate in zip((1, 2), rates, strict=True)
        ]
        bystander = UnrolledGraph(VanillaCell(3), 1, 3, 5, 2, optimizer=optimizer, **FLOAT64)
        session.run(tf.global_variables_initializer())
        values = random_values(generator, cell.variables + graphs[0].variables[-2:])
        assign(session, graphs[0].variables, values)
        reference = Optimizer(optimizer, rates[0], values)
        for turn in range(6):
            graph = graphs[turn % 2]
            inputs, targets = random_block(generator, graph)
            fed = graph.feed(inputs, targets, graph.zero_state())
            gradients, _ = session.run([[g for g, _ in graph.gradients], graph.train_step], fed)
            reference.learning_rate = rates[turn % 2]
            reference.update(gradients)
            inputs, targets = random_block(generator, bystander)
            fed = bystander.feed(inputs, targets, bystander.zero_state())
            session.run(bystander.train_step, fed)  # another model, with a count of its own
        assert_close(session.run(graphs[0].variables), reference.values, 1e-12, optimizer)


@pytest.mark.parametrize(("cell", "optimizer"), [("stacked", "adam"), ("tanh", "adagrad")])
def test_a_checkpoint_of_one_size_restores_in_another(tmp_path: Path, cell: str, optimizer: str) -> None:
    options: dict[str, Any] = {"optimizer": optimizer, "embedding_size": 6, "num_classes": 2}
    generator = np.random.default_rng(71)
    small = UnrolledGraph(CASES[cell].make(), 1, 3, 5, **options, **FLOAT64)
    # The same size as the graph that will restore, in the graph that saves.
    large = UnrolledGraph(small.cell, 3, 4, 5, **options, **FLOAT64)
    block = random_block(generator, large)
    state = random_state(generator, large.init_state)
    fetches = ["total_loss", "predictions", "final_state", "train_step"]

    def continued(session: Any, graph: UnrolledGraph) -> list[Any]:
        fed = graph.feed(*block, state)
        runs = [session.run([getattr(graph, name) for name in fetches], fed) for _ in range(3)]
        return [run[:-1] for run in runs]

    with small.tf_graph.as_default(), small.session() as session:
        for _ in range(3):
            fed = small.feed(*random_block(generator, small), small.zero_state())
            session.run(small.train_step, fed)
        path = tf.train.Saver().save(session, str(tmp_path / "weights"))
        expected = continued(session, large)
    again = UnrolledGraph(CASES[cell].make(), 3, 4, 5, **options, **FLOAT64)
    assert again.tf_graph is not small.tf_graph
    with again.tf_graph.as_default(), again.session() as session:
        fresh = session.run(again.total_loss, again.feed(*block, state))
        tf.train.Saver().restore(session, path)
        found = continued(session, again)
    assert abs(fresh - expected[0][0]) > 1e-6, "nothing was restored that mattered"
    assert abs(expected[2][0] - expected[0][0]) > 1e-6, "training changed nothing"
    assert_close(found, expected, 0, "losses, predictions and states, before and while training")
