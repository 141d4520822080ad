"""Influence balancing: its data, and the cell that makes a task of it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.cells import InfluenceCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Influence


def test_stream_is_nothing_in_and_one_out() -> None:
    inputs, targets = Influence(length=7).stream()
    assert inputs.shape == (7, 0)
    np.testing.assert_array_equal(targets, np.ones((7, 1), np.float32), strict=True)


def test_the_truncated_gradient_changes_its_sign_at_41() -> None:
    cell = InfluenceCell()
    signs = [cell.truncated_influence(width) > 0 for width in range(1, 121)]
    assert signs == [True] * 40 + [False] * 80
    # The whole influence is 2 (2 p - d) = 2 (20 - 23).
    assert_close(cell.truncated_influence(2000), -6, 1e-12, "whole influence")


@pytest.mark.parametrize("width", [1, 2, 11])
def test_a_block_truncates_after_its_width(width: int) -> None:
    cell = InfluenceCell(start=0.25)
    graph = UnrolledGraph(
        cell, width, 1, 0, 1, input_kind="none", loss="squared_error", loss_steps="last",
        readout="none", optimizer="sgd", dtype="float64",
    )  # fmt: skip
    state = np.random.default_rng(0).normal(size=(1, 23))
    with graph.session() as session:
        ((gradient, variable),) = graph.gradients
        feed = graph.feed(None, np.ones((1, width, 1)), state)
        found, prediction = session.run([gradient, graph.predictions[-1]], feed)
        assert_close(session.run(variable), 0.25, 0, "theta")
    assert variable.op.name.endswith("theta")
    assert_close(found, 2 * (prediction[0, 0] - 1) * cell.truncated_influence(width), 1e-9, "gradient")


def test_the_forward_pass_is_the_chain() -> None:
    cell = InfluenceCell(3, num_positive=2, start=0.5)
    with tf.Graph().as_default():
        output, state = cell(None, tf.constant([[1.0, 2.0, 4.0]], tf.float64))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            found = session.run([output, state])
    assert_close(found[1], np.array([[2.0, 3.5, 1.5]]), 0, "state")
    assert_close(found[0], np.array([[2.0]]), 0, "output")


def test_the_limits_of_data_and_cell() -> None:
    """Held-out data reach beyond the warm-up; every step has the whole matrix of the dynamics."""
    with pytest.raises(OptionError, match=r"^valid_length must be a whole number of at least 201, got 200$"):
        Influence(valid_length=200)
    with pytest.raises(OptionError, match=r"^num_positive must be a whole number of at most 5, got 6$"):
        InfluenceCell(5, num_positive=6)
    assert InfluenceCell(1000).state_size == 1000
    with pytest.raises(OptionError, match=r"^state_size must be a whole number of at most 1000, got 1001$"):
        InfluenceCell(1001)
