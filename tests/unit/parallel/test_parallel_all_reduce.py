"""The reduction as a part of the training step: which graphs have it, and what its errors become."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from helpers import assert_close, random_block

from tf_rnn._tensorflow import tf
from tf_rnn.cells import VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.parallel import ClusterTask, LostWorkerError
from tf_rnn.parallel.all_reduce import AllReduce


class Twins:
    """Two workers that have the same rows; or, after a failure, one."""

    task = ClusterTask(("a:1", "b:1"))

    def __init__(self) -> None:
        self.sums = 0
        self.error: BaseException | None = None

    def sum_in_place(self, values: np.ndarray) -> None:
        if self.error is not None:
            raise self.error
        self.sums += 1
        values *= 2


def make_graph(reduce_gradients: Any = None) -> UnrolledGraph:
    options: dict[str, Any] = {"embedding_size": 3, "clip_norm": 0.1, "dtype": "float64", "seed": 3}
    cell = VanillaCell(3)
    with tf.Graph().as_default():
        return UnrolledGraph(cell, 2, 2, 5, 5, reduce_gradients=reduce_gradients, **options)


def after_steps(graph: UnrolledGraph) -> list[Any]:
    """Final states and weights after a step of the graph and one of a wider one."""
    generator = np.random.default_rng(7)
    found = []
    with graph.session(1) as session:
        for each in (graph, graph.with_steps(3)):
            fed = each.feed(*random_block(generator, each), each.zero_state())
            found += session.run([each.final_state, each.gradient_norm, each.train_step], fed)[:2]
        found += session.run(list(graph.variables))
        forward = graph.forward(3)
        fed = forward.feed(*random_block(generator, forward), forward.zero_state())
        return [*found, session.run(forward.total_loss, fed)]


def test_the_mean_of_equal_gradients_is_the_gradient_in_all_widths_and_evaluation_has_none() -> None:
    twins = Twins()
    found = after_steps(make_graph(AllReduce(cast("Any", twins))))
    assert_close(found, after_steps(make_graph()), 0)
    assert twins.sums == 2


@pytest.mark.parametrize(
    "error", [LostWorkerError("another worker has ended"), RuntimeError("out of step"), KeyboardInterrupt()]
)
def test_errors_of_the_ring_are_raised_themselves(error: BaseException) -> None:
    twins = Twins()
    with pytest.raises(type(error)) as caught, AllReduce(cast("Any", twins)) as all_reduce:  # noqa: PT012
        graph = make_graph(all_reduce)
        twins.error = error
        after_steps(graph)
    assert caught.value is error
