"""Costs of graphs of increasing width: tf_rnn against the naive unroll."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.side_by_side.configurations import growth_configuration
from benchmarks.side_by_side.peers import OWN, PEERS, RECOMPUTED, Peer
from benchmarks.side_by_side.race import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAIVE, RECOMPUTE = "naive", "recompute"
# Beyond this, TensorFlow's own optimization of the naive graph takes too long to be worth measuring.
NAIVE_UP_TO = 500


def _peer(family: str) -> Peer:
    return next(peer for peer in PEERS if peer.family == family)


SERIES = {OWN: _peer(OWN), NAIVE: _peer(NAIVE), RECOMPUTE: RECOMPUTED}


class Point(NamedTuple):
    """Costs of one width in one variant, medians over processes.

    Attributes:
        series: A key of SERIES.
        num_steps: The width.
        build_seconds: See `worker.Ready`.
        first_run_seconds: See `worker.Ready`.
        step_milliseconds: Time of a training step, median over all turns.
        memory_bytes: Growth of the process's peak memory since before building.
        note: The first failure, if any; the numbers then come from the successful processes.
    """

    series: str
    num_steps: int
    build_seconds: float | None
    first_run_seconds: float | None
    step_milliseconds: float | None
    memory_bytes: float | None
    note: str = ""

    @property
    def start_seconds(self) -> float | None:
        """Start-up time: build plus first run."""
        if self.build_seconds is None or self.first_run_seconds is None:
            return None
        return self.build_seconds + self.first_run_seconds


@dataclasses.dataclass
class Growth:
    """Points measured so far."""

    points: list[Point] = dataclasses.field(default_factory=list)

    def add(self, points: Sequence[Point]) -> None:
        """Adds the points of one width."""
        self.points += points

    @property
    def widths(self) -> list[int]:
        """Widths with at least one point, ascending."""
        return sorted({point.num_steps for point in self.points})

    @property
    def series(self) -> list[str]:
        """Variants with at least one point, in the order of SERIES."""
        return [series for series in SERIES if any(point.series == series for point in self.points)]

    def point(self, series: str, width: int) -> Point | None:
        """Point of a variant at a width; None if not measured."""
        found = (point for point in self.points if (point.series, point.num_steps) == (series, width))
        return next(found, None)

    def ratio(self, series: str, other: str, width: int, cost: str) -> float | None:
        """Ratio of a cost between two variants; None unless both are known."""
        points = [self.point(one, width) for one in (series, other)]
        mine, others = (None if point is None else getattr(point, cost) for point in points)
        return mine / others if mine is not None and others else None


def measure_width(
    width: int,
    series: Sequence[str],
    repeats: int,
    rounds: int,
    limit: float,
    say: Callable[[str], None],
) -> list[Point]:
    """Measures one width in several variants, in alternating turns.

    Args:
        width: The number of steps.
        series: Keys of SERIES; the naive unroll is left out beyond NAIVE_UP_TO.
        repeats: Processes per variant, one after another.
        rounds: Turns per process.
        limit: Time limit for each answer, in seconds.
        say: Called with a message for each failure.

    Returns:
        A point for each variant.
    """
    wanted = [one for one in SERIES if one in series and (one != NAIVE or width <= NAIVE_UP_TO)]
    configuration = growth_configuration(width)
    done: dict[str, list[Runner]] = {one: [] for one in wanted}
    for _ in range(repeats):
        with contextlib.ExitStack() as stack:
            runners: list[Runner] = []
            for one in wanted:
                runner = stack.enter_context(Runner(SERIES[one], configuration, limit, None))
                if runners and runner.is_alive and runners[0].is_alive:
                    runner.check(runners[0].losses)
                runners.append(runner)
                done[one].append(runner)
            for _ in range(rounds):
                for runner in runners:
                    runner.take_turn(configuration.steps)
            for runner in runners:
                runner.note_memory()
    points = [_point(one, width, runners) for one, runners in done.items()]
    for point in points:
        if point.note:
            say(f"{point.series}, n = {width}: {point.note}")
    return points


def _point(series: str, width: int, runners: Sequence[Runner]) -> Point:
    results = [runner.result for runner in runners]
    good = [result for result in results if result.is_ranked]
    bad = [f"{result.status}: {result.note}" for result in results if not result.is_ranked]
    turns = [turn for result in good for turn in result.turns]
    return Point(
        series,
        width,
        _median([result.build_seconds for result in good]),
        _median([result.first_run_seconds for result in good]),
        _median(turns),
        _median([result.memory_bytes for result in good]),
        bad[0] if bad else "",
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
