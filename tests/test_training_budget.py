"""How much a budget pays for, and when a training run evaluates, reports and ends."""

from __future__ import annotations

import math
import re
import types
from typing import Any
from unittest.mock import Mock

import pytest

from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo
from tf_rnn.training import Budget, CurvePoint, Evaluation, Silence, Truncation, Update, meter, train
from tf_rnn.training.meter import Meter
from tf_rnn.training.progress import Progress
from tf_rnn.training.record import Average, Record

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


def constant_evaluator(loss: float) -> Any:
    return Mock(return_value=Evaluation(loss, 0.0, 9, {}))


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
    assert made.report(0.25) == Progress(
        epoch=1,
        epochs=2,
        step=2,
        steps=5,
        updates=2,
        fraction=0.25,
        loss=0.375,
        unit="nats",
        gradient_norm=1.0,
        learning_rate=0.25,
        valid_loss=0.625,
        tokens_per_second=2 * 12 / 6.0,
        seconds_left=18.0,
    )
    clock.now += 4.0
    made.count(Update(1, 0.125, 3.5, None, TOKENS))
    report = made.report(0.125)
    assert (report.updates, report.fraction, report.loss) == (3, 0.375, 0.125)
    assert (report.gradient_norm, report.learning_rate, report.valid_loss) == (3.5, 0.125, 0.625)
    assert report.tokens_per_second == 12 / 4.0
    assert report.seconds_left == pytest.approx(10.0 * 5 / 3)


@pytest.mark.parametrize(
    ("budget", "epochs"),
    [
        (Budget("epochs", 3), 3),
        (Budget("epochs", 2.5), 3),
        (Budget("updates", 5), 1),
        (Budget("updates", 6), 2),
        (Budget("tokens", 12 * 11), 3),
        (Budget("seconds", 3600.0), None),
    ],
)
def test_report_tells_how_many_epochs_there_will_be(budget: Budget, epochs: int | None) -> None:
    made = Meter(budget, TOKENS, per_epoch=5, evaluations=None, unit="squared error")
    made.evaluate(constant_evaluator(0.5), None)
    made.count(Update(1, 0.5, 1.0, None, TOKENS))
    report = made.report(0.1)
    assert (report.epochs, report.unit) == (epochs, "squared error")


@pytest.mark.parametrize(
    ("budget", "epochs"),
    [
        (Budget("updates", 100), 2 + 2),  # 66 are left, of which an epoch has 59
        (Budget("updates", 93), 2 + 1),
        (Budget("tokens", 5000), 2 + 2),  # 4320 are left, 59 * 40 an epoch
        (Budget("epochs", 5), 5),
    ],
)
def test_epochs_that_had_another_number_of_updates_count_as_one_each(budget: Budget, epochs: int) -> None:
    """A run is gone on with after 2 epochs of 17 updates, with other rows."""
    record = Record(updates=34, tokens=680, epochs=2)
    made = Meter(budget, 40, per_epoch=59, evaluations=None, record=record)
    made.evaluate(constant_evaluator(0.5), None)
    made.count(Update(3, 0.5, 1.0, None, 40))
    report = made.report(0.1)
    assert (report.epoch, report.epochs) == (3, epochs)


def test_report_counts_steps_in_the_epoch(clock: Clock) -> None:
    """At its end an epoch is not yet the next one."""
    made = Meter(Budget("epochs", 2), TOKENS, per_epoch=3, evaluations=None)
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    seen = []
    for _ in range(2):
        for _ in range(3):
            made.count(Update(1, 0.5, 1.0, None, TOKENS))
            seen.append(made.report(0.1)[:5])
        made.end_epoch()
        seen.append(made.report(0.1)[:5])
    expected = [(1, 2, k, 3, k) for k in (1, 2, 3, 3)] + [(2, 2, k, 3, 3 + k) for k in (1, 2, 3, 3)]
    assert seen == expected


def test_what_was_done_before_counts_but_its_time_is_not_waited_for(clock: Clock) -> None:
    """The pace is that of this call, the budget that of the whole run."""
    start = CurvePoint(0, 0, 0.0, math.nan, 0.75, 0)
    before = Record(4, 48, 0, 4, 48, 100.0, 2.5, Average(3.0, 4), [start])
    made = Meter(Budget("updates", 10), TOKENS, per_epoch=5, evaluations=5, record=before)
    assert (made.seconds, made.fraction, made.is_spent) == (100.0, 0.4, False)
    assert (made.evaluation_is_due, made.has_news, made.is_evaluated) == (False, False, False)
    clock.now += 2.0
    made.count(Update(1, 0.5, 1.5, None, TOKENS))
    due = [made.evaluation_is_due]
    report = made.report(0.1)
    assert (report.step, report.updates, report.fraction) == (5, 5, 0.5)
    assert report.tokens_per_second == 12 / 2.0
    assert report.seconds_left == pytest.approx(10.0)
    made.end_epoch()
    made.count(Update(2, 1.0, 1.5, None, TOKENS))
    assert [*due, made.evaluation_is_due] == [False, True]
    made.evaluate(evaluator_that_takes(clock, 7.0), None)
    assert made.curve == [start, CurvePoint(6, 72, 102.0, 4.5 / 6, 0.5, 2)]
    assert made.record.largest_norm == 2.5


def test_report_is_due_after_a_while_and_at_the_end(clock: Clock) -> None:
    made = Meter(Budget("updates", 3), TOKENS, per_epoch=5, evaluations=1)
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    due, news = [], []
    for passed in (0.0625, 0.0625, 0.0):
        clock.now += passed + 1e-3
        made.count(Update(1, 0.5, 1.0, None, TOKENS))
        due.append(made.report_is_due)
        assert made.has_news
        if made.report_is_due:
            made.report(0.1)
        news.append(made.has_news)
    assert due == [False, True, True]
    assert news == [True, False, False]


def test_curve_has_the_mean_training_loss_since_the_point_before(clock: Clock) -> None:
    made = Meter(Budget("updates", 5), TOKENS, per_epoch=5, evaluations=2)
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    for loss in (1.0, 0.5, 0.75, 0.25, 0.125):
        made.count(Update(1, loss, 1.0, None, TOKENS))
        if made.evaluation_is_due:
            made.evaluate(evaluator_that_takes(clock, 0.0), None)
    assert [point.train_loss for point in made.curve[1:]] == [0.75, 0.1875]


def test_an_evaluation_out_of_turn_leaves_no_trace_in_the_record(clock: Clock) -> None:
    """A longer run would not have it: its next point has the mean of all since the one before."""
    made = Meter(Budget("updates", 4), TOKENS, per_epoch=5, evaluations=2)
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    made.count(Update(1, 1.0, 1.0, None, TOKENS))
    made.evaluate_out_of_turn(evaluator_that_takes(clock, 0.0, loss=0.25), None)
    assert [point.updates for point in made.curve] == [0, 1]
    assert [point.updates for point in made.record.curve] == [0]
    assert (made.is_evaluated, made.since_lowest, made.moment.valid_losses) == (True, 0, [])
    made.count(Update(1, 0.5, 1.0, None, TOKENS))
    made.evaluate(evaluator_that_takes(clock, 0.0), None)
    assert [(point.updates, point.train_loss) for point in made.curve[1:]] == [(2, 0.75)]
    assert made.record.curve == made.curve


def test_points_know_their_epoch(clock: Clock) -> None:
    made = Meter(Budget("epochs", 2), TOKENS, per_epoch=2, evaluations=4)
    evaluate = evaluator_that_takes(clock, 0.0)
    made.evaluate(evaluate, None)
    for _ in range(2):
        made.count(Update(1, 0.5, 1.0, None, TOKENS))
        made.evaluate(evaluate, None)
        made.count(Update(1, 0.5, 1.0, None, TOKENS))
        made.end_epoch()
        made.evaluate(evaluate, None)
    assert [point.epoch for point in made.curve] == [0, 1, 1, 2, 2]


def test_how_long_ago_the_lowest_loss_was(clock: Clock) -> None:
    """The start does not count; of equal ones the first is the lowest."""
    made = Meter(Budget("updates", 99), TOKENS, per_epoch=5, evaluations=None)
    found = []
    for loss in (0.1, 0.5, 0.75, 0.25, 0.25, 0.5, 0.125):
        made.evaluate(evaluator_that_takes(clock, 0.0, loss), None)
        found.append(made.since_lowest)
    assert found == [0, 0, 1, 0, 1, 2, 0]
    assert made.moment.valid_losses == [0.5, 0.75, 0.25, 0.25, 0.5, 0.125]


# --- the last evaluation -------------------------------------------------------------------------


@pytest.mark.parametrize(("style", "left_over"), [("sliding", 0), ("random", 0), ("adaptive", 3)])
def test_the_last_evaluation_is_at_the_very_end(style: str, left_over: int) -> None:
    """As many as were asked for, although rows of 22 steps do not come out even; whole epochs end whole."""
    task = Echo(lags=(1, 3), effects=(0.3, -0.15), length=66, valid_length=3)
    truncation = Truncation(style, stride=3, seed=5)
    options: dict[str, Any] = {"truncation": truncation, "listener": Silence()}
    result = train(make_graph(), task, epochs=2, evaluations=3, **options)
    assert len(result.curve) == 4, [point.updates for point in result.curve]
    assert (result.curve[-1].updates, result.curve[-1].epoch) == (result.updates, 2)
    whole = 2 * 66
    assert whole - 2 * 3 * left_over <= result.tokens <= whole
