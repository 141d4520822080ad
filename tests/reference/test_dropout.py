"""Dropout between the layers: against NumPy with the very masks, its gradient, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import references as ref
from helpers import (
    Run,
    Summing,
    assert_close,
    assert_slopes_agree,
    assign,
    gradients_of,
    input_vectors,
    make_run,
    new_session,
    random_block,
    random_values,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, InfluenceCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.graph.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SHARE = 0.4
SEED = np.array([3, 1], np.int32)


@dataclasses.dataclass(frozen=True)
class Layers:
    """A cell, and each of its layers as a step in NumPy with its number of variables."""

    make: Callable[[], Any]
    steps: tuple[tuple[ref.Step, int], ...]


LAYERS = {
    "tanh": Layers(lambda: VanillaCell(7), ((ref.tanh_step, 2),)),
    "relu": Layers(lambda: VanillaCell(7, "relu"), ((ref.relu_step, 2),)),
    "gru": Layers(lambda: GRUCell(6), ((ref.gru_step, 3),)),
    "lstm": Layers(lambda: LSTMCell(4), ((ref.lstm_step, 2),)),
    "two": Layers(lambda: StackedCell([GRUCell(3), LSTMCell(4)]), ((ref.gru_step, 3), (ref.lstm_step, 2))),
    "three": Layers(
        lambda: StackedCell([LSTMCell(4), VanillaCell(7), GRUCell(3)]),
        ((ref.lstm_step, 2), (ref.tanh_step, 2), (ref.gru_step, 3)),
    ),
}
# 3 examples and 5 steps are 15 rows: tables of up to 7 classes are projected whole where nothing is
# dropped, and those of more than 512 are scattered.
INPUTS: dict[str, dict[str, Any]] = {
    "classes": {"input_size": 4},
    "few embedded": {"input_size": 4, "embedding_size": 5},
    "many embedded": {"input_size": 11, "embedding_size": 5},
    "scattered embedded": {"input_size": 520, "embedding_size": 5},
    "real": {"input_size": 5, "input_kind": "real"},
    "none": {"input_size": 0, "input_kind": "none"},
}
CHUNK = 2
CHUNKED = (slice(0, 2), slice(2, 4), slice(4, 5))


def masks_of(seed: NDArray[Any], place: int, chunk: int, shape: tuple[int, ...], share: float) -> Any:
    """The masks again, as documented: 0 where the uniform number is below the share."""
    key = tf.random.stateless_uniform([2], seed, None, None, tf.int32)
    uniform = np.asarray(tf.random.stateless_uniform(shape, key + np.array([place, chunk])))
    return (uniform >= share) / (1 - share)


def masks_over_steps(graph: UnrolledGraph, place: int, size: int) -> list[NDArray[Any]]:
    """For each step [batch_size, size]; all ones at a place where nothing is dropped."""
    batch, share = graph.batch_size, graph.options.dropout
    if place == 0 and graph.options.embedding_size is None:
        return [np.ones((batch, size))] * graph.num_steps
    masks: list[NDArray[Any]] = []
    for chunk, steps in enumerate(CHUNKED):
        length = steps.stop - steps.start
        masks += np.split(masks_of(SEED, place, chunk, (length * batch, size), share), length)
    return masks


def dropped_run(monkeypatch: pytest.MonkeyPatch, cell: Any, **options: Any) -> Run:
    """5 steps in chunks of 2, 2 and 1, with the seed fed."""
    monkeypatch.setattr("tf_rnn.graph.chunks.TINY_STEP", 0)
    monkeypatch.setattr("tf_rnn.graph.chunks.CHUNK_STEPS", CHUNK)
    run = make_run(cell, 5, 3, **({"dropout": SHARE} | options))
    run.more = {run.graph.dropout_seed: SEED}
    return run


def in_numpy(run: Run, steps: tuple[tuple[ref.Step, int], ...]) -> tuple[list[Any], list[Any], list[Any]]:
    """Logits, losses and the states of all layers, step by step."""
    graph = run.graph
    values = list(run.values[len(graph.network.encoding.variables) :])
    layers = []
    for step, count in steps:
        layers.append((step, values[:count]))
        del values[:count]
    sizes = [graph.options.vector_size, *(layer.output_size for layer in graph.cell.layers)]
    masks = [masks_over_steps(graph, place, size) for place, size in enumerate(sizes)]
    vectors = input_vectors(graph, run.inputs, run.values)
    left, states = ref.run_dropped_steps(layers, vectors, graph.cell.split_state(run.state), masks)
    U, b_p = values
    logits = [h @ U + b_p for h in left]
    losses = [ref.cross_entropy(row, run.targets[:, t]) for t, row in enumerate(logits)]
    return logits, losses, [graph.cell.join_states(state) for state in states]


# Every kind of layers meets two kinds of inputs, one of them by default.
PAIRS = [
    pytest.param(cell, kind, marks=pytest.mark.slow if (column - row) % 6 else ())
    for row, cell in enumerate(LAYERS)
    for column, kind in enumerate(INPUTS)
    if (column - row) % 6 in (0, 2)
]


@pytest.mark.parametrize(("cell", "kind"), PAIRS)
def test_values_are_those_of_numpy_with_the_same_masks_and_gradients_the_numeric_ones(
    monkeypatch: pytest.MonkeyPatch, cell: str, kind: str
) -> None:
    run = dropped_run(monkeypatch, LAYERS[cell].make(), **INPUTS[kind])
    graph = run.graph
    logits, losses, states = in_numpy(run, LAYERS[cell].steps)
    fetches = [graph.states, graph.predictions, graph.losses, graph.total_loss, gradients_of(graph)]
    found = run.fetch(fetches)
    assert_close(found[0], states, 1e-12, "states")
    assert_close(found[1], [ref.softmax(row) for row in logits], 1e-12, "predictions")
    assert_close(found[2], losses, 1e-12, "losses")
    assert_close(found[3], np.mean(losses), 1e-12, "total loss")
    assert_slopes_agree(run)
    for variable, gradient in zip(graph.variables, found[4], strict=True):
        assert np.abs(gradient).max() > 1e-4, f"nothing flows to {variable.name}"


@pytest.mark.parametrize(("cell", "kind"), [("gru", "real"), ("lstm", "none")])
def test_what_a_layer_hands_to_itself_is_never_dropped(
    monkeypatch: pytest.MonkeyPatch, cell: str, kind: str
) -> None:
    """One layer, whose inputs are not dropped: its states are those without dropout, exactly."""
    run = dropped_run(monkeypatch, LAYERS[cell].make(), **INPUTS[kind], dropout=0.9)
    whole = run.graph.forward()
    states, predictions = run.fetch([run.graph.states, run.graph.predictions])
    run.graph, run.more = whole, {}
    expected, other = run.fetch([whole.states, whole.predictions])
    assert_close(states, expected, 0, "states")
    assert np.abs(np.array(predictions) - np.array(other)).max() > 0.1, "nothing was dropped"


def test_what_is_dropped_below_shows_above() -> None:
    """Everything but a trace dropped at a place: the layer above hardly hears of what is below."""
    options: dict[str, Any] = {"input_size": 5, "embedding_size": 2, "dropout": 1 - 1e-9, "optimizer": None}
    run = make_run(LAYERS["two"].make(), 4, 3, **options)
    run.more = {run.graph.dropout_seed: SEED}
    before = run.fetch(run.graph.states)[-1]

    def changed() -> list[bool]:
        after = run.fetch(run.graph.states)[-1]
        return [not np.array_equal(before[layer], after[layer]) for layer in (0, 1)]

    run.inputs = (run.inputs + 1) % 5
    assert changed() == [False, False]
    run.values[1] = run.values[1] + 1  # W of the lower layer
    assert changed() == [True, False]


def one_to_one(share: float) -> tuple[UnrolledGraph, list[Any]]:
    """A graph whose predictions are what is left of a layer's outputs: U = 1, b_p = 0."""
    given: dict[str, Any] = {"loss": "squared_error", "dtype": "float64", "dropout": share, "optimizer": None}
    graph = UnrolledGraph(VanillaCell(5), 4, 3, 2, 5, **given)
    generator = np.random.default_rng(5)
    W = generator.normal(size=(7, 5))
    return graph, [W, generator.normal(size=5), np.eye(5), np.zeros(5)]


@pytest.mark.parametrize("share", [0.1, 0.8])
def test_the_expected_value_is_that_without_dropout(share: float) -> None:
    """Over N seeds, the mean of D(x) is x within a few of its standard errors.

    D(x) is x / (1 - p) with probability 1 - p, else 0, so that its variance is x^2 p / (1 - p), and
    the standard error of the mean |x| sqrt(p / ((1 - p) N)). Five of them hold 60 elements with
    probability 1 - 60 * 6e-7.
    """
    runs = 500
    graph, values = one_to_one(share)
    inputs, targets = random_block(np.random.default_rng(7), graph)
    left = []
    with graph.session() as session:
        assign(session, graph.variables, values)
        fed = graph.feed(inputs, targets, graph.zero_state())
        for run in range(runs):
            found = session.run([graph.predictions, graph.states], fed | {graph.dropout_seed: [11, run]})
            left.append(found[0])
    whole, kept = np.array(found[1]), np.array(left) != 0
    error = np.abs(whole) * np.sqrt(share / ((1 - share) * runs))
    deviation = np.abs(np.mean(left, axis=0) - whole) / error
    assert deviation.max() < 5, f"{deviation.max()} standard errors"
    expected = np.where(kept, whole / (1 - share), 0)
    assert_close(np.array(left), expected, 1e-15, "kept or not")
    draws = kept.size
    assert abs(np.mean(kept) - (1 - share)) < 5 * np.sqrt(share * (1 - share) / draws), np.mean(kept)


# --- the seed ------------------------------------------------------------------------------------


def losses_of(session: Any, graph: UnrolledGraph, fed: dict[Any, Any], seeds: list[Any]) -> list[float]:
    return [
        float(session.run(graph.total_loss, fed | ({} if seed is None else {graph.dropout_seed: seed})))
        for seed in seeds
    ]


def test_a_run_is_a_function_of_the_seed() -> None:
    run = make_run(LAYERS["two"].make(), 4, 3, input_size=5, embedding_size=3, dropout=SHARE, optimizer=None)
    seeds = [[3, 1], [3, 2], [4, 1], [4, 0], [2, 2], [-3, 2**31 - 1], [1, 3]]
    found = []
    for _ in range(2):
        with new_session(run.graph.tf_graph) as session:
            assign(session, run.graph.variables, run.values)
            found.append(losses_of(session, run.graph, run.fed, seeds))
    assert found[0] == found[1]
    assert len(set(found[0])) == len(seeds), found[0]


def test_a_seed_that_is_not_fed_is_drawn_at_each_run() -> None:
    def losses(seed: int | None) -> list[float]:
        graph = UnrolledGraph(VanillaCell(7), 4, 3, 5, 2, dropout=SHARE, seed=seed, optimizer=None)
        assert (graph.dropout_seed.shape.as_list(), graph.dropout_seed.dtype) == ([2], tf.int32)
        fed = graph.feed(np.ones((3, 4), int), np.ones((3, 4), int), graph.zero_state())
        with graph.session() as session:
            assign(session, graph.variables, random_values(np.random.default_rng(3), graph.variables))
            seeds = {tuple(session.run(graph.dropout_seed)) for _ in range(4)}
            assert len(seeds) == 4, seeds
            return losses_of(session, graph, fed, [None] * 4)

    fresh, other, first, again, second = (losses(seed) for seed in (None, None, 1, 1, 2))
    for drawn in (fresh, first, second):
        assert len(set(drawn)) > 1, "every run dropped the same"
    assert first == again
    assert fresh != other
    assert first != second


def dropout_masks(session: Any, options: dict[str, Any], cell: Any, shapes: dict[Any, list[int]]) -> Any:
    """What is left of ones, by place and chunk."""
    given: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}
    graph = UnrolledGraph(cell, **(given | {"dropout": 0.5, "optimizer": None} | options))
    ones = {where: tf.ones(shape, graph.options.dtype) for where, shape in shapes.items()}
    left = {(place, chunk): graph._forward.dropout(place, chunk, ones[place, chunk]) for place, chunk in ones}
    return session.run(left, {graph.dropout_seed: SEED})


def test_masks_differ_between_places_chunks_and_steps() -> None:
    shapes = {where: [30, 7] for where in itertools.product(range(4), range(3))}
    with tf.Graph().as_default(), new_session() as session:
        found = dropout_masks(session, {"embedding_size": 3}, LAYERS["three"].make(), shapes)
    for mask in found.values():
        assert set(mask.ravel()) == {0, 2}
    pieces = [piece for mask in found.values() for piece in np.split(mask, 10)]  # one for each step
    for one, other in itertools.combinations(pieces, 2):
        assert not np.array_equal(one, other)


def test_masks_depend_on_seed_place_and_chunk_alone() -> None:
    shapes = {(1, 0): [12, 7], (1, 2): [12, 7]}
    found = []
    with tf.Graph().as_default(), new_session() as session:
        cases: list[tuple[dict[str, Any], Any]] = [
            ({}, LSTMCell(2)),
            ({"num_steps": 9, "batch_size": 2, "seed": 5, "optimizer": "sgd"}, GRUCell(7)),
            ({"embedding_size": 3, "dtype": "float64", "loss_steps": "last"}, LAYERS["two"].make()),
        ]
        for options, cell in cases:
            found.append(dropout_masks(session, options, cell, shapes))
    for other in found[1:]:
        assert_close(other, found[0], 0)


# --- where nothing is dropped --------------------------------------------------------------------


def op_types(graph: Any) -> list[str]:
    return [op.type for op in graph.get_operations()]


def test_nothing_is_added_where_nothing_is_dropped() -> None:
    def make(dropout: float) -> UnrolledGraph:
        cell = StackedCell([LSTMCell(8), LSTMCell(8)])
        return UnrolledGraph(cell, 2, 3, 5, 2, embedding_size=4, dropout=dropout)

    graph = make(0)
    assert graph.dropout_seed is None
    assert graph.tapes[1][0].projected.op.inputs[0].op.inputs[0].op.type == "ConcatV2"
    assert not [kind for kind in op_types(graph.tf_graph) if kind.startswith("Stateless")]
    # One chunk and three places: embedded inputs, between the layers, before the readout.
    assert op_types(make(0.1).tf_graph).count("StatelessRandomUniformV2") == 3


def test_graphs_run_forward_drop_nothing_and_other_widths_as_much() -> None:
    options: dict[str, Any] = {"embedding_size": 3, "dropout": SHARE, "dtype": "float64", "optimizer": None}
    with tf.Graph().as_default() as place:
        graph = UnrolledGraph(LAYERS["two"].make(), 4, 3, 5, 2, **options)
        kinds = op_types(place)
        forward, step = graph.forward(), StepGraph(graph.cell, 3, 5, 2, **options)
        kinds_after = op_types(place)
    assert forward.dropout_seed is None
    assert (forward.options.dropout, step.options.dropout) == (0, 0)
    assert not any(kind.startswith("Stateless") for kind in kinds_after[len(kinds) :])
    other = graph.with_steps(6)
    assert other.options.dropout == SHARE
    assert other.dropout_seed is not None
    assert other.dropout_seed is not graph.dropout_seed


def test_a_reweighted_graph_drops_the_same() -> None:
    """A flow of 1 over the whole width is no reweighting at all."""
    run = make_run(LAYERS["two"].make(), 4, 3, input_size=5, embedding_size=2, dropout=SHARE)
    run.more = {run.graph.dropout_seed: SEED}
    with run.graph.tf_graph.as_default():
        other = run.graph.with_steps(4, reweighted=True)
    with run.graph.session() as session:
        assign(session, run.graph.variables, run.values)
        expected = session.run([run.graph.total_loss, gradients_of(run.graph)], run.fed)
        fetches = [other.total_loss, gradients_of(other)]
        reweighted = other.runner(session, *fetches, feeding=[other.dropout_seed])
        block = (run.inputs.astype(np.int32), run.targets.astype(np.int32), run.state)
        found = reweighted(*block, np.ones(4), np.full(4, 1 / 12), SEED)
    assert_close(found, expected, 1e-12)


# --- third-party cells -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"input_size": 3, "input_kind": "real"}, {"input_size": 5, "embedding_size": 3}]
)
def test_a_third_party_cell_between_its_places(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    run = dropped_run(monkeypatch, Summing(), **options, num_classes=2, loss="squared_error")
    graph = run.graph
    run.values = [np.random.default_rng(19).normal(size=v.shape) for v in graph.variables]
    masks = [masks_over_steps(graph, place, 3) for place in (0, 1)]
    state, expected = run.state, []
    for vectors, below, above in zip(input_vectors(graph, run.inputs, run.values), *masks, strict=True):
        state = state + vectors * below
        expected.append((state * above) @ run.values[-2] + run.values[-1])
    assert_close(run.fetch(graph.predictions), expected, 1e-12, "predictions")
    assert_slopes_agree(run)


def test_a_seed_may_be_fed_where_there_is_nothing_to_drop() -> None:
    options: dict[str, Any] = {"input_kind": "none", "loss": "squared_error", "readout": "none"}
    graph = UnrolledGraph(InfluenceCell(5), 4, 1, 0, 1, dropout=SHARE, **options)
    fed = graph.feed(None, np.ones((1, 4, 1)), graph.zero_state())
    with graph.session() as session:
        plain, with_seed = losses_of(session, graph, fed, [None, SEED])
        run = graph.runner(session, graph.total_loss, feeding=[graph.dropout_seed])
        (prepared,) = run(None, np.ones((1, 4, 1), np.float32), graph.zero_state(), SEED)
    assert plain == with_seed == prepared


# --- what others see of it -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["few embedded", "real"])
def test_cell_inputs_are_what_the_layers_read(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    run = dropped_run(monkeypatch, LAYERS["two"].make(), **INPUTS[kind], optimizer=None)
    graph = run.graph
    with graph.tf_graph.as_default():
        inputs = graph.cell_inputs
    projected = [[trace.projected for trace in traces] for traces in graph.tapes]
    found, expected = run.fetch([inputs, projected])
    variables = list(graph.cell.variables)
    values = run.values[len(graph.network.encoding.variables) :]
    for layer, vectors, chunks in zip(graph.cell.layers, found, expected, strict=True):
        W, b = (values[[v is one for one in variables].index(True)] for v in layer.variables[:2])
        again = np.concatenate(vectors) @ W[: vectors[0].shape[1]] + b
        assert_close(again, np.concatenate(chunks), 1e-13, layer.name)


@pytest.mark.parametrize(
    ("cell", "options", "places"),
    [
        ("two", {"embedding_size": 3}, [0, 1, 2]),
        ("tanh", {"embedding_size": 7, "readout": "tied"}, [0, 1]),
        ("tanh", {}, [1]),
        ("tanh", {"readout": "none", "num_classes": 7}, []),
    ],
)
def test_where_dropout_acts(cell: str, options: dict[str, Any], places: list[int]) -> None:
    given = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 5} | options
    graph = UnrolledGraph(LAYERS[cell].make(), **given, dropout=0.1, optimizer=None)
    dropout = Dropout(graph.options, graph.network)
    assert [place for place in range(5) if dropout.acts(place)] == places
