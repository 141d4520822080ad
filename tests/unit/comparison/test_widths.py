"""The four widths: what is said of made-up measurements, and what is said where they are missing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparison_helpers import made_up_results, made_up_run, make_comparison

from tf_rnn.analysis.bias import needed_width
from tf_rnn.comparison import Sweep
from tf_rnn.comparison.widths import (
    EXACT,
    NAMES,
    NOT_KEPT,
    Mean,
    NotMeasuredError,
    gradient_width,
    lasting_width,
    state_width,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MARGIN = 0.015625
GRADIENT = {"relative_bias": [0.9, 0.4, 0.08, 0.0], "block_bias": [0.9, 0.5, 0.2, 0.05], "half_life": 1.0}


def mean(excess: Sequence[float], error: float = 0.0, steps: int = 60, loss: float = 0.5) -> Mean:
    """Fresh states that are worse by so much; the carried one has the same loss everywhere."""
    carried = np.where(np.isnan(excess), np.nan, loss)
    return Mean(carried + np.asarray(excess, float), carried, np.full(len(excess), error), steps)


# The gradient


@pytest.mark.parametrize(
    ("bias", "lost", "width"),
    [
        ([0.9, 0.4, 0.08, 0.06], 0.1, 3),
        ([0.9, 0.4, 0.08, 0.06], 0.08, 3),  # equal is enough
        ([0.05, 0.3, 0.02, 0.0], 0.1, 3),  # small once is not small from there on
        ([2.7, 1.2, 1.2, 0.4, 0.0], 0.5, 4),  # worse than nothing
        ([0.0], 0.1, 1),
        ([0.9, 0.8], 0.1, None),
        ([math.nan] * 5, 0.1, None),
    ],
)
def test_needed_width_is_the_smallest_from_which_on_the_bias_stays_small(
    bias: list[float], lost: float, width: int | None
) -> None:
    assert needed_width(bias, lost) == width


@pytest.mark.parametrize(
    ("style", "stride", "loss_steps", "steps", "shown"),
    [
        ("block", 1, "all", 4, "4"),
        ("block", 1, "marked", 3, "3"),
        ("block", 1, "last", 3, "3"),
        ("sliding", 1, "all", 3, "3"),
        ("sliding", 3, "all", 5, "at most 5"),  # errors go back 3, 4 or 5 steps
        ("adaptive", 1, "all", 3, "3"),
    ],
)
def test_the_gradient_is_that_of_the_style_in_use(
    style: str, stride: int, loss_steps: str, steps: int, shown: str
) -> None:
    assert gradient_width(GRADIENT, style, stride, loss_steps)[:2] == (steps, shown)


def test_a_gradient_that_is_cut_off_everywhere_needs_more_than_was_looked_at() -> None:
    short = GRADIENT | {"block_bias": [0.9, 0.5, 0.3, 0.2]}
    steps, shown, meaning = gradient_width(short, "block", 1, "all")
    assert (steps, shown) == (None, "more than 4")
    assert meaning == "to keep 90% of the gradient over 4 steps, in blocks; its norm halves every 1.0 steps"


@pytest.mark.parametrize(
    ("gradient", "style", "why"),
    [
        (GRADIENT, "random", EXACT["random"]),
        (GRADIENT, "full", EXACT["full"]),
        (None, "block", "it is too large for a floating-point number"),
        (NOT_KEPT, "block", NOT_KEPT),
        (GRADIENT | {"block_bias": [None] * 4}, "block", "there is no gradient"),
    ],
)
def test_why_a_gradient_is_not_measured(gradient: Any, style: str, why: str) -> None:
    with pytest.raises(NotMeasuredError, match=f"^{why}$"):
        gradient_width(gradient, style, 1, "all")


# The state


@pytest.mark.parametrize(
    ("excess", "reset", "shown"),
    [
        ([0.5, 0.25, 0.0, 0.0], None, "3"),
        ([0.0, 0.0], None, "1"),
        ([0.5, 0.25, MARGIN, 0.0], None, "3"),  # equal is enough
        ([0.5, 0.0, 0.25, 0.0], None, "4"),  # good once is not good from there on
        ([0.5, 0.25], None, "more than 2"),
        ([math.nan, math.nan, 0.5, math.nan, math.nan, 0.0], None, "at most 6"),  # few steps have a loss
        ([0.25, -0.5, -0.5, -0.75, 0.0], 3, "2"),  # within blocks of 3, against the last of them
        ([0.25, 0.0, -0.5, 0.0], 3, "3"),
    ],
)
def test_what_the_state_needs(excess: list[float], reset: int | None, shown: str) -> None:
    steps, found, _ = state_width(mean(excess), reset, MARGIN, "nats")
    assert found == shown
    assert steps == (None if "more" in shown else int(shown.rsplit(maxsplit=1)[-1]))


def test_chance_makes_it_about_so_many() -> None:
    assert state_width(mean([0.5, 0.0], error=MARGIN), None, MARGIN, "nats")[1] == "about 2"


@pytest.mark.parametrize("excess", [[math.nan] * 3, [0.0, math.nan], [0.25, -0.25]])
def test_a_state_that_cannot_be_compared_is_not_measured(excess: list[float]) -> None:
    with pytest.raises(NotMeasuredError):
        state_width(mean(excess), None if len(excess) == 2 and excess[1] < 0 else 3, MARGIN, "nats")


# How long


@pytest.mark.parametrize(
    ("excess", "reset", "error", "shown"),
    [
        ([0.5, 0.25, 0.0, 0.0], 3, 0.0, "at least 60"),
        ([0.5, 0.25, -MARGIN, 0.0], 3, 0.0, "at least 60"),
        ([0.5, 0.25, -0.25, 0.0], 3, 0.0, "3, not 60"),
        ([0.5, 0.25, -0.25, 0.0], 3, 0.0625, "3, not 60"),
        ([0.5, 0.25, -0.0625, 0.0], 3, 0.0625, "3 or more"),  # it may be chance
        ([0.5, 0.25, 0.0, 0.0], 3, 0.0625, "3 or more"),  # that it is not may be chance, too
        ([0.5, 0.25, -0.25, 0.0], None, 0.0, "at least 60"),  # for the last position measured
        ([0.5, 0.25, 0.0, -0.25], None, 0.0, "4, not 60"),
    ],
)
def test_how_long_it_stays_good(excess: list[float], reset: int | None, error: float, shown: str) -> None:
    steps, found, meaning = lasting_width(mean(excess, error), 3, reset, MARGIN, "nats", None)
    assert found == shown
    assert steps == {"at least 60": 60, "3, not 60": 3, "4, not 60": 4, "3 or more": None}[shown]
    assert ("unexplored states (Buitrago & Gu 2025); train with the state carried" in meaning) == (
        "not" in shown and reset is not None
    )
    assert ("may be chance" in meaning) == ("or more" in shown)


def test_the_remedy_is_named_with_its_loss_where_it_was_trained() -> None:
    bad, good = mean([0.5, 0.25, -0.25], loss=0.75), mean([0.5, 0.0, 0.0], loss=0.25)
    assert lasting_width(bad, 3, 3, MARGIN, "nats", good)[2] == (
        "after 60 steps without a reset the loss is 0.2500 nats higher than 3 steps after one, a sign of "
        "unexplored states (Buitrago & Gu 2025); train with the state carried, which has 0.2500 there "
        "instead of 0.7500"
    )


def test_a_loss_that_is_not_finite_in_the_end_is_no_good_loss() -> None:
    lost = mean([0.5, 0.25, 0.0])._replace(carried=np.full(3, np.nan), errors=np.full(3, np.nan))
    _, shown, meaning = lasting_width(lost, 3, 3, MARGIN, "nats", None)
    assert shown == "3, not 60"
    assert "without a reset the loss is not finite" in meaning


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, NOT_KEPT),
        (mean([0.5, 0.0]), "the held-out data are too short"),
        (mean([0.5, 0.0, 0.0], steps=5), "the held-out data are too short"),
        (mean([0.5, 0.0, math.nan]), "too few held-out steps have a loss there, or it is not finite"),
    ],
)
def test_why_it_is_not_measured(found: Mean | None, why: str) -> None:
    with pytest.raises(NotMeasuredError, match=f"^{why}$"):
        lasting_width(found, 3, 3, MARGIN, "nats", None)


# All four


def position_record(excess: Sequence[float], loss: float = 0.5) -> dict[str, Any]:
    carried = [loss] * len(excess)
    fresh = [loss + each for each in excess]
    return {"fresh": fresh, "carried": carried, "errors": [0.0] * len(excess), "steps": 60}


def sweep(**looks: Any) -> Sweep:
    """Width 4 with the state carried is the answer; it was looked at like this, by state."""
    comparison = make_comparison()
    runs = [
        made_up_run(width, state, seed, loss={4: 0.25, 1: 0.5}[width] + (state == "reset") / 8)
        for width in (1, 4)
        for state in ("carry", "reset")
        for seed in (0, 1)
    ]
    for run in runs:
        if run["num_steps"] == 4:
            run.update(looks.get(run["state"], {}))
    return Sweep(comparison, comparison.make_task(), made_up_results(None, runs))


def test_all_four_stand_in_the_report_and_in_one_line() -> None:
    found = sweep(
        carry={"by_position": position_record([0.5, 0.25, 0.0, 0.0, 0.0], 0.25), "gradient": GRADIENT},
        reset={"by_position": position_record([0.25, 0.0, 0.0, -0.25, 0.0], 0.75)},
    ).widths
    assert found is not None
    assert found.line == (
        "Steps needed by the loss: 4, by the gradient: 4, by the state: 3; it stays good: at least 60."
    )
    assert [row["name"] for row in found.records] == list(NAMES)
    assert [row["steps"] for row in found.records] == [4, 4, 3, 60]
    assert found.remark.startswith(
        "Trained with the state reset at every block, it stays good: 4, not 60 (after 60 steps "
    )
    assert found.remark.endswith("train with the state carried, which has 0.2500 there instead of 0.7500).")


def test_results_of_an_earlier_version_have_the_answer_alone() -> None:
    found = sweep().widths
    assert found is not None
    assert [row["shown"] for row in found.records] == ["4", *["not measured"] * 3]
    assert {row["meaning"] for row in found.records[1:]} == {NOT_KEPT}
    assert (found.remark, found.gradient) == ("", {})


def test_without_an_answer_there_are_none() -> None:
    comparison = make_comparison()
    nothing = made_up_results(None, [made_up_run(4, loss=9.0)])
    assert Sweep(comparison, comparison.make_task(), nothing).widths is None
