"""Whether two libraries do the same work: the same losses, step by step, from the same weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE = 1e-4


def largest_difference(losses: Sequence[float], reference: Sequence[float]) -> float:
    """The largest distance between losses of the same step; inf where one is no number."""
    return max(_distance(one, other) for one, other in zip(losses, reference, strict=True))


def inequality(losses: Sequence[float], reference: Sequence[float]) -> str | None:
    """What shows that two trainings are not the same, in words; None if they are.

    Args:
        losses: Mean loss before the first training step and after each of the next.
        reference: The same, of what is right.
    """
    for steps, (loss, right) in enumerate(zip(losses, reference, strict=True)):
        if _distance(loss, right) > TOLERANCE:
            return f"loss after {steps} training steps {loss:.5f}, should be {right:.5f}"
    return None


def _distance(one: float, other: float) -> float:
    distance = abs(one - other)
    return distance if math.isfinite(distance) else math.inf
