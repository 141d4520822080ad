"""The adding problem: its layout, its losses against simulation, and its errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("span", "num_steps"), [(2, 1), (2, 3), (5, 2), (5, 4), (5, 12), (8, 6), (8, 7), (8, 20)]
)
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
