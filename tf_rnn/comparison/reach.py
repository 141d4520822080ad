"""The share of errors that flow back to each lag, by the definition of a truncation style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tf_rnn.tasks import Task


def share_of_errors(task: Task, identity: dict[str, Any], width: int) -> dict[int, float | None]:
    """Returns, for each lag of a task, the share of errors that are followed back at least that far.

    In blocks of n steps with a loss at each step that is (n - lag) / n; of the `stride` newest errors of
    a sliding window, the share at least `lag` steps after its start. If only some steps have a target,
    their positions in the blocks decide.

    Args:
        task: Provides lags and targets.
        identity: The configuration, with `style` and `stride`.
        width: The width n.

    Returns:
        A share by lag; None for styles that decide during training.
    """
    positions = _positions(task, identity, width)
    if positions is None:
        return dict.fromkeys(task.lags)
    return {lag: float(np.mean(positions >= lag)) for lag in task.lags}


def _positions(task: Task, identity: dict[str, Any], width: int) -> np.ndarray | None:
    """The positions of the counted errors in their windows; None if they are not fixed."""
    style = identity.get("style", "block")
    if style not in {"block", "sliding"}:
        return None
    if task.loss_steps == "marked":
        return np.flatnonzero(task.stream("valid").targets >= 0) % width
    newest = identity["stride"] if style == "sliding" else width
    return np.arange(width)[-1 if task.loss_steps == "last" else -newest :]
