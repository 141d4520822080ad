"""Rules of thumb for the width of a graph, as people use them, and what `tf_rnn` measures."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.atlas.tasks import LADDER
from tf_rnn.tasks.references import partial_autocorrelations

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.atlas.replay import Raced, Sweep

# Two-sided quantile of the normal distribution at the level 0.01.
ONE_PERCENT = 2.576


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a rule may look at.

    Attributes:
        sweep: The task with its settings and runs.
        raced: The race of `recommend`.
        compared: The width that `compare` names, None if it names none.
    """

    sweep: Sweep
    raced: Raced
    compared: int | None

    @property
    def horizon(self) -> int:
        """How far ahead a series is forecast; 0 for other tasks."""
        return self.sweep.entry.horizon

    @property
    def max_lag(self) -> int | None:
        """The longest lag of a made task; None where it is not known."""
        return self.sweep.task.max_lag


def _fixed(width: int) -> Callable[[Evidence], float | None]:
    return lambda _: width


def _half_life(evidence: Evidence) -> float | None:
    half_life = evidence.sweep.known.half_life
    return half_life if 0 < half_life < math.inf else LADDER[-1]


def _partial_autocorrelation(evidence: Evidence) -> float | None:
    """The longest lag whose partial autocorrelation differs from 0 at the level of 1 %."""
    if not evidence.horizon:
        return None
    values = evidence.sweep.task.checked_stream("train").inputs[:, 0]
    partial = partial_autocorrelations(values, LADDER[-1])
    significant = np.flatnonzero(np.abs(partial) > ONE_PERCENT / math.sqrt(len(values)))
    return float(significant[-1] + 1) if len(significant) else 1


def _if_series(width: Callable[[int], int]) -> Callable[[Evidence], float | None]:
    return lambda evidence: width(evidence.horizon) if evidence.horizon else None


def _twice_the_lag(evidence: Evidence) -> float | None:
    return 2 * evidence.max_lag if evidence.max_lag else None


def _raced(evidence: Evidence) -> float | None:
    return evidence.raced.named


# Each returns a width, or None where the rule does not apply or names none.
RULES: dict[str, Callable[[Evidence], float | None]] = {
    "1": _fixed(1),
    "35 (language models)": _fixed(35),
    "50 (char-rnn)": _fixed(50),
    "70 (language models)": _fixed(70),
    "the horizon": _if_series(lambda horizon: horizon),
    "3 x horizon": _if_series(lambda horizon: 3 * horizon),
    "max(10, 2 x horizon)": _if_series(lambda horizon: max(10, 2 * horizon)),
    "twice the longest lag": _twice_the_lag,
    "partial autocorrelation": _partial_autocorrelation,
    "half-life of the gradient": _half_life,
    "90 % of the gradient": lambda evidence: evidence.sweep.known.gradient_needs or LADDER[-1],
    "recommend": _raced,
    "compare": lambda evidence: evidence.compared,
}


def rung(width: float) -> int:
    """The width of the ladder that is nearest by ratio."""
    return min(LADDER, key=lambda each: abs(math.log(each / max(width, 1))))
