"""Means, spreads and gaps of made-up runs, and which width they speak for."""

from __future__ import annotations

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

from tf_rnn.comparison import RunKey, decide, summarise
from tf_rnn.comparison.verdict import megabytes, rank, signed_loss
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.comparison import Summary

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
    (found,) = summarise(results, [RunKey(4, "carry", 0), RunKey(2, "carry", 0)], TASK)
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


def noise(best: Summary) -> float:
    ranking = rank([best])
    assert ranking is not None
    return ranking.noise


def choice(*summaries: Any) -> tuple[int, str]:
    verdict = decide(list(summaries))
    assert verdict is not None
    return verdict.num_steps, verdict.state


def test_without_noise_the_lowest_loss_wins() -> None:
    verdict = decide([made_up_summary(1, 0.6), made_up_summary(4, 0.5), made_up_summary(8, 0.55)])
    assert verdict is not None
    assert verdict[:4] == (4, "carry", 0.5, 0.0)
    assert verdict.sentence == (
        "Use num_steps 4 with the state carried: held-out loss 0.5000 nats, the lowest of all; a training "
        "step takes 0.5 ms and 2 MB. "
        "Narrower, num_steps 1 is 38% faster per step but 150% slower per token, and 0.1000 nats worse. "
        "Wider, num_steps 8 is 50% slower per step but 25% faster per token, and 0.0500 nats worse."
    )


def test_the_cheapest_within_the_noise_of_the_best_wins() -> None:
    """Noise 1/64: width 4 is just within, width 2 just outside."""
    best = made_up_summary(8, 0.5, runs=4, spread=1 / 32)
    verdict = decide(
        [made_up_summary(2, 0.516), made_up_summary(4, 0.515625), best, made_up_summary(16, 0.5005)]
    )
    assert verdict is not None
    assert verdict[:4] == (4, "carry", 0.515625, 1 / 64)
    assert verdict.sentence == (
        "Use num_steps 4 with the state carried: held-out loss 0.5156 nats, within the noise (0.0156) of the "
        "best, 0.5000 at num_steps 8 with the state carried; a training step takes 0.5 ms and 2 MB. "
        "Narrower, num_steps 2 is 25% faster per step but 50% slower per token, and no different "
        "(+0.0004 nats). Wider, num_steps 8 is 50% slower per step but 25% faster per token, and no "
        "different (-0.0156 nats)."
    )


def test_noise_is_that_of_the_mean_and_of_the_data() -> None:
    best = made_up_summary(8, 0.5, runs=4, spread=2 * 3 / 256, resolution=4 / 256)
    assert noise(best) == 5 / 256
    assert choice(made_up_summary(2, 0.5 + 5 / 256), best) == (2, "carry")
    assert choice(made_up_summary(2, 0.5 + 5.01 / 256), best) == (8, "carry")


def test_a_width_is_not_forgiven_that_its_own_seeds_disagree() -> None:
    erratic = made_up_summary(2, 0.51, spread=0.25, resolution=0.25)
    assert choice(erratic, made_up_summary(8, 0.5, spread=1e-3)) == (8, "carry")


def test_one_seed_has_the_noise_of_the_data_alone() -> None:
    best = made_up_summary(8, 0.5, runs=1, spread=math.nan, resolution=1 / 64)
    assert noise(best) == 1 / 64
    assert choice(made_up_summary(4, 0.515625, runs=1, spread=math.nan), best) == (4, "carry")
    assert choice(made_up_summary(4, 0.515626, runs=1, spread=math.nan), best) == (8, "carry")


def test_cheap_is_what_takes_little_time_not_what_is_narrow() -> None:
    slow = made_up_summary(2, 0.5, cost=made_up_cost(2, step_milliseconds=3.0))
    assert choice(slow, made_up_summary(8, 0.5)) == (8, "carry")


def test_of_equal_times_the_lower_loss_wins() -> None:
    best = made_up_summary(8, 0.5, resolution=0.1)
    carried = made_up_summary(4, 0.53, resolution=0.1)
    reset = made_up_summary(4, 0.52, state="reset", resolution=0.1)
    assert choice(carried, reset, best) == choice(reset, carried, best) == (4, "reset")


def test_states_are_compared_and_neighbours_are_of_the_same() -> None:
    best = made_up_summary(16, 0.5, runs=4, spread=1 / 32)
    summaries = [made_up_summary(2, 0.7), best, made_up_summary(1, 0.9, state="reset")]
    summaries += [
        made_up_summary(4, 0.5078125, state="reset"),
        made_up_summary(8, 0.4375 + 0.25, state="reset"),
    ]
    verdict = decide(summaries)
    assert verdict is not None
    assert verdict[:2] == (4, "reset")
    assert "0.5000 at num_steps 16 with the state carried; " in verdict.sentence
    assert (
        "Narrower, num_steps 1 is 38% faster per step but 150% slower per token, and 0.3922 nats worse. "
        in (verdict.sentence)
    )
    assert "Wider, num_steps 8 is 50% slower per step but 25% faster per token, and 0.1797 nats worse." in (
        verdict.sentence
    )


def test_one_width_has_no_neighbours() -> None:
    verdict = decide([made_up_summary(4, 0.5)])
    assert verdict is not None
    assert verdict.sentence.endswith("the lowest of all; a training step takes 0.5 ms and 2 MB.")


def test_a_cost_that_is_higher_in_both_ways_is_no_contrast() -> None:
    slow = made_up_summary(8, 0.75, cost=made_up_cost(8, step_milliseconds=1.0, tokens_per_second=28_000))
    verdict = decide([made_up_summary(4, 0.5), slow])
    assert verdict is not None
    assert (
        "num_steps 8 is 100% slower per step and 100% slower per token, and 0.2500 nats" in verdict.sentence
    )


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


def test_a_squared_error_that_is_no_different_shows_by_how_much() -> None:
    unit = "squared error"
    best = made_up_summary(8, 1e-6, unit=unit, resolution=1e-6)
    verdict = decide([best, made_up_summary(4, 1.32e-6, unit=unit)])
    assert verdict is not None
    assert "no different (-3.2e-07 squared error)" in verdict.sentence


def test_a_width_that_diverges_at_times_is_not_the_one_to_use() -> None:
    """The runs that did not diverge may well be the best of all."""
    lucky = made_up_summary(8, 0.25, runs=1, diverged=2, spread=math.nan)
    verdict = decide([made_up_summary(4, 0.5), lucky])
    assert verdict is not None
    assert verdict[:3] == (4, "carry", 0.5)
    assert "the lowest among widths none of whose runs diverged; " in verdict.sentence
    assert verdict.sentence.endswith("and 0.2500 nats better (2 of 3 runs diverged).")


def test_where_all_widths_diverge_at_times_the_sentence_says_so() -> None:
    verdict = decide([made_up_summary(4, 0.5, runs=2, diverged=1), made_up_summary(8, math.nan, runs=0)])
    assert verdict is not None
    assert verdict.sentence == (
        "Use num_steps 4 with the state carried: held-out loss 0.5000 nats (1 of 3 runs diverged), "
        "the lowest of all; a training step takes 0.5 ms and 2 MB."
    )


@pytest.mark.parametrize(
    "summaries",
    [
        [],
        [made_up_summary(4, math.nan, runs=0, diverged=3)],
        [made_up_summary(4, 0.5, cost={})],
    ],
)
def test_without_finished_runs_there_is_no_verdict(summaries: list[Any]) -> None:
    assert decide(summaries) is None


@pytest.mark.parametrize(
    ("number", "expected"), [(1_414_656, "1.41 MB"), (26_000_000, "26 MB"), (500, "0.0005 MB")]
)
def test_megabytes(number: float, expected: str) -> None:
    assert megabytes(number) == expected
