"""The share of the errors that flows back at least a lag, by the definition of a truncation style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.tasks.values import has_target
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from tf_rnn.tasks import Task


def share_of_errors(task: Task, identity: dict[str, Any], width: int) -> dict[int, float | None]:
    """The share of errors that flow back at least as far as each lag of a task.

    In blocks of n steps with a loss at each, (n - lag) / n; of a sliding window's last `stride` errors,
    those at least `lag` steps after its start. Where only some steps have a target, it depends on where
    these are in their blocks.

    Args:
        task: The task, with its lags and targets.
        identity: The configuration; only `style` and `stride` matter.
        width: The width n.

    Returns:
        A share by lag; None for styles that decide how far while they run.
    """
    positions = _positions(task, identity, width)
    if positions is None:
        return dict.fromkeys(task.lags)
    return {lag: float(np.mean(positions >= lag)) for lag in task.lags}


def _positions(task: Task, identity: dict[str, Any], width: int) -> np.ndarray | None:
    """The positions in their windows of the errors that are counted, or None where they are not fixed."""
    truncation = Truncation(identity.get("style", "block"), identity.get("stride", 1))
    positions = truncation.error_positions(width, task.loss_steps)
    if positions is not None and task.loss_steps == "marked":
        return np.flatnonzero(has_target(task.stream("valid").targets)) % width
    return positions
