"""Check that two libraries do the same work: equal losses, step by step, from equal weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE = 1e-4


def largest_difference(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Largest difference between losses of the same step; inf if one of them is not finite."""
    return max(_distance(one, other) for one, other in zip(losses, reference, strict=True))


def inequality(losses: Sequence[float], reference: Sequence[float]) -> str | None:
    """Describes the first step at which the losses differ; None if they agree within TOLERANCE.

    Args:
        losses: Mean loss before the first training step and after each following one.
        reference: The correct losses, likewise.
    """
    for steps, (loss, right) in enumerate(zip(losses, reference, strict=True)):
        if _distance(loss, right) > TOLERANCE:
            return f"loss after {steps} training steps {loss:.5f}, should be {right:.5f}"
    return None


def _distance(one: float, other: float) -> float:
    distance = abs(one - other)
    return distance if math.isfinite(distance) else math.inf
