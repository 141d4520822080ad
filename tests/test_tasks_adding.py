"""The adding problem: its layout, its losses against simulation, and its errors."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.options import OptionError
from tf_rnn.tasks import Adding

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mean_and_error(values: NDArray[Any]) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / math.sqrt(values.size))


@given(span=st.integers(2, 40), examples=st.integers(1, 6), seed=st.integers(0, 1000))
def test_any_layout(span: int, examples: int, seed: int) -> None:
    task = Adding(span, seed, length=span * examples)
    inputs, targets = task.stream()
    assert (inputs.shape, inputs.dtype) == ((span * examples, 2), np.dtype(np.float32))
    assert (targets.shape, targets.dtype) == ((span * examples, 1), np.dtype(np.float32))
    for example in range(examples):
        part = slice(example * span, (example + 1) * span)
        numbers, marks = inputs[part].T
        assert ((numbers >= 0) & (numbers <= 1)).all()
        assert set(marks.tolist()) <= {0.0, 1.0}
        assert marks[: span // 2].sum() == marks[span // 2 :].sum() == 1
        first, second = numbers[marks == 1]
        assert np.isnan(targets[part][:-1]).all()
        assert targets[part][-1, 0] == first + second


def test_numbers_are_uniform_and_independent() -> None:
    numbers = Adding(span=5, length=100_000).stream().inputs[:, 0].astype(np.float64)
    for values, expected in [
        (numbers, 1 / 2),
        (numbers**2, 1 / 3),
        (numbers < 0.1, 0.1),
        (numbers[1:] * numbers[:-1], 1 / 4),
    ]:
        mean, error = mean_and_error(values)
        assert abs(mean - expected) < 4 * error, f"{mean} +- {error}, not {expected}"


@pytest.mark.parametrize("span", [2, 7, 8])
def test_marks_are_equally_frequent_and_independent(span: int) -> None:
    half = span // 2
    marks = Adding(span, length=span * 40_000).stream().inputs[:, 1].reshape(-1, span)
    pairs = np.einsum("ea,eb->ab", marks[:, :half], marks[:, half:]) / len(marks)
    share = 1 / (half * (span - half))
    error = math.sqrt(share * (1 - share) / len(marks))
    assert np.abs(pairs - share).max() <= 4 * error, pairs


@pytest.mark.parametrize("span", [2, 9, 50])
def test_loss_of_predicting_1_agrees_with_simulation(span: int) -> None:
    task = Adding(span, length=span * 20_000)
    targets = task.stream().targets
    mean, error = mean_and_error((targets[~np.isnan(targets)].astype(np.float64) - 1) ** 2)
    ((name, expected),) = task.baselines().items()
    assert name == "predicting 1"
    assert abs(mean - expected) < 4 * error, f"{mean} +- {error}, not {expected}"
    assert expected == pytest.approx(1 / 6, rel=1e-12)
    assert task.optimum() == 0


def reset_losses(task: Adding, num_steps: int) -> NDArray[Any]:
    """Squared errors of a predictor that sees its block alone, and guesses 1/2 for what it misses."""
    rows = task.rows(1)
    losses = []
    for begin in range(0, rows.inputs.shape[1] - num_steps + 1, num_steps):
        for t in range(begin, begin + num_steps):
            if (t + 1) % task.span == 0:
                seen = rows.inputs[0, max(begin, t + 1 - task.span) : t + 1].astype(np.float64)
                guess = (seen[:, 0] * seen[:, 1]).sum() + 0.5 * (2 - seen[:, 1].sum())
                losses.append((guess - float(rows.targets[0, t, 0])) ** 2)
    return np.array(losses)


@pytest.mark.parametrize("span", [2, 5, 8])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 6, 7, 12, 20])
def test_floor_agrees_with_simulation(span: int, num_steps: int) -> None:
    task = Adding(span, seed=1, length=span * 6000)
    mean, error = mean_and_error(reset_losses(task, num_steps))
    expected = task.floor(num_steps)
    assert abs(mean - expected) < 4 * error + 1e-9, f"{mean} +- {error}, not {expected}"


def test_floor_of_some_widths() -> None:
    task = Adding()
    assert task.floor(50) == task.floor(150) == 0  # every block begins with an example
    assert task.floor(25) == pytest.approx(1 / 12)  # the mark of the first half is not seen
    assert task.floor(1) == pytest.approx((2 - 1 / 25) / 12)  # the last step may be marked
    assert task.floor(10**4 + 1) < 0.001


@pytest.mark.parametrize(("length", "whole"), [(7, 7), (13, 7), (14, 14), (100, 98)])
def test_lengths_are_whole_examples(length: int, whole: int) -> None:
    task = Adding(span=7, length=length, valid_length=length + 7)
    assert len(task.stream().inputs) == task.length() == whole
    assert len(task.stream("valid").targets) == task.length("valid") == whole + 7


@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_rows_begin_with_an_example(batch_size: int) -> None:
    task = Adding(span=7, length=7 * 16)
    inputs, targets = task.rows(batch_size)
    row_length = 16 // batch_size * 7
    assert inputs.shape == (batch_size, row_length, 2)
    assert targets.shape == (batch_size, row_length, 1)
    places = np.arange(row_length) % 7
    np.testing.assert_array_equal(np.isnan(targets[..., 0]), np.tile(places < 6, (batch_size, 1)))
    first, second, *_ = task.blocks(batch_size, 5)
    np.testing.assert_array_equal(first.inputs, inputs[:, :5])
    np.testing.assert_array_equal(second.targets, targets[:, 5:10])


def test_attributes() -> None:
    task = Adding(span=9)
    assert (task.input_kind, task.input_size, task.num_classes) == ("real", 2, 1)
    assert (task.loss, task.loss_steps, task.unit) == ("squared_error", "marked", "squared error")
    assert (task.period, task.max_lag, task.lags) == (9, 8, ())
    assert task.dependency_scores(np.zeros((1, 3), np.int32), np.zeros((1, 3))) == {}


@given(st.integers(2, 1000), st.integers(0, 2**70))
def test_options_make_an_equal_task(span: int, seed: int) -> None:
    task = Adding(span, seed, length=2000, valid_length=1000)
    options = json.loads(json.dumps(task.options()))
    assert list(options) == ["span", "seed", "length", "valid_length"]
    again = Adding(**options)
    assert again.options() == options
    for found, expected in zip(again.stream("valid", 1), task.stream("valid", 1), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"span": 1}, "span must be a whole number of at least 2, got 1"),
        ({"span": "50"}, "span must be a whole number of at least 2, got '50'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"length": 0}, "length must be a whole number of at least 1, got 0"),
        ({"length": 49}, "length must be at least 50, the length of one example, got 49"),
        ({"valid_length": 7}, "valid_length must be at least 50, the length of one example, got 7"),
    ],
)
def test_what_the_constructor_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Adding(**options)


def test_what_the_methods_refuse() -> None:
    task = Adding(length=100)
    with pytest.raises(OptionError, match=r"^split must be one of train, valid; got 'test'$"):
        task.stream("test")
    with pytest.raises(OptionError, match=r"^epoch must be a whole number of at least 0, got -1$"):
        task.stream(epoch=-1)
    with pytest.raises(OptionError, match=r"^num_steps must be a whole number of at least 1, got 0$"):
        task.floor(0)
    message = "num_steps must be at most 50 (the 100 tokens of split 'train' cut into 2 rows "
    with pytest.raises(OptionError, match=f"^{re.escape(message)}of whole examples\\), got 51$"):
        task.blocks(2, 51)
