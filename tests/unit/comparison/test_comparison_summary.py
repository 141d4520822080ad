"""Means, spreads, gaps and prices of made-up runs, and how they are written."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

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
from tf_rnn.comparison.reach import share_of_errors
from tf_rnn.comparison.sentences import duration, megabytes, signed_loss
from tf_rnn.comparison.slopes import SLOPED, cost_slopes, slope_sentence
from tf_rnn.tasks import Adding, Echo, Influence, Memory

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.comparison import Summary

TASK = Echo(**TASK_OPTIONS)


def summary_of(folder: Path, runs: list[dict[str, Any]], keys: list[RunKey] | None = None) -> list[Summary]:
    """The summaries of runs, all of them or those that are asked for."""
    results = made_up_results(folder, runs)
    return summarise(results, keys or list(results.runs), TASK)


def test_a_summary_of_runs(tmp_path: Path) -> None:
    given = [(0.5, 50, 1.0, 0.0), (0.75, 54, 0.5, 0.25), (1.0, 52, 0.75, -0.25)]
    runs = [
        made_up_run(4, seed=seed, loss=loss, updates=updates, dependency_scores={"2": short, "5": long})
        for seed, (loss, updates, short, long) in enumerate(given)
    ]
    (found,) = summary_of(tmp_path, runs)
    assert (found.num_steps, found.state, found.runs, found.diverged) == (4, "carry", 3, 0)
    assert (found.loss, found.spread, found.updates) == (0.75, 0.25, 52)
    assert (found.resolution, found.spread_error) == (0.0078125, 0.25 / math.sqrt(3))
    assert (found.dependency_scores, found.reach) == ({2: 0.75, 5: 0.0}, {2: 0.5, 5: 0.0})
    assert (found.gap_to_optimum, found.gap_to_floor) == (0.75 - TASK.optimum(), None)
    assert (found.cost, found.curves) == (made_up_cost(4), [run["curve"] for run in runs])
    assert (found.learning_rate, found.losses) == (0.1, {0: 0.5, 1: 0.75, 2: 1.0})


def test_runs_that_got_worse_say_when_they_were_best(tmp_path: Path) -> None:
    """One after half of its training, the other after a quarter; both had half of the budget."""
    runs = []
    for seed, losses in enumerate([(0.75, 0.5, 0.625), (0.25, 0.5, 0.875)]):
        updates = (16, 32, 64)
        curve = [{"updates": u, "valid_loss": x} for u, x in zip(updates, losses, strict=True)]
        runs.append(made_up_run(4, seed=seed, loss=min(losses), updates=64, curve=curve))
    (found,) = summary_of(tmp_path, runs)
    assert (found.loss, found.last_loss, found.best_at) == (0.375, 0.75, 0.375)
    assert dataclasses.replace(found, fraction=0.5).best_at == 0.1875


def test_the_floor_is_for_a_reset_state_and_one_run_has_no_spread(tmp_path: Path) -> None:
    (found,) = summary_of(tmp_path, [made_up_run(4, "reset", loss=0.625, dependency_scores={"2": 0.5})])
    assert found.gap_to_floor == 0.625 - TASK.floor(4)
    assert found.gap_to_optimum == 0.625 - TASK.optimum()
    assert math.isnan(found.spread)
    assert found.spread_error == 0
    assert found.dependency_scores[2] == 0.5
    assert math.isnan(found.dependency_scores[5]), "a score that a run lacks is not known"


def test_diverged_runs_are_counted_apart(tmp_path: Path) -> None:
    runs = [made_up_run(4, seed=0, loss=0.5), diverged_run(4, seed=1), diverged_run(9)]
    some, all_of_them = summary_of(tmp_path, runs)
    assert (some.runs, some.diverged, some.loss) == (1, 1, 0.5)
    assert (all_of_them.runs, all_of_them.diverged, all_of_them.gap_to_optimum) == (0, 1, None)
    unknown = (all_of_them.loss, all_of_them.updates, all_of_them.dependency_scores[2])
    assert all(map(math.isnan, unknown)), unknown


def test_only_the_keys_that_are_asked_for_count(tmp_path: Path) -> None:
    runs = [made_up_run(4, seed=0, loss=0.5), made_up_run(4, seed=1, loss=9.0), made_up_run(1, "reset")]
    (found,) = summary_of(tmp_path, runs, [RunKey(4, "carry", 0, 0.1), RunKey(2, "carry", 0, 0.1)])
    assert (found.num_steps, found.runs, found.loss) == (4, 1, 0.5)


def test_order_is_by_state_and_width(tmp_path: Path) -> None:
    runs = [made_up_run(width, state) for width in (10, 9, 1) for state in ("reset", "carry")]
    found = [(one.state, one.num_steps) for one in summary_of(tmp_path, runs)]
    assert found == [(state, width) for state in ("carry", "reset") for width in (1, 9, 10)]


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
    ("words", "expected"),
    [
        (signed_loss(0.00036, "nats"), "+0.0004"),
        (signed_loss(-0.0156, "nats"), "-0.0156"),
        (signed_loss(3.2e-7, "squared error"), "+3.2e-07"),  # small differences keep their digits
        (signed_loss(-3.2e-7, "squared error"), "-3.2e-07"),
        (signed_loss(0.0, "squared error"), "+0.0000"),
        (" ".join(map(megabytes, (1_414_656, 26_000_000, 500))), "1.41 MB 26 MB 0.0005 MB"),
        (" ".join(map(duration, (0.04127, 12.34, 599.0, 4500.0))), "0.0413 s 12.3 s 599 s 75 min"),
    ],
)
def test_numbers_in_words(words: str, expected: str) -> None:
    assert words == expected


# --- what one further step of width costs --------------------------------------------------------


def cost(width: int) -> dict[str, Any]:
    return {
        "num_steps": width,
        "step_milliseconds": 0.5 + 0.25 * width,
        "build_seconds": 0.1 + 0.003 * width,
        "first_run_seconds": 0.05,
        "graph_bytes": 1000 + 2_000_000 * width,
        "operations": 7 * width,
    }


def test_slopes_of_exact_lines() -> None:
    found = cost_slopes([cost(width) for width in (1, 4, 9)])
    assert found == pytest.approx(dict(zip(SLOPED, (0.25, 0.003, 0.0, 2e6, 7.0), strict=True)), abs=1e-9)
    assert slope_sentence(found).startswith(
        "Each additional step of width adds 0.25 ms and 2 MB to a training step, 3 ms to building the graph "
    )
    assert (cost_slopes([cost(3)]), slope_sentence({})) == ({}, ""), "one width has no slope"


# --- which share of the errors flows back how far ------------------------------------------------

ECHO = Echo(length=50, valid_length=50)  # lags 3 and 8


@pytest.mark.parametrize(
    ("identity", "width", "shares"),
    [
        ({}, 3, {3: 0.0, 8: 0.0}),
        ({"style": "block", "stride": 1}, 4, {3: 1 / 4, 8: 0.0}),
        ({"style": "block", "stride": 1}, 10, {3: 7 / 10, 8: 2 / 10}),
        # Of 10 steps the newest 1, 4 and 10: at 9, from 6 on, and all.
        ({"style": "sliding", "stride": 1}, 10, {3: 1.0, 8: 1.0}),
        ({"style": "sliding", "stride": 4}, 10, {3: 1.0, 8: 2 / 4}),
        ({"style": "sliding", "stride": 10}, 10, {3: 7 / 10, 8: 2 / 10}),
        ({"style": "random", "stride": 1}, 10, {3: None, 8: None}),
        ({"style": "adaptive", "stride": 1}, 10, {3: None, 8: None}),
        ({"style": "full", "stride": 1}, 10, {3: None, 8: None}),
    ],
)
def test_share_of_errors(identity: dict[str, Any], width: int, shares: dict[int, float | None]) -> None:
    assert share_of_errors(ECHO, identity, width) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("width", "share"),
    [
        (5, 1.0),  # an example a block: its end is 4 steps behind the start
        (10, 1.0),  # two: at 4 and at 9
        (4, 0.0),
        # Ends at 4, 9, 14, 19, 24, 29 of blocks of 6: at 4, 3, 2, 1, 0, 5.
        (6, 2 / 6),
    ],
)
def test_where_only_the_ends_of_examples_count(width: int, share: float) -> None:
    task = Memory(lag=4, length=5, valid_length=5 * 60)
    assert share_of_errors(task, {}, width) == pytest.approx({4: share})


def test_tasks_without_known_lags_have_none() -> None:
    assert share_of_errors(Adding(3, length=3, valid_length=3), {}, 5) == {}
    assert share_of_errors(Influence(), {}, 5) == {}
