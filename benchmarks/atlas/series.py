"""Made time series, each about 20,000 values with mean 0 and variance 1; the same ones every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
LENGTH = 20_000
SKIPPED = 1000  # values before the series, while it forgets how it began


def _standard(values: Series) -> Series:
    standard: Series = (values - values.mean()) / values.std()
    return standard


def _noise(seed: int, length: int = LENGTH) -> Series:
    return np.random.default_rng(seed).standard_normal(length)


def _recursive(weights: dict[int, float], seed: int) -> Series:
    """An autoregressive series, x_t = sum of w_k x_{t-k} + noise."""
    noise = _noise(seed, SKIPPED + LENGTH)
    values = np.zeros_like(noise)
    longest = max(weights)
    for t in range(longest, len(values)):
        values[t] = noise[t] + sum(weight * values[t - lag] for lag, weight in weights.items())
    return _standard(values[SKIPPED:])


def autoregressive() -> Series:
    """An autoregressive series with weights at the lags 1 and 2: noisy waves of about 10 steps."""
    return _recursive({1: 1.4, 2: -0.8}, seed=1)


def seasonal() -> Series:
    """A monthly series whose season comes back: weights at the lags 1 and 12."""
    return _recursive({1: 0.3, 12: 0.65}, seed=2)


def moving_average() -> Series:
    """A moving average, x_t = e_t + 0.9 e_{t-1}: every value depends on all before, ever more weakly."""
    noise = _noise(3, LENGTH + 1)
    return _standard(noise[1:] + 0.9 * noise[:-1])


def _cycles(periods: dict[int, float], noise: float, seed: int) -> Series:
    """A sum of cycles with two harmonics each, and autoregressive noise."""
    time = np.arange(LENGTH)
    values = np.zeros(LENGTH)
    for period, size in periods.items():
        phase = 2 * np.pi * time / period
        values += size * (np.sin(phase) + 0.5 * np.sin(2 * phase + 1))
    return _standard(values + noise * _recursive({1: 0.7}, seed))


def daily() -> Series:
    """An hourly load with a daily cycle."""
    return _cycles({24: 1.0}, 0.5, seed=4)


def hourly() -> Series:
    """An hourly load with a daily and a weekly cycle."""
    return _cycles({24: 1.0, 168: 0.6}, 0.4, seed=5)


def weekly() -> Series:
    """Daily sales with a weekly cycle."""
    return _cycles({7: 1.0}, 0.7, seed=6)


def henon() -> Series:
    """The Henon map, x_{t+1} = 1 - 1.4 x_t^2 + 0.3 x_{t-1}: chaos that two values determine (Henon 1976)."""
    values = np.zeros(SKIPPED + LENGTH)
    for t in range(2, len(values)):
        values[t] = 1 - 1.4 * values[t - 1] ** 2 + 0.3 * values[t - 2]
    return _standard(values[SKIPPED:])


def mackey_glass() -> Series:
    """The Mackey-Glass equation with a delay of 17, one value a unit of time (Mackey & Glass 1977).

    dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t), by Euler's method with ten steps a unit.
    """
    fine, delay = 10, 170
    values = np.full((SKIPPED + LENGTH) * fine + delay, 1.2)
    for t in range(delay, len(values) - 1):
        late = values[t - delay]
        values[t + 1] = values[t] + (0.2 * late / (1 + late**10) - 0.1 * values[t]) / fine
    return _standard(values[delay + SKIPPED * fine :: fine])
