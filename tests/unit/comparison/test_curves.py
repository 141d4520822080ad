"""What learning curves say, on curves whose fall with each doubling is exact."""

from __future__ import annotations

import math
from typing import Any

import pytest
from comparison_helpers import made_up_curve

from tf_rnn.comparison.curves import FALLING, LEVEL, RISING, UNKNOWN, Reading, best_point, read_curves

LEAST = 1 / 128


def points(losses: dict[float, float]) -> list[dict[str, Any]]:
    """A curve from losses by fraction of the training."""
    return [{"updates": 64 * fraction, "valid_loss": loss} for fraction, loss in losses.items()]


PACES = {1 / 16: FALLING, 1 / 64: FALLING, LEAST: LEVEL, 0.0: LEVEL, -LEAST: LEVEL, -1 / 64: RISING}


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("decay", [0.5, 0.75])
def test_trend_pace_and_decay(pace: float, decay: float) -> None:
    found = read_curves([made_up_curve(0.5, pace, decay)], LEAST)
    assert (found.trend, found.loss, found.pace) == (PACES[pace], 0.5, pace)
    if found.trend == FALLING:
        assert found.decay == pytest.approx(decay, rel=1e-14)
    else:
        assert found.after(3) == 0.5


@pytest.mark.parametrize(
    ("doublings", "loss"),
    [
        (0, 0.5),
        (0.5, 0.5 - 1 / 16),  # half of the next doubling
        (1, 0.5 - 1 / 8),
        (2, 0.5 - 1 / 8 - 1 / 16),
        (2.5, 0.5 - 1 / 8 - 1 / 16 - 1 / 64),
        (3, 0.5 - 1 / 8 - 1 / 16 - 1 / 32),
    ],
)
def test_the_expected_loss_of_a_pace_that_halves_with_each_doubling(doublings: float, loss: float) -> None:
    """It fell by 1/4 with the last doubling, by 1/2 with the one before."""
    reading = read_curves([made_up_curve(0.5, 1 / 4)], LEAST)
    assert reading == Reading(FALLING, 0.5, 1 / 4, 0.5)
    assert reading.after(doublings) == max(loss, 0.0)
    assert reading.at_best(doublings) == max(0.5 - doublings / 4, 0.0)
    bounded = reading._replace(lowest=0.375)
    assert bounded.after(doublings) == max(loss, 0.375)
    assert reading._replace(lowest=0.75).after(doublings) == 0.5, "what is there is possible"


def test_the_expectation_is_what_the_same_curve_later_has() -> None:
    """A loss of 1/4 + 1/(4f): read at its half, it foresees its end."""
    whole = {fraction: 1 / 4 + 1 / (4 * fraction) for fraction in (1 / 8, 1 / 4, 1 / 2, 1.0)}
    half = {fraction: loss for fraction, loss in whole.items() if fraction <= 1 / 2}
    assert read_curves([points(half)], LEAST).after(1) == whole[1.0]


@pytest.mark.parametrize(
    ("losses", "trend", "pace"),
    [
        ({1 / 2: 1.0, 3 / 4: 0.5, 1: 0.5}, LEVEL, 0.0),  # fell, but not lately
        ({1 / 2: 1.0, 3 / 4: 1.0, 1: 0.5}, FALLING, 0.5),  # lately faster: the whole doubling counts
        ({1 / 2: 0.5, 3 / 4: 0.5, 1: 1.0}, RISING, -0.5),
        ({1 / 2: 1.0, 3 / 4: 0.25, 1: 0.5}, LEVEL, None),  # fell, then rose
        ({1 / 2: 1.0, 1: 0.5}, FALLING, 0.5),
        ({3 / 4: 1.0, 1: 0.5}, UNKNOWN, 0.0),
        ({1: 0.5}, UNKNOWN, 0.0),
    ],
)
def test_the_last_quarter_counts_too(losses: dict[float, float], trend: str, pace: float | None) -> None:
    found = read_curves([points(losses)], LEAST)
    assert found.trend == trend
    assert pace is None or found.pace == pace


@pytest.mark.parametrize(
    ("before", "decay"), [(None, 0.5), (2.0, 0.25), (0.75, 2 / 3), (0.25, 0.75), (0.0, 0.75), (-1.0, 0.75)]
)
def test_decay_is_between_a_quarter_and_three_quarters(before: float | None, decay: float) -> None:
    """Of a curve that is too short for it, a half."""
    early = {} if before is None else {1 / 4: 1.0 + before}
    found = read_curves([points(early | {1 / 2: 1.0, 1: 0.5})], LEAST)
    assert (found.trend, found.pace, found.decay) == (FALLING, 0.5, decay)


def test_the_best_point_is_the_first_of_the_lowest_after_training_began() -> None:
    curve = points({0: 0.1, 1 / 4: 0.5, 1 / 2: 0.25, 3 / 4: 0.25, 1: 1.0})
    assert best_point(curve) == {"updates": 32, "valid_loss": 0.25}
    with pytest.raises(ValueError, match="empty"):
        best_point(curve[:1])


@pytest.mark.parametrize("pace", [1 / 4, 0.0, -1 / 4])
@pytest.mark.parametrize("kept", [0.125, 0.375, 0.5])
def test_nothing_is_expected_above_the_loss_that_is_kept(pace: float, kept: float) -> None:
    """A loss of 0.5 at the end, with a lower one before: falling, it is at 0.375 after the next doubling."""
    reading = read_curves([made_up_curve(0.5, pace)], LEAST, kept=kept)
    falls = pace > 0
    assert (reading.loss, reading.trend == FALLING) == (0.5, falls)
    assert reading.after(1) == min(kept, 0.375 if falls else 0.5)
    assert reading.at_best(1) == min(kept, 0.25 if falls else 0.5)


def test_a_fall_that_seeds_disagree_on_is_none() -> None:
    """Falls of 0 and 1/2: a mean of 1/4 with a standard error of 1/4."""
    curves = [made_up_curve(0.5), made_up_curve(0.25, 1 / 2)]
    assert read_curves(curves, LEAST).trend == LEVEL
    alike = [made_up_curve(0.5, 1 / 4), made_up_curve(0.25, 1 / 4)]
    assert read_curves(alike, LEAST) == Reading(FALLING, 0.375, 1 / 4, 0.5)


def test_nothing_is_known_of_runs_without_training_or_with_a_point_alone() -> None:
    untrained = read_curves([points({0: 1.0})], LEAST)
    assert untrained.trend == UNKNOWN
    assert math.isnan(untrained.loss)
    found = read_curves([made_up_curve(0.5, 1 / 4), points({1: 0.25})], LEAST)
    assert (found.trend, found.loss, found.after(5)) == (UNKNOWN, 0.375, 0.375)
    assert found.at_best(1) == -math.inf
