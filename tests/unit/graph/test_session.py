"""Sessions of a graph: their settings, initial values, prepared runs, and graphs to run forward."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, random_block, random_state, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.graph.prepared import make_callable
from tf_rnn.graph.session import LARGE_STEP, TINY_STEP, session_config, step_operations
from tf_rnn.options import GraphOptions, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

SINGLE = "SINGLE_THREADED_EXECUTOR"


@pytest.mark.parametrize(
    ("operations", "threads", "expected"),
    [
        (TINY_STEP - 1, None, (1, 1, SINGLE)),
        (TINY_STEP, None, (6, 1, "")),
        (TINY_STEP, 4, (4, 1, "")),
        (TINY_STEP, 1, (1, 1, SINGLE)),
        (LARGE_STEP - 1, 4, (4, 1, "")),
        (LARGE_STEP, None, (6, 6, "")),
        (LARGE_STEP, 4, (4, 4, "")),
    ],
)
def test_configuration(
    monkeypatch: pytest.MonkeyPatch, operations: int, threads: int | None, expected: tuple[int, int, str]
) -> None:
    """Threads side by side, within an operation, and the executor, on a machine with six cores."""
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    config = session_config(operations, threads)
    found = config.inter_op_parallelism_threads, config.intra_op_parallelism_threads
    assert (*found, config.experimental.executor_type) == expected
    assert config.graph_options.rewrite_options.disable_meta_optimizer
    assert config.graph_options.optimizer_options.opt_level == tf.OptimizerOptions.L0
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert session_config(TINY_STEP).experimental.executor_type == SINGLE, "one core needs no threads"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (VanillaCell(7), 2 * 3 * 7 * 7),
        (GRUCell(7), 2 * 3 * 7 * 7 * 3),
        (StackedCell([VanillaCell(9), LSTMCell(5), VanillaCell(2)]), 2 * 3 * 5 * 5 * 4),
        (StackedCell([VanillaCell(11), LSTMCell(5)]), 2 * 3 * 11 * 11),
    ],
)
def test_operations_are_those_of_the_largest_layer(cell: Any, expected: int) -> None:
    options = GraphOptions(num_steps=10, batch_size=3, input_size=1000, num_classes=2)
    assert step_operations(cell, options) == expected


@pytest.mark.parametrize("limit", [1, 10**9])
def test_sessions_are_configured_and_initialised(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr("tf_rnn.graph.session.TINY_STEP", limit)
    wide = UnrolledGraph(GRUCell(3), 4, 2, 5, 2, optimizer="adam")
    step = StepGraph(wide.cell, 1, 5, 2)
    for graph in (wide, step):
        with graph.session(threads=3) as session:
            assert isinstance(session, tf.Session)
            assert session.graph is graph.tf_graph
            assert session._config == session_config(limit if limit == 1 else 0, threads=3)
            with graph.tf_graph.as_default():
                assert session.run(tf.report_uninitialized_variables()).size == 0


@pytest.mark.parametrize(("cell", "input_kind"), [("lstm", "classes"), ("stacked", "real"), ("tanh", "none")])
def test_a_prepared_run_gives_what_a_run_gives(cell: str, input_kind: str) -> None:
    generator = np.random.default_rng(113)
    size = 0 if input_kind == "none" else 5
    options: dict[str, Any] = {"input_kind": input_kind, "optimizer": "sgd", "dtype": "float64"}
    graph = UnrolledGraph(CASES[cell].make(), 4, 3, size, 2, **options)
    start = random_values(generator, graph.variables)
    with graph.session() as session, graph.session() as other:
        for each in (session, other):
            assign(each, graph.variables, start)
        fetches = [graph.total_loss, graph.final_state, graph.train_step, graph.predictions]
        run = graph.runner(session, *fetches)
        for _ in range(3):
            inputs, targets = random_block(generator, graph)
            state = random_state(generator, graph.init_state)
            dtype = np.int32 if input_kind == "classes" else np.float64
            exact = None if inputs is None else inputs.astype(dtype)
            found = run(exact, targets.astype(np.int32), state)
            expected = other.run(fetches, graph.feed(inputs, targets, state))
            assert len(found) == 4
            assert found[2] is None, found[2]
            tf.nest.assert_same_structure(found[1], graph.init_state)
            for number in (0, 1, 3):
                assert_close(found[number], expected[number], 0, f"fetch {number}")


def test_a_forward_graph_shares_everything_but_training() -> None:
    generator = np.random.default_rng(127)
    options: dict[str, Any] = {"input_kind": "real", "loss": "squared_error", "loss_steps": "last"}
    options |= {"reduction": "sum", "dtype": "float64", "clip_norm": 0.5, "seed": 3}
    graph = UnrolledGraph(GRUCell(3), 4, 2, 5, 1, **options)
    for sizes, expected in [
        ({"num_steps": 7}, (7, 2)),
        ({"batch_size": 5}, (4, 5)),
        ({"num_steps": 1, "batch_size": 1}, (1, 1)),
        ({}, (4, 2)),
    ]:
        forward = graph.forward(**sizes)
        assert (forward.num_steps, forward.batch_size) == expected
        assert (forward.train_step, forward.options.optimizer) == (None, None)
        assert (forward.cell, forward.tf_graph) == (graph.cell, graph.tf_graph)
        assert all(a is b for a, b in zip(forward.variables, graph.variables, strict=True))
        assert {name: getattr(forward.options, name) for name in options} == options
    with graph.session() as session:
        inputs, targets = random_block(generator, graph)
        state = random_state(generator, graph.init_state)
        losses = session.run(graph.total_loss, graph.feed(inputs, targets, state))
        again = session.run(forward.total_loss, forward.feed(inputs, targets, state))
        session.run(graph.train_step, graph.feed(inputs, targets, state))
        trained = session.run(forward.total_loss, forward.feed(inputs, targets, state))
    assert again == losses
    assert abs(trained - again) > 1e-6


# --- prepared runs, which refuse what would not fit ----------------------------------------------

PRIVATE = "_make_callable_from_options"
ROWS = np.array([[1.5, -2.0, 0.25], [4.0, 8.0, -0.5]])


class Small(NamedTuple):
    """A graph with something of everything."""

    matrix: Any
    rows: Any
    scale: Any
    variable: Any
    product: Any
    counted: Any
    session: Any


@pytest.fixture
def small() -> Iterator[Small]:
    with tf.Graph().as_default():
        matrix = tf.placeholder(tf.float64, [2, 3], name="deep/matrix")
        rows = tf.placeholder(tf.int32, [None, 2], name="rows")
        scale = tf.placeholder_with_default(tf.constant(2.0), [], name="scale")
        variable = tf.get_variable("count", [], tf.float64, tf.zeros_initializer(), use_resource=True)
        product = matrix * tf.cast(scale, tf.float64)
        counted = variable.assign_add(tf.cast(tf.reduce_sum(rows), tf.float64)).op
        with tf.Session() as session:
            session.run(variable.initializer)
            yield Small(matrix, rows, scale, variable, product, counted, session)


def test_every_kind_of_fetch_comes_back_in_its_place(small: Small) -> None:
    fetches = [
        small.counted,
        {"twice": small.product, "nested": (small.rows + 1, small.counted)},
        small.product,
        small.variable,
    ]
    run = make_callable(small.session, fetches, [small.matrix, small.rows])
    counted, nested, product, _ = run(ROWS, np.array([[1, 2], [3, 4], [5, 6]], np.int32))
    assert counted is None
    assert_close(product, 2 * ROWS, 0)
    assert_close(nested["twice"], 2 * ROWS, 0)
    assert_close(nested["nested"][0], np.array([[2, 3], [4, 5], [6, 7]]), 0)
    assert nested["nested"][1] is None
    assert small.session.run(small.variable) == 21, "it is run once however often it is fetched"
    run(ROWS, np.array([[7, 9]], np.int32))
    assert small.session.run(small.variable) == 37


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((ROWS.T, [[1, 2]]), "matrix must have shape [2, 3], got [3, 2]"),
        ((5.0, [[1, 2]]), "matrix must have shape [2, 3], got []"),
        ((ROWS, [[1, 2, 3]]), "rows must have shape [None, 2], got [1, 3]"),
        ((ROWS, [1, 2]), "rows must have shape [None, 2], got [2]"),
        ((), "values must be 2 (matrix, rows), got 0"),
        ((ROWS, [[1, 2]], 2.0), "values must be 2 (matrix, rows), got 3"),
    ],
)
def test_another_shape_or_number_is_refused(small: Small, values: tuple[Any, ...], message: str) -> None:
    """Broadcast it would be a wrong result without a word."""
    run = make_callable(small.session, [small.product, small.rows + 1], [small.matrix, small.rows])
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(*values)


def test_the_public_function_replaces_a_missing_private_one(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later TensorFlow may not have what the fast way needs."""
    fetches = [small.counted, (small.product, small.rows + 1), small.product]
    feeds = [small.matrix, small.rows]
    fast = make_callable(small.session, fetches, feeds)(ROWS, [[1, 2]])
    owner = next(kind for kind in type(small.session).__mro__ if PRIVATE in vars(kind))
    monkeypatch.delattr(owner, PRIVATE)
    run = make_callable(small.session, fetches, feeds)
    found = run(ROWS.tolist(), [[1, 2]])
    assert found[0] is None
    assert_close(found[1:], fast[1:], 0)
    assert small.session.run(small.variable) == 6, "the operation is run once by each"
    with pytest.raises(OptionError, match=r"^matrix must have shape"):
        run(ROWS.T, [[1, 2]])
