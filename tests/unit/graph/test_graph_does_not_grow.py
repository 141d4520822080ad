"""What adds operations to a graph adds them once."""

from __future__ import annotations

from typing import Any

import pytest

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.cells import GRUCell, LSTMCell
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


@pytest.mark.parametrize("batch_size", [0, [1], True])
def test_a_batch_size_that_is_none_is_refused(batch_size: Any) -> None:
    graph = make_graph(GRUCell(5))
    StepGraph.of(graph)
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
