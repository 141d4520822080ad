"""Which share of the errors flows back how far, by the definition of a truncation style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tf_rnn.tasks import Task


def share_of_errors(task: Task, identity: dict[str, Any], width: int) -> dict[int, float | None]:
    """Returns, for each lag of a task, the share of errors that go back at least that far.

    In blocks of n steps with a loss at each, (n - lag) / n; of a sliding window's `stride` newest
    errors those that stand at least `lag` steps behind its start. Where only some steps have a
    target, what counts is where these fall in their blocks.

    Args:
        task: Whose lags and targets.
        identity: The configuration; `style` and `stride` count.
        width: The width n.

    Returns:
        A share by lag; None for styles that decide while they run.
    """
    positions = _positions(task, identity, width)
    if positions is None:
        return dict.fromkeys(task.lags)
    return {lag: float(np.mean(positions >= lag)) for lag in task.lags}


def _positions(task: Task, identity: dict[str, Any], width: int) -> np.ndarray | None:
    """Where in their window the errors stand that are counted, or None where that is not fixed."""
    style = identity.get("style", "block")
    if style not in {"block", "sliding"}:
        return None
    if task.loss_steps == "marked":
        return np.flatnonzero(task.stream("valid").targets >= 0) % width
    newest = identity["stride"] if style == "sliding" else width
    return np.arange(width)[-1 if task.loss_steps == "last" else -newest :]
