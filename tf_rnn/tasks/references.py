"""Forecasts without a network, to compare with: the last value, the season before, linear predictors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The penalty of the linear predictors relative to the variance of an input.
RIDGE = 1e-4
# Rows that linear predictors are fitted to at most, the newest; inputs times lags at most.
MOST_ROWS, MOST_WEIGHTS = 100_000, 1_500
# Seasons are looked for among lags up to this, at autocorrelations from this of the changes over these steps.
LONGEST_SEASON, CLEAR_SEASON = 1_000, 0.2
SPANS = (1, 2, 4, 8, 16, 32)
# Standard errors of an autocorrelation that chance may reach; what is close to the largest, and to a lag.
CHANCE = 3
CLOSE, NEAR = 0.9, 1.25


def season(values: NDArray[np.float64]) -> int | None:
    """The period of a series by the autocorrelation r of its changes; None where there is no clear one.

    Changes are looked at over 1, 2, 4, ... 32 steps: the longer the span, the less noise hides a long season,
    and the more a walk looks like one. Of all lags p beyond the first at which r is negative, up to a third
    of the series, those stand out whose mean of r_p, r_2p and r_3p (of those that lie within a third of the
    series) is larger than that of their neighbours, and larger than chance. Of the span with the largest mean
    it is the shortest lag whose mean is close to that, or a slightly longer one with a larger mean.

    Args:
        values: The series, [length], without gaps.
    """
    longest = min(LONGEST_SEASON, len(values) // 3)
    found = [_season_of(values, span, longest) for span in SPANS if 2 * span <= longest]
    _, period = max(found, key=lambda one: one[0], default=(0.0, None))
    return period


def _season_of(values: NDArray[np.float64], span: int, longest: int) -> tuple[float, int | None]:
    """The largest mean of autocorrelations of changes over a span, and the season; 0 and None for none."""
    correlation = autocorrelation(values[span:] - values[:-span], longest)
    negative = np.flatnonzero(correlation < 0)
    begin = max(2, negative[0] + 1, span if span > 1 else 0) if len(negative) else longest + 1
    lags = np.arange(begin, longest + 1)
    if not len(lags):
        return 0.0, None
    multiples = lags[:, np.newaxis] * np.arange(1, 4)
    at = np.where(multiples <= longest, correlation[np.minimum(multiples, longest)], np.nan)
    scores = np.nanmean(at, axis=1)
    around = np.concatenate([[-1.0], scores, [-1.0]])
    least = max(CLEAR_SEASON, CHANCE * np.sqrt(span / len(values)))
    stands_out = (scores > around[:-2]) & (scores >= around[2:]) & (scores > least)
    close = stands_out & (scores >= CLOSE * scores.max())
    if not close.any():
        return 0.0, None
    first = lags[close.argmax()]
    near = (lags >= first) & (lags <= NEAR * first)
    return float(scores.max()), int(lags[near][scores[near].argmax()])


def autocorrelation(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The autocorrelation at the lags 0 ... most: r_k = sum_t x_t x_{t+k} / sum_t x_t^2, x less its mean."""
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * len(values))
    products = np.fft.irfft(spectrum * spectrum.conj())[: most + 1]
    return np.asarray(products / products[0]) if products[0] > 0 else np.eye(1, most + 1)[0]


def partial_autocorrelations(values: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """The partial autocorrelations at the lags 1 to `longest`, by the recursion of Durbin and Levinson.

    With r_k the autocorrelation at lag k, phi_{1,1} = r_1 and
    phi_{k,k} = (r_k - sum_j phi_{k-1,j} r_{k-j}) / (1 - sum_j phi_{k-1,j} r_j),
    phi_{k,j} = phi_{k-1,j} - phi_{k,k} phi_{k-1,k-j}.

    Source: Durbin 1960, The fitting of time-series models.
    """
    r = autocorrelation(values, longest)
    phi = np.array([r[1]])
    partial = [r[1]]
    for k in range(2, longest + 1):
        last = (r[k] - phi @ r[k - 1 : 0 : -1]) / (1 - phi @ r[1:k])
        phi = np.append(phi - last * phi[::-1], last)
        partial.append(last)
    return np.array(partial)


def lagged(
    inputs: NDArray[Any], starts: NDArray[np.bool_], lags: int, rows: NDArray[np.intp]
) -> NDArray[Any]:
    """The inputs at each of some rows and the lags - 1 rows before it, [rows, lags * inputs].

    What lies before the start of a series is 0, the mean.
    """
    since = np.arange(len(inputs)) - np.maximum.accumulate(np.where(starts, np.arange(len(inputs)), 0))
    steps = np.arange(lags)
    reached = steps <= since[rows, np.newaxis]
    places = np.maximum(rows[:, np.newaxis] - steps, 0)
    return np.where(reached[..., np.newaxis], inputs[places], 0).reshape(len(rows), -1)


def columns_of(
    inputs: NDArray[Any],
    starts: NDArray[np.bool_],
    lagged_inputs: int,
    lags: int,
    rows: NDArray[np.intp],
) -> NDArray[np.float64]:
    """What a linear predictor reads at some rows: lagged inputs, those of the row alone, and 1."""
    past, now = lagged(inputs[:, :lagged_inputs], starts, lags, rows), inputs[rows, lagged_inputs:]
    return np.concatenate([past, now, np.ones((len(rows), 1))], axis=1, dtype=np.float64)


class LinearPredictor:
    """The linear function of K lags that fits best: ridge regression, solved exactly.

        minimise mean_t |y_t - (x_t, ..., x_{t-K+1}, z_t, 1) W|^2 + 1e-4 |W|^2

    Args:
        lagged_inputs: How many of the first inputs are read at all K lags (x); the others (z) at row t alone.
        lags: K.
    """

    def __init__(self, lagged_inputs: int, lags: int) -> None:
        self._lagged_inputs, self._lags = lagged_inputs, lags
        self._weights: NDArray[np.float64] | None = None

    def fit(self, inputs: NDArray[Any], targets: NDArray[Any], starts: NDArray[np.bool_]) -> bool:
        """Fits to the newest rows without missing targets; False where there are too few."""
        rows = np.flatnonzero(~np.isnan(targets).any(axis=1))[-MOST_ROWS:]
        size = self._lagged_inputs * self._lags + inputs.shape[1] - self._lagged_inputs + 1
        if len(rows) <= size or size > MOST_WEIGHTS:
            return False
        squares, products = np.zeros((size, size)), np.zeros((size, targets.shape[1]))
        for part in np.array_split(rows, -(-len(rows) * size // 10_000_000)):
            columns = self._columns(inputs, starts, part)
            squares += columns.T @ columns
            products += columns.T @ targets[part]
        self._weights = np.asarray(
            np.linalg.solve(squares + RIDGE * len(rows) * np.eye(size), products), float
        )
        return True

    def __call__(
        self, inputs: NDArray[Any], starts: NDArray[np.bool_], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """The predictions at some rows, [rows, targets]."""
        assert self._weights is not None
        return np.asarray(self._columns(inputs, starts, rows) @ self._weights)

    def _columns(
        self, inputs: NDArray[Any], starts: NDArray[np.bool_], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        return columns_of(inputs, starts, self._lagged_inputs, self._lags, rows)
