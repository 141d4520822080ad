"""Cutting a stream into rows and blocks, and the methods of a task that do it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.options import OptionError
from tf_rnn.tasks import Defaults, Echo, Stream, Task, cut_blocks, cut_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Counting(Task):
    """Token t is the number t, 10 t in the held-out split, and its target is 1000 more."""

    name = "counting"
    defaults = Defaults(batch_size=1, optimizer="sgd", learning_rate=1.0, tokens=1)

    def __init__(self, length: int, period: int = 1) -> None:
        self.length = length
        self.period = period

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        step = 1 if split == "train" else 10
        inputs = np.arange(self.length, dtype=np.int32) * np.int32(step) + np.int32(epoch)
        return Stream(inputs, inputs + np.int32(1000))

    def options(self) -> dict[str, Any]:
        return {"length": self.length, "period": self.period}


def real_stream(length: int, input_size: int) -> Stream:
    inputs = np.arange(length * input_size, dtype=np.float32).reshape(length, input_size)
    return Stream(inputs, np.arange(length, dtype=np.int32))


def real_targets(length: int, num_classes: int) -> Stream:
    targets = np.arange(length * num_classes, dtype=np.float32).reshape(length, num_classes)
    targets[::3] = np.nan
    return Stream(np.arange(length, dtype=np.int32), targets)


def assert_equal(found: NDArray[Any], expected: NDArray[Any] | list[Any]) -> None:
    np.testing.assert_array_equal(found, expected, strict=isinstance(expected, np.ndarray))


def test_rows_are_contiguous_and_the_tail_is_dropped() -> None:
    inputs, targets = Counting(14).rows(batch_size=3)
    assert_equal(inputs, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    assert_equal(targets, inputs + np.int32(1000))


def test_blocks_are_those_of_the_docstring() -> None:
    found = [inputs.tolist() for inputs, _ in Counting(14).blocks(batch_size=2, num_steps=3)]
    assert found == [[[0, 1, 2], [7, 8, 9]], [[3, 4, 5], [10, 11, 12]]]


def test_rows_begin_with_an_example() -> None:
    task = Counting(20, period=3)  # 6 examples of 3, and 2 tokens more
    assert_equal(task.rows(2).inputs, [[0, 1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16, 17]])
    assert_equal(task.rows(4).inputs, [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]])
    assert_equal(task.rows(1).inputs, [list(range(18))])


def test_blocks_need_not_end_with_an_example() -> None:
    found = [inputs.tolist() for inputs, _ in Counting(20, period=3).blocks(2, 4)]
    assert found == [[[0, 1, 2, 3], [9, 10, 11, 12]], [[4, 5, 6, 7], [13, 14, 15, 16]]]


def test_one_row_of_one_step_drops_nothing() -> None:
    found = [int(inputs[0, 0]) for inputs, _ in Counting(5).blocks(batch_size=1, num_steps=1)]
    assert found == [0, 1, 2, 3, 4]


def test_split_and_epoch_reach_the_stream() -> None:
    assert_equal(Counting(4).rows(2, "valid", 3).inputs, [[3, 13], [23, 33]])
    (block,) = Counting(4).blocks(2, 2, "valid", 3)
    assert_equal(block.inputs, [[3, 13], [23, 33]])


@given(
    length=st.integers(1, 80),
    batch_size=st.integers(1, 80),
    num_steps=st.integers(1, 80),
    input_size=st.integers(1, 3),
    period=st.integers(1, 9),
)
def test_cutting_any_stream(
    length: int, batch_size: int, num_steps: int, input_size: int, period: int
) -> None:
    stream = real_stream(length, input_size)
    row_length = length // (batch_size * period) * period
    if num_steps > row_length:
        with pytest.raises(OptionError, match=r"^(batch_size|num_steps) must be at most"):
            cut_blocks(stream, batch_size, num_steps, period=period)
        return
    rows = cut_rows(stream, batch_size, period=period)
    assert rows.inputs.shape == (batch_size, row_length, input_size)
    assert (rows.targets[:, 0] % period == 0).all()
    used = batch_size * row_length
    assert length - used < batch_size * period  # no more is dropped than must be
    assert_equal(rows.inputs.reshape(used, input_size), stream.inputs[:used])
    assert_equal(rows.targets.reshape(used), stream.targets[:used])

    blocks = list(cut_blocks(stream, batch_size, num_steps, period=period))
    assert len(blocks) == row_length // num_steps
    assert {block.inputs.shape for block in blocks} == {(batch_size, num_steps, input_size)}
    kept = len(blocks) * num_steps
    again = np.concatenate([block.inputs for block in blocks], axis=1)
    assert_equal(again, rows.inputs[:, :kept])
    assert_equal(np.concatenate([b.targets for b in blocks], axis=1), rows.targets[:, :kept])


@pytest.mark.parametrize("num_classes", [1, 2])
def test_real_targets_are_cut_as_inputs_are(num_classes: int) -> None:
    stream = real_targets(23, num_classes)
    rows = cut_rows(stream, 2, period=5)
    assert rows.targets.shape == (2, 10, num_classes)
    assert rows.targets.dtype == np.float32
    assert_equal(rows.targets, stream.targets[:20].reshape(2, 10, num_classes))
    first, second = cut_blocks(stream, 2, 4, period=5)
    assert_equal(first.targets, rows.targets[:, :4])
    assert_equal(second.targets, rows.targets[:, 4:8])
    assert np.shares_memory(second.targets, stream.targets)


def test_cutting_copies_nothing() -> None:
    stream = Counting(14).stream()
    (first, *_) = cut_blocks(stream, 3, 2)
    assert np.shares_memory(first.inputs, stream.inputs)
    assert np.shares_memory(first.targets, stream.targets)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda task: task.rows(8),
            "batch_size must be at most 7 for the 7 tokens of split 'train', got 8",
        ),
        (
            lambda task: task.blocks(9, 1, "valid"),
            "batch_size must be at most 7 for the 7 tokens of split 'valid', got 9",
        ),
        (
            lambda task: task.blocks(2, 4),
            "num_steps must be at most 3 (the 7 tokens of split 'train' cut into 2 rows), got 4",
        ),
        (
            lambda task: cut_rows(task.stream(), 8),
            "batch_size must be at most 7 for the 7 tokens of the stream, got 8",
        ),
        (
            lambda task: cut_blocks(task.stream(), 1, 8),
            "num_steps must be at most 7 (the 7 tokens of the stream cut into 1 rows), got 8",
        ),
        (
            lambda _: Counting(17, period=5).rows(4),
            "batch_size must be at most 3 for the 3 examples of 5 steps of split 'train', got 4",
        ),
        (
            lambda _: Counting(17, period=5).blocks(2, 6),
            (
                "num_steps must be at most 5 (the 17 tokens of split 'train' cut into 2 rows "
                "of whole examples), got 6"
            ),
        ),
        (
            lambda task: cut_rows(task.stream(), 1, period=0),
            "period must be a whole number of at least 1, got 0",
        ),
        (lambda task: task.rows(0), "batch_size must be a whole number of at least 1, got 0"),
        (lambda task: task.blocks(2, 0), "num_steps must be a whole number of at least 1, got 0"),
        (
            lambda task: task.blocks(2.5, 1),
            "batch_size must be a whole number of at least 1, got 2.5",
        ),
    ],
)
def test_errors_come_at_the_call(call: Callable[[Task], object], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        call(Counting(7))


def test_errors_of_a_real_task_come_at_the_call_too() -> None:
    with pytest.raises(OptionError, match=r"^split must be one of train, valid; got 'test'$"):
        Echo(length=9).blocks(1, 1, split="test")


def test_a_task_that_knows_nothing_more() -> None:
    task = Counting(3)
    assert task.baselines() == {}
    assert task.optimum() is None
    assert task.floor(2) is None
    assert task.dependency_scores(np.zeros((1, 3), np.int32), np.zeros((1, 3))) == {}
    assert task.lags == ()
    assert (task.input_kind, task.loss, task.loss_steps) == ("classes", "cross_entropy", "all")
    assert (task.unit, task.token, task.period, task.distance) == ("nats", "step", 1, None)
