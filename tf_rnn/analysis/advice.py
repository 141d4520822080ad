"""The width that measurements of the gradient ask for."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.analysis.lags import LagAnalysis
    from tf_rnn.setup import Setup

# Seeds agree if the widths that they need are within this factor of each other.
AGREEMENT = 1.5


@dataclasses.dataclass(frozen=True)
class Advice:
    """A width and the reasons for it.

    Attributes:
        num_steps: The width to use.
        reason: Why, what it costs, and how certain that is, in words.
        sure: Whether every network has a gradient, the seeds agree, and the widest width measured was
            wide enough.
        tolerance: Largest acceptable fraction of the gradient lost to truncation.
        needed: The width that each seed needs.
        relative_bias: For truncation after K = 1 to N steps, the mean over seeds; nan without a gradient.
        step_milliseconds: Duration of a training step at `num_steps`.
        costs: Records of `tf_rnn.analysis.Cost`: of the width, its half and its double, and the widest.
    """

    num_steps: int
    reason: str
    sure: bool
    tolerance: float
    needed: list[int]
    relative_bias: list[float]
    step_milliseconds: float
    costs: list[dict[str, Any]]


def smallest_width(setup: Setup) -> int:
    """The smallest width that a setup's truncation style allows."""
    return {"sliding": setup.stride, "adaptive": 2}.get(setup.style, 1)


def needed_width(relative_bias: Sequence[float], tolerance: float) -> int:
    """The smallest K from which on truncation loses no more than `tolerance` of the gradient.

    Args:
        relative_bias: For K = 1 to N; 0 at N, which the others are compared with. All are nan where
            the gradient is zero, and K is N.
        tolerance: Between 0 and 1.
    """
    enough = [bias <= tolerance for bias in relative_bias]
    too_narrow = [K for K, is_enough in enumerate(enough, start=1) if not is_enough]
    return min(max(too_narrow, default=0) + 1, len(relative_bias))


def widths_to_price(analyses: Sequence[LagAnalysis], tolerance: float, at_least: int = 1) -> list[int]:
    """The widths whose costs an advice states: the one needed, its half and double, and the widest."""
    width = _width(analyses, tolerance, at_least)
    return sorted({max(at_least, width // 2), width, 2 * width, len(analyses[0].lags)})


def _width(analyses: Sequence[LagAnalysis], tolerance: float, at_least: int) -> int:
    return max(at_least, *(needed_width(analysis.relative_bias, tolerance) for analysis in analyses))


def advise(
    analyses: Sequence[LagAnalysis], costs: Sequence[dict[str, Any]], tolerance: float, at_least: int = 1
) -> Advice:
    """Names the width that the most demanding seed needs.

    Args:
        analyses: One for each seed, all over the same N steps.
        costs: Records of `tf_rnn.analysis.Cost`, of the widths that `widths_to_price` names.
        tolerance: Largest acceptable fraction of the gradient lost to truncation.
        at_least: The smallest width that the truncation style allows.
    """
    widest = len(analyses[0].lags)
    width = _width(analyses, tolerance, at_least)
    needed = [needed_width(analysis.relative_bias, tolerance) for analysis in analyses]
    bias = [statistics.fmean(values) for values in zip(*(a.relative_bias for a in analyses), strict=True)]
    by_width = {cost["num_steps"]: cost for cost in costs}
    without = sum(not has_gradient(analysis) for analysis in analyses)
    wide_enough = width < widest
    agree = max(needed) <= AGREEMENT * min(needed)
    if without:
        reasons = [_no_gradient(without, len(analyses), widest)]
    else:
        reasons = [
            _loss_of_gradient(width, bias, tolerance, analyses),
            _price(by_width[width], by_width[widest]),
            _certainty(needed, agree, wide_enough, widest),
        ]
    return Advice(
        num_steps=width,
        reason=" ".join(reasons),
        sure=agree and wide_enough and not without,
        tolerance=tolerance,
        needed=needed,
        relative_bias=bias,
        step_milliseconds=by_width[width]["step_milliseconds"],
        costs=list(costs),
    )


def has_gradient(analysis: LagAnalysis) -> bool:
    """Whether there is a gradient to judge by; without one its bias is nan."""
    return all(math.isfinite(bias) for bias in analysis.relative_bias)


def _no_gradient(without: int, networks: int, widest: int) -> str:
    return (
        f"There is no gradient to judge by: over {widest} steps it is zero in {without} of {networks} "
        f"network{'s' if networks > 1 else ''}. num_steps {widest}, the longest length measured, is no "
        "recommendation; change the initial weights or train longer, and measure again."
    )


def _loss_of_gradient(
    width: int, bias: Sequence[float], tolerance: float, analyses: Sequence[LagAnalysis]
) -> str:
    widest, half = len(bias), max(1, width // 2)
    half_life = statistics.median(analysis.half_life for analysis in analyses)
    decay = "" if math.isnan(half_life) else ", whose norm does not decay"
    if half_life > 0:
        decay = f", whose norm halves every {half_life:.1f} steps"
    return (
        f"Use num_steps {width}: truncating after {steps(width)} loses {bias[width - 1]:.0%} of the gradient "
        f"over {steps(widest)}{decay}; truncating after {steps(half)} would lose {bias[half - 1]:.0%} "
        f"(at most {tolerance:.0%} is acceptable)."
    )


def _price(chosen: dict[str, Any], widest: dict[str, Any]) -> str:
    time = chosen["step_milliseconds"] / widest["step_milliseconds"]
    memory = chosen["graph_bytes"] / widest["graph_bytes"]
    return (
        f"A training step takes {chosen['step_milliseconds']:.3g} ms and "
        f"{chosen['graph_bytes'] / 1e6:.3g} MB, {time:.0%} of the time and {memory:.0%} of the memory "
        f"at num_steps {widest['num_steps']}."
    )


def _certainty(needed: Sequence[int], agree: bool, wide_enough: bool, widest: int) -> str:
    *first, last = map(str, needed)
    networks = f"{len(needed)} networks need {', '.join(first)} and {last} steps"
    if not first:
        networks = f"1 of 1 networks needs {steps(needed[0])}; train more seeds to see how certain that is"
    if not wide_enough:
        return (
            f"{networks}: nothing shorter than the {steps(widest)} measured is enough, and more may be "
            "needed; measure again with a larger num_steps."
        )
    return f"{networks}{'' if agree else ': they disagree, so compare widths before relying on it'}."


def steps(count: int) -> str:
    """A number of steps in words: `1 step`, `2 steps`."""
    return f"{count} step{'s' if count != 1 else ''}"
