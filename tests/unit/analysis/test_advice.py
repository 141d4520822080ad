"""From measurements to a width: the rule, its words, and its verification."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from comparison_helpers import made_up_cost, made_up_summary

from tf_rnn.analysis.advice import Advice, advise, needed_width, smallest_width, widths_to_price
from tf_rnn.analysis.lags import LagAnalysis
from tf_rnn.comparison.verify import verification, widths_to_verify
from tf_rnn.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Sequence


def made_up_analysis(relative_bias: Sequence[float], half_life: float = 2.5) -> LagAnalysis:
    n = len(relative_bias)
    numbers: dict[str, Any] = {"lags": list(range(n)), "gradient_norm": [1.0] * n, "trend": "vanishes"}
    numbers |= {"truncations": list(range(1, n + 1)), "cosine": [1.0] * n, "bound": None, "positions": 3}
    numbers |= {"relative_bias": list(relative_bias), "block_bias": list(relative_bias)}
    return LagAnalysis(decay=0.5 ** (1 / half_life), half_life=half_life, **numbers)


# Bias of truncation after K = 1 to 8 steps; the widths needed at a tolerance of 0.1.
NEEDS_3 = [0.9, 0.4, 0.08, 0.06, 0.04, 0.03, 0.01, 0.0]
NEEDS_4 = [0.7, 0.3, 0.2, 0.04, 0.02, 0.01, 0.01, 0.0]
NEEDS_6 = [0.8, 0.6, 0.5, 0.3, 0.2, 0.05, 0.03, 0.0]
NEEDS_8 = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.0]


def advice_for(
    *biases: Sequence[float], tolerance: float = 0.1, half_lives: Sequence[float] = (), at_least: int = 1
) -> Advice:
    given = [*half_lives, *[2.5] * (len(biases) - len(half_lives))]
    analyses = [made_up_analysis(bias, half) for bias, half in zip(biases, given, strict=True)]
    costs = [made_up_cost(width) for width in widths_to_price(analyses, tolerance, at_least)]
    return advise(analyses, costs, tolerance, at_least)


@pytest.mark.parametrize(
    ("bias", "tolerance", "width"),
    [
        (NEEDS_3, 0.1, 3),
        (NEEDS_3, 0.08, 3),  # no more than the tolerance: equal is enough
        (NEEDS_3, 0.07, 4),
        (NEEDS_3, 0.9, 1),
        (NEEDS_3, 0.001, 8),
        ([0.05, 0.3, 0.02, 0.0], 0.1, 3),  # small once is not small from there on
        ([2.7, 1.2, 1.2, 0.4, 0.0], 0.5, 4),  # worse than nothing
        ([0.0], 0.1, 1),
        ([math.nan] * 5, 0.1, 5),  # no gradient: nothing shorter is known to be enough
    ],
)
def test_needed_width_is_the_smallest_from_which_on_the_bias_stays_small(
    bias: list[float], tolerance: float, width: int
) -> None:
    assert needed_width(bias, tolerance) == width


@pytest.mark.parametrize(
    ("biases", "widths"),
    [
        ([NEEDS_3], [1, 3, 6, 8]),
        ([NEEDS_3, NEEDS_4], [2, 4, 8]),  # the double is the widest
        ([NEEDS_6, NEEDS_3], [3, 6, 8, 12]),
        ([NEEDS_8], [4, 8, 16]),
        ([[0.0, 0.0]], [1, 2]),  # 1, whose half would be 0
    ],
)
def test_widths_to_price(biases: list[list[float]], widths: list[int]) -> None:
    analyses = [made_up_analysis(bias) for bias in biases]
    assert widths_to_price(analyses, 0.1) == widths


def test_the_advice_is_what_the_most_demanding_seed_needs() -> None:
    advice = advice_for(NEEDS_3, NEEDS_4, NEEDS_3)
    assert (advice.num_steps, advice.needed, advice.tolerance) == (4, [3, 4, 3], 0.1)
    assert advice.sure
    expected = [(a + b + a) / 3 for a, b in zip(NEEDS_3, NEEDS_4, strict=True)]
    assert advice.relative_bias == pytest.approx(expected, rel=1e-15)
    assert advice.step_milliseconds == made_up_cost(4)["step_milliseconds"] == 0.5
    assert advice.costs == [made_up_cost(width) for width in (2, 4, 8)]


def test_the_reason_has_the_numbers() -> None:
    """The larger bias at 4 is 6%, at 2 it is 40%; 0.5 of 0.75 ms, 2 of 4 MB."""
    assert advice_for(NEEDS_3, NEEDS_4, half_lives=[1.75, 3.0]).reason == (
        "Use num_steps 4: truncating after 4 steps loses up to 6% of the gradient over 8 steps, whose norm "
        "halves every 2.4 steps; truncating after 2 steps would lose up to 40% (at most 10% is acceptable). "
        "A training step takes 0.5 ms and 2 MB, 67% of the time and 50% of the memory at num_steps 8. "
        "2 networks need 3 and 4 steps."
    )


def test_half_lives_that_are_negative_or_unknown() -> None:
    growing = advice_for(NEEDS_3, half_lives=[-0.5]).reason
    assert "over 8 steps, whose norm does not decay; truncating after 1 step would" in growing
    unknown = advice_for([0.0], half_lives=[math.nan]).reason
    assert "loses 0% of the gradient over 1 step (at most 10% is " in unknown


NONE = [math.nan] * 8


@pytest.mark.parametrize(
    ("biases", "without"), [([NONE], "1 of 1 network"), ([NEEDS_3, NONE], "1 of 2 networks")]
)
def test_without_a_gradient_there_is_nothing_to_recommend(biases: list[list[float]], without: str) -> None:
    advice = advice_for(*biases)
    assert (advice.num_steps, advice.sure) == (8, False)
    start = (
        f"There is no gradient to judge by: over 8 steps it is zero in {without}. num_steps 8, the longest "
    )
    assert advice.reason.startswith(start)


def test_a_style_may_need_more_than_the_gradient() -> None:
    advice = advice_for(NEEDS_3, at_least=5)
    assert (advice.num_steps, advice.needed) == (5, [3])
    assert [cost["num_steps"] for cost in advice.costs] == [5, 8, 10]
    assert smallest_width(Setup(task="echo", style="sliding", stride=5)) == 5
    assert smallest_width(Setup(task="echo", style="adaptive", stride=5)) == 2
    assert smallest_width(Setup(task="echo", stride=5)) == 1


@pytest.mark.parametrize(
    ("biases", "agree"),
    [
        ([NEEDS_4, NEEDS_6], True),  # a factor of 1.5
        ([NEEDS_3, NEEDS_6], False),
        ([NEEDS_6, NEEDS_4, NEEDS_3], False),
    ],
)
def test_seeds_agree_within_a_factor(biases: list[list[float]], agree: bool) -> None:
    advice = advice_for(*biases)
    assert advice.num_steps == 6
    assert advice.sure == agree
    assert (": they disagree, so compare widths before relying on it." in advice.reason) == (not agree)


def test_the_widest_is_never_known_to_be_enough() -> None:
    advice = advice_for(NEEDS_8, NEEDS_6)
    assert (advice.num_steps, advice.needed, advice.sure) == (8, [8, 6], False)
    assert "nothing shorter than the 8 steps measured is enough" in advice.reason
    one = advice_for(NEEDS_3)
    assert one.sure
    assert "1 of 1 networks needs 3 steps; train more seeds" in one.reason


# --- whether it held -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_steps", "widths"), [(1, (1, 2)), (2, (1, 2, 4)), (9, (4, 9, 18)), (10, (5, 10, 20))]
)
def test_widths_to_verify(num_steps: int, widths: tuple[int, ...]) -> None:
    assert widths_to_verify(num_steps) == widths
    assert widths_to_verify(9, at_least=6) == (6, 9, 18)


def verified(losses: dict[int, float], **changes: Any) -> str:
    return verification([made_up_summary(width, loss, **changes) for width, loss in losses.items()], 6)


@pytest.mark.parametrize(
    ("losses", "answer", "over"),
    [
        ({3: 0.625, 6: 0.5, 12: 0.5}, "held", "0.0000"),
        ({3: 0.625, 6: 0.515625, 12: 0.5}, "held", "0.0156"),  # exactly the noise
        ({3: 0.625, 6: 0.53125, 12: 0.5}, "did not hold", "0.0312"),
        ({3: 0.25, 6: 0.5, 12: 0.5}, "did not hold", "0.2500"),  # the half is better
    ],
)
def test_verification_is_within_the_noise_of_the_best(
    losses: dict[int, float], answer: str, over: str
) -> None:
    distance = f"(difference {over}, noise 0.0156)" if answer == "held" else f"is {over} worse than the best"
    found = verified(losses, resolution=0.015625)
    assert found.startswith(f"Verified: the advice {answer}. ")
    assert distance in found


def test_noise_is_that_of_the_best_width() -> None:
    """Seeds that disagree at the width advised do not excuse it."""
    advised = made_up_summary(6, 0.53125, spread=1.0, resolution=0.5)
    assert verification([advised, made_up_summary(12, 0.5)], 6).startswith(
        "Verified: the advice did not hold."
    )
    best = made_up_summary(12, 0.5, spread=0.0625, runs=4)  # 0.0625 / sqrt(4) = 0.03125
    assert verification([advised, best], 6).startswith("Verified: the advice held.")


def test_a_width_of_which_runs_diverged_is_no_good_advice_and_no_best() -> None:
    diverged = {"runs": 0, "diverged": 3, "loss": math.nan}
    summaries = [made_up_summary(3, 0.75), made_up_summary(6, **diverged), made_up_summary(12, 0.5)]
    assert verification(summaries, 6) == (
        "Verified: no. Every run at num_steps 6 diverged; held-out loss 0.7500 at 3, 0.5000 at 12."
    )
    everywhere = [made_up_summary(width, **diverged) for width in (3, 6, 12)]
    assert verification(everywhere, 6).endswith("held-out loss nowhere finite.")
    lucky = made_up_summary(6, 0.25, runs=1, diverged=2)
    some = verification([made_up_summary(3, 0.75), lucky], 6)
    assert some.endswith("the advised width has runs that diverged.")
    assert verification([lucky, made_up_summary(12, 0.5)], 12).startswith("Verified: the advice held.")


def test_a_neighbour_that_diverged_is_left_out() -> None:
    summaries = [made_up_summary(3, math.nan, runs=0, diverged=3), made_up_summary(6, 0.5)]
    assert verification(summaries, 6).startswith(
        "Verified: the advice held. Held-out loss 0.5000 at 6 (nats);"
    )
