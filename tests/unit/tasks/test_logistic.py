"""Logistic regression on the last rows: known answers, and where its gradient is zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from helpers import assert_close

from tf_rnn.tasks import Labels
from tf_rnn.tasks import logistic as module
from tf_rnn.tasks.logistic import LogisticPredictor, logistic_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIDGE = 1e-4


def penalised_loss(columns: NDArray[Any], classes: NDArray[Any], weights: NDArray[Any]) -> float:
    odds = np.exp(columns @ weights)
    likelihoods = odds[np.arange(len(classes)), classes] / odds.sum(axis=1)
    return float(-np.log(likelihoods).mean() + RIDGE * (weights[:-1] ** 2).sum())


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_no_direction_lowers_the_penalised_loss(num_classes: int) -> None:
    """The loss, written out again: flat along every weight at its minimum, and higher on both sides."""
    generator = np.random.default_rng(num_classes)
    columns = np.concatenate([generator.normal(1, 3, (57, 4)), np.ones((57, 1))], axis=1)
    classes = generator.integers(0, num_classes, 57)
    weights = logistic_weights(columns, classes, num_classes)
    lowest, step = penalised_loss(columns, classes, weights), 1e-4
    for place in np.ndindex(5, num_classes):
        aside = np.zeros((5, num_classes))
        aside[place] = step
        up, down = (penalised_loss(columns, classes, weights + way * aside) for way in (1, -1))
        slope = (up - down) / (2 * step)
        assert abs(slope) < 1e-6, f"slope {slope} along the weight {place}"
        assert min(up, down) > lowest, f"{up} and {down} beside {lowest} along the weight {place}"


def test_two_classes_that_one_input_tells_apart_as_the_equation_of_its_weight_says() -> None:
    """9 of 11 rows at 1 are of class 1, and 9 of 11 at -1 of class 0: by symmetry there is no bias.

    With w the difference of both weights, s the logistic function and 22 + 2 rows, those of zeros included,

        18 s(-w) - 4 s(w) = 24 * 1e-4 w
    """
    inputs = np.repeat([1.0, -1.0], 11)[:, np.newaxis]
    targets = np.array(([1] * 9 + [0] * 2) + ([0] * 9 + [1] * 2))
    low, high = 0.0, 9.0
    for _ in range(60):
        w = (low + high) / 2
        over = 18 / (1 + math.exp(w)) - 4 / (1 + math.exp(-w)) > 24 * RIDGE * w
        low, high = (w, high) if over else (low, w)
    predictor = LogisticPredictor(lagged_inputs=1, lags=1, num_classes=2)
    starts = np.arange(22) == 0
    assert predictor.fit(inputs, targets, starts)
    found = predictor(inputs, starts, np.array([0, 12]))
    right, wrong = -math.log1p(math.exp(-w)), -math.log1p(math.exp(w))
    assert_close(found, np.array([[wrong, right], [right, wrong]]), 1e-6, "ln p")


def test_inputs_that_say_nothing_leave_the_frequencies() -> None:
    """One added to each count, so that a class without a row has a probability, too."""
    targets = np.array([0, 2, 2, -1, 0, 2, -1])
    predictor = LogisticPredictor(lagged_inputs=1, lags=2, num_classes=4)
    zeros, starts = np.zeros((7, 1)), np.arange(7) == 0
    assert predictor.fit(zeros, targets, starts)
    expected = np.log(np.array([3, 1, 4, 1]) / 9)
    assert_close(predictor(zeros, starts, np.array([5]))[0], expected, 1e-7, "ln p")


def test_what_is_read_are_lags_within_a_series_and_what_is_read_once() -> None:
    """Three lags of two inputs, one of the row alone, and 1; rows of zeros stand for each class."""
    generator = np.random.default_rng(2)
    inputs, targets = generator.normal(size=(43, 3)), generator.integers(0, 3, 43)
    starts = np.isin(np.arange(43), [0, 19])
    columns = np.zeros((46, 8))
    for t in range(43):
        for lag in range(3):
            if t - lag >= (19 if t >= 19 else 0):
                columns[t, 2 * lag : 2 * lag + 2] = inputs[t - lag, :2]
        columns[t, 6] = inputs[t, 2]
    columns[:, 7] = 1
    predictor = LogisticPredictor(lagged_inputs=2, lags=3, num_classes=3)
    assert predictor.fit(inputs, targets, starts)
    weights = logistic_weights(columns, np.array([*targets, 0, 1, 2]), 3)
    odds = np.exp(columns[:43] @ weights)
    expected = np.log(odds / odds.sum(axis=1, keepdims=True))
    assert_close(predictor(inputs, starts, np.arange(43)), expected, 1e-9, "ln p")
    targets[8:] = -1
    assert not LogisticPredictor(2, 3, 3).fit(inputs, targets, starts), "as many columns as rows"


def test_the_newest_rows_count_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    inputs, targets, starts = generator.normal(size=(50, 1)), generator.integers(0, 2, 50), np.zeros(50, bool)
    monkeypatch.setattr(module, "MOST_PRODUCTS", 2 * 2 * 17)
    of_all, of_newest = LogisticPredictor(1, 1, 2), LogisticPredictor(1, 1, 2)
    assert of_all.fit(inputs, targets, starts)
    assert of_newest.fit(inputs[-17:], targets[-17:], starts[-17:])
    found, expected = (each(inputs, starts, np.arange(5)) for each in (of_all, of_newest))
    assert_close(found, expected, 1e-12, "ln p")


def test_labels_that_hang_on_an_earlier_row_need_as_many_rows() -> None:
    """The sign of x_t + x_{t-2}, both normal: its probability given x_t is uniform, which leaves 1/2 nat."""
    x = np.random.default_rng(4).normal(0, 1, 9000)
    positive = np.append([0, 0], x[2:] + x[:-2]) > 0
    frame = pd.DataFrame({"speed": 5 + 2 * x, "word": np.where(positive, "yes", "no")})
    task = Labels(frame, label="word", inputs="speed")
    one, two, three = (task.reference(width) for width in (1, 2, 3))
    assert one == pytest.approx(0.5, abs=0.02)
    assert two == pytest.approx(one, abs=0.005)
    assert three is not None
    assert three < 0.1
    assert task.contenders([1, 3]) == task.baselines() | {"logistic regression that reads 3 rows": three}
    *_, last = task.lines()
    assert last.startswith(f"logistic regressions on the validation part, by rows read: 1: {one:.4f}, ")
