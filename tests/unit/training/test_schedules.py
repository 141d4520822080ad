"""Learning rates against their formulas, and the rate that is applied against a loop by hand."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st
from model_helpers import train_epoch

from tf_rnn import cells, options
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import SCHEDULES_OVER_BUDGET, OptionError
from tf_rnn.tasks import Echo
from tf_rnn.training import Callback, Evaluator, Schedule, StreamPosition, Truncation, train
from tf_rnn.training.schedules import SCHEDULES, WAIT, Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.training import CurvePoint, Progress

# 3 blocks an epoch of 3 rows times 4 steps; a step of each row and 2 tokens stay over.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=41, valid_length=9)
BLOCKS = 3
RATE = 2.0


def moment(epoch: int = 1, fraction: float = 0.0, losses: Sequence[float] = (), updates: int = 0) -> Moment:
    return Moment(epoch, fraction, losses, updates)


# --- formulas ------------------------------------------------------------------------------------


def test_the_words_that_are_allowed_are_those_that_have_a_meaning() -> None:
    assert tuple(SCHEDULES) == options.SCHEDULES
    assert set(WAIT) < set(SCHEDULES)
    assert set(SCHEDULES_OVER_BUDGET) < set(SCHEDULES)
    for name in SCHEDULES:
        assert Schedule(name).factor(moment(epoch=1, fraction=0.0)) == 1, name
    for epoch, fraction in itertools.product((1, 13, 99), (0.0, 0.5, 1.0)):
        assert Schedule("constant").factor(moment(epoch, fraction, [1.0, 2.0, 3.0])) == 1


def test_step_is_that_of_zaremba_et_al() -> None:
    """Section 4.1, whatever the losses are.

    Small network: 4 epochs at a rate of 1, then half of it after each of 13. Large: 14 epochs at the full
    rate, then divided by 1.15 after each of 55.
    """
    small, large = Schedule("step"), Schedule("step", decay=1 / 1.15, decay_after=14)
    factors = [small.factor(moment(epoch, epoch / 13, [1.0, 2.0])) for epoch in range(1, 14)]
    assert factors == [1.0] * 4 + [0.5**k for k in range(1, 10)]
    factors = [large.factor(moment(epoch)) for epoch in range(1, 56)]
    assert factors == pytest.approx([1.0] * 14 + [1.15**-k for k in range(1, 42)], rel=1e-12)


def test_cosine_is_half_a_wave_over_the_budget() -> None:
    factors = [Schedule("cosine").factor(moment(fraction=k / 64)) for k in range(65)]
    assert (factors[0], factors[32], factors[-1]) == (1.0, 0.5, 0.0)
    assert factors[16] == pytest.approx((2 + math.sqrt(2)) / 4, abs=1e-16)
    assert all(one > other for one, other in itertools.pairwise(factors)), factors
    assert Schedule("cosine").factor(moment(fraction=1.5)) == 0.0


def times_without_progress(losses: list[float], wait: int) -> int:
    """Between two losses that are lower than all before them there are so many; the same by counting."""
    lower = [at for at, loss in enumerate(losses) if loss < min(losses[:at], default=math.inf)]
    borders = [*lower, len(losses)]
    return sum((end - begin - 1) // wait for begin, end in itertools.pairwise(borders))


@given(st.lists(st.integers(0, 5).map(float), max_size=25), st.integers(1, 4) | st.none())
def test_plateau_by_brute_force(losses: list[float], wait: int | None) -> None:
    found = Schedule("plateau", decay=0.5, decay_after=wait).factor(moment(losses=losses))
    expected = 0.5 ** times_without_progress(losses, wait or 1)
    assert found == expected, f"{found}, not {expected}"


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_is_a_line_to_every_schedule(name: str) -> None:
    """From above 0 at the first update to exactly the schedule at the last one of the warm-up."""
    at: dict[str, Any] = {"epoch": 7, "fraction": 0.25, "losses": [1.0, 2.0]}
    plain, warm = (Schedule(name, warm_up_updates=updates).factor for updates in (0, 5))
    full = plain(moment(**at))
    factors = [warm(moment(**at, updates=updates)) for updates in range(7)]
    assert factors == [full * (1 / 5), full * (2 / 5), full * (3 / 5), full * (4 / 5), full, full, full]
    assert Schedule(name, warm_up_updates=1).factor(moment(**at)) == full


@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_only_what_waits_can_be_told_for_how_long(name: str) -> None:
    message = f"decay_after must be left out unless schedule is step or plateau, got {name!r}"
    with pytest.raises(OptionError, match=f"^{message}$"):
        Schedule(name, decay_after=4)


# --- the rate that is applied --------------------------------------------------------------------


def make_graph(cell: Any = None, rate: float = RATE) -> UnrolledGraph:
    cell = cell or cells.VanillaCell(5)
    return UnrolledGraph(cell, 4, 3, 2, 2, seed=7, optimizer="sgd", learning_rate=rate)


@functools.cache
def the_graph() -> UnrolledGraph:
    """One for all tests; each of its sessions starts from the same weights."""
    return make_graph()


class Notebook(Callback):
    """Writes the rates down."""

    report_seconds = 0.0

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_progress(self, progress: Progress) -> None:
        self.rates.append(progress.learning_rate)


def trained(schedule: Schedule, epochs: int, **options: Any) -> tuple[dict[str, Any], list[float]]:
    """Weights, and the rates that were told, one an update."""
    graph, notes = the_graph(), Notebook()
    with graph.session(threads=1) as session:
        result = train(
            graph, TASK, epochs=epochs, schedule=schedule, session=session, callbacks=[notes], **options
        )
    return result.weights, notes.rates


def by_hand(schedule: Schedule, epochs: int) -> tuple[list[Any], list[float]]:
    """The loop of the notes with the rate fed, its moment taken from the loop's own counters."""
    unwarmed = Schedule(schedule.name, schedule.decay, schedule.decay_after)
    graph = the_graph()
    evaluator = Evaluator(graph, TASK)
    losses: list[float] = []
    rates: list[float] = []
    with graph.session(threads=1) as session:
        for epoch in range(epochs):
            state = graph.zero_state()
            for inputs, targets in TASK.blocks(3, 4, epoch=epoch):
                fraction = len(rates) / (epochs * BLOCKS)
                warmth = min(1, (len(rates) + 1) / (schedule.warm_up_updates or 1))
                rates.append(RATE * unwarmed.factor(moment(epoch + 1, fraction, losses)) * warmth)
                feed = graph.feed(inputs, targets, state) | {graph.learning_rate: rates[-1]}
                state, _ = session.run([graph.final_state, graph.train_step], feed)
            losses.append(evaluator(session).loss)
        return session.run(list(graph.variables)), rates


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(),
        Schedule("step", decay=0.25, decay_after=1),
        Schedule("cosine"),
        Schedule("plateau", decay=0.1),
        Schedule(warm_up_updates=5),
        Schedule("plateau", decay=0.5, warm_up_updates=4),
    ],
    ids=lambda schedule: f"{schedule.name}, {schedule.warm_up_updates}",
)
def test_the_rate_that_is_applied_and_told_is_that_of_the_schedule(schedule: Schedule) -> None:
    weights, told = trained(schedule, 3)
    expected, rates = by_hand(schedule, 3)
    assert told == rates
    assert_close(list(weights.values()), expected, 0, schedule.name)
    if not schedule.is_constant:
        assert len(set(rates)) > 1, f"all rates are {rates[0]}: the test would not notice anything"


def test_graphs_of_other_widths_are_given_the_rate_too() -> None:
    """The sliding style's second graph; by hand, a graph for each epoch with a rate of its own."""
    truncation = Truncation("sliding", stride=3)
    found, _ = trained(Schedule("step", decay=0.5, decay_after=1), 3, truncation=truncation)
    cell = cells.VanillaCell(5)
    graphs = [make_graph(cell, RATE * factor) for factor in (1, 0.5, 0.25)]
    with graphs[0].session(threads=1) as session:
        for epoch, graph in enumerate(graphs):
            number, *_ = train_epoch(graph, TASK, session, truncation, StreamPosition(epoch))
            assert number == 4
        assert_close(list(found.values()), session.run(list(graphs[0].variables)), 0, "weights")


def test_the_rate_told_at_the_end_of_an_epoch_is_that_of_its_last_update() -> None:
    """Not the next one's, although the report comes when the epoch has been counted."""

    class Pairs(Notebook):
        report_seconds = 1e9

        def on_evaluation(self, point: CurvePoint, session: Any) -> None:
            self.rates.append(-point.epoch)

    notes = Pairs()
    schedule = Schedule("step", decay=0.5, decay_after=1)
    train(the_graph(), TASK, epochs=3, schedule=schedule, callbacks=[notes])
    assert notes.rates == [0, RATE, -1, RATE / 2, -2, RATE / 4, -3]
