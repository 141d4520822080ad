"""What is saved of a graph: all that training changes, under names that say what it is, not where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import CASES

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import saved_names, weight_names
from tf_rnn.options import OPTIMIZERS

SLOTS = {
    "sgd": [],
    "momentum": ["momentum"],
    "adagrad": ["accumulator"],
    "adam": ["m", "v"],
    "rmsprop": ["momentum", "rms"],
}
ONCE = {"adam": ["optimizer/beta1_power", "optimizer/beta2_power"]}


def make(cell: Any, num_steps: int = 2, batch_size: int = 3, **options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"input_size": 5, "num_classes": 2}
    return UnrolledGraph(cell, num_steps, batch_size, **(given | options))


def alone(cell: Any, *sizes: int, **options: Any) -> UnrolledGraph:
    with tf.Graph().as_default():
        return make(cell, *sizes, **options)


READOUT = ["readout/U", "readout/b_p"]


@pytest.mark.parametrize(
    ("cell", "options", "names"),
    [
        (VanillaCell(7), {"embedding_size": 3}, ["embedding/E", "layer_0/W", "layer_0/b_s", *READOUT]),
        (GRUCell(4), {"input_kind": "real"}, ["layer_0/W", "layer_0/b", "layer_0/b_n", *READOUT]),
        (
            LSTMCell(4),
            {"embedding_size": 4, "readout": "tied", "num_classes": 5},
            ["embedding/E", "layer_0/W", "layer_0/b", "readout/b_p"],
        ),
        (VanillaCell(2), {"readout": "none"}, ["layer_0/W", "layer_0/b_s"]),
        (
            StackedCell([LSTMCell(4), LSTMCell(4), VanillaCell(7)]),
            {"dropout": 0.25},
            ["layer_0/W", "layer_0/b", "layer_1/W", "layer_1/b", "layer_2/W", "layer_2/b_s", *READOUT],
        ),
    ],
)
def test_names_of_weights_in_the_variables_order(
    cell: Any, options: dict[str, Any], names: list[str]
) -> None:
    graph = alone(cell, **options, optimizer=None)
    found = weight_names(graph)
    assert list(found) == names
    assert [v.op.name for v in found.values()] == [v.op.name for v in graph.variables]


def test_names_do_not_depend_on_where_a_graph_is_or_how_large() -> None:
    """Width, batch, losses, dropout; alone in its `tf.Graph`, or after others of the same kind."""

    def outline(graph: UnrolledGraph) -> dict[str, list[int]]:
        return {name: variable.shape.as_list() for name, variable in saved_names(graph).items()}

    options: dict[str, Any] = {"optimizer": "adam", "embedding_size": 3}
    expected = outline(alone(VanillaCell(7), **options))
    found = [alone(VanillaCell(7), 3, 1, **options, loss_steps="last", dropout=0.5, clip_norm=1.0, seed=3)]
    with tf.Graph().as_default(), tf.variable_scope("outer"), tf.name_scope("inner"):
        others = [make(VanillaCell(7), **options) for _ in range(2)]
        found += [*others, make(others[1].cell, 1, 2, **options)]
    for graph in found:
        assert outline(graph) == expected
    assert len({graph.network.scope for graph in others}) == 2, "both in one scope"
    # Adam's powers too, which each optimizer has once.
    names = [v.op.name for graph in others for v in saved_names(graph).values()]
    assert len(set(names)) == len(names), "two networks share a variable"


@pytest.mark.parametrize(("optimizer", "kind"), [*((o, "tanh") for o in OPTIMIZERS), ("adam", "stacked")])
def test_all_that_training_changes_is_saved(optimizer: str, kind: str) -> None:
    """All variables of a `tf.Graph` that has nothing else, each once, also of graphs of other styles."""
    graph = alone(CASES[kind].make(), optimizer=optimizer, embedding_size=6, clip_norm=1.0)
    if (optimizer, kind) == ("adam", "tanh"):
        for sibling in (graph.with_steps(2, 1), graph.with_steps(3), graph.with_steps(2, reweighted=True)):
            assert saved_names(sibling) == saved_names(graph)
    assert saved_names(graph.forward(num_steps=1, batch_size=1)) == weight_names(graph)
    saved = saved_names(graph)
    with graph.tf_graph.as_default():
        everything = [variable.op.name for variable in tf.global_variables()]
    assert sorted(variable.op.name for variable in saved.values()) == sorted(everything)
    weights = list(weight_names(graph))
    slots = [f"{weight}/{slot}" for weight in weights for slot in SLOTS[optimizer]]
    assert sorted(saved) == sorted([*weights, *slots, *ONCE.get(optimizer, [])])
    assert list(saved)[: len(weights)] == weights


def test_training_changes_what_is_saved() -> None:
    """Every name of Adam's memory and every weight, in two updates on random blocks."""
    graph = alone(GRUCell(4), optimizer="adam", embedding_size=3, seed=1)
    generator = np.random.default_rng(11)
    with graph.session(threads=1) as session:
        before = session.run(saved_names(graph))
        for _ in range(2):
            inputs, targets = generator.integers(5, size=(3, 2)), generator.integers(2, size=(3, 2))
            session.run(graph.train_step, graph.feed(inputs, targets, graph.zero_state()))
        after = session.run(saved_names(graph))
    unchanged = [name for name in before if (before[name] == after[name]).all()]
    assert unchanged == []


class Leaky:
    """S_t = a S_{t-1} + sum of X_t, with a variable of its own."""

    state_size = output_size = 1

    def __init__(self, *, lists_it: bool = False) -> None:
        self.a = tf.get_variable("leaky/a", initializer=np.float32(0.5))
        if lists_it:
            self.variables = (self.a,)

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any) -> Any:
        new = self.a * state + tf.reduce_sum(inputs, axis=1, keepdims=True)
        return new, new


def test_a_third_party_cell_keeps_its_own_names() -> None:
    """If it lists its variables, also without an optimizer."""
    with tf.Graph().as_default():
        graph = make(Leaky(), optimizer="adam", embedding_size=3)
        saved = saved_names(graph)
        everything = [variable.op.name for variable in tf.global_variables()]
    assert sorted(variable.op.name for variable in saved.values()) == sorted(everything)
    assert {"cell/leaky/a", "embedding/E", *READOUT} == set(weight_names(graph))
    assert "cell/leaky/a/m" in saved
    with tf.Graph().as_default():
        cell = Leaky(lists_it=True)
        trained, forward = make(cell), make(cell, optimizer=None)
    assert set(weight_names(trained)) == set(weight_names(forward)) == {"cell/leaky/a", *READOUT}
