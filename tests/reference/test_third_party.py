"""Third-party cells: each object has weights of its own, the same ones at every width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.cells import InfluenceCell
from tf_rnn.graph import StepGraph, UnrolledGraph, unroll
from tf_rnn.graph.naming import weight_names
from tf_rnn.options import OptionError

PREDICTS: dict[str, Any] = {"input_kind": "none", "loss": "squared_error", "readout": "none"}


class Scaling:
    """S_t = a S_{t-1} with a variable that the cell does not list."""

    state_size = output_size = 1

    def __init__(self, start: float) -> None:
        self.start = start

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, _: Any, state: Any) -> tuple[Any, Any]:
        a = tf.get_variable("U", [], state.dtype, tf.constant_initializer(self.start), use_resource=True)
        return a * state, a * state


def test_two_cells_in_one_tf_graph_have_weights_of_their_own() -> None:
    with tf.Graph().as_default():
        cells = [InfluenceCell(start=start) for start in (0.125, 0.875)]
        graphs = [UnrolledGraph(cell, 2, 1, 0, 1, **PREDICTS) for cell in cells]
        wider = [UnrolledGraph(cell, 3, 1, 0, 1, **PREDICTS) for cell in reversed(cells)][::-1]
        steps = [StepGraph(cell, 1, 0, 1, **PREDICTS) for cell in cells]
        outputs = [unroll(cell, [None], cell.zero_state(1, tf.float32))[0][0] for cell in cells]
        names = [list(weight_names(graph)) for graph in graphs]
        with graphs[0].session() as session:
            for same in (graphs, wider):
                assert session.run([graph.variables for graph in same]) == [(0.125,), (0.875,)]
            first = session.run([*outputs, *(step.prediction for step in steps)])
            assert_close(first, list(np.array([0.125, 0.875] * 2).reshape(4, 1, 1)), 0, "unit 1 after a step")
    assert names == [["cell/theta"]] * 2
    assert len(graphs[0].tf_graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)) == 2


@pytest.mark.parametrize("eagerly", [True, False])
def test_a_second_width_has_the_same_weights_wherever_it_is_made(*, eagerly: bool) -> None:
    cell = Scaling(0.5)
    if eagerly:
        one, other = (UnrolledGraph(cell, n, 1, 0, 1, **PREDICTS) for n in (2, 3))
    else:
        with tf.Graph().as_default():
            one = UnrolledGraph(cell, 2, 1, 0, 1, **PREDICTS)
        with tf.Graph().as_default():
            other = UnrolledGraph(cell, 3, 1, 0, 1, **PREDICTS)
    assert other.tf_graph is one.tf_graph
    assert other.variables == one.variables


def test_a_cells_own_weights_are_not_the_readouts_of_the_same_name() -> None:
    with tf.Graph().as_default():
        graph = UnrolledGraph(Scaling(0.5), 2, 3, 0, 1, input_kind="none", loss="squared_error")
        assert sorted(weight_names(graph)) == ["cell/U", "readout/U", "readout/b_p"]
        assert len(tf.trainable_variables()) == 3


def test_a_cell_that_is_called_in_another_tf_graph_is_refused() -> None:
    cell = Scaling(0.5)
    graph = UnrolledGraph(cell, 2, 1, 0, 1, **PREDICTS)
    with tf.Graph().as_default(), pytest.raises(OptionError, match=r"^cell must be used in the tf\.Graph of"):
        unroll(cell, [None], cell.zero_state(1, tf.float32))
    del graph
