"""The loss of knowing nothing: the best constant prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.tasks.values import has_target, mean_loss

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
    targets = stream.targets[counted]
    if not len(targets):
        return 0.0
    if stream.target_weights is not None:
        return _weighted(targets, stream.target_weights[counted].astype(np.float64), task.loss)
    if task.loss != "cross_entropy":
        known = targets[:, ~np.isnan(targets).all(axis=0)].astype(np.float64)
        if task.quantiles is None:
            return mean_loss(known - np.nanmean(known, axis=0))
        levels = np.resize(task.quantiles, known.shape[1])
        best = [np.nanquantile(values, level) for values, level in zip(known.T, levels, strict=True)]
        return mean_loss(np.array(best) - known, task.quantiles)
    shares = np.unique_counts(targets).counts / len(targets)
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def _weighted(targets: NDArray[Any], weights: NDArray[Any], loss: str) -> float:
    """Returns the loss of the best constant where each target has a weight."""
    total = weights.sum()
    if not total:
        return 0.0
    if loss == "squared_error":
        values = targets.astype(np.float64)
        mean = np.average(values, axis=0, weights=weights)
        return float(np.mean(np.average((values - mean) ** 2, axis=0, weights=weights)))
    shares = np.bincount(targets, weights)[np.unique(targets[weights > 0])] / total
    return max(0.0, float(-(shares * np.log(shares)).sum()))
