"""What costs must be whatever the machine does: counts, memory and how numbers belong together."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

from tf_rnn import cells
from tf_rnn._tensorflow import tf
from tf_rnn.analysis import Cost, cost, measure_costs, peak_bytes
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = Echo(length=4000, valid_length=10)
WIDTHS = (5, 2, 9)


def small_graph(num_steps: int) -> UnrolledGraph:
    return UnrolledGraph(cells.VanillaCell(3), num_steps, 7, 2, 2, seed=0)


def lstm_graph(num_steps: int, batch_size: int = 50) -> UnrolledGraph:
    return UnrolledGraph(cells.LSTMCell(32), num_steps, batch_size, 2, 2, seed=0)


@pytest.fixture(scope="module")
def costs() -> dict[int, Cost]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "SECONDS_PER_ROUND", 0.01)
        measured = measure_costs(small_graph, TASK, WIDTHS)
    assert [one.num_steps for one in measured] == list(WIDTHS)
    return {one.num_steps: one for one in measured}


def test_counts_and_times_belong_together(costs: dict[int, Cost]) -> None:
    """Parameters do not depend on the width, every step adds as many operations."""
    parameters = (2 + 3) * 3 + 3 + 3 * 2 + 2  # W, b_s, U, b_p
    assert {one.parameters for one in costs.values()} == {parameters}
    first, second = ((costs[b].operations - costs[a].operations) / (b - a) for a, b in ((2, 5), (5, 9)))
    assert first > 0
    assert second == pytest.approx(first, rel=0.1), f"{first} a step up to 5, {second} beyond"
    for width, one in costs.items():
        assert one.tokens_per_second == pytest.approx(7 * width / (one.step_milliseconds / 1000))
        assert min(one.build_seconds, one.first_run_seconds, one.step_milliseconds) > 0


# From process to process operations take another order, in which up to a state more is held for each step.
PLAY = 2 * 32 * 4  # bytes: two states of an example


def test_memory_grows_by_as_much_for_every_step() -> None:
    """In a process whose first session had two threads, which later ones share with it."""
    with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(inter_op_parallelism_threads=2)) as first:
        first.run(tf.constant(0))
    peaks = [peak_bytes(lstm_graph(width), *next(TASK.blocks(50, width))) for width in (4, 8, 16)]
    narrow, wide = (peaks[1] - peaks[0]) / 4, (peaks[2] - peaks[1]) / 8
    state = 50 * 32 * 4
    assert narrow > 5 * state, f"{narrow} bytes a step: four gates and a state alone are {5 * state}"
    assert abs(wide - narrow) < 50 * PLAY, f"{narrow} bytes a step up to 8, {wide} beyond"


def test_memory_grows_with_the_batch() -> None:
    peaks = [peak_bytes(lstm_graph(2, batch), *next(TASK.blocks(batch, 2))) for batch in (20, 60, 240)]
    small, large = (peaks[1] - peaks[0]) / 40, (peaks[2] - peaks[1]) / 180
    assert abs(large - small) < 4 * PLAY, f"{small} bytes an example up to 60, {large} beyond"


def test_measuring_memory_leaves_the_weights_alone() -> None:
    graph = small_graph(4)
    with graph.session() as session:
        before = session.run(list(graph.variables))
        peak_bytes(graph, *next(TASK.blocks(7, 4)))
        after = session.run(list(graph.variables))
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


class Clock:
    """A clock on which every run of a width takes a fixed time, and the runs it saw, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self.runs: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def run(self, width: int, seconds: float) -> Callable[[], Any]:
        def take_a_while() -> None:
            self.runs.append(width)
            self.now += seconds

        return take_a_while


def test_widths_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs to see how many fit in a round, then rounds in which each width runs a while."""
    clock = Clock()
    monkeypatch.setattr(cost, "time", types.SimpleNamespace(perf_counter=clock.perf_counter))
    monkeypatch.setattr(cost, "ROUNDS", 2)
    monkeypatch.setattr(cost, "SECONDS_PER_ROUND", 0.75)
    monkeypatch.setattr(cost, "MAXIMUM_RUNS", 4)
    times = cost._interleaved_times({1: clock.run(1, 0.125), 5: clock.run(5, 0.25), 9: clock.run(9, 2.0)})
    assert clock.runs == [1, 1, 1, 5, 5, 5, 9, 9, 9] + 2 * [1, 1, 1, 1, 5, 5, 5, 9]
    assert times == {1: 8 * [0.125], 5: 6 * [0.25], 9: 2 * [2.0]}


def test_the_peak_is_the_highest_sum_on_the_way() -> None:
    """From a trace in any order: 30 taken, 70 taken (100 held), 30 given back, 50 taken (120 held)."""
    trace = tf.RunMetadata()
    node = trace.step_stats.dev_stats.add().node_stats.add()
    for micros, size in ((3, -30), (1, 30), (4, 50), (9, -50), (2, 70), (9, -70)):
        record = node.memory.add().allocation_records.add()
        record.alloc_micros, record.alloc_bytes = micros, size
    assert cost._highest_sum(trace) == 120
