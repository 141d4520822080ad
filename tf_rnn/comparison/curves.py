"""What a learning curve says: whether the loss still falls, and where it would be with more training.

Losses fall by about the same amount, or a shrinking one, with each doubling of the training, so curves
are read in doublings.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

FALLING, LEVEL, RISING, UNKNOWN = "falling", "level", "rising", "unknown"
# The last part of a curve, over which its pace is measured a second time: from 3/4 to the end.
LATE = 0.75
# What is left of the pace with each doubling: where the curve is too short to say, at least, and at most.
# Losses that fall as a power t^-a of the training keep 2^-a of it; that a fall gathers speed early says
# little of the end.
USUAL_DECAY = 0.5
LEAST_DECAY, MOST_DECAY = 0.25, 0.75


class Reading(NamedTuple):
    """What a learning curve says.

    Attributes:
        trend: "falling", "level", "rising", or "unknown" for a curve that is too short.
        loss: The held-out loss at its end.
        pace: By how much the loss falls with a doubling of the training, at the end; below 0 if it rises.
        decay: How much of the pace is left after each doubling, 0 to 1.
        lowest: The lowest possible loss, below which nothing is expected.
        error: The standard error of the pace over seeds; 0 for one seed.
        kept: The loss that counts: that at the end, or a lower one before.
    """

    trend: str
    loss: float
    pace: float
    decay: float
    lowest: float = 0.0
    error: float = 0.0
    kept: float = math.inf

    def after(self, doublings: float) -> float:
        """The expected loss after so many doublings: the pace shrinks as it did before."""
        if self.trend != FALLING:
            return min(self.kept, self.loss)
        whole = math.floor(doublings)
        falls = sum(self.decay**number for number in range(1, whole + 1))
        falls += (doublings - whole) * self.decay ** (whole + 1)
        return self._possible(self.loss - self.pace * falls)

    def at_best(self, doublings: float) -> float:
        """The loss after so many doublings if the pace does not shrink; -inf where it is unknown."""
        if self.trend == UNKNOWN:
            return -math.inf
        return self._possible(self.loss - max(0.0, self.pace) * doublings)

    def _possible(self, loss: float) -> float:
        """A loss that is expected, but not below the lowest possible unless the loss is there already."""
        return min(self.kept, max(loss, min(self.loss, self.lowest)))


def best_point(curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The point of a learning curve with the lowest loss: that of the checkpoint `train` calls best.

    Args:
        curve: Points with `updates` and `valid_loss`; those before training do not count.

    Raises:
        ValueError: If there is no point after training began.
    """
    return min((point for point in curve if point["updates"]), key=lambda point: point["valid_loss"])


def read_curves(
    curves: Sequence[Sequence[dict[str, Any]]], least: float, lowest: float = 0.0, kept: float = math.inf
) -> Reading:
    """Reads the learning curves of runs that differ in their seeds only.

    With L(f) the mean loss over seeds after a fraction f of the training, the pace is the smaller of
    L(1/2) - L(1) and the fall from L(3/4) to L(1) per doubling; its decay is that ratio to L(1/4) - L(1/2).

    Args:
        curves: The points of each run, with `updates` and `valid_loss`; those before training do not count.
        least: The smallest fall per doubling that matters; twice its standard error over seeds counts, too.
        lowest: The lowest possible loss.
        kept: The loss that counts, where one before the end is lower.
    """
    halves, lates, before, last = [], [], [], []
    for curve in curves:
        points = [point for point in curve if point["updates"]]
        if not points:
            return Reading(UNKNOWN, math.nan, 0.0, 0.0, lowest, kept=kept)
        last.append(points[-1]["valid_loss"])
        ends = points[-1]["updates"]
        positions = np.log2([point["updates"] / ends for point in points])
        losses = [point["valid_loss"] for point in points]
        if positions[0] > -1 + 1e-9:
            continue
        half, late = np.interp([-1.0, math.log2(LATE)], positions, losses)
        halves.append(half - losses[-1])
        has_late = any(position >= math.log2(LATE) - 1e-9 for position in positions[:-1])
        lates.append((late - losses[-1]) / -math.log2(LATE) if has_late else halves[-1])
        if positions[0] <= -2 + 1e-9:
            before.append(np.interp(-2.0, positions, losses) - half)
    loss = float(np.mean(last))
    if len(halves) < len(curves):
        return Reading(UNKNOWN, loss, 0.0, 0.0, lowest, kept=kept)
    fall, late_fall = float(np.mean(halves)), float(np.mean(lates))
    pace = min(fall, late_fall) if fall > 0 else max(fall, late_fall)
    error = float(np.std(halves, ddof=1)) / math.sqrt(len(halves)) if len(halves) > 1 else 0.0
    if abs(pace) <= max(least, 2 * error) or (fall > 0) != (pace > 0):
        return Reading(LEVEL, loss, pace, 0.0, lowest, error, kept)
    decay = USUAL_DECAY
    if len(before) == len(curves):
        earlier = float(np.mean(before))
        decay = min(MOST_DECAY, max(LEAST_DECAY, pace / earlier)) if earlier > 0 else MOST_DECAY
    return Reading(FALLING if pace > 0 else RISING, loss, pace, decay, lowest, error, kept)
