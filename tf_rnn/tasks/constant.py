"""The loss of knowing nothing: the best constant prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tf_rnn.tasks.values import has_target, mean_loss

if TYPE_CHECKING:
    from tf_rnn.tasks.base import Task


def constant_loss(task: Task, split: str = "valid") -> float:
    """Returns the lowest loss on a split that a constant prediction can have.

    For classes that is the entropy of their frequencies in the split, -sum of p ln p; for real values, their
    variance, a mean over the values of a step, or the pinball loss of their quantiles. What has no target
    does not count.

    Args:
        task: The task.
        split: The name of the split.

    Raises:
        OptionError: See `Task.checked_stream`.
    """
    targets = task.checked_stream(split).targets
    targets = targets[has_target(targets)]
    if not len(targets):
        return 0.0
    if task.loss != "cross_entropy":
        known = targets[:, ~np.isnan(targets).all(axis=0)].astype(np.float64)
        if task.quantiles is None:
            return mean_loss(known - np.nanmean(known, axis=0))
        levels = np.resize(task.quantiles, known.shape[1])
        best = [np.nanquantile(values, level) for values, level in zip(known.T, levels, strict=True)]
        return mean_loss(np.array(best) - known, task.quantiles)
    shares = np.unique_counts(targets).counts / len(targets)
    return max(0.0, float(-(shares * np.log(shares)).sum()))
