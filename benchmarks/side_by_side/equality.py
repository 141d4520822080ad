"""Check that two libraries do the same work: equal losses, step by step, from equal weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from collections.abc import Sequence

# Float32 to 1e-4 nats; with bfloat16 operands to the rounding of bfloat16, relative to the loss.
TOLERANCE = 1e-4
BFLOAT16_TOLERANCE = 2.0**-8


def largest_difference(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Largest difference between losses of the same step; inf if one of them is not finite."""
    return max(_distance(one, other) for one, other in zip(losses, reference, strict=True))


def allowed(right: float, precision: str) -> float:
    """How far a loss may be from the right one, in nats."""
    return TOLERANCE if precision == FLOAT32 else BFLOAT16_TOLERANCE * right


def inequality(losses: Sequence[float], reference: Sequence[float], precision: str = FLOAT32) -> str | None:
    """Describes the first step at which the losses differ by more than is `allowed`; None if none does.

    Args:
        losses: Mean loss before the first training step and after each following one.
        reference: The correct losses, likewise.
        precision: That of the losses: "float32" or "mixed_bfloat16".
    """
    for steps, (loss, right) in enumerate(zip(losses, reference, strict=True)):
        if _distance(loss, right) > allowed(right, precision):
            return f"loss after {steps} training steps {loss:.5f}, should be {right:.5f}"
    return None


def _distance(one: float, other: float) -> float:
    distance = abs(one - other)
    return distance if math.isfinite(distance) else math.inf
