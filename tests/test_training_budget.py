"""How much a budget pays for, and when a training run evaluates, reports and ends."""

from __future__ import annotations

import math
import re
import types
from typing import Any
from unittest.mock import Mock

import pytest

from tf_rnn import cells
from tf_rnn.config import OptionError
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Echo
from tf_rnn.training import Budget, Evaluation, Silence, meter, train
from tf_rnn.training.meter import Meter, Update

# 5 blocks an epoch of 3 rows times 4 steps; 2 tokens stay over.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=9)
UPDATES_PER_EPOCH = 5
TOKENS = 3 * 4


def make_graph(**options: Any) -> UnrolledGraph:
    return UnrolledGraph(cells.VanillaCell(6), 4, 3, 2, 2, **({"seed": 7} | options))


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(meter, "time", types.SimpleNamespace(perf_counter=made.perf_counter))
    return made


def evaluator_that_takes(clock: Clock, seconds: float, loss: float = 0.5) -> Any:
    def evaluate(session: Any) -> Evaluation:
        clock.now += seconds
        return Evaluation(loss, 0.0, 9, {})

    return evaluate


@pytest.mark.parametrize(
    ("kind", "amount", "expected"),
    [
        ("epochs", 1, 5),
        ("epochs", 2.5, 12),
        ("epochs", 0.1, 1),
        ("tokens", 12, 1),
        ("tokens", 143, 11),
        ("tokens", 144, 12),
        ("tokens", 1, 1),
        ("updates", 7, 7),
        ("updates", 7.9, 7),
        ("updates", 0.5, 1),
    ],
)
def test_updates_that_a_budget_pays_for(kind: str, amount: float, expected: int) -> None:
    budget = Budget(kind, amount)
    assert budget.updates(tokens_per_update=12, updates_per_epoch=UPDATES_PER_EPOCH) == expected
    assert budget.seconds == math.inf
    options: dict[str, Any] = {kind: amount}
    result = train(make_graph(), TASK, **options, listener=Silence())
    assert (result.updates, result.tokens) == (expected, 12 * expected)


@pytest.mark.parametrize(("epochs", "expected"), [(0.29, 29), (0.57, 57), (1.1, 110), (0.299, 29)])
def test_rounding_of_a_product_costs_no_update(epochs: float, expected: int) -> None:
    assert Budget("epochs", epochs).updates(12, 100) == expected


def test_seconds_pay_for_any_number_of_updates() -> None:
    budget = Budget("seconds", 2.5)
    assert budget.updates(tokens_per_update=12, updates_per_epoch=5) == math.inf
    assert budget.seconds == 2.5


def test_without_a_budget_it_is_one_epoch() -> None:
    assert train(make_graph(), TASK, listener=Silence()).updates == UPDATES_PER_EPOCH


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ({"epochs": 0}, "epochs must be a number above 0, got 0"),
        ({"tokens": -5}, "tokens must be a number above 0, got -5"),
        ({"updates": math.nan}, "updates must be a number above 0, got nan"),
        ({"seconds": math.inf}, "seconds must be a number above 0, got inf"),
        ({"updates": "many"}, "updates must be a number above 0, got 'many'"),
        (
            {"tokens": 100, "epochs": 2},
            "epochs and tokens must not be given together; give one of them",
        ),
        ({"updates": 3, "evaluations": 0}, "evaluations must be a whole number of at least 1, got 0"),
        ({"updates": 3, "evaluations": 1.5}, "evaluations must be a whole number of at least 1, got 1.5"),
    ],
)
def test_what_is_refused(amounts: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        train(make_graph(), TASK, **amounts, listener=Silence())


def test_unknown_kind_is_refused() -> None:
    message = "budget must be one of tokens, updates, seconds, epochs; got 'days'"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Budget("days", 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"updates": 10, "evaluations": 4}, [0, 3, 5, 8, 10]),
        ({"updates": 10, "evaluations": 10}, list(range(11))),
        ({"updates": 9, "evaluations": 1}, [0, 9]),
        ({"updates": 3, "evaluations": 7}, [0, 1, 2, 3]),
        ({"updates": 1, "evaluations": 5}, [0, 1]),
        ({"epochs": 3}, [0, 5, 10, 15]),
        ({"updates": 4}, [0, 4]),
        ({"tokens": 12 * 10}, [0, 5, 10]),
        ({"seconds": 1e-9}, [0, 1]),
        ({"seconds": 1e-9, "evaluations": 6}, [0, 1]),
    ],
)
def test_evaluations_are_spread_evenly(options: dict[str, Any], expected: list[int]) -> None:
    result = train(make_graph(), TASK, **options, listener=Silence())
    assert [point.updates for point in result.curve] == expected
    assert [point.tokens for point in result.curve] == [12 * updates for updates in expected]
    assert result.updates == expected[-1]
    assert result.evaluation.loss == result.curve[-1].valid_loss
    assert math.isnan(result.curve[0].train_loss)
    assert all(math.isfinite(point.train_loss) for point in result.curve[1:])


def test_many_evaluations_fall_on_the_updates_that_they_should() -> None:
    """For each of 100 evaluations of 100 updates one update, whatever the quotients round to."""
    made = Meter(Budget("updates", 100), TOKENS, per_epoch=100, evaluations=100)
    evaluate: Any = Mock(return_value=Evaluation(0.5, 0.0, 9, {}))
    for counted in range(1, 101):
        made.count(Update(1, 0.5, 1.0, None, TOKENS))
        assert made.evaluation_is_due
        made.evaluate(evaluate, None)
        assert not made.evaluation_is_due, f"due again after update {counted}"
    assert made.is_spent


def test_seconds_are_of_training_alone(clock: Clock) -> None:
    made = Meter(Budget("seconds", 10.0), TOKENS, per_epoch=5, evaluations=2)
    evaluate = evaluator_that_takes(clock, 100.0)
    made.evaluate(evaluate, None)
    seen = []
    while not made.is_spent:
        clock.now += 3.0
        made.count(Update(1, 0.5, 1.0, None, TOKENS))
        if made.evaluation_is_due:
            made.evaluate(evaluate, None)
        seen.append((made.seconds, made.fraction))
    assert seen == [(3.0, 0.3), (6.0, 0.6), (9.0, 0.9), (12.0, 1.0)]
    assert [(point.updates, point.seconds) for point in made.curve] == [(0, 0.0), (2, 6.0), (4, 12.0)]


def test_report_tells_pace_and_time_left_without_evaluations(clock: Clock) -> None:
    made = Meter(Budget("updates", 8), TOKENS, per_epoch=5, evaluations=4)
    made.evaluate(evaluator_that_takes(clock, 50.0, loss=0.75), None)
    for loss in (0.5, 0.25):
        clock.now += 3.0
        made.count(Update(2, loss, 1.0, None, TOKENS))
    made.evaluate(evaluator_that_takes(clock, 70.0, loss=0.625), None)
    report = made.report()
    assert report == (2, 2, 0.25, 0.375, 0.625, 2 * 12 / 6.0, 18.0)
    clock.now += 4.0
    made.count(Update(2, 0.125, 1.0, None, TOKENS))
    report = made.report()
    assert report[:-1] == (2, 3, 0.375, 0.125, 0.625, 12 / 4.0)
    assert report.seconds_left == pytest.approx(10.0 * 5 / 3)


def test_report_is_due_after_a_while_and_at_the_end(clock: Clock) -> None:
    made = Meter(Budget("updates", 3), TOKENS, per_epoch=5, evaluations=1)
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    due = []
    for passed in (0.0625, 0.0625, 0.0):
        clock.now += passed + 1e-3
        made.count(Update(1, 0.5, 1.0, None, TOKENS))
        due.append(made.report_is_due)
        if made.report_is_due:
            made.report()
    assert due == [False, True, True]


def test_curve_has_the_mean_training_loss_since_the_point_before(clock: Clock) -> None:
    made = Meter(Budget("updates", 5), TOKENS, per_epoch=5, evaluations=2)
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    for loss in (1.0, 0.5, 0.75, 0.25, 0.125):
        made.count(Update(1, loss, 1.0, None, TOKENS))
        if made.evaluation_is_due:
            made.evaluate(evaluator_that_takes(clock, 0.0), None)
    assert [point.train_loss for point in made.curve[1:]] == [0.75, 0.1875]
