"""Means, spreads, gaps and prices of made-up runs, and how they are written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from comparison_helpers import (
    TASK_OPTIONS,
    diverged_run,
    made_up_cost,
    made_up_results,
    made_up_run,
    made_up_summary,
)

from tf_rnn.comparison import RunKey, summarise
from tf_rnn.comparison.sentences import duration, megabytes, signed_loss
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from pathlib import Path

TASK = Echo(**TASK_OPTIONS)


def test_a_summary_of_runs(tmp_path: Path) -> None:
    runs = [
        made_up_run(4, seed=0, loss=0.5, updates=50, dependency_scores={"2": 1.0, "5": 0.0}),
        made_up_run(4, seed=1, loss=0.75, updates=54, dependency_scores={"2": 0.5, "5": 0.25}),
        made_up_run(4, seed=2, loss=1.0, updates=52, dependency_scores={"2": 0.75, "5": -0.25}),
    ]
    results = made_up_results(tmp_path, runs)
    (found,) = summarise(results, list(results.runs), TASK)
    assert (found.num_steps, found.state, found.runs, found.diverged) == (4, "carry", 3, 0)
    assert (found.loss, found.spread, found.updates) == (0.75, 0.25, 52)
    assert found.resolution == 0.0078125
    assert found.dependency_scores == {2: 0.75, 5: 0.0}
    assert found.reach == {2: 0.5, 5: 0.0}
    assert found.gap_to_optimum == 0.75 - TASK.optimum()
    assert found.gap_to_floor is None
    assert found.cost == made_up_cost(4)
    assert (found.learning_rate, found.losses) == (0.1, {0: 0.5, 1: 0.75, 2: 1.0})
    assert found.curves == [run["curve"] for run in runs]
    assert found.spread_error == 0.25 / math.sqrt(3)


def test_the_floor_is_for_a_reset_state(tmp_path: Path) -> None:
    results = made_up_results(tmp_path, [made_up_run(4, "reset", loss=0.625)])
    (found,) = summarise(results, list(results.runs), TASK)
    assert found.gap_to_floor == 0.625 - TASK.floor(4)
    assert found.gap_to_optimum == 0.625 - TASK.optimum()


def test_one_run_has_no_spread(tmp_path: Path) -> None:
    results = made_up_results(tmp_path, [made_up_run(4)])
    (found,) = summarise(results, list(results.runs), TASK)
    assert math.isnan(found.spread)
    assert found.spread_error == 0


def test_diverged_runs_are_counted_apart(tmp_path: Path) -> None:
    runs = [made_up_run(4, seed=0, loss=0.5), diverged_run(4, seed=1), diverged_run(9)]
    results = made_up_results(tmp_path, runs)
    some, all_of_them = summarise(results, list(results.runs), TASK)
    assert (some.runs, some.diverged, some.loss) == (1, 1, 0.5)
    assert (all_of_them.runs, all_of_them.diverged) == (0, 1)
    assert math.isnan(all_of_them.loss)
    assert math.isnan(all_of_them.updates)
    assert math.isnan(all_of_them.dependency_scores[2])
    assert all_of_them.gap_to_optimum is None


def test_only_the_keys_that_are_asked_for_count(tmp_path: Path) -> None:
    runs = [made_up_run(4, seed=0, loss=0.5), made_up_run(4, seed=1, loss=9.0), made_up_run(1, "reset")]
    results = made_up_results(tmp_path, runs)
    (found,) = summarise(results, [RunKey(4, "carry", 0, 0.1), RunKey(2, "carry", 0, 0.1)], TASK)
    assert (found.num_steps, found.runs, found.loss) == (4, 1, 0.5)


def test_order_is_by_state_and_width(tmp_path: Path) -> None:
    runs = [made_up_run(width, state) for width in (10, 9, 1) for state in ("reset", "carry")]
    results = made_up_results(tmp_path, runs)
    found = [(one.state, one.num_steps) for one in summarise(results, list(results.runs), TASK)]
    assert found == [(state, width) for state in ("carry", "reset") for width in (1, 9, 10)]


def test_scores_that_a_run_lacks_are_not_known(tmp_path: Path) -> None:
    results = made_up_results(tmp_path, [made_up_run(4, dependency_scores={"2": 0.5})])
    (found,) = summarise(results, list(results.runs), TASK)
    assert found.dependency_scores[2] == 0.5
    assert math.isnan(found.dependency_scores[5])


def test_of_several_learning_rates_the_best_of_each_width_counts(tmp_path: Path) -> None:
    """A rate of which runs diverged or failed is worse than any other."""
    runs = [
        made_up_run(width, "carry", 0, rate, loss=0.5 + width * rate / 8)
        for width in (1, 4)
        for rate in (1, 2)
    ]
    runs += [made_up_run(4, "carry", 1, 2, loss=0.25), diverged_run(1, "carry", 1, 1)]
    results = made_up_results(tmp_path, runs)
    results.add_failure(RunKey(9, "carry", 0, 1), "it died")
    keys = [*results.runs, RunKey(9, "carry", 0, 1), RunKey(9, "carry", 1, 2)]
    one, four, nine = summarise(results, keys, TASK)
    assert (one.learning_rate, one.losses) == (2, {0: 0.75})
    assert (four.learning_rate, four.losses, four.loss) == (2, {0: 1.5, 1: 0.25}, 0.875)
    assert (nine.learning_rate, nine.failed, nine.steady) == (1, 1, False)


def test_a_part_of_the_budget_has_the_price_of_the_whole(tmp_path: Path) -> None:
    run = made_up_run(4, updates=64, tokens=28 * 64)
    whole, half = (
        summarise(made_up_results(tmp_path, [run]), [RunKey(4, "carry", 0, 0.1)], TASK, fraction)[0]
        for fraction in (1.0, 0.5)
    )
    assert (half.fraction, half.updates, half.tokens) == (0.5, 32, 28 * 32)
    assert half.seconds == whole.seconds == 28 * 64 / made_up_cost(4)["tokens_per_second"]
    assert half.curves == [[point for point in run["curve"] if point["updates"] <= 33]]
    assert math.isnan(made_up_summary(4, 0.5, cost={}).seconds)


@pytest.mark.parametrize(
    ("difference", "unit", "shown"),
    [
        (0.00036, "nats", "+0.0004"),
        (-0.0156, "nats", "-0.0156"),
        (3.2e-7, "squared error", "+3.2e-07"),
        (-3.2e-7, "squared error", "-3.2e-07"),
        (0.0, "squared error", "+0.0000"),
    ],
)
def test_small_differences_keep_their_digits(difference: float, unit: str, shown: str) -> None:
    assert signed_loss(difference, unit) == shown


@pytest.mark.parametrize(
    ("number", "expected"), [(1_414_656, "1.41 MB"), (26_000_000, "26 MB"), (500, "0.0005 MB")]
)
def test_megabytes(number: float, expected: str) -> None:
    assert megabytes(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.04127, "0.0413 s"), (12.34, "12.3 s"), (599.0, "599 s"), (4500.0, "75 min")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
