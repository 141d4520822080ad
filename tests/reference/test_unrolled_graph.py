"""The n-wide graph from outside: its lists, its loop, what can be fed, foreign cells, its errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, new_session, random_block, random_state, random_values
from references import numeric_gradient

import tf_rnn
from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, LSTMState, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.mark.parametrize(
    ("cell", "num_steps", "batch_size"),
    [*((cell, 4, 3) for cell in CASES), ("stacked", 1, 3), ("stacked", 4, 1)],
)
def test_lists_have_the_documented_shapes(cell: str, num_steps: int, batch_size: int) -> None:
    kinds: list[tuple[dict[str, Any], list[int], Any]] = [
        ({"input_size": 5}, [], tf.int32),
        ({"input_size": 5, "embedding_size": 2}, [], tf.int32),
        ({"input_size": 5, "input_kind": "real"}, [5], tf.float32),
        ({"input_size": 0, "input_kind": "none"}, [0], tf.float32),
    ]
    losses: list[tuple[str, list[int], Any]] = [
        ("cross_entropy", [], tf.int32),
        ("squared_error", [2], tf.float32),
    ]
    for number, (options, shape, dtype) in enumerate(kinds):
        loss, target_shape, target_dtype = losses[number % 2]
        graph = UnrolledGraph(CASES[cell].make(), num_steps, batch_size, num_classes=2, loss=loss, **options)
        lists = [graph.inputs, graph.targets, graph.states, graph.predictions, graph.losses]
        assert [len(one) for one in lists] == [num_steps] * 5
        assert all(isinstance(one, list) for one in lists)
        for tensors, expected, its_dtype in [
            (graph.inputs, shape, dtype),
            (graph.targets, target_shape, target_dtype),
            (graph.predictions, [2], tf.float32),
            (graph.losses, [], tf.float32),
        ]:
            for tensor in tensors:
                assert tensor.shape.as_list() == [batch_size, *expected], tensor
                assert tensor.dtype == its_dtype, tensor
        for state in [graph.init_state, *graph.states]:
            tf.nest.assert_same_structure(state, graph.cell.state_size)
            sizes = tf.nest.flatten(graph.cell.state_size)
            shapes = [part.shape.as_list() for part in tf.nest.flatten(state)]
            assert shapes == [[batch_size, size] for size in sizes]
        assert graph.final_state is graph.states[-1]
        assert graph.total_loss.shape.as_list() == []
        assert graph.gradient_norm.shape.as_list() == []
        assert graph.learning_rate.shape.as_list() == []
        assert (graph.num_steps, graph.batch_size) == (num_steps, batch_size)
        zeros = graph.zero_state()
        tf.nest.assert_same_structure(zeros, graph.init_state)
        expected_zeros = [np.zeros((batch_size, size)) for size in sizes]
        assert_close(zeros, expected_zeros, 0, "zero_state")


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


def test_the_loop_of_the_readme_learns() -> None:
    task = tf_rnn.tasks.Echo(length=100_000)
    cell = tf_rnn.cells.VanillaCell(state_size=16)
    graph = tf_rnn.UnrolledGraph(
        cell, num_steps=10, batch_size=50, input_size=2, num_classes=2, learning_rate=0.3, seed=1
    )
    losses = []
    with graph.session() as session:
        state = graph.zero_state()
        for inputs, targets in task.blocks(batch_size=50, num_steps=10):
            loss, state, _ = session.run(
                [graph.total_loss, graph.final_state, graph.train_step],
                feed_dict=graph.feed(inputs, targets, state),
            )
            losses.append(float(loss))
    found, no_dependency = np.mean(losses[-50:]), task.baselines()["no dependency"]
    # Halfway to knowing lag 3 alone: far below what any predictor without a memory can reach.
    bound = (no_dependency + task.baselines()["lag 3 alone"]) / 2
    assert losses[0] > no_dependency - 0.02, f"begins at {losses[0]}"
    assert found < bound, f"ends at {found}, not below {bound}"


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


def test_inputs_need_not_be_given_where_there_are_none() -> None:
    graph = UnrolledGraph(GRUCell(3), 2, 1, 0, 4, input_kind="none")
    state = np.ones((1, 3))
    fed = graph.feed(None, [[3, 1]], state)
    assert len(fed) == 2
    with graph.session() as session:
        (loss,) = graph.runner(session, graph.total_loss)(
            None, np.array([[3, 1]], np.int32), state.astype(np.float32)
        )
        assert_close(session.run(graph.total_loss, fed), loss, 0)


def test_sum_is_num_steps_times_mean_and_last_is_the_last() -> None:
    generator = np.random.default_rng(5)
    with tf.Graph().as_default(), new_session() as session:
        cell = LSTMCell(4)
        graphs = {
            (steps, reduction): UnrolledGraph(
                cell, 4, 3, 5, 2, loss_steps=steps, reduction=reduction, dtype="float64"
            )
            for steps in ("all", "last")
            for reduction in ("mean", "sum")
        }
        first = graphs["all", "mean"]
        assign(session, first.variables, random_values(generator, first.variables))
        inputs, targets = random_block(generator, first)
        state = random_state(generator, first.init_state)
        found = {}
        for key, graph in graphs.items():
            fetches = [graph.total_loss, graph.gradient_norm, graph.losses]
            found[key] = session.run(fetches, graph.feed(inputs, targets, state))
    losses = np.array(found["all", "mean"][2])
    assert_close(found["all", "mean"][0], losses.mean(), 1e-15, "mean")
    assert_close(found["all", "sum"][0], 4 * losses.mean(), 1e-15, "sum")
    assert_close(found["all", "sum"][1], 4 * found["all", "mean"][1], 1e-14, "its norm")
    for reduction in ("mean", "sum"):
        assert_close(found["last", reduction][0], losses[-1].mean(), 1e-15, f"last, {reduction}")
        assert_close(found["last", reduction][2], list(losses), 0, "losses are those of every step")


def test_targets_before_the_last_are_not_looked_at() -> None:
    with tf.Graph().as_default(), new_session() as session:
        graph = UnrolledGraph(GRUCell(3), 3, 2, 5, 2, loss_steps="last", seed=0)
        session.run(tf.global_variables_initializer())
        inputs, state = [[1, 2, 3], [4, 0, 1]], graph.zero_state()
        found = [
            session.run([graph.total_loss, graph.gradient_norm], graph.feed(inputs, targets, state))
            for targets in ([[0, 0, 1], [0, 0, 0]], [[1, 0, 1], [1, 1, 0]], [[1, 0, 0], [1, 1, 1]])
        ]
    assert_close(found[1], found[0], 0)
    assert abs(found[2][0] - found[0][0]) > 1e-3, found


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
    graph = UnrolledGraph(
        Counter(),
        num_steps,
        batch_size,
        0,
        1,
        input_kind="none",
        loss="squared_error",
        optimizer="sgd",
        learning_rate=0.25,
        dtype="float64",
    )
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
    options: dict[str, Any] = {
        "input_kind": "real",
        "loss": "squared_error",
        "dtype": "float64",
        "optimizer": "sgd",
        "learning_rate": 0.02,
    }

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
            assign(
                session,
                variables,
                [part.reshape(v.shape) for part, v in zip(weights, variables, strict=True)],
            )
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
            for _ in range(600):
                session.run(graph.train_step, fed)
            assert_close(session.run(variables[0]), 0.8, 1e-6, "what a was")


def test_third_party_cells_have_readouts_of_their_own() -> None:
    options: dict[str, Any] = {"input_kind": "none", "loss": "squared_error", "seed": 3}
    with tf.Graph().as_default():
        cells = [Counter(), Counter()]
        first, second, again = (UnrolledGraph(cell, 4, 3, 0, 1, **options) for cell in (*cells, cells[0]))
        step = StepGraph(cells[1], 3, 0, 1, **options)
    names = [[v.op.name for v in graph.network.variables] for graph in (first, second, again, step)]
    of_first, of_second = ["cell/U", "cell/b_p"], ["cell_1/U", "cell_1/b_p"]
    assert names == [of_first, of_second, of_first, of_second]
    with first.session() as session:
        before = session.run(second.variables)
        session.run(first.train_step, first.feed(None, np.ones((3, 4, 1)), first.zero_state()))
        assert_close(session.run(second.variables), before, 0)
        assert_close(before[0], session.run(second.variables[0]), 0)
    with tf.Graph().as_default():
        elsewhere = UnrolledGraph(cells[1], 5, 3, 0, 1, **options)
    assert elsewhere.variables == second.variables, "a cell stays in its tf.Graph"


WHOLE = "must be a whole number of at least"
GOOD: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}


STEPS = "loss_steps must be one of all, last, marked, or a whole number from 1 to num_steps (4); got"
REFUSED: list[tuple[dict[str, Any], str]] = [
    *[
        ({name: value}, f"{name} {WHOLE} 1, got {value!r}")
        for name in ("num_steps", "batch_size", "input_size", "num_classes")
        for value in (0, -1, 2.5, True, "3", None)
    ],
    ({"embedding_size": 0}, f"embedding_size {WHOLE} 1, got 0"),
    ({"seed": -1}, f"seed {WHOLE} 0, got -1"),
    ({"seed": 1.5}, f"seed {WHOLE} 0, got 1.5"),
    ({"optimizer": "adamw"}, "optimizer must be one of sgd, momentum, adagrad, adam, rmsprop; got 'adamw'"),
    ({"input_kind": "words"}, "input_kind must be one of classes, real, none; got 'words'"),
    ({"loss": "mse"}, "loss must be one of cross_entropy, squared_error; got 'mse'"),
    *[
        (
            {"loss_steps": wrong},
            f"{STEPS} {wrong!r}",
        )
        for wrong in (0, 5, -1, True, 2.5, "first", None)
    ],
    ({"readout": "softmax"}, "readout must be one of linear, tied, none; got 'softmax'"),
    ({"reduction": None}, "reduction must be one of mean, sum; got None"),
    ({"dtype": "float16"}, "dtype must be one of float32, float64; got 'float16'"),
    ({"clip_norm": 0}, "clip_norm must be a number above 0, got 0"),
    ({"clip_norm": -0.5}, "clip_norm must be a number above 0, got -0.5"),
    ({"clip_norm": float("inf")}, "clip_norm must be a number above 0, got inf"),
    ({"clip_norm": "big"}, "clip_norm must be a number above 0, got 'big'"),
    ({"clip_norm": "1"}, "clip_norm must be a number above 0, got '1'"),
    ({"init_scale": 0}, "init_scale must be a number above 0, got 0"),
    ({"init_scale": "small"}, "init_scale must be a number above 0, got 'small'"),
    *[
        ({"dropout": wrong}, f"dropout must be a number of at least 0 and below 1, got {shown(wrong)}")
        for wrong in (1, -0.1, 1.5, "0.5", None, True, float("nan"), 10**400)
    ],
    ({"learning_rate": 0.0}, "learning_rate must be a number above 0, got 0.0"),
    ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, got nan"),
    ({"learning_rate": None}, "learning_rate must be a number above 0, got None"),
    ({"input_kind": "none"}, "input_size must be 0 where input_kind is 'none', got 5"),
    (
        {"input_kind": "real", "embedding_size": 3},
        "embedding_size must be None unless input_kind is 'classes', got 3",
    ),
]


def assert_refused(make: Any, options: dict[str, Any], message: str) -> None:
    cell = VanillaCell(7)
    with tf.Graph().as_default() as graph:
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$") as raised:
            make(cell, **options)
        assert raised.value.option == message.split(maxsplit=1)[0]
        assert not graph.get_operations(), "something was built before the options were checked"
    assert not cell.built


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_option_errors(options: dict[str, Any], message: str) -> None:
    assert_refused(UnrolledGraph, GOOD | options, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (options, message)
        for options, message in REFUSED
        if not {"num_steps", "optimizer", "loss_steps", "dropout"} & set(options)
    ],
)
def test_option_errors_of_a_single_step(options: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in GOOD.items() if name != "num_steps"}
    assert_refused(StepGraph, given | options, message)


@pytest.mark.parametrize("make", [UnrolledGraph, StepGraph])
def test_without_a_readout_there_are_as_many_classes_as_units(make: Any) -> None:
    given = GOOD | {"readout": "none"}
    if make is StepGraph:
        del given["num_steps"]
    message = "^num_classes must be the cell's output size, 7, where readout is 'none', got 2$"
    with pytest.raises(OptionError, match=message):
        make(VanillaCell(7), **given)
    network = make(VanillaCell(7), **(given | {"num_classes": 7})).network
    assert [variable.op.name for variable in network.variables] == ["vanilla/W", "vanilla/b_s"]


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        UnrolledGraph(VanillaCell(7), **GOOD, width=3)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {"input_size": 6}, "input_size must be 5, as the cell was built, got 6"),
        ({}, {"num_classes": 3}, "num_classes must be what the cell's readout was made with, got 3"),
        ({}, {"dtype": "float64"}, "dtype must be 'float32', as the cell was built, got 'float64'"),
        (
            {"embedding_size": 4},
            {"input_size": 6, "embedding_size": 4},
            "input_size must be what the cell's embedding was made with, got 6",
        ),
    ],
)
@pytest.mark.parametrize("make", [UnrolledGraph, StepGraph])
def test_a_second_graph_must_fit_the_first(
    make: Any, first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    cell = GRUCell(3)
    UnrolledGraph(cell, **(GOOD | first))
    given = GOOD | second
    if make is StepGraph:
        del given["num_steps"]
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make(cell, **given)


@pytest.mark.parametrize(
    ("inputs", "targets", "state", "message"),
    [
        ((3, 5), (3, 4), None, "inputs must have shape [3, 4], got [3, 5]"),
        ((4, 3), (3, 4), None, "inputs must have shape [3, 4], got [4, 3]"),
        ((3, 4, 5), (3, 4), None, "inputs must have shape [3, 4], got [3, 4, 5]"),
        ((3, 4), (3,), None, "targets must have shape [3, 4], got [3]"),
        ((3, 4), (3, 4, 1), None, "targets must have shape [3, 4], got [3, 4, 1]"),
        ((3, 4), (3, 4), LSTMState((3, 7), (3, 6)), "state must have shape [3, 7], got [3, 6]"),
        ((3, 4), (3, 4), LSTMState((2, 7), (3, 7)), "state must have shape [3, 7], got [2, 7]"),
    ],
)
def test_feeding_another_shape(inputs: Any, targets: Any, state: Any, message: str) -> None:
    graph = UnrolledGraph(LSTMCell(7), **GOOD)
    carried = graph.zero_state() if state is None else LSTMState(*map(np.zeros, state))
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        graph.feed(np.zeros(inputs, int), np.zeros(targets, int), carried)


ARRAY = np.zeros((3, 7))


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (ARRAY, "[3, 7]"),
        ((ARRAY, ARRAY), "([3, 7], [3, 7])"),
        ([ARRAY, ARRAY], "[[3, 7], [3, 7]]"),
        (None, "None"),
        ((LSTMState(ARRAY, ARRAY),), "(LSTMState(hidden=[3, 7], cell=[3, 7]),)"),
    ],
)
def test_feeding_another_structure_of_state(state: Any, given: str) -> None:
    graph = UnrolledGraph(LSTMCell(7), **GOOD)
    block = np.zeros((3, 4), int)
    message = f"state must have the structure LSTMState(hidden=[3, 7], cell=[3, 7]), got {given}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        graph.feed(block, block, state)


def test_feeding_a_structure_where_there_is_none() -> None:
    graph = UnrolledGraph(VanillaCell(7), **GOOD)
    block = np.zeros((3, 4), int)
    message = r"^state must have the structure \[3, 7\], got \(\[3, 7\],\)$"
    with pytest.raises(OptionError, match=message):
        graph.feed(block, block, (ARRAY,))
    with pytest.raises(OptionError, match=r"^state must have shape \[3, 7\], got \[\]$"):
        graph.feed(block, block, None)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [(0.5, "0.5"), (-0.25, "-0.25"), (float("nan"), "nan"), (float("inf"), "inf"), ("1", "np.str_('0')")],
)
@pytest.mark.parametrize("name", ["inputs", "targets"])
def test_feeding_classes_that_are_not_whole(name: str, wrong: Any, shown: str) -> None:
    graph = UnrolledGraph(VanillaCell(7), **GOOD)
    blocks: dict[str, Any] = {"inputs": np.zeros((3, 4), int), "targets": np.zeros((3, 4), int)}
    block = blocks[name].astype(type(wrong))
    block[1, 2] = wrong
    message = f"^{name} must hold whole class indices, got {re.escape(shown)}$"
    with pytest.raises(OptionError, match=message):
        graph.feed(**(blocks | {name: block}), state=graph.zero_state())


@pytest.mark.parametrize("dtype", [int, np.uint8, bool, np.float16, float])
def test_whole_classes_of_any_type_are_fed(dtype: Any) -> None:
    graph = UnrolledGraph(VanillaCell(7), **GOOD, seed=1)
    block = np.array([[0, 1, 1, 0]] * 3)
    with graph.session() as session:
        fed, expected = (graph.feed(one, one, graph.zero_state()) for one in (block.astype(dtype), block))
        assert session.run(graph.total_loss, fed) == session.run(graph.total_loss, expected)


def test_real_values_need_not_be_whole() -> None:
    options: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
    graph = UnrolledGraph(VanillaCell(7), **GOOD, **options)
    fed = graph.feed(np.full((3, 4, 5), 0.5), np.full((3, 4, 2), np.nan), graph.zero_state())
    assert len(fed) == 3


@pytest.mark.parametrize(("inputs", "targets", "wrong"), [(5, 0, 5), (-1, 0, -1), (0, 2, 2)])
def test_classes_that_do_not_exist_are_refused_by_the_session(inputs: int, targets: int, wrong: int) -> None:
    graph = UnrolledGraph(VanillaCell(7), **GOOD)
    block = np.zeros((3, 4), int)
    fed = graph.feed(block + inputs, block + targets, graph.zero_state())
    with graph.session() as session, pytest.raises(tf.errors.InvalidArgumentError, match=str(wrong)):
        session.run(graph.total_loss, fed)


WRONG_CLASSES = "must hold class indices of at most 2147483647, got"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.full((3, 4), 2**32), f"inputs {WRONG_CLASSES} 4294967296"),
        (np.full((3, 4), 1e20), f"inputs {WRONG_CLASSES} 1e+20"),
        (np.full((3, 4), 2**63, np.uint64), f"inputs {WRONG_CLASSES} 9223372036854775808"),
        (np.full((3, 4), None), "inputs must hold whole class indices, got None"),
        ([[0, 1], [0]], "inputs must be an array, got rows of different lengths"),
        ("text", "inputs must have shape [3, 4], got []"),
    ],
)
def test_classes_that_would_become_others_are_refused(inputs: Any, message: str) -> None:
    """Of 2**32 TensorFlow would make class 0, without a word."""
    graph = UnrolledGraph(VanillaCell(7), **GOOD)
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        graph.feed(inputs, np.zeros((3, 4), int), graph.zero_state())


@pytest.mark.parametrize("dtype", ["U3", "S3", "complex64", "M8[s]", "O"])
def test_real_values_are_numbers(dtype: str) -> None:
    graph = UnrolledGraph(VanillaCell(7), **GOOD, input_kind="real", loss="squared_error")
    blocks = {"inputs": np.zeros((3, 4, 5)), "targets": np.zeros((3, 4, 2)), "state": np.zeros((3, 7))}
    for name, block in blocks.items():
        with pytest.raises(OptionError, match=f"^{name} must hold numbers, got "):
            graph.feed(**(blocks | {name: np.zeros(block.shape, dtype)}))
