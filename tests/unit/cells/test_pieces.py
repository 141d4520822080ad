"""Putting matrices together and taking them apart, against NumPy, with one constant for each axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell
from tf_rnn.cells.concat import join_columns, join_rows, over_rows, split_columns, split_rows
from tf_rnn.graph import UnrolledGraph

WHOLE = np.arange(6.0 * 7).reshape(6, 7)


@pytest.mark.parametrize("sizes", [[7], [2, 4, 1], [1] * 7])
def test_columns_and_rows(sizes: list[int]) -> None:
    count = min(len(sizes), 6)  # of rows
    with tf.Graph().as_default(), tf.Session() as session:
        columns, rows = split_columns(tf.constant(WHOLE), sizes), split_rows(tf.constant(WHOLE), count)
        found, found_rows, *again = session.run([columns, rows, join_columns(columns), join_rows(rows)])
    assert_close(found, np.split(WHOLE, np.cumsum(sizes)[:-1], axis=1), 0, "columns")
    assert_close(found_rows, np.split(WHOLE, count), 0, "rows")
    assert_close(again, [WHOLE, WHOLE], 0, "whole")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_function_of_rows_is_called_once_for_all_steps(count: int) -> None:
    calls: list[Any] = []

    def swapped(step: dict[str, Any]) -> tuple[Any, list[Any]]:
        calls.append(step)
        return step["b"] + 1, [step["a"]]

    a = np.split(WHOLE, 3)[:count]
    with tf.Graph().as_default(), tf.Session() as session:
        steps = [{"a": tf.constant(rows), "b": tf.constant(-rows)} for rows in a]
        found = session.run(over_rows(swapped, steps))
    assert len(calls) == 1
    assert len(found) == count
    for (one, [other]), rows in zip(found, a, strict=True):
        assert_close(one, 1 - rows, 0, "b + 1")
        assert_close(other, rows, 0, "a")


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
