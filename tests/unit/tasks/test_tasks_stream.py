"""Cutting a stream into rows and blocks, and the methods of a task that do it."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup, check_setup
from tf_rnn.tasks import TASKS, Defaults, Echo, Stream, Task, cut_blocks, cut_rows, make_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Counting(Task):
    """Token t is the number t, 10 t in the held-out split, and its target is 1000 more."""

    name = "counting"
    defaults = Defaults(batch_size=1, optimizer="sgd", learning_rate=1.0, tokens=1)

    input_size = num_classes = 100_000

    def __init__(self, size: int, period: int = 1) -> None:
        self.size = size
        self.period = period
        self.drawn: list[tuple[str, int]] = []

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        self.drawn.append((split, epoch))
        step = 1 if split == "train" else 10
        inputs = np.arange(self.size, dtype=np.int32) * np.int32(step) + np.int32(epoch)
        return Stream(inputs, inputs + np.int32(1000))

    def options(self) -> dict[str, Any]:
        return {"size": self.size, "period": self.period}


def real_stream(length: int, input_size: int) -> Stream:
    inputs = np.arange(length * input_size, dtype=np.float32).reshape(length, input_size)
    return Stream(inputs, np.arange(length, dtype=np.int32))


def real_targets(length: int, num_classes: int) -> Stream:
    targets = np.arange(length * num_classes, dtype=np.float32).reshape(length, num_classes)
    targets[::3] = np.nan
    return Stream(np.arange(length, dtype=np.int32), targets)


def assert_equal(found: Any, expected: NDArray[Any] | list[Any]) -> None:
    np.testing.assert_array_equal(found, expected, strict=isinstance(expected, np.ndarray))


def test_blocks_are_those_of_the_docstring() -> None:
    found = [inputs.tolist() for inputs, _ in Counting(14).blocks(batch_size=2, num_steps=3)]
    assert found == [[[0, 1, 2], [7, 8, 9]], [[3, 4, 5], [10, 11, 12]]]


def test_split_and_epoch_reach_the_stream() -> None:
    assert_equal(Counting(4).rows(2, "valid", 3).inputs, [[3, 13], [23, 33]])
    (block,) = Counting(4).blocks(2, 2, "valid", 3)
    assert_equal(block.inputs, [[3, 13], [23, 33]])


@given(st.integers(1, 80), st.integers(1, 80), st.integers(1, 80), st.integers(1, 3), st.integers(1, 9))
def test_any_stream(length: int, batch_size: int, num_steps: int, input_size: int, period: int) -> None:
    stream = real_stream(length, input_size)
    row_length = length // (batch_size * period) * period
    if num_steps > row_length:
        refusal = (
            "task must have at least one" if length < period else "(batch_size|num_steps) must be at most"
        )
        with pytest.raises(OptionError, match=f"^{refusal} "):
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
def test_real_targets_are_cut_like_inputs_without_a_copy(num_classes: int) -> None:
    stream = real_targets(23, num_classes)
    rows = cut_rows(stream, 2, period=5)
    assert rows.targets.dtype == np.float32
    assert_equal(rows.targets, stream.targets[:20].reshape(2, 10, num_classes))
    first, second = cut_blocks(stream, 2, 4, period=5)
    assert_equal(first.targets, rows.targets[:, :4])
    assert_equal(second.targets, rows.targets[:, 4:8])
    for part, whole in zip(second, stream, strict=True):
        assert np.shares_memory(part, whole)


def test_starts_are_cut_like_inputs_and_no_row_begins_with_one_of_its_own() -> None:
    """Flags of 14 tokens in 2 rows: times 0, 4 and 8, of which the second row (from 7) has the last."""
    stream = dataclasses.replace(real_stream(14, 2), starts=np.isin(np.arange(14), [0, 4, 8]))
    rows = cut_rows(stream, 2)
    expected = [[True, False, False, False, True, False, False], [False, True, *[False] * 5]]
    assert_equal(rows.starts, expected)
    found: list[Any] = [block.starts for block in cut_blocks(stream, 2, 3)]
    assert_equal(np.concatenate(found, axis=1), np.array(expected)[:, :6])
    assert_equal(rows.steps(4, 9).starts, [[True, *[False] * 4], [False] * 5])
    for cut in (stream, rows, rows.steps(4, 9)):
        inputs, targets = cut
        assert inputs is cut.inputs, "a stream unpacks to inputs and targets"
        assert targets is cut.targets
    assert cut_rows(real_stream(14, 2), 2).steps(0, 3).starts is None


@given(row_length=st.integers(1, 9), start=st.integers(0, 12), count=st.integers(1, 9))
def test_steps_of_rows_repeat_the_last_one_beyond_the_end(row_length: int, start: int, count: int) -> None:
    rows = cut_rows(real_targets(2 * row_length, 3), 2)
    found = rows.steps(start, start + count)
    for part, whole in zip(found, rows, strict=True):
        for step in range(count):
            assert_equal(part[:, step], whole[:, min(start + step, row_length - 1)])
        assert np.shares_memory(part, whole) == (start + count <= row_length)


def test_lengths_are_known_without_drawing() -> None:
    """Of a task that defines its length; one that does not is counted once for each split."""

    class Known(Counting):
        def length(self, split: str = "train") -> int:
            return self.size

    known, counted = Known(20, period=3), Counting(20, period=3)
    for task in (known, counted):
        for _ in range(2):
            assert (task.length(), task.length("valid")) == (20, 20)
            assert (task.row_length(1), task.row_length(2), task.row_length(4, "valid")) == (18, 9, 3)
            for refused in (lambda: task.blocks(2, 10), lambda: task.rows(7), lambda: task.row_length(7)):  # noqa: B023
                with pytest.raises(OptionError):
                    refused()
            blocks = task.blocks(2, 9, "valid", epoch=5)
    assert known.drawn == []
    assert counted.drawn == [("train", 0), ("valid", 0)]
    assert len(list(blocks)) == 1
    assert counted.drawn[2:] == [("valid", 5)]


@pytest.mark.parametrize("name", list(TASKS))
def test_lengths_are_those_of_the_streams(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    task = make_task(name)
    expected = {split: len(task.stream(split, 1).targets) for split in task.splits}
    rows = task.rows(3, "valid").targets.shape[1]
    monkeypatch.setattr(type(task), "stream", None)  # nothing is drawn, nothing encoded
    assert {split: task.length(split) for split in task.splits} == expected
    assert task.row_length(3, "valid") == rows
    task.blocks(1, rows, "valid", epoch=10)


@pytest.mark.parametrize("style", ["block", "full"])
def test_each_epoch_is_drawn_once(monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    """Checks of a setup draw nothing, and training draws what it reads."""
    drawn: list[int] = []
    draw = Echo.draw

    def counted(task: Echo, rng: np.random.Generator, length: int) -> Stream:
        drawn.append(length)
        return draw(task, rng, length)

    monkeypatch.setattr(Echo, "draw", counted)
    task = Echo(length=24, valid_length=11)
    check_setup(Setup(task="echo", batch_size=2, state_size=3, style=style), task, [4])
    graph = tf_rnn.UnrolledGraph(VanillaCell(3), 4, 2, 2, 2)
    assert drawn == []
    tf_rnn.train(graph, task, epochs=2, truncation=tf_rnn.Truncation(style), evaluations=1)
    assert drawn == [11, 24, 24]


class Wrong(Task):
    """A user's own task whose stream is whatever it is given."""

    name = "wrong"
    input_size, num_classes = 2, 3

    def __init__(self, value: Any, **attributes: Any) -> None:
        self.value = value
        vars(self).update(attributes)

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        found: Stream = self.value
        return found

    def options(self) -> dict[str, Any]:
        return {}


CLASSES, REALS = np.zeros(6, np.int64), np.zeros((6, 2))


STARTS = np.zeros(6, bool)
WITH_STARTS = "starts that are an array of bool for a task whose has_starts is True, got"


def starting(starts: Any, *, has_starts: bool = True) -> Wrong:
    return Wrong(Stream(CLASSES, CLASSES, starts), has_starts=has_starts)


def with_reals(inputs: Any, targets: Any, **attributes: Any) -> Wrong:
    return Wrong(Stream(inputs, targets), input_kind="real", **attributes)


A_STREAM = "a Stream of two NumPy arrays, got"


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        (Wrong(None), f"{A_STREAM} NoneType"),
        (Wrong((CLASSES, CLASSES)), f"{A_STREAM} tuple of ndarray, ndarray"),
        (Wrong(Stream(CLASSES, [0, 1])), f"{A_STREAM} Stream of ndarray, list"),  # type: ignore[arg-type]
        (Wrong(Stream(CLASSES, CLASSES[1:])), "inputs and targets of one length, got 6 and 5"),
        (Wrong(Stream(REALS, CLASSES)), "inputs of shape [length], got [6, 2]"),
        (Wrong(Stream(CLASSES, REALS)), "targets of shape [length], got [6, 2]"),
        (Wrong(Stream(np.array(0), np.array(0))), "inputs of shape [length], got []"),
        (Wrong(Stream(CLASSES / 2, CLASSES)), "inputs that are whole numbers, got dtype float64"),
        (with_reals(CLASSES, CLASSES), "inputs of shape [length, 2], got [6]"),
        (with_reals(REALS, REALS, loss="squared_error"), "targets of shape [length, 3], got [6, 2]"),
        (with_reals(REALS.astype(str), CLASSES), "inputs that are real numbers, got dtype <U32"),
        (starting(STARTS, has_starts=False), "starts only for a task whose has_starts is True"),
        (starting(None), f"{WITH_STARTS} NoneType"),
        (starting(STARTS.astype(float)), f"{WITH_STARTS} dtype float64"),
        (starting(STARTS[1:]), "starts of shape [6], got [5]"),
    ],
)
@pytest.mark.parametrize("read", [lambda t: t.rows(1, "valid"), lambda t: t.blocks(1, 2, "valid")])
def test_what_a_stream_must_be(read: Callable[[Task], object], task: Task, problem: str) -> None:
    message = f"stream must return {problem} (split 'valid')"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        read(task)


SEVEN, SEVENTEEN = Counting(7), Counting(17, period=5)
IT_FITS = "; it fits with a batch_size of at most 1"
CUT = "tokens of split 'train' cut into 2 rows of whole examples"
STEPS, ROWS = "num_steps must be at most", "batch_size must be at most"
ERRORS: list[tuple[Callable[[], object], str]] = [
    (lambda: SEVEN.rows(8), f"{ROWS} 7 for the 7 tokens of split 'train', got 8"),
    (
        lambda: SEVEN.blocks(2, 4, "valid"),
        f"{STEPS} 3 (the 7 tokens of split 'valid' cut into 2 rows), got 4{IT_FITS}",
    ),
    (lambda: cut_rows(SEVEN.stream(), 8), f"{ROWS} 7 for the 7 tokens of the stream, got 8"),
    (
        lambda: cut_blocks(SEVEN.stream(), 1, 8),
        f"{STEPS} 7 (the 7 tokens of the stream cut into 1 row), got 8",
    ),
    (lambda: SEVENTEEN.rows(4), f"{ROWS} 3 for the 3 examples of 5 steps of split 'train', got 4"),
    (lambda: SEVENTEEN.blocks(2, 6), f"{STEPS} 5 (the 17 {CUT}), got 6{IT_FITS}"),
    (lambda: cut_rows(SEVEN.stream(), 1, period=0), "period must be a whole number of at least 1, got 0"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_come_at_the_call(call: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        call()


def test_a_task_that_knows_nothing_more() -> None:
    task = Counting(3)
    assert task.baselines() == {}
    assert task.optimum() is None
    assert task.floor(2) is None
    assert task.dependency_scores(np.zeros((1, 3), np.int32), np.zeros((1, 3))) == {}
    assert task.lags == ()
    assert (task.input_kind, task.loss, task.loss_steps) == ("classes", "cross_entropy", "all")
    assert (task.unit, task.token, task.period, task.max_lag) == ("nats", "step", 1, None)
