"""Multinomial logistic regression: what a linear function of the last steps says about classes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.tasks.references import MOST_ROWS, MOST_WEIGHTS, RIDGE, columns_of
from tf_rnn.tasks.values import has_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Value = tuple[float, NDArray[np.float64]]

# Rows times columns times classes of a fit at most: a pass over them takes some milliseconds.
MOST_PRODUCTS = 30_000_000
# Of the minimisation: passes at most, pairs that it remembers, and how little as many passes gain at its end.
MOST_PASSES, MEMORY, GAIN = 300, 10, 1e-5
# A step must lower the loss by this fraction of what its slope promises; a smaller one is rounding.
SUFFICIENT, SMALLEST_STEP = 1e-4, 1e-8


class LogisticPredictor:
    """The softmax of the linear function of K lags that fits best, with a ridge penalty.

        minimise mean_t -ln softmax((x_t, ..., x_{t-K+1}, z_t) W + b)_{y_t} + 1e-4 |W|^2

    One row of zeros for each class is added to those that are fitted: where inputs say nothing, the
    prediction is the frequency of each class with one added to each count.

    Args:
        lagged_inputs: How many of the first inputs are read at all K lags (x); the others (z) at row t alone.
        lags: K.
        num_classes: The number of classes.
    """

    def __init__(self, lagged_inputs: int, lags: int, num_classes: int) -> None:
        self._lagged_inputs, self._lags, self._num_classes = lagged_inputs, lags, num_classes
        self._weights: NDArray[np.float64] | None = None

    def fit(self, inputs: NDArray[Any], targets: NDArray[Any], starts: NDArray[np.bool_]) -> bool:
        """Fits to the newest rows with a target; False where there are too few, or too many weights."""
        size = self._lagged_inputs * self._lags + inputs.shape[1] - self._lagged_inputs + 1
        most = min(MOST_ROWS, MOST_PRODUCTS // (size * self._num_classes))
        rows = np.flatnonzero(has_target(targets))
        rows = rows[max(0, len(rows) - most) :]
        if len(rows) <= size or size > MOST_WEIGHTS:
            return False
        of_none = np.zeros((self._num_classes, size))
        of_none[:, -1] = 1
        columns = np.concatenate([self._columns(inputs, starts, rows), of_none])
        classes = np.concatenate([targets[rows], np.arange(self._num_classes)])
        self._weights = logistic_weights(columns, classes, self._num_classes)
        return True

    def __call__(
        self, inputs: NDArray[Any], starts: NDArray[np.bool_], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """The logarithms of the probabilities at some rows, [rows, classes]."""
        assert self._weights is not None
        return log_softmax(self._columns(inputs, starts, rows) @ self._weights)

    def _columns(
        self, inputs: NDArray[Any], starts: NDArray[np.bool_], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        return columns_of(inputs, starts, self._lagged_inputs, self._lags, rows)


def logistic_weights(
    columns: NDArray[np.float64], classes: NDArray[Any], num_classes: int
) -> NDArray[np.float64]:
    """The weights W that minimise the mean of -ln softmax(x_t W)_{y_t}, all rows but the last one penalised.

    The curvature of the loss is at most B = X^T X / 2 m + 2e-4 I, whatever the weights (Böhning 1992). With
    B = L L^T the loss is minimised over L^T W, in which no curvature is above 1.

    Args:
        columns: X, [m, size], the last column 1.
        classes: y, [m].
        num_classes: The number of classes.

    Returns:
        [size, num_classes].
    """
    count, size = columns.shape
    penalty = np.full((size, 1), RIDGE)
    penalty[-1] = 0
    factor = np.linalg.cholesky(columns.T @ columns / (2 * count) + np.diag(2 * penalty[:, 0]))
    inverse = np.linalg.inv(factor)
    rows = np.arange(count)

    def loss(scaled: NDArray[np.float64]) -> Value:
        weights = inverse.T @ scaled
        logits = columns @ weights
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        sums = odds.sum(axis=1, keepdims=True)
        value = (np.log(sums[:, 0]) - logits[rows, classes]).mean() + (penalty * weights**2).sum()
        errors = odds / sums
        errors[rows, classes] -= 1
        return float(value), inverse @ (columns.T @ errors / count + 2 * penalty * weights)

    return np.asarray(inverse.T @ minimised(loss, np.zeros((size, num_classes))))


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the softmax of each row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def minimised(
    function: Callable[[NDArray[np.float64]], Value], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The minimum of a convex function, by L-BFGS with steps that are halved until they lower it enough.

    Args:
        function: Its value and gradient at a point.
        start: Where to begin.

    Source: Nocedal & Wright 2006, algorithms 7.4 and 7.5.
    """
    point, (value, gradient) = start, function(start)
    pairs: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque(maxlen=MEMORY)
    values = [value]
    while len(values) <= MOST_PASSES and (len(values) <= MEMORY or values[-1 - MEMORY] - value > GAIN):
        direction = -_times_inverse(pairs, gradient)
        slope, length = np.vdot(direction, gradient), 1.0
        new_value, new_gradient = function(point + direction)
        while new_value > value + SUFFICIENT * length * slope and length > SMALLEST_STEP:
            length /= 2
            new_value, new_gradient = function(point + length * direction)
        if new_value >= value:
            break
        pairs.append((length * direction, new_gradient - gradient))
        point, value, gradient = point + length * direction, new_value, new_gradient
        values.append(value)
    return point


def _times_inverse(
    pairs: deque[tuple[NDArray[np.float64], NDArray[np.float64]]], gradient: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The gradient times an estimate of the inverse curvature, from the last steps and gradient changes."""
    result, shares = gradient, list[float]()
    for moved, change in reversed(pairs):
        shares.append(float(np.vdot(moved, result) / np.vdot(moved, change)))
        result = result - shares[-1] * change
    if pairs:
        moved, change = pairs[-1]
        result = result * (np.vdot(moved, change) / np.vdot(change, change))
    for moved, change in pairs:
        result = result + (shares.pop() - np.vdot(change, result) / np.vdot(moved, change)) * moved
    return result
