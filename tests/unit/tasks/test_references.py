"""Forecasts without a network: seasons, partial autocorrelation, linear predictors."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn.tasks.references import LinearPredictor, lagged, partial_autocorrelations, season


def test_partial_autocorrelations_equal_the_equations_of_yule_and_walker() -> None:
    values = np.random.default_rng(0).standard_normal(97).cumsum()
    centred = values - values.mean()
    r = np.array([centred[: 97 - k] @ centred[k:] for k in range(6)]) / (centred @ centred)
    last = [
        np.linalg.solve(r[np.abs(np.subtract.outer(range(k), range(k)))], r[1 : k + 1])[-1]
        for k in range(1, 6)
    ]
    np.testing.assert_allclose(partial_autocorrelations(values, 5), last, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("period", "noise"), [(7, 0.2), (24, 0.1), (40, 0.0)])
def test_a_season_is_found_in_noise_and_under_a_trend(period: int, noise: float) -> None:
    time = np.arange(20 * period)
    generator = np.random.default_rng(period)
    values = np.sin(2 * np.pi * time / period) + 0.05 * time + generator.normal(0, noise, len(time))
    assert season(values) == period


@pytest.mark.parametrize("period", [7, 12, 24, 40])
def test_a_season_is_found_in_noise_as_large_as_itself(period: int) -> None:
    """In 40 periods, exactly or next to it, nine times in ten; in 10 periods of noise half as large, too."""
    right = {}
    for periods, noise in ((40, 1.0), (10, 0.5)):
        time = np.arange(periods * period)
        found = [
            season(
                np.sin(2 * np.pi * time / period) + np.random.default_rng(seed).normal(0, noise, len(time))
            )
            for seed in range(20)
        ]
        right[periods] = sum(abs((each or 0) - period) <= 1 for each in found)
    assert right[40] >= 18, right
    assert right[10] >= 14, right


@pytest.mark.parametrize("length", [40, 60, 100, 300, 2000])
def test_noise_and_walks_have_no_season(length: int) -> None:
    """But for one in ten by chance, however short they are."""
    generator = np.random.default_rng(length)
    noise = generator.normal(0, 1, (40, length))
    for name, series in {"noise": noise, "walks": np.cumsum(noise, axis=1)}.items():
        found = [each for each in map(season, series) if each is not None]
        assert len(found) <= 4, f"{name} of {length} steps have the seasons {found}"
    assert [season(values) for values in (np.zeros(50), noise[0, :5], np.arange(90.0))] == [None] * 3


def test_a_linear_predictor_is_ridge_regression_on_what_it_reads() -> None:
    """Three lags of two inputs and one input read once, in two series; fitted in parts, too."""
    generator = np.random.default_rng(1)
    inputs, targets = generator.normal(size=(40, 3)), generator.normal(size=(40, 2))
    starts = np.isin(np.arange(40), [0, 17])
    columns = np.zeros((40, 8))
    for t in range(40):
        for lag in range(3):
            if t - lag >= (17 if t >= 17 else 0):
                columns[t, 2 * lag : 2 * lag + 2] = inputs[t - lag, :2]
        columns[t, 6:] = inputs[t, 2], 1
    rows = np.arange(40)
    assert_close(lagged(inputs[:, :2], starts, 3, rows), columns[:, :6], 0, "lags")
    predictor = LinearPredictor(lagged_inputs=2, lags=3)
    assert predictor.fit(inputs, targets, starts)
    penalty = 1e-4 * 40 * np.eye(8)
    weights = np.linalg.solve(columns.T @ columns + penalty, columns.T @ targets)
    assert_close(predictor(inputs, starts, rows), columns @ weights, 1e-10, "predictions")
    targets[8:] = np.nan
    assert not LinearPredictor(2, 3).fit(inputs, targets, starts), "as many weights as rows"
