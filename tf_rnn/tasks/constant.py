"""The loss of knowing nothing: the best constant prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.tasks.values import has_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tf_rnn.tasks.base import Task


def constant_loss(task: Task, split: str = "valid") -> float:
    """Returns the lowest loss on a split that a constant prediction can have.

    For classes that is the entropy of their frequencies in the split, -sum of p ln p; for real values, their
    variance, a mean over the values of a step, or the pinball loss of their quantiles. What has no
    target does not count, and weights count as they do in the loss.

    Args:
        task: The task.
        split: The name of the split.

    Raises:
        OptionError: See `Task.checked_stream`.
    """
    stream = task.checked_stream(split)
    counted = has_target(stream.targets)
    targets, weights = stream.targets[counted], np.ones(counted.sum())
    if stream.target_weights is not None:
        weights = stream.target_weights[counted].astype(np.float64)
    total = weights.sum()
    if not total:
        return 0.0
    if task.loss == "cross_entropy":
        shares = np.bincount(targets, weights)[np.unique(targets[weights > 0])] / total
        return max(0.0, float(-(shares * np.log(shares)).sum()))
    known = ~np.isnan(targets)
    values = np.where(known, targets, 0).astype(np.float64)
    of_values = np.where(known, weights[:, np.newaxis] / known.sum(axis=1, keepdims=True), 0)
    size = values.shape[1]
    levels = [None] * size if task.quantiles is None else np.resize(task.quantiles, size)
    columns = zip(values.T, of_values.T, levels, strict=True)
    return sum(_lowest(*column) for column in columns if column[1].any()) / float(total)


def _lowest(values: NDArray[Any], weights: NDArray[Any], level: float | None) -> float:
    """Returns the lowest weighted sum of losses: squared ones, or the pinball losses of a quantile."""
    if level is None:
        return float(weights @ (values - np.average(values, weights=weights)) ** 2)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    errors = values[order][np.searchsorted(reached, level * reached[-1])] - values
    return float(weights @ np.maximum(-level * errors, (1 - level) * errors))
