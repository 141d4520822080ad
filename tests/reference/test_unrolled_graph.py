"""The n-wide graph from outside: its lists, its loop, what can be fed, foreign cells, its errors."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, new_session, random_block, random_state, random_values
from references import numeric_gradient

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, LSTMState, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@pytest.mark.parametrize(
    ("cell", "num_steps", "batch_size", "loss", "options", "input_shape"),
    [
        ("tanh", 4, 3, "cross_entropy", {"input_size": 5}, []),
        ("gru", 4, 1, "squared_error", {"input_size": 5, "embedding_size": 2}, []),
        ("lstm", 4, 3, "cross_entropy", {"input_size": 5, "input_kind": "real"}, [5]),
        ("stacked", 1, 3, "squared_error", {"input_size": 0, "input_kind": "none"}, [0]),
    ],
)
def test_lists_have_the_documented_shapes(
    cell: str, num_steps: int, batch_size: int, loss: str, options: dict[str, Any], input_shape: list[int]
) -> None:
    graph = UnrolledGraph(CASES[cell].make(), num_steps, batch_size, num_classes=2, loss=loss, **options)
    target_shape, target_dtype = ([], tf.int32) if loss == "cross_entropy" else ([2], tf.float32)
    for tensors, shape, dtype in [
        (graph.inputs, input_shape, tf.float32 if input_shape else tf.int32),
        (graph.targets, target_shape, target_dtype),
        (graph.predictions, [2], tf.float32),
        (graph.losses, [], tf.float32),
    ]:
        assert isinstance(tensors, list)
        assert len(tensors) == num_steps
        for tensor in tensors:
            assert (tensor.shape.as_list(), tensor.dtype) == ([batch_size, *shape], dtype), tensor
    assert len(graph.states) == num_steps
    sizes = tf.nest.flatten(graph.cell.state_size)
    for state in [graph.init_state, *graph.states]:
        tf.nest.assert_same_structure(state, graph.cell.state_size)
        shapes = [part.shape.as_list() for part in tf.nest.flatten(state)]
        assert shapes == [[batch_size, size] for size in sizes]
    assert graph.final_state is graph.states[-1]
    for scalar in (graph.total_loss, graph.gradient_norm, graph.learning_rate):
        assert scalar.shape.as_list() == []
    assert (graph.num_steps, graph.batch_size) == (num_steps, batch_size)
    zeros = graph.zero_state()
    tf.nest.assert_same_structure(zeros, graph.init_state)
    assert_close(zeros, [np.zeros((batch_size, size)) for size in sizes], 0, "zero_state")


def test_each_tensor_of_the_lists_is_its_time_step() -> None:
    with tf.Graph().as_default(), new_session() as session:
        graph = UnrolledGraph(
            VanillaCell(7), 4, 3, 5, 2, input_kind="real", loss="squared_error", dtype="float64"
        )
        inputs = np.arange(60.0).reshape(3, 4, 5)
        targets = np.arange(100.0, 124).reshape(3, 4, 2)
        state = np.arange(200.0, 221).reshape(3, 7)
        fed = graph.feed(inputs, targets, state)
        found = session.run([graph.inputs, graph.targets, graph.init_state], fed)
        assert_close(found[0], [inputs[:, t] for t in range(4)], 0, "inputs")
        assert_close(found[1], [targets[:, t] for t in range(4)], 0, "targets")
        assert_close(found[2], state, 0, "state")
        session.run(tf.global_variables_initializer())
        outputs = [graph.losses, graph.predictions]
        losses, predictions = session.run(outputs, fed)
        squares = [(predictions[t] - targets[:, t]) ** 2 for t in range(4)]
        assert_close(losses, [square.mean(axis=1) for square in squares], 1e-9, "losses")


def test_a_graph_is_built_where_its_cell_is() -> None:
    with tf.Graph().as_default() as outer:
        inside = UnrolledGraph(GRUCell(3), 2, 1, 5, 2)
    assert inside.tf_graph is outer
    alone, another = (UnrolledGraph(GRUCell(3), 2, 1, 5, 2) for _ in range(2))
    assert alone.tf_graph is not another.tf_graph
    assert UnrolledGraph(alone.cell, 3, 1, 5, 2).tf_graph is alone.tf_graph
    with tf.Graph().as_default():
        assert StepGraph(alone.cell, 1, 5, 2).tf_graph is alone.tf_graph


@pytest.mark.parametrize("input_kind", ["classes", "real"])
def test_elements_of_the_lists_can_be_fed_one_by_one(input_kind: str) -> None:
    generator = np.random.default_rng(3)
    with tf.Graph().as_default(), new_session() as session:
        cell = StackedCell([LSTMCell(4), GRUCell(3)])
        graph = UnrolledGraph(cell, 4, 3, 5, 2, input_kind=input_kind, dtype="float64")
        assign(session, graph.variables, random_values(generator, graph.variables))
        inputs, targets = random_block(generator, graph)
        assert inputs is not None
        state = random_state(generator, graph.init_state)
        fetches = [graph.total_loss, graph.predictions, graph.final_state, graph.gradient_norm]
        expected = session.run(fetches, graph.feed(inputs, targets, state))
        fed = {graph.inputs[t]: inputs[:, t] for t in range(4)}
        fed |= {graph.targets[t]: targets[:, t] for t in range(4)}
        flat = zip(tf.nest.flatten(graph.init_state), tf.nest.flatten(state), strict=True)
        assert_close(session.run(fetches, fed | dict(flat)), expected, 0)
        # One element in place of what was packed, and states that are zero where not fed.
        changed = np.array(inputs)
        changed[:, 2] = inputs[::-1, 2]
        changed_feed = graph.feed(changed, targets, graph.zero_state())
        expected = session.run(fetches, changed_feed)
        plain = {key: value for key, value in fed.items() if key is not graph.inputs[2]}
        assert_close(session.run(fetches, plain | {graph.inputs[2]: changed[:, 2]}), expected, 0)


class Counter:
    """Counts its steps, from 1 a unit: output = state, then state + 1. No layers, no variables."""

    state_size = 2
    output_size = 2

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 2], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        return state, state + 1


@pytest.mark.parametrize(("num_steps", "batch_size"), [(4, 3), (1, 1)])
def test_a_counting_cell_counts(num_steps: int, batch_size: int) -> None:
    options: dict[str, Any] = {"input_kind": "none", "loss": "squared_error", "dtype": "float64"}
    options |= {"optimizer": "sgd", "learning_rate": 0.25}
    graph = UnrolledGraph(Counter(), num_steps, batch_size, 0, 1, **options)
    rows = np.arange(batch_size)
    start = np.stack([10.0 * rows, 5 - rows], axis=1)  # [10 i, 5 - i] for example i
    U, b = np.array([[0.5], [-2.0]]), np.array([0.25])
    targets = np.ones((batch_size, num_steps, 1))
    with graph.session() as session:
        assign(session, graph.variables, [U, b])
        values = [graph.states, graph.predictions, graph.losses, graph.total_loss]
        fetches = [*values, graph.gradients, graph.train_step]
        fed = graph.feed(None, targets, start)
        states, predictions, losses, total, pairs, _ = session.run(fetches, fed)
        after = session.run(graph.variables)
    # P_t = (10 i + t) / 2 - 2 (5 - i + t) + 1/4 = 7 i - 3 t / 2 - 9.75
    expected = [7.0 * rows - 1.5 * t - 9.75 for t in range(num_steps)]
    assert_close(states, [start + t + 1 for t in range(num_steps)], 0, "states")
    assert_close(predictions, [row[:, np.newaxis] for row in expected], 0, "predictions")
    assert_close(losses, [(row - 1) ** 2 for row in expected], 0, "losses")
    assert_close(total, np.mean((np.array(expected) - 1) ** 2), 1e-13, "total loss")
    wrong = 2 * (np.array(expected) - 1)  # [step, example]
    outputs = np.array([start + t for t in range(num_steps)])
    of_U = (wrong[..., np.newaxis] * outputs).mean(axis=(0, 1))[:, np.newaxis]
    of_b = wrong.mean(keepdims=True)[0]
    assert_close([gradient for gradient, _ in pairs], [of_U, of_b], 1e-12, "gradients")
    assert_close(after, [U - 0.25 * of_U, b - 0.25 * of_b], 1e-12, "after training")


class Leaky:
    """S_t = a S_{t-1} + the sum of the inputs, with a variable made at the first step."""

    state_size = 1
    output_size = 1

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        a = tf.get_variable("a", [], inputs.dtype, tf.constant_initializer(0.3))
        state = a * state + tf.reduce_sum(inputs, axis=1, keepdims=True)
        return state, state


def test_a_third_party_cell_with_variables_trains() -> None:
    generator = np.random.default_rng(7)
    inputs = generator.normal(size=(3, 4, 5))
    options: dict[str, Any] = {"input_kind": "real", "loss": "squared_error", "dtype": "float64"}
    options["optimizer"] = "sgd"

    def forward(a: Any, U: Any, b: Any) -> list[NDArray[Any]]:
        state, predictions = np.zeros(3), []
        for t in range(4):
            state = a * state + inputs[:, t].sum(axis=1)
            predictions.append(state * U + b)
        return predictions

    targets = np.stack(forward(0.8, 1.2, -0.5), axis=1)[..., np.newaxis]
    weights = np.array([0.3, 0.7, 0.1])

    def loss() -> float:
        return float(np.mean((np.stack(forward(*weights), axis=1) - targets[..., 0]) ** 2))

    with tf.Graph().as_default():
        cell = Leaky()
        graph = UnrolledGraph(cell, 4, 3, 5, 1, **options)
        step = StepGraph(cell, 3, 5, 1, **options)
        UnrolledGraph(cell, 2, 1, 5, 1, **options)
        order = ["cell/step/a", "cell/U", "cell/b_p"]
        variables = sorted(tf.global_variables(), key=lambda variable: order.index(variable.op.name))
        assert [variable.op.name for variable in variables] == order
        with graph.session() as session:
            assign(session, variables, [w.reshape(v.shape) for w, v in zip(weights, variables, strict=True)])
            fed = graph.feed(inputs, targets, np.zeros((3, 1)))
            assert_close(session.run(graph.total_loss, fed), loss(), 1e-13, "loss")
            pairs = sorted(graph.gradients, key=lambda pair: order.index(pair.variable.op.name))
            found = session.run([pair.gradient for pair in pairs], fed)
            expected = list(numeric_gradient(loss, weights))
            assert_close([g.item() for g in found], expected, 1e-8, "gradients")
            state = np.zeros((3, 1))
            expected_predictions = forward(*weights)
            for t in range(4):
                fetches = [step.prediction, step.state]
                fed_step = {step.input: inputs[:, t], step.init_state: state}
                prediction, state = session.run(fetches, fed_step)
                assert_close(prediction[:, 0], expected_predictions[t], 1e-13, t)
            session.run(graph.train_step, fed)
            assert all(session.run(v) != value for v, value in zip(variables, weights, strict=True))


GOOD: dict[str, Any] = {"batch_size": 3, "input_size": 5, "num_classes": 2}
BOTH = pytest.mark.parametrize("make", [lambda cell, **options: UnrolledGraph(cell, 4, **options), StepGraph])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_kind": "none"}, "input_size must be 0 where input_kind is 'none', got 5"),
        (
            {"input_kind": "real", "embedding_size": 3},
            "embedding_size must be None unless input_kind is 'classes', got 3",
        ),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ],
)
@BOTH
def test_option_errors(make: Any, options: dict[str, Any], message: str) -> None:
    cell = VanillaCell(7)
    with tf.Graph().as_default() as graph:
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$") as raised:
            make(cell, **(GOOD | options))
        assert raised.value.option == message.split(maxsplit=1)[0]
        assert not graph.get_operations(), "something was built before the options were checked"
    assert not cell.built


@pytest.mark.parametrize("wrong", [0, 5, -1, True, 2.5, "first", None])
def test_losses_that_count_are_within_the_width(wrong: Any) -> None:
    allowed = "one of all, last, marked, or a whole number from 1 to num_steps (4)"
    with pytest.raises(OptionError, match=re.escape(f"loss_steps must be {allowed}; got {wrong!r}")):
        UnrolledGraph(VanillaCell(7), 4, **GOOD, loss_steps=wrong)


@BOTH
def test_without_a_readout_there_are_as_many_classes_as_units(make: Any) -> None:
    message = "^num_classes must be the cell's output size, 7, where readout is 'none', got 2$"
    with pytest.raises(OptionError, match=message):
        make(VanillaCell(7), **GOOD, readout="none")
    network = make(VanillaCell(7), **(GOOD | {"readout": "none", "num_classes": 7})).network
    assert [variable.op.name for variable in network.variables] == ["vanilla/W", "vanilla/b_s"]


@functools.cache
def cell_of_a_graph(embedding_size: int | None) -> GRUCell:
    cell = GRUCell(3)
    UnrolledGraph(cell, 1, **GOOD, embedding_size=embedding_size, optimizer=None)
    return cell


@pytest.mark.parametrize(
    ("embedded", "second", "message"),
    [
        (None, {"input_size": 6}, "input_size must be 5, as the cell was built, got 6"),
        (None, {"num_classes": 3}, "num_classes must be what the cell's readout was made with, got 3"),
        (None, {"dtype": "float64"}, "dtype must be 'float32', as the cell was built, got 'float64'"),
        (
            3,
            {"input_size": 6, "embedding_size": 3},
            "input_size must be what the cell's embedding was made with, got 6",
        ),
        (
            3,
            {"embedding_size": 3, "num_classes": 5, "readout": "tied"},
            "num_classes must be what the cell's readout was made with, got 5",
        ),
    ],
)
@BOTH
def test_a_second_graph_must_fit_the_first(
    make: Any, embedded: int | None, second: dict[str, Any], message: str
) -> None:
    cell = cell_of_a_graph(embedded)
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make(cell, **(GOOD | second))


# --- feeding --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fed_graph() -> UnrolledGraph:
    return UnrolledGraph(LSTMCell(7), 4, **GOOD, seed=1)


@pytest.fixture(scope="module")
def prepared(fed_graph: UnrolledGraph) -> Callable[..., Any]:
    run: Callable[..., Any] = fed_graph.runner(fed_graph.session(), fed_graph.total_loss)
    return run


BLOCK = np.zeros((3, 4), int)
STATE = np.zeros((3, 7))
STRUCTURE = "state must have the structure LSTMState(hidden=[3, 7], cell=[3, 7]), got "
TOO_LARGE = "inputs must hold class indices of at most 2147483647, got "


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("inputs", np.zeros((3, 5)), "inputs must have shape [3, 4], got [3, 5]"),
        ("inputs", np.zeros((4, 3)), "inputs must have shape [3, 4], got [4, 3]"),
        ("inputs", np.zeros((3, 4, 5)), "inputs must have shape [3, 4], got [3, 4, 5]"),
        ("inputs", "text", "inputs must have shape [3, 4], got []"),
        ("inputs", [[0, 1], [0]], "inputs must be an array, got rows of different lengths"),
        ("inputs", BLOCK + 2**32, TOO_LARGE + "4294967296"),  # TensorFlow would read it as class 0
        ("inputs", BLOCK + 1e20, TOO_LARGE + "1e+20"),
        ("inputs", np.full((3, 4), 2**63, np.uint64), TOO_LARGE + "9223372036854775808"),
        ("inputs", np.full((3, 4), None), "inputs must hold whole class indices, got None"),
        ("inputs", BLOCK - 0.25, "inputs must hold whole class indices, got -0.25"),
        ("inputs", BLOCK + np.inf, "inputs must hold whole class indices, got inf"),
        ("targets", np.zeros(3), "targets must have shape [3, 4], got [3]"),
        ("targets", np.zeros((3, 4, 1)), "targets must have shape [3, 4], got [3, 4, 1]"),
        ("targets", BLOCK + np.nan, "targets must hold whole class indices, got nan"),
        ("targets", BLOCK.astype(str), "targets must hold whole class indices, got np.str_('0')"),
        ("state", LSTMState(STATE, STATE[:, 1:]), "state must have shape [3, 7], got [3, 6]"),
        ("state", LSTMState(STATE[1:], STATE), "state must have shape [3, 7], got [2, 7]"),
        ("state", STATE, STRUCTURE + "[3, 7]"),
        ("state", (STATE, STATE), STRUCTURE + "([3, 7], [3, 7])"),
        ("state", [STATE, STATE], STRUCTURE + "[[3, 7], [3, 7]]"),
        ("state", None, STRUCTURE + "None"),
    ],
)
def test_blocks_that_do_not_fit(
    fed_graph: UnrolledGraph, prepared: Callable[..., Any], name: str, value: Any, message: str
) -> None:
    """By a feed dictionary, and what a cast would change by a prepared run alike."""
    blocks = {"inputs": BLOCK, "targets": BLOCK, "state": fed_graph.zero_state()} | {name: value}
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        fed_graph.feed(**blocks)
    if "must hold" in message or "must be an array" in message:
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            prepared(*blocks.values())


def test_feeding_a_structure_where_there_is_none() -> None:
    graph = UnrolledGraph(VanillaCell(7), 4, **GOOD)
    message = r"^state must have the structure \[3, 7\], got \(\[3, 7\],\)$"
    with pytest.raises(OptionError, match=message):
        graph.feed(BLOCK, BLOCK, (STATE,))
    with pytest.raises(OptionError, match=r"^state must have shape \[3, 7\], got \[\]$"):
        graph.feed(BLOCK, BLOCK, None)


def test_whole_classes_of_any_type_are_fed_and_others_refused(fed_graph: UnrolledGraph) -> None:
    block = np.array([[0, 1, 1, 0]] * 3)
    zeros = fed_graph.zero_state()
    with fed_graph.session() as session:

        def loss(inputs: Any, targets: Any) -> Any:
            return session.run(fed_graph.total_loss, fed_graph.feed(inputs, targets, zeros))

        run = fed_graph.runner(session, fed_graph.total_loss)
        given = [block.tolist(), *(block.astype(dtype) for dtype in (int, np.uint8, bool, float))]
        found = {loss(each, each) for each in given} | {run(each, each, zeros)[0] for each in given}
        assert len(found) == 1, found
        for inputs, targets, message in [
            (5, 0, "inputs must hold classes from 0 to 4, got 5"),
            (-1, 0, "inputs must hold classes from 0 to 4, got -1"),
            (0, 2, "targets must hold classes from 0 to 1, got 2"),
        ]:
            fed = BLOCK + inputs, BLOCK + targets, zeros
            with pytest.raises(OptionError, match=f"^{message}$"):
                fed_graph.feed(*fed)
            with pytest.raises(tf.errors.InvalidArgumentError, match=message[-2:].strip()):
                run(*fed)
        with pytest.raises(OptionError, match=r"^targets must hold classes from 0 to 1, got -1$"):
            fed_graph.feed(BLOCK, BLOCK - 1, zeros)


def test_real_values_are_numbers() -> None:
    graph = UnrolledGraph(VanillaCell(7), 4, **GOOD, input_kind="real", loss="squared_error")
    blocks: dict[str, Any] = {
        "inputs": np.full((3, 4, 5), 0.5), "targets": np.full((3, 4, 2), np.nan), "state": np.zeros((3, 7))
    }  # fmt: skip
    assert len(graph.feed(**blocks)) == 3
    for dtype in ("U3", "S3", "complex64", "M8[s]", "O"):
        for name, block in blocks.items():
            with pytest.raises(OptionError, match=f"^{name} must hold numbers, got "):
                graph.feed(**(blocks | {name: np.zeros(block.shape, dtype)}))
