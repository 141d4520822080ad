"""The length of training, and when a run evaluates, reports and ends."""

from __future__ import annotations

import copy
import functools
import math
import types
from typing import Any

import pytest

from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo
from tf_rnn.training import Budget, CurvePoint, History, Progress, Schedule, Truncation, stopwatch, train
from tf_rnn.training.plan import Plan
from tf_rnn.training.stopwatch import Stopwatch

# 5 blocks an epoch of 3 rows times 4 steps; 2 tokens stay over.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=9)
UPDATES_PER_EPOCH = 5
TOKENS = 3 * 4
START = CurvePoint(0, 0, 0.0, math.nan, 0.75, 0)


@functools.cache
def graph() -> UnrolledGraph:
    """One graph for all tests; each of its trainings starts from the same weights."""
    return UnrolledGraph(cells.VanillaCell(6), 4, 3, 2, 2, seed=7)


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(stopwatch, "time", types.SimpleNamespace(perf_counter=made.perf_counter))
    return made


def make_watch(
    kind: str,
    amount: float,
    history: History | None = None,
    per_epoch: int = 5,
    evaluations: int | None = None,
) -> tuple[Stopwatch, History]:
    plan = Plan(Budget(kind, amount), "carry", evaluations, Truncation(), Schedule(), None, 0)
    history = History(curve=[START]) if history is None else history
    return Stopwatch(plan, TOKENS, per_epoch, history), history


def count(watch: Stopwatch, history: History, loss: float = 0.5, tokens: int = TOKENS) -> None:
    history.count(loss, 1.0, tokens, watch.seconds)
    watch.add_loss(loss)


# --- the budget ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "amount", "expected"),
    [
        ("epochs", 2.5, 12),
        ("epochs", 0.1, 1),
        ("tokens", 143, 11),
        ("tokens", 144, 12),
        ("tokens", 1, 1),
        ("updates", 7.9, 7),
        ("updates", 0.5, 1),
        ("seconds", 2.5, math.inf),
    ],
)
def test_updates_of_a_budget(kind: str, amount: float, expected: float) -> None:
    budget = Budget(kind, amount)
    assert budget.updates(tokens_per_update=12, updates_per_epoch=UPDATES_PER_EPOCH) == expected
    assert budget.seconds == (amount if kind == "seconds" else math.inf)


def test_rounding_of_a_product_costs_no_update() -> None:
    found = [Budget("epochs", epochs).updates(12, 100) for epochs in (0.29, 0.57, 1.1, 0.299)]
    assert found == [29, 57, 110, 29]


def test_a_run_has_one_budget_and_without_one_it_is_an_epoch() -> None:
    assert train(graph(), TASK, callbacks=()).updates == UPDATES_PER_EPOCH
    message = "epochs and tokens must not be given together; give one of them"
    with pytest.raises(OptionError, match=f"^{message}$"):
        train(graph(), TASK, tokens=100, epochs=2, callbacks=())


# --- evaluations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"updates": 10, "evaluations": 4}, [0, 3, 5, 8, 10]),
        ({"updates": 9, "evaluations": 1}, [0, 9]),
        ({"updates": 3, "evaluations": 7}, [0, 1, 2, 3]),
        ({"epochs": 2.5}, [0, 5, 10, 12]),
        ({"updates": 4.5}, [0, 4]),
        ({"tokens": 12 * 10 + 11}, [0, 5, 10]),
        ({"seconds": 1e-9}, [0, 1]),
        ({"seconds": 1e-9, "evaluations": 6}, [0, 1]),
    ],
)
def test_evaluations_are_spread_evenly(options: dict[str, Any], expected: list[int]) -> None:
    result = train(graph(), TASK, **options, callbacks=())
    assert [point.updates for point in result.curve] == expected
    assert [point.tokens for point in result.curve] == [12 * updates for updates in expected]
    assert result.updates == expected[-1]
    assert result.evaluation.loss == result.curve[-1].valid_loss
    assert math.isnan(result.curve[0].train_loss)
    assert all(math.isfinite(point.train_loss) for point in result.curve[1:])


@pytest.mark.parametrize("evaluations", [100, 101, 2**53, 2**53 + 1, 10**30])
def test_as_many_evaluations_as_updates_or_more_are_one_for_each(evaluations: int) -> None:
    """Whatever the quotients round to; the next one is found at once, not by counting up to it."""
    watch, history = make_watch("updates", 100, per_epoch=100, evaluations=evaluations)
    for counted in range(1, 101):
        count(watch, history)
        assert watch.evaluation_is_due(at_epoch_end=False), f"not due after update {counted}"
        watch.pass_evaluations()
        is_over = watch.is_spent and evaluations > 100
        assert not watch.evaluation_is_due(at_epoch_end=False) or is_over, f"due again: {counted}"
    assert watch.is_spent


@pytest.mark.parametrize(("style", "left_over"), [("sliding", 0), ("random", 0), ("adaptive", 3)])
def test_the_last_evaluation_is_at_the_very_end(style: str, left_over: int) -> None:
    """As many as were asked for, although rows of 22 steps do not come out even; whole epochs end whole."""
    task = Echo(lags=(1, 3), effects=(0.3, -0.15), length=66, valid_length=3)
    truncation = Truncation(style, stride=3, seed=5)
    result = train(graph(), task, epochs=2, evaluations=3, truncation=truncation, callbacks=())
    assert len(result.curve) == 4, [point.updates for point in result.curve]
    assert (result.curve[-1].updates, result.curve[-1].epoch) == (result.updates, 2)
    whole = 2 * 66
    assert whole - 2 * 3 * left_over <= result.tokens <= whole


# --- time and reports ------------------------------------------------------------------------------


def test_seconds_are_of_training_alone(clock: Clock) -> None:
    watch, history = make_watch("seconds", 10.0, evaluations=2)
    seen, due = [], []
    while not watch.is_spent:
        clock.now += 3.0
        count(watch, history)
        if watch.evaluation_is_due(at_epoch_end=False):
            due.append(history.updates)
            with watch.paused():
                clock.now += 100.0
            watch.pass_evaluations()
        seen.append((watch.seconds, watch.fraction))
    assert seen == [(3.0, 0.3), (6.0, 0.6), (9.0, 0.9), (12.0, 1.0)]
    assert due == [2, 4]


def epoch_of(updates: int, done: int = 0) -> Any:
    """As much of an epoch as is looked at."""
    left = updates - done
    tokens = {"tokens": updates * TOKENS, "tokens_left": left * TOKENS}
    return types.SimpleNamespace(updates=updates, updates_left=left, **tokens)


def test_a_report_has_the_speed_and_the_time_left_without_evaluations(clock: Clock) -> None:
    watch, history = make_watch("updates", 8)
    watch.begin_epoch(epoch_of(5))
    for loss in (0.5, 0.25):
        clock.now += 3.0
        count(watch, history, loss)
    with watch.paused():
        clock.now += 70.0
    assert watch.report(2, 1.0, 0.25) == Progress(
        epoch=1, epochs=2, step=2, steps=5, updates=2, fraction=0.25, loss=0.375, unit="nats",
        gradient_norm=1.0, learning_rate=0.25, valid_loss=0.75, tokens_per_second=2 * 12 / 6.0,
        seconds_left=18.0,
    )  # fmt: skip
    clock.now += 4.0
    count(watch, history, 0.125)
    report = watch.report(3, 3.5, 0.125)
    assert (report.updates, report.fraction, report.loss) == (3, 0.375, 0.125)
    assert (report.gradient_norm, report.learning_rate) == (3.5, 0.125)
    assert report.tokens_per_second == 12 / 4.0
    assert report.seconds_left == pytest.approx(10.0 * 5 / 3)


# A run resumed after 2 epochs of 17 updates, with rows that make 59 of an epoch.
RESUMED = History(34, 680, 2, curve=[START])


@pytest.mark.parametrize(
    ("kind", "amount", "resumed", "expected"),
    [
        ("epochs", 3, False, (1, 3, 5)),
        ("epochs", 2.5, False, (1, 3, 5)),
        ("updates", 3, False, (1, 1, 3)),
        ("updates", 5, False, (1, 1, 5)),
        ("updates", 6, False, (1, 2, 5)),
        ("tokens", 12 * 11, False, (1, 3, 5)),
        ("seconds", 3600.0, False, (1, None, 5)),
        ("updates", 100, True, (3, 2 + 2, 59)),  # 66 are left, of which an epoch has 59
        ("updates", 93, True, (3, 2 + 1, 59)),
        ("tokens", 680 + 60 * 12, True, (3, 2 + 2, 59)),
        ("epochs", 5, True, (3, 5, 59)),
    ],
)
def test_a_report_counts_epochs_and_steps(
    kind: str, amount: float, resumed: bool, expected: tuple[int, int | None, int]
) -> None:
    """Epochs that had another number of updates count as one each."""
    updates = 59 if resumed else 5
    watch, history = make_watch(kind, amount, copy.deepcopy(RESUMED) if resumed else None, updates)
    watch.begin_epoch(epoch_of(updates))
    count(watch, history)
    report = watch.report(1, 1.0, 0.1)
    assert (report.epoch, report.epochs, report.steps) == expected


def test_what_was_done_before_counts_but_its_time_is_not_waited_for(clock: Clock) -> None:
    """The speed is that of this call, the budget that of the whole run."""
    before = History(4, 48, 0, 4, 48, 100.0, 2.5, 3.0, 4, [START])
    watch, history = make_watch("updates", 10, before, evaluations=5)
    watch.begin_epoch(epoch_of(5, done=4))
    assert (watch.seconds, watch.fraction, watch.is_spent, watch.has_news) == (100.0, 0.4, False, False)
    clock.now += 2.0
    count(watch, history)
    due = [watch.evaluation_is_due(at_epoch_end=False)]
    report = watch.report(5, 1.0, 0.1)
    assert (report.step, report.steps, report.updates, report.fraction) == (5, 5, 5, 0.5)
    assert report.tokens_per_second == 12 / 2.0
    assert report.seconds_left == pytest.approx(10.0)
    history.end_epoch()
    count(watch, history, 1.0)
    assert [*due, watch.evaluation_is_due(at_epoch_end=False)] == [False, True]
    assert (history.mean_loss, history.largest_norm) == (4.5 / 6, 2.5)


def test_a_report_is_due_after_a_while_and_at_the_end(clock: Clock) -> None:
    watch, history = make_watch("updates", 3, evaluations=1)
    due, news = [], []
    for passed in (0.0625, 0.0625, 0.0):
        clock.now += passed + 1e-3
        count(watch, history)
        due.append(watch.report_is_due)
        assert watch.has_news
        if watch.report_is_due:
            watch.report(1, 1.0, 0.1)
        news.append(watch.has_news)
    assert due == [False, True, True]
    assert news == [True, False, False]
