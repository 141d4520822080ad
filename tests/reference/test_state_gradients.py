"""The gradient with respect to each state, against products of numeric Jacobians of the step in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import (
    ALL_CASES,
    CASES,
    assert_close,
    assign,
    input_vectors,
    random_block,
    random_state,
    random_values,
)
from references import run_steps, softmax

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.lags import gradient_norms

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STEPS, INPUTS, CLASSES = 3, 5, 2


class ThirdParty:
    """A cell of ours of which nothing is known but that it is a v1 RNN cell."""

    def __init__(self, cell: Any) -> None:
        self._cell = cell
        self.state_size, self.output_size = cell.state_size, cell.output_size

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return self._cell.zero_state(batch_size, dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        result: tuple[Any, Any] = self._cell(inputs, state)
        return result


def make_graph(cell: Any, num_steps: int = STEPS, **options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"dtype": "float64", "optimizer": None} | options
    return UnrolledGraph(cell, num_steps, 1, INPUTS, CLASSES, **given)


def flat(state: Any) -> NDArray[Any]:
    return np.concatenate([np.ravel(part) for part in tf.nest.flatten(state)])


def unflat(vector: NDArray[Any], like: Any) -> Any:
    parts = tf.nest.flatten(like)
    cuts = np.split(vector, np.cumsum([np.size(part) for part in parts])[:-1])
    shaped = [cut.reshape(np.shape(part)) for cut, part in zip(cuts, parts, strict=True)]
    return tf.nest.pack_sequence_as(like, shaped)


def jacobian(function: Callable[[NDArray[Any]], NDArray[Any]], at: NDArray[Any]) -> NDArray[Any]:
    """d(function)_i / d(at)_j by central differences, [i, j]."""
    moves = 1e-6 * np.eye(len(at))
    columns = [(function(at + move) - function(at - move)) / 2e-6 for move in moves]
    return np.stack(columns, axis=1)


class Expected:
    """Gradients in NumPy of the last loss with respect to each state, as vectors."""

    def __init__(self, name: str, graph: UnrolledGraph, flow: Any = None, seed: int = 3) -> None:
        generator = np.random.default_rng(seed)
        self.values = random_values(generator, graph.variables, 0.7)
        inputs, targets = random_block(generator, graph)
        self.start = random_state(generator, graph.init_state)
        self.block = inputs, targets, self.start
        readout = graph.network.head.readout.variables
        named = list(zip(graph.variables, self.values, strict=True))
        weights = [value for variable, value in named if all(variable is not each for each in readout)]
        U, b_p = (value for variable, value in named if any(variable is each for each in readout))
        vectors = input_vectors(graph, inputs, self.values)
        outputs, states = run_steps(ALL_CASES[name].step, weights, vectors, self.start)
        flow = np.ones(graph.num_steps) if flow is None else flow
        d_output = (softmax(outputs[-1] @ U + b_p) - np.eye(CLASSES)[targets[:, -1]]) @ U.T
        # The part of the state that is the output.
        parts = [
            d_output if np.array_equal(part, outputs[-1]) else np.zeros_like(part)
            for part in tf.nest.flatten(states[-1])
        ]
        self.gradients = [flat(parts)]
        for t in reversed(range(1, graph.num_steps)):

            def step(vector: NDArray[Any], t: int = t) -> NDArray[Any]:
                _, after = ALL_CASES[name].step(weights, vectors[t], unflat(vector, states[t - 1]))
                return flat(after)

            found = jacobian(step, flat(states[t - 1])).T @ self.gradients[0]
            self.gradients.insert(0, flow[t - 1] * found)


def found_gradients(graph: UnrolledGraph, expected: Expected, more: tuple[Any, ...] = ()) -> list[Any]:
    """Those of the graph as vectors, after its norms were compared with them."""
    gradients, norms = graph.state_gradients(tf.reduce_sum(graph.losses[-1])), gradient_norms(graph)
    with graph.session() as session:
        assign(session, graph.variables, expected.values)
        found, sizes = graph.runner(session, gradients, norms)(*expected.block, *more)
    vectors = [flat(state) for state in found]
    assert_close(sizes[:, 0], np.array([np.linalg.norm(each) for each in vectors[::-1]]), 1e-14, "norms")
    return vectors


@pytest.fixture(autouse=True)
def own_graph() -> Any:
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize(("name", "num_steps"), [("stacked", 1), *((name, STEPS) for name in ALL_CASES)])
def test_gradients_are_products_of_jacobians(name: str, num_steps: int) -> None:
    graph = make_graph(ALL_CASES[name].make(), num_steps)
    expected = Expected(name, graph)
    assert_close(found_gradients(graph, expected), expected.gradients, 1e-8)


@pytest.mark.parametrize("options", [{"recompute": 3}, {"loss_steps": "last"}])
@pytest.mark.usefixtures("chunks_of_two")
def test_gradients_in_chunks(options: dict[str, Any]) -> None:
    graph = make_graph(CASES["stacked"].make(), 5, **options)
    assert len(graph.tapes[0]) > 1
    expected = Expected("stacked", graph)
    assert_close(found_gradients(graph, expected), expected.gradients, 1e-8)


@pytest.mark.parametrize(("name", "num_steps"), [("lstm", 1), ("stacked", STEPS)])
def test_gradients_of_a_third_party_cell(name: str, num_steps: int) -> None:
    graph = make_graph(ThirdParty(CASES[name].make()), num_steps, optimizer="sgd")
    expected = Expected(name, graph)
    assert_close(found_gradients(graph, expected), expected.gradients, 1e-8)


@pytest.mark.parametrize("wrap", [lambda cell: cell, ThirdParty], ids=["ours", "third-party"])
def test_what_flows_back_is_multiplied_by_the_flow(wrap: Callable[[Any], Any]) -> None:
    graph = make_graph(wrap(LSTMCell(4)), reweighted=True, optimizer="sgd")
    flow = np.array([-2, 1.5, 7])
    expected = Expected("lstm", graph, flow)
    found = found_gradients(graph, expected, (flow, np.ones(STEPS)))
    assert_close(found, expected.gradients, 1e-8)


def test_an_lstm_s_hidden_part_is_counted_once() -> None:
    """TensorFlow's gradient of the same tensors counts what flows from C_t through H_t twice."""
    graph = make_graph(LSTMCell(4))
    expected = Expected("lstm", graph)
    parts = tf.nest.flatten(graph.states)
    naive = tf.gradients(graph.losses[-1], parts, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    with graph.session() as session:
        assign(session, graph.variables, expected.values)
        (values,) = graph.runner(session, naive)(*expected.block)
    ratio = np.linalg.norm(flat(values[:2])) / np.linalg.norm(expected.gradients[0])
    assert ratio > 1.01


@pytest.mark.parametrize("wrap", [lambda cell: cell, ThirdParty], ids=["ours", "third-party"])
def test_all_steps_take_one_backward_pass(wrap: Callable[[Any], Any]) -> None:
    """The number of operations grows with the width, not with its square."""
    counts = []
    for width in (2, 4, 8):
        graph = make_graph(wrap(GRUCell(3)), width)
        loss = tf.reduce_sum(graph.losses[-1])
        before = len(graph.tf_graph.get_operations())
        graph.state_gradients(loss)
        counts.append(len(graph.tf_graph.get_operations()) - before)
    assert counts[2] - counts[1] <= 2 * (counts[1] - counts[0])
