"""The autoregression: its definition, and its losses against brute force and simulation."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.options import OptionError
from tf_rnn.tasks import Autoregression

if TYPE_CHECKING:
    from numpy.typing import NDArray

CASES: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "default": ((3, 8), (0.4, 0.5)),
    "one": ((1,), (-0.7,)),
    "single late": ((5,), (0.6,)),
    "three, unordered": ((4, 1, 6), (-0.3, 0.45, -0.1)),
    "oscillating": ((1, 2), (1.5, -0.8)),
}
LASTING = 2000  # steps after which the response to noise has died away


def correlations(lags: tuple[int, ...], effects: tuple[float, ...]) -> NDArray[np.float64]:
    """The autocorrelation at each lag, from the response psi to noise: sum_i psi_i psi_{i+k}, normalised."""
    psi = np.zeros(LASTING)
    for t in range(LASTING):
        psi[t] = t == 0
        for lag, effect in zip(lags, effects, strict=True):
            psi[t] += effect * psi[t - lag] if t >= lag else 0.0
    assert abs(psi[-50:]).max() < 1e-12, "the response has not died away"
    found = np.array([psi[: LASTING - k] @ psi[k:] for k in range(30)])
    return np.asarray(found / found[0])


def best_predictor(r: NDArray[np.float64], known: int) -> tuple[NDArray[np.float64], float]:
    """The best linear predictor by its normal equations: weights of the last numbers, newest first; error."""
    places = np.arange(known)
    weights = np.linalg.solve(r[abs(places[:, np.newaxis] - places)], r[1 : known + 1])
    return weights, float(1 - weights @ r[1 : known + 1])


@pytest.mark.parametrize("case", CASES)
def test_losses_equal_those_of_the_normal_equations(case: str) -> None:
    lags, effects = CASES[case]
    task, r = Autoregression(lags, effects), correlations(lags, effects)
    errors = [1.0, *(best_predictor(r, known)[1] for known in range(1, 25))]
    for known, expected in enumerate(errors):
        assert task.error(known) == pytest.approx(expected, rel=1e-9), known
    for width in (1, 2, 5, 7, 24):
        expected = sum(errors[1 : width + 1]) / width
        assert task.floor(width) == pytest.approx(expected, rel=1e-9), width
    assert task.optimum() == pytest.approx(errors[-1], rel=1e-9)
    known_up_to = {f"the last {lag} numbers": pytest.approx(errors[lag]) for lag in sorted(lags)}
    assert task.baselines() == {"predicting 0": 1.0} | known_up_to
    assert task.max_lag == max(lags) - 1, "steps back from a target to the input that it depends on"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("length", [1, 511, 1500])
def test_data_are_the_recursion(case: str, length: int) -> None:
    """Across the borders of the blocks in which it is drawn, too; targets are the next inputs."""
    lags, effects = CASES[case]
    task = Autoregression(lags, effects, seed=7, length=length)
    inputs, targets = task.stream()
    assert inputs.shape == targets.shape == (length, 1)
    np.testing.assert_array_equal(inputs[1:], targets[:-1])
    r = correlations(lags, effects)
    noise = np.random.default_rng([7, 0, 0]).standard_normal(max(lags) + length + 1)
    series, weights, error = np.zeros(len(noise)), np.zeros(0), 1.0
    for t in range(len(noise)):
        if 0 < t <= max(lags):
            weights, error = best_predictor(r, t)
        series[t] = weights @ series[max(0, t - max(lags)) : t][::-1] + math.sqrt(error) * noise[t]
    np.testing.assert_allclose(inputs[:, 0], series[max(lags) : -1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_it_is_stationary_from_the_first_number_on(case: str) -> None:
    """The covariances of the first numbers over many epochs are those of the process."""
    lags, effects = CASES[case]
    task, r = Autoregression(lags, effects, length=7), correlations(lags, effects)
    drawn = np.stack([task.stream(epoch=epoch).inputs[:, 0] for epoch in range(1500)]).astype(np.float64)
    for t in range(7):
        products = drawn[:, t] * drawn[:, 0]
        error = products.std() / math.sqrt(len(products))
        assert abs(products.mean() - r[t]) < 4.5 * error, f"{t}: {products.mean()} +- {error}, not {r[t]}"


@pytest.mark.parametrize("num_steps", [1, 4, 9])
def test_floor_agrees_with_simulation(num_steps: int) -> None:
    """The best predictor that sees its block alone."""
    lags, effects = CASES["default"]
    task, r = Autoregression(lags, effects, seed=1, length=300_000), correlations(lags, effects)
    rows = 300_000 // num_steps
    inputs, targets = (part[: rows * num_steps, 0].reshape(rows, -1) for part in task.stream())
    losses = np.zeros(rows)
    for step in range(num_steps):
        weights, _ = best_predictor(r, step + 1)
        losses += (inputs[:, step::-1] @ weights - targets[:, step]) ** 2 / num_steps
    means = losses[: rows // 100 * 100].reshape(100, -1).mean(axis=1)  # neighbours are not independent
    mean, error = float(means.mean()), float(means.std() / 10)
    expected = task.floor(num_steps)
    assert abs(mean - expected) < 4 * error, f"{mean} +- {error}, not {expected}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": ()}, "lags must be from 1 to 12 numbers, got 0"),
        ({"lags": (2, 2)}, "lags must be distinct, got [2, 2]"),
        ({"lags": (3, 1001)}, "lags must be a whole number of at most 1000, got 1001"),
        ({"effects": (0.4,)}, "effects must be as many as lags, 2, got 1: [0.4]"),
        ({"effects": (0.4, 0)}, "effects must be numbers other than 0, got 0"),
        ({"effects": (0.6, 0.6)}, "effects must give a series that does not grow, got [0.6, 0.6]"),
        ({"effects": (0.4, -1.0)}, "effects must give a series that does not grow, got [0.4, -1.0]"),
        ({"effects": (1e300, 0.5)}, "effects must give a series that does not grow, got [1e+300, 0.5]"),
        ({"lags": (1,), "effects": (1,)}, "effects must give a series that does not grow, got [1.0]"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Autoregression(**options)
    with pytest.raises(OptionError, match=r"^num_steps must be a whole number of at least 1, got 0$"):
        Autoregression().floor(0)
