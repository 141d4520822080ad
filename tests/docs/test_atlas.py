"""The atlas of widths: its rules and scores on made-up sweeps, and its stored report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparison_helpers import made_up_cost, made_up_curve

from benchmarks.atlas import series, texts
from benchmarks.atlas.replay import Sweep, settings
from benchmarks.atlas.report import write_report
from benchmarks.atlas.rules import RULES, rung
from benchmarks.atlas.score import Outcome, Scored
from benchmarks.atlas.store import (
    COST_COLUMNS,
    FOLDER,
    RUN_COLUMNS,
    Known,
    cost_rows,
    read,
    restored,
    run_rows,
    write,
)
from benchmarks.atlas.tasks import LADDER, SCORING, TASKS, TUNING
from tf_rnn.comparison.results import Results
from tf_rnn.files import is_there

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = TASKS["echo 2"]
EXPERIMENT = ENTRY.experiment(FOLDER)
COMPARISON = settings(ENTRY, EXPERIMENT)
# Width 5 is the best and 3 nearly so; the wider, the worse; the steps of 3 take least time.
LOSSES = {
    1: 0.75, 2: 0.625, 3: 0.5078125, 5: 0.5, 8: 0.53125, 12: 0.5625, 20: 0.59375, 35: 0.625,
    50: 0.65625, 70: 0.6875
}  # fmt: skip
SECONDS: dict[int, float] = {1: 80, 2: 16, 3: 2, 5: 4, 8: 4, 12: 8, 20: 8, 35: 8, 50: 8, 70: 16}


def made_up_results(losses: dict[int, float] = LOSSES, seconds: dict[int, float] = SECONDS) -> Results:
    """Runs of three seeds that agree; a constant prediction has 1 nat."""
    results = Results(None, COMPARISON.identity(EXPERIMENT.task))
    tokens = 1 << 20
    costs = [made_up_cost(width) | {"tokens_per_second": tokens / seconds[width]} for width in LADDER]
    results.add_costs(costs)
    for key in COMPARISON.keys:
        curve = [
            point | {"tokens": point["updates"] / 96 * tokens}
            for point in made_up_curve(losses[key.num_steps], 0.0)
            if point["updates"]
        ]
        end: dict[str, Any] = {
            "loss": losses[key.num_steps],
            "error": None,
            "standard_error": 0.0,
            "dependency_scores": {},
        }
        results.add_run(key._asdict() | curve[-1] | end | {"curve": curve})
    return results


def made_up_sweep(**losses: Any) -> Sweep:
    return Sweep(ENTRY, EXPERIMENT, Known(1.0, 3.2, 0), made_up_results(**losses))


def test_every_task_has_one_part_and_the_parts_are_large_enough() -> None:
    parts = [entry.part for entry in TASKS.values()]
    assert (set(parts), parts.count(SCORING), parts.count(TUNING)) == ({SCORING, TUNING}, 20, 10)
    assert len(LADDER) == 10


def test_regret_rungs_time_and_memory() -> None:
    """The scale is 0.5, the larger of the best loss and its distance from knowing nothing."""
    scored = Scored(made_up_sweep())
    assert (scored.best.num_steps, scored.cheapest.num_steps) == (5, 3)
    memory = made_up_cost(12)["graph_bytes"] / made_up_cost(3)["graph_bytes"]
    assert scored.outcome(12) == Outcome(
        12, regret=0.125, rungs=3, rungs_from_fastest=3, time=4.0, memory=memory
    )
    assert scored.outcome(3).regret == 1 / 64


def test_a_tie_goes_to_the_narrowest_though_a_wider_one_is_faster() -> None:
    scored = Scored(made_up_sweep(seconds=SECONDS | {5: 1.875}))
    outcome = scored.outcome(12)
    assert (scored.cheapest.num_steps, scored.fastest.num_steps) == (3, 5)
    assert (outcome.rungs, outcome.rungs_from_fastest) == (3, 2)


def test_race_and_comparison_name_the_cheapest_of_the_equal() -> None:
    """A race over what was trained already trains nothing and decides as the comparison does."""
    close = LOSSES | {3: 0.5009765625}
    scored = Scored(made_up_sweep(losses=close))
    assert (scored.evidence.compared, scored.evidence.raced.named) == (3, 3)
    assert scored.evidence.raced.share < 0.5


def test_each_rule_on_a_task_that_is_no_series() -> None:
    outcomes = Scored(made_up_sweep()).by_rule()
    named = {name: outcome.width if outcome else None for name, outcome in outcomes.items()}
    assert named == {
        "1": 1,
        "35 (language models)": 35,
        "50 (char-rnn)": 50,
        "70 (language models)": 70,
        "the horizon": None,
        "3 x horizon": None,
        "max(10, 2 x horizon)": None,
        "twice the longest lag": 5,  # 4 is nearer to 5 than to 3, by ratio
        "partial autocorrelation": None,
        "half-life of the gradient": 3,
        "90 % of the gradient": 70,  # not reached within the widest
        "recommend": 5,
        "compare": 5,
    }
    assert list(named) == list(RULES)


@pytest.mark.parametrize(("width", "nearest"), [(0.5, 1), (4, 5), (3.8, 3), (6, 5), (42, 50), (500, 70)])
def test_the_nearest_rung_by_ratio(width: float, nearest: int) -> None:
    assert rung(width) == nearest


def test_sweeps_come_back_from_their_tables(tmp_path: Path) -> None:
    """A diverged run, too; scores are not kept, and numbers have six digits."""
    results = made_up_results()
    lost = next(iter(results.runs))
    results.runs[lost] = lost._asdict() | {"loss": None, "error": "diverged"}
    write("runs.csv", RUN_COLUMNS, run_rows("echo 2", results), tmp_path)
    write("costs.csv", COST_COLUMNS, cost_rows("echo 2", results), tmp_path)
    runs, costs = read("runs.csv", tmp_path), read("costs.csv", tmp_path)
    found = restored(runs["echo 2"], costs["echo 2"], results.identity)
    assert found.costs == {width: pytest.approx(cost, rel=1e-5) for width, cost in results.costs.items()}
    assert list(found.runs) == sorted(results.runs)
    assert found.runs[lost]["loss"] is None
    for key, run in results.runs.items():
        if key != lost:
            curve = [
                {name: point[name] for name in ("updates", "seconds", "train_loss", "valid_loss")}
                for point in run["curve"]
            ]
            kept = [{name: p[name] for name in curve[0]} for p in found.runs[key]["curve"]]
            assert kept == [pytest.approx(point, rel=1e-5) for point in curve]


SERIES = "autoregressive seasonal moving_average daily hourly weekly henon mackey_glass"


@pytest.mark.parametrize("name", SERIES.split())
def test_series_are_standard_and_the_same_every_time(name: str) -> None:
    values = getattr(series, name)()
    np.testing.assert_allclose([values.mean(), values.var(), len(values)], [0, 1, series.LENGTH], atol=1e-9)
    np.testing.assert_array_equal(values, getattr(series, name)())


@pytest.mark.parametrize(("name", "lags", "weights"), [("autoregressive", (1, 2), (1.4, -0.8)),
                                                       ("seasonal", (1, 12), (0.3, 0.65))])  # fmt: skip
def test_autoregressive_weights_are_found_by_least_squares(
    name: str, lags: tuple[int, ...], weights: tuple[float, ...]
) -> None:
    values = getattr(series, name)()
    longest = max(lags)
    past = np.stack([values[longest - lag : len(values) - lag] for lag in lags], axis=1)
    found = np.linalg.lstsq(past, values[longest:], rcond=None)[0]
    np.testing.assert_allclose(found, weights, atol=0.02)  # standard errors are below 0.007


def test_german_numbers() -> None:
    words = {
        1: "eins", 12: "zwölf", 16: "sechzehn", 17: "siebzehn", 20: "zwanzig", 21: "einundzwanzig",
        30: "dreißig", 77: "siebenundsiebzig", 100: "einhundert", 101: "einhunderteins",
        999: "neunhundertneunundneunzig",
    }  # fmt: skip
    assert {value: texts.number(value) for value in words} == words


@pytest.mark.slow
def test_the_stored_report_is_made_from_the_stored_tables(tmp_path: Path) -> None:
    for name in ("runs.csv", "costs.csv", "tasks.csv", "claims.csv"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    write_report(tmp_path, tmp_path)
    assert (tmp_path / "report.md").read_text() == (FOLDER / "report.md").read_text()
    assert is_there(tmp_path, "rules.png")
