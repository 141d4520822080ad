"""Cells and graphs as descriptions: there and back through JSON, and whatever else JSON may hold."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close, assign, random_block, random_state, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.cells import (
    CELLS,
    GRUCell,
    InfluenceCell,
    LSTMCell,
    StackedCell,
    VanillaCell,
    describe_cell,
    described_cell,
    make_cell,
)
from tf_rnn.graph import UnrolledGraph, describe, described_graph, described_options
from tf_rnn.options import GraphOptions, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable


class Counter:
    state_size = output_size = 5

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 5], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        return state, state + 1

    def __repr__(self) -> str:
        return "<counter>"


EVERY_OPTION: dict[str, dict[str, Any]] = {
    "vanilla": {"state_size": 3, "activation": "relu", "recurrent_init": "identity", "recurrent_gain": 1.5},
    "gru": {"state_size": 5, "recurrent_init": "glorot", "recurrent_gain": 0.25},
    "gru_reset_before": {"state_size": 6, "recurrent_init": "glorot", "recurrent_gain": 0.75},
    "lstm": {"state_size": 4, "forget_bias": -2.5, "recurrent_init": "identity", "recurrent_gain": 0.5},
    "influence": {"state_size": 7, "num_positive": 0, "start": -0.25},
}


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


# --- cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CELLS))
def test_options_are_all_that_a_cell_is_made_with(name: str) -> None:
    assert CELLS[name](5).options() == make_cell(name, 5).options()
    found = CELLS[name](**EVERY_OPTION[name]).options()
    assert found == EVERY_OPTION[name], "an option is left out, or made up"


@pytest.mark.parametrize(
    "make",
    [
        *(lambda name=name: CELLS[name](**EVERY_OPTION[name]) for name in CELLS),
        lambda: StackedCell([LSTMCell(4, 0.5), StackedCell([GRUCell(3, "glorot"), VanillaCell(2, "relu")])]),
    ],
)
def test_a_description_makes_an_equal_cell(make: Callable[[], Any]) -> None:
    cell = make()
    description = describe_cell(cell)
    layers = getattr(cell, "layers", (cell,))
    assert description == [{"cell": layer.name} | layer.options() for layer in layers]
    again = described_cell(through_json(description))
    assert type(again) is type(cell)
    assert (describe_cell(again), again.state_size) == (description, cell.state_size)


def test_descriptions_by_hand() -> None:
    lstm = {"cell": "lstm", "state_size": 4, "recurrent_init": "orthogonal", "recurrent_gain": 1.0}
    lstm["forget_bias"] = 1.0
    assert describe_cell(LSTMCell(4)) == [lstm]
    influence = {"cell": "influence", "state_size": 23, "num_positive": 10, "start": 0.5}
    assert describe_cell(InfluenceCell()) == [influence]
    few = described_cell([{"cell": "lstm", "state_size": 4}])
    assert describe_cell(few) == [lstm], "options left out are the defaults"
    of_numpy = LSTMCell(np.int64(4), np.float32(1), recurrent_gain=np.float64(1))  # type: ignore[arg-type]
    assert through_json(describe_cell(of_numpy)) == [lstm]


class OfOurs(VanillaCell):
    def __repr__(self) -> str:
        return "<of ours>"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(Counter(), "<counter>"), (StackedCell([GRUCell(2), OfOurs(3)]), "<of ours>"), (None, "None")],
)
def test_other_cells_are_not_described(cell: Any, shown: str) -> None:
    message = f"^cell must be one of tf_rnn.cells to be described, got {shown}$"
    with pytest.raises(OptionError, match=message):
        describe_cell(cell)
    if isinstance(cell, Counter):
        with pytest.raises(OptionError, match=message):
            describe(UnrolledGraph(cell, **NEEDED))


FORM = "described by a list of at least one layer, got "
WRONG = "described as by describe_cell; "
GRU = {"cell": "gru", "state_size": 3}


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ([], f"{FORM}[]"),
        (GRU, f"{FORM}{GRU!r}"),
        (["lstm"], f"{WRONG}layer must be a dictionary of a cell's options, got 'lstm'"),
        ([{"state_size": 3}], f"{WRONG}cell must be given for every layer, got {{'state_size': 3}}"),
        ([{"cell": "gru"}], f"{WRONG}state_size must be given for every layer, got {{'cell': 'gru'}}"),
        ([GRU | {"cell": ["gru"]}], f"{WRONG}cell must be one of {', '.join(CELLS)}; got ['gru']"),
        ([GRU | {5: 2}], f"{WRONG}5 must be left out as no cell has it"),
        ([GRU | {"forget_bias": 1}], f"{WRONG}forget_bias must be left out unless cell is lstm"),
        ([GRU, GRU | {"state_size": 0}], f"{WRONG}state_size must be a whole number of at least 1, got 0"),
        ([GRU | {"cell": "influence"}, GRU], f"{WRONG}cells must be a list of "),
    ],
)
def test_what_is_no_description_of_a_cell(description: Any, problem: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(f'cell must be {problem}')}") as raised:
        described_cell(description)
    assert raised.value.option == "cell"


# --- graphs --------------------------------------------------------------------------------------

NEEDED: dict[str, Any] = {"num_steps": 3, "batch_size": 2, "input_size": 5, "num_classes": 5}
GRAPHS: list[dict[str, Any]] = [
    {"input_kind": "real", "loss": "squared_error", "loss_steps": 2, "dtype": "float64", "seed": 3},
    {"embedding_size": 4, "readout": "tied", "dropout": 0.25, "init_scale": 0.5, "clip_norm": 0.5},
    {"optimizer": None, "reduction": "sum", "loss_steps": "last"},
]


@pytest.mark.parametrize("options", GRAPHS)
def test_a_description_makes_an_equal_graph(options: dict[str, Any]) -> None:
    generator = np.random.default_rng(31)
    graph = UnrolledGraph(LSTMCell(4), **(NEEDED | options))
    description = describe(graph)
    assert set(description) == {"cell", "graph"}
    assert through_json(description) == description
    again = described_graph(through_json(description))
    assert (again.options, describe(again)) == (graph.options, description)
    assert again.tf_graph is not graph.tf_graph
    inputs, targets = random_block(generator, graph)
    state, values = random_state(generator, graph.init_state), random_values(generator, graph.variables)
    found = []
    for each in (graph, again):
        with each.session() as session:
            assign(session, each.variables, values)
            seed = {} if each.dropout_seed is None else {each.dropout_seed: [3, 1]}
            fed = each.feed(inputs, targets, state) | seed
            found.append(session.run([each.total_loss, each.states, each.predictions], fed))
    assert_close(found[1], found[0], 0)


def test_a_graph_on_an_influence_cell() -> None:
    options: dict[str, Any] = {"input_kind": "none", "readout": "none", "loss": "squared_error"}
    graph = UnrolledGraph(InfluenceCell(5, start=0.25), 4, 1, 0, 1, **options)
    again = described_graph(through_json(describe(graph)))
    assert describe(again) == describe(graph)
    with again.session() as session:
        assert list(session.run(again.variables)) == [0.25]


def test_changes_override_the_description() -> None:
    graph = UnrolledGraph(GRUCell(3), **NEEDED, loss_steps="last", dropout=0.5)
    changes: dict[str, Any] = {"num_steps": 7, "batch_size": 1, "optimizer": None, "dropout": 0.0}
    with tf.Graph().as_default() as outer:
        changed = described_graph(describe(graph), **changes)
    assert changed.tf_graph is not outer, "it is in a tf.Graph of its own"
    assert changed.options == dataclasses.replace(graph.options, **changes)
    with pytest.raises(OptionError, match=r"^num_steps must be a whole number of at least 1, got 0$"):
        described_graph(describe(graph), num_steps=0)


def test_numbers_of_numpy_are_written_as_plain_ones() -> None:
    options: dict[str, Any] = {name: np.int64(value) for name, value in NEEDED.items()}
    options |= {"learning_rate": np.float32(0.5), "loss_steps": np.int8(2)}
    graph = UnrolledGraph(GRUCell(3), **options)
    assert described_options(through_json(describe(graph))) == graph.options
    assert described_options({"graph": NEEDED}) == GraphOptions(**NEEDED), "options left out are the defaults"


DESCRIBED = "graph must be described"


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([], "description must be a dictionary with the key 'graph', got []"),
        ({"graph": 3}, f"{DESCRIBED} by a dictionary of its options, got 3"),
        ({"graph": NEEDED | {"width": 3}}, f"{DESCRIBED} by options that graphs have, got 'width'"),
        ({"graph": NEEDED | {3: 3}}, f"{DESCRIBED} by options that graphs have, got 3"),
        ({"graph": {"num_steps": 4}}, f"{DESCRIBED} with its batch_size, got ['num_steps']"),
        ({"graph": NEEDED | {"num_steps": 0}}, "num_steps must be a whole number of at least 1, got 0"),
    ],
)
def test_what_is_no_description_of_a_graph(description: Any, message: str) -> None:
    for read in (described_options, described_graph):
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            read(description)
    message = f"description must be a dictionary with the key 'cell', got {{'graph': {NEEDED!r}}}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        described_graph({"graph": NEEDED})
    with pytest.raises(OptionError, match=r"^cell must be described by a list"):
        described_graph({"graph": NEEDED, "cell": 5})
