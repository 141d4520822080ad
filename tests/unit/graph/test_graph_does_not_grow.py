"""What adds operations to a graph adds them once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.cells import GRUCell, LSTMCell
from tf_rnn.cells.concat import join_columns, join_rows, split_columns
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo

TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=122, valid_length=90)


def make_graph(cell: Any, **options: Any) -> UnrolledGraph:
    return UnrolledGraph(cell, 4, 3, 2, 2, **options)


def operations(graph: UnrolledGraph) -> int:
    return len(graph.tf_graph.get_operations())


@pytest.mark.parametrize("cell", [GRUCell, LSTMCell])
def test_measuring_lags_again_adds_nothing(cell: Any) -> None:
    graph = make_graph(cell(5))
    with graph.session() as session:
        first = measure_lags(graph, session, TASK, 5)
        count = operations(graph)
        assert measure_lags(graph, session, TASK, 5) == first
    with graph.session() as session:
        measure_lags(graph, session, TASK, 5)
    assert operations(graph) == count


def test_the_single_step_graph_of_a_graph_is_made_once() -> None:
    graph = make_graph(GRUCell(5), dropout=0.3)
    step, two = StepGraph.of(graph), StepGraph.of(graph, 2)
    count = operations(graph)
    assert StepGraph.of(graph) is step
    assert StepGraph.of(graph, batch_size=1) is step
    assert StepGraph.of(graph, 2) is two
    assert operations(graph) == count
    assert (step.options.batch_size, two.options.batch_size) == (1, 2)
    wrong: tuple[Any, ...] = (0, [1], True)
    for batch_size in wrong:
        with pytest.raises(OptionError, match=r"^batch_size must be a whole number"):
            StepGraph.of(graph, batch_size)


def test_a_cached_result_belongs_to_its_arguments() -> None:
    graph, calls = make_graph(GRUCell(5)), []

    def build(of: UnrolledGraph, number: int) -> Any:
        calls.append(number)
        return tf.reduce_sum(of.total_loss) * number

    assert graph.cached(build, 2) is graph.cached(build, 2)
    assert graph.cached(build, 3) is not graph.cached(build, 2)
    assert calls == [2, 3]


# --- the constants that take matrices apart and put them together --------------------------------

WHOLE = np.arange(6.0 * 7).reshape(6, 7)


def test_a_loop_shares_its_constants() -> None:
    """First needed in a loop's body, then outside."""
    with tf.Graph().as_default(), tf.Session() as session:
        whole = tf.constant(WHOLE)
        _, looped = tf.while_loop(
            lambda i, _: i < 2, lambda i, x: (i + 1, join_columns(split_columns(x, [3, 4])[::-1])), [0, whole]
        )
        outside = join_columns(split_columns(whole, [3, 4]))
        assert_close(session.run([looped, outside]), [np.roll(np.roll(WHOLE, 4, 1), 4, 1), WHOLE], 0)


def test_the_constants_do_not_wait_for_what_their_first_user_waits_for() -> None:
    with tf.Graph().as_default():
        rows, awaited = tf.ones([1, 2]), tf.placeholder(tf.int32, [])
        with tf.control_dependencies([awaited]):
            joined = join_rows([rows] * 2)
        assert joined.op.control_inputs == [awaited.op]
        assert joined.op.inputs[-1].op.control_inputs == []


def test_a_wider_graph_has_no_more_constants_for_its_steps() -> None:
    """One chunk each: what a step adds is no constant."""
    counts = {}
    for num_steps in (2, 9):
        graph = UnrolledGraph(LSTMCell(4), num_steps, 3, 5, 2).tf_graph
        counts[num_steps] = sum(operation.type == "Const" for operation in graph.get_operations())
    assert counts[2] == counts[9], counts
