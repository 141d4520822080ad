"""What is saved of a graph: all that training changes, under names that say what it is, not where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, new_session, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import saved_names, weight_names
from tf_rnn.options import OPTIMIZERS

if TYPE_CHECKING:
    from pathlib import Path

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


# --- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "options", "names"),
    [
        (VanillaCell(7), {}, ["layer_0/W", "layer_0/b_s", "readout/U", "readout/b_p"]),
        (
            VanillaCell(7),
            {"embedding_size": 3},
            ["embedding/E", "layer_0/W", "layer_0/b_s", "readout/U", "readout/b_p"],
        ),
        (LSTMCell(4), {"input_kind": "real"}, ["layer_0/W", "layer_0/b", "readout/U", "readout/b_p"]),
        (
            LSTMCell(4),
            {"embedding_size": 4, "readout": "tied", "num_classes": 5},
            ["embedding/E", "layer_0/W", "layer_0/b", "readout/b_p"],
        ),
        (VanillaCell(2), {"readout": "none"}, ["layer_0/W", "layer_0/b_s"]),
        (
            StackedCell([LSTMCell(4), LSTMCell(4), VanillaCell(7)]),
            {},
            [
                "layer_0/W", "layer_0/b", "layer_1/W", "layer_1/b", "layer_2/W", "layer_2/b_s",
                "readout/U", "readout/b_p",
            ],
        ),
    ],
)  # fmt: skip
def test_names_of_weights(cell: Any, options: dict[str, Any], names: list[str]) -> None:
    found = weight_names(alone(cell, **options))
    assert list(found) == names


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("options", [{}, {"embedding_size": 4}, {"input_kind": "real"}])
def test_every_variable_has_one_name(kind: str, options: dict[str, Any]) -> None:
    """In the order of the graph's variables."""
    graph = alone(CASES[kind].make(), **options, dropout=0.25, optimizer=None)
    found = weight_names(graph)
    assert [v.op.name for v in found.values()] == [v.op.name for v in graph.variables]
    assert all("/" in name for name in found), list(found)


def outline(graph: UnrolledGraph) -> dict[str, list[int]]:
    return {name: variable.shape.as_list() for name, variable in saved_names(graph).items()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_names_do_not_depend_on_where_a_graph_is_or_how_large(optimizer: str) -> None:
    """Width, batch, losses, dropout; alone in its `tf.Graph`, or after others of the same kind."""
    options: dict[str, Any] = {"optimizer": optimizer, "embedding_size": 3}
    first = alone(VanillaCell(7), **options)
    expected = outline(first)
    found = [alone(VanillaCell(7), *size, **options) for size in [(1, 3), (3, 1)]]
    found += [alone(VanillaCell(7), **options, loss_steps="last", dropout=0.5, clip_norm=1.0, seed=3)]
    with tf.Graph().as_default(), tf.variable_scope("outer"), tf.name_scope("inner"):
        others = [make(VanillaCell(7), **options) for _ in range(2)]
        found += [*others, make(others[1].cell, 1, 2, **options)]
    for graph in found:
        assert outline(graph) == expected
    assert len({graph.network.scope for graph in others}) == 2, "both in one scope"


# --- the optimizer's memory ----------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["tanh", "stacked"])
def test_all_that_training_changes_is_saved(optimizer: str, kind: str) -> None:
    """All variables of a `tf.Graph` that has nothing else, each once."""
    graph = alone(CASES[kind].make(), optimizer=optimizer, embedding_size=6, clip_norm=1.0)
    saved = saved_names(graph)
    with graph.tf_graph.as_default():
        everything = [variable.op.name for variable in tf.global_variables()]
    assert sorted(variable.op.name for variable in saved.values()) == sorted(everything)
    weights = list(weight_names(graph))
    slots = [f"{weight}/{slot}" for weight in weights for slot in SLOTS[optimizer]]
    assert sorted(saved) == sorted([*weights, *slots, *ONCE.get(optimizer, [])])
    assert list(saved)[: len(weights)] == weights


def test_without_an_optimizer_weights_alone_are_saved() -> None:
    graph = alone(GRUCell(4), optimizer=None)
    assert saved_names(graph) == weight_names(graph)


def test_graphs_that_are_only_run_forward_have_the_same_weights() -> None:
    graph = alone(GRUCell(4), embedding_size=3)
    forward = graph.forward(num_steps=1, batch_size=1)
    assert saved_names(forward) == weight_names(graph)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_graphs_of_other_styles_add_nothing(optimizer: str) -> None:
    """They share weights and memory, so that what is saved of one is saved of all."""
    graph = alone(VanillaCell(5), optimizer=optimizer)
    before = saved_names(graph)
    siblings = [graph.with_steps(2, 1), graph.with_steps(3), graph.with_steps(2, reweighted=True)]
    assert saved_names(graph) == before
    for sibling in siblings:
        assert saved_names(sibling) == before
    with graph.tf_graph.as_default():
        assert len(tf.global_variables()) == len(before)


def test_networks_beside_each_other_save_what_is_their_own() -> None:
    """Adam's powers too, which each optimizer has once."""
    with tf.Graph().as_default():
        graphs = [make(LSTMCell(4), optimizer="adam") for _ in range(2)]
        first, second = (saved_names(graph) for graph in graphs)
        names = [variable.op.name for saved in (first, second) for variable in saved.values()]
        assert list(first) == list(second)
        assert sorted(names) == sorted(variable.op.name for variable in tf.global_variables())


def test_what_one_graph_saves_another_restores(tmp_path: Path) -> None:
    """Into another scope of another `tf.Graph`, at another size; the network beside it stays as it is."""
    generator = np.random.default_rng(5)
    options: dict[str, Any] = {"optimizer": "adam", "embedding_size": 3}
    graph = alone(LSTMCell(4), **options)
    saved = saved_names(graph)
    values = random_values(generator, list(saved.values()))
    with new_session(graph.tf_graph) as session, graph.tf_graph.as_default():
        assign(session, list(saved.values()), values)
        path = tf.train.Saver(saved).save(session, str(tmp_path / "variables"))
    with tf.Graph().as_default(), new_session() as session:
        beside, other = make(LSTMCell(4), **options), make(LSTMCell(4), 3, 4, **options)
        assert [v.op.name for v in other.variables] != [v.op.name for v in graph.variables]
        session.run(tf.global_variables_initializer())
        untouched = session.run(saved_names(beside))
        tf.train.Saver(saved_names(other)).restore(session, path)
        found = session.run(saved_names(other))
        assert_close([found[name] for name in saved], [np.float32(value) for value in values], 0, "restored")
        assert_close(session.run(saved_names(beside)), untouched, 0, "beside")


def test_training_changes_what_is_saved() -> None:
    """Every name of Adam's memory and every weight, in one update on random blocks."""
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


# --- third-party cells -------------------------------------------------------------------------------


class Leaky:
    """S_t = a S_{t-1} + sum of X_t, with a variable of its own."""

    state_size = output_size = 1

    def __init__(self, *, tells: bool = False) -> None:
        self.a = tf.get_variable("leaky/a", initializer=np.float32(0.5))
        if tells:
            self.variables = (self.a,)

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any) -> Any:
        new = self.a * state + tf.reduce_sum(inputs, axis=1, keepdims=True)
        return new, new


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_third_party_cell_keeps_its_own_names(optimizer: str) -> None:
    with tf.Graph().as_default():
        graph = make(Leaky(), optimizer=optimizer, embedding_size=3)
        saved = saved_names(graph)
        everything = [variable.op.name for variable in tf.global_variables()]
    assert sorted(variable.op.name for variable in saved.values()) == sorted(everything)
    assert {"cell/leaky/a", "embedding/E", "readout/U", "readout/b_p"} == set(weight_names(graph))
    assert ("cell/leaky/a/m" in saved) == (optimizer == "adam")


def test_a_third_party_cell_that_lists_its_variables_has_them_without_an_optimizer() -> None:
    with tf.Graph().as_default():
        cell = Leaky(tells=True)
        trained, forward = make(cell), make(cell, optimizer=None)
        assert set(weight_names(trained)) == {"cell/leaky/a", "readout/U", "readout/b_p"}
        assert set(weight_names(forward)) == set(weight_names(trained))
