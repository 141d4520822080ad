"""How many runs a comparison has still to train, and how long they take: by hand, from made-up costs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from command_helpers import Here
from comparison_helpers import TASK_OPTIONS, made_up_cost, made_up_results, made_up_run, make_comparison

from tf_rnn.comparison import Plan, Workers
from tf_rnn.comparison.plan import START_SECONDS, VERIFIED, clock, plan_of, run_seconds
from tf_rnn.tasks import Echo

TASK = Echo(**TASK_OPTIONS)  # 600 tokens to train on, 90 held out
ROWS = 7


def workers(count: int, cores: int | None = None) -> Workers:
    return Workers(Here(), None, lambda: count, (), cores)


def planned(count: int = 2, cores: int | None = None, **options: Any) -> Plan:
    """Of widths 1 and 4, both states, two seeds; one run is finished."""
    results = made_up_results(None, [made_up_run(4, "reset")])
    results.add_costs([made_up_cost(1)])
    return plan_of(make_comparison(), TASK, results, workers(count, cores), **options)


def time_of(num_steps: int, tokens: float) -> float:
    """Two graphs built and started, the tokens, and eight evaluations."""
    speed = float(made_up_cost(num_steps)["tokens_per_second"])
    return 2 * (0.03125 + 0.0078125) + (tokens + 8 * 90) / speed


def test_the_runs_that_are_missing_and_what_each_takes() -> None:
    found = planned()
    wanted = [(1, "carry", 2, 0.5e6), (1, "reset", 2, 0.5e6), (4, "carry", 2, 2e6), (4, "reset", 1, 2e6)]
    rows = [(each["num_steps"], each["state"], each["runs"], each["graph_bytes"]) for each in found.records]
    assert rows == wanted
    for each in found.records:
        expected = pytest.approx(time_of(each["num_steps"], 1500), rel=1e-12)
        assert each["seconds"] == expected, f"width {each['num_steps']}: {each['seconds']}, not {expected}"
    assert (found.runs, found.finished, found.workers) == (7, 1, 2)


@pytest.mark.parametrize(
    ("count", "cores", "speed"), [(1, None, 1), (2, None, 2), (2, 8, 2), (8, 2, 2), (3, 1, 1)]
)
def test_workers_share_the_runs_and_more_than_the_cores_are_no_faster(
    count: int, cores: int | None, speed: int
) -> None:
    found = planned(count, cores)
    expected = START_SECONDS + (4 * time_of(1, 1500) + 3 * time_of(4, 1500)) / speed
    assert found.seconds == pytest.approx(expected, rel=1e-12), f"{found.seconds}, not {expected}"
    assert found.workers == count


def test_all_take_as_long_as_the_longest() -> None:
    assert planned(100).seconds == pytest.approx(START_SECONDS + time_of(1, 1500), rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({"budget": "tokens", "amount": 1500}, 1500),
        ({"budget": "tokens", "amount": 2}, ROWS * 4),  # one update, at least
        ({"budget": "updates", "amount": 9}, 9 * ROWS * 4),
        ({"budget": "updates", "amount": 9, "style": "sliding", "stride": 3}, 9 * ROWS * 3),
        ({"budget": "updates", "amount": 2, "style": "full", "num_steps": (4,)}, 2 * ROWS * (600 // ROWS)),
        ({"budget": "epochs", "amount": 2.5}, 2.5 * ROWS * (600 // ROWS)),
    ],
)
def test_a_budget_in_each_unit(changes: dict[str, Any], tokens: float) -> None:
    found = run_seconds(make_comparison(**changes), TASK, made_up_cost(4))
    expected = time_of(4, tokens)
    assert found == pytest.approx(expected, rel=1e-12), f"{found}, not {expected}"


def test_a_budget_in_seconds_is_as_long_as_it_says() -> None:
    found = run_seconds(make_comparison(budget="seconds", amount=5), TASK, made_up_cost(4))
    assert found == pytest.approx(5 + time_of(4, 0), rel=1e-12)


def test_the_sentence() -> None:
    found = dataclasses.replace(planned(), seconds=70.4)
    assert found.sentence == "7 runs, about 1 min 10 s with 2 workers"
    race = dataclasses.replace(found, is_race=True, workers=1)
    longest = "a race of 7 runs, at most 1 min 10 s with 1 worker, unless wider widths join; "
    assert race.sentence == f"{longest}most are stopped much earlier"
    verified = dataclasses.replace(race, verifies=True)
    assert verified.sentence == f"{longest}all are then trained to the end"
    assert planned(verify=True).seconds == VERIFIED * planned().seconds
    none = dataclasses.replace(found, records=[], finished=8, seconds=0.0)
    assert none.sentence == "nothing to train: all 8 runs are finished"


def test_the_table() -> None:
    table = planned().table()
    assert [name.replace("\n", " ") for name in table.header] == [
        *("width", "state", "runs", "time of a run", "memory")
    ]
    assert table.rows[2] == ["4", "carry", "2", f"{time_of(4, 1500):.3g} s", "2 MB"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.0, "1 s"), (7.6, "8 s"), (59.6, "1 min 0 s"), (70.4, "1 min 10 s"), (3599.4, "59 min 59 s")),
        *((3599.6, "1 h 0 min"), (7500.0, "2 h 5 min"), (4e6, "1,111 h 7 min")),
    ],
)
def test_times_to_plan_with(seconds: float, text: str) -> None:
    assert clock(seconds) == text, f"{clock(seconds)}, not {text}"
