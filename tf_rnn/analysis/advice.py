"""From measurements to a width."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.analysis.cost import Cost
    from tf_rnn.analysis.lags import LagAnalysis

# Seeds that ask for widths within this factor of each other agree.
AGREEMENT = 1.5


@dataclasses.dataclass(frozen=True)
class Advice:
    """A width, and what speaks for it.

    Attributes:
        num_steps: The width to use.
        reason: Why, what it costs, and how sure that is, in words.
        sure: Whether the seeds agree and the widest width measured was wide enough.
        tolerance: The share of the gradient that may be cut off.
        needed: The width that each seed asks for.
        relative_bias: For truncation after K = 1 to N steps, the mean over seeds.
        step_milliseconds: Of a training step at `num_steps`.
        costs: What the width, its half and its double, and the widest cost.
    """

    num_steps: int
    reason: str
    sure: bool
    tolerance: float
    needed: list[int]
    relative_bias: list[float]
    step_milliseconds: float
    costs: list[dict[str, Any]]


def needed_width(relative_bias: Sequence[float], tolerance: float) -> int:
    """The smallest K from which on truncation cuts off no more than `tolerance` of the gradient.

    Args:
        relative_bias: For K = 1 to N; 0 at N, which is what the others are compared with.
        tolerance: Between 0 and 1.
    """
    too_much = [K for K, bias in enumerate(relative_bias, start=1) if bias > tolerance]
    return max(too_much, default=0) + 1


def widths_to_price(analyses: Sequence[LagAnalysis], tolerance: float) -> list[int]:
    """The widths whose costs an advice names: what is needed, its half and double, the widest."""
    width = _width(analyses, tolerance)
    return sorted({max(1, width // 2), width, 2 * width, len(analyses[0].lags)})


def _width(analyses: Sequence[LagAnalysis], tolerance: float) -> int:
    return max(needed_width(analysis.relative_bias, tolerance) for analysis in analyses)


def advise(analyses: Sequence[LagAnalysis], costs: Sequence[Cost], tolerance: float) -> Advice:
    """Recommends the width that the most demanding seed needs.

    Args:
        analyses: One for each seed, all over the same N steps.
        costs: Of the widths that `widths_to_price` names.
        tolerance: The share of the gradient that may be cut off.
    """
    widest = len(analyses[0].lags)
    width = _width(analyses, tolerance)
    needed = [needed_width(analysis.relative_bias, tolerance) for analysis in analyses]
    bias = [statistics.fmean(values) for values in zip(*(a.relative_bias for a in analyses), strict=True)]
    by_width = {cost.num_steps: cost for cost in costs}
    wide_enough = width < widest
    agree = max(needed) <= AGREEMENT * min(needed)
    return Advice(
        num_steps=width,
        reason=" ".join(
            [
                _why(width, widest, bias, tolerance, analyses),
                _price(by_width[width], by_width[widest]),
                _certainty(needed, agree, wide_enough, widest),
            ]
        ),
        sure=agree and wide_enough,
        tolerance=tolerance,
        needed=needed,
        relative_bias=bias,
        step_milliseconds=by_width[width].step_milliseconds,
        costs=[dataclasses.asdict(cost) for cost in costs],
    )


def _why(
    width: int, widest: int, bias: Sequence[float], tolerance: float, analyses: Sequence[LagAnalysis]
) -> str:
    half_life = statistics.median(analysis.half_life for analysis in analyses)
    halves = "" if math.isnan(half_life) else ", which does not decay"
    if half_life > 0:
        halves = f", whose norm halves every {half_life:.1f} steps"
    return (
        f"Use num_steps {width}: an error followed back over {width} steps misses "
        f"{bias[width - 1]:.0%} of its gradient over {widest} steps{halves}; "
        f"over {max(1, width // 2)} steps it would miss {bias[max(1, width // 2) - 1]:.0%} "
        f"(at most {tolerance:.0%} is asked for)."
    )


def _price(chosen: Cost, widest: Cost) -> str:
    return (
        f"A training step takes {chosen.step_milliseconds:.3g} ms and {chosen.graph_bytes / 1e6:.3g} MB, "
        f"{chosen.step_milliseconds / widest.step_milliseconds:.2f} of the time and "
        f"{chosen.graph_bytes / widest.graph_bytes:.2f} of the memory at {widest.num_steps}."
    )


def _certainty(needed: Sequence[int], agree: bool, wide_enough: bool, widest: int) -> str:
    asked = f"{len(needed)} trained networks ask for {', '.join(map(str, needed))} steps"
    if len(needed) == 1:
        asked = f"One trained network asks for {needed[0]} steps; more seeds would tell how sure that is"
    if not wide_enough:
        return (
            f"{asked}: nothing shorter than the {widest} steps measured will do, and more may be needed; "
            "measure again with a larger num_steps."
        )
    return f"{asked}{'' if agree else ': they do not agree, so compare widths before relying on it'}."
