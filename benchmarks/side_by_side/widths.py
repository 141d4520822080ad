"""What a graph costs as it grows wider: tf_rnn against the naive unroll."""

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
# TensorFlow's own rewriting of a naive graph takes longer and longer, and says nothing new.
NAIVE_UP_TO = 500


def _peer(family: str) -> Peer:
    return next(peer for peer in PEERS if peer.family == family)


SERIES = {OWN: _peer(OWN), NAIVE: _peer(NAIVE), RECOMPUTE: RECOMPUTED}


class Point(NamedTuple):
    """What one width costs in one way, medians over processes.

    Attributes:
        series: A key of SERIES.
        num_steps: The width.
        build_seconds: See `worker.Ready`.
        first_run_seconds: See there.
        step_milliseconds: A training step, the median over all turns.
        memory_bytes: How much the process grew from before building to its largest.
        note: What went wrong, if something did; the numbers are then those of what went well.
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
        """Build and first run together: what is waited for before training goes on by itself."""
        if self.build_seconds is None or self.first_run_seconds is None:
            return None
        return self.build_seconds + self.first_run_seconds


@dataclasses.dataclass
class Growth:
    """All points measured so far."""

    points: list[Point] = dataclasses.field(default_factory=list)

    def add(self, points: Sequence[Point]) -> None:
        """Adds the points of one width."""
        self.points += points

    @property
    def widths(self) -> list[int]:
        """Which there are."""
        return sorted({point.num_steps for point in self.points})

    @property
    def series(self) -> list[str]:
        """Which there are, in the order of SERIES."""
        return [series for series in SERIES if any(point.series == series for point in self.points)]

    def point(self, series: str, width: int) -> Point | None:
        """A point, or None if it was not measured."""
        found = (point for point in self.points if (point.series, point.num_steps) == (series, width))
        return next(found, None)

    def ratio(self, series: str, other: str, width: int, cost: str) -> float | None:
        """The cost in one way over that in another; None if one of them is not known."""
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
    """Measures one width in several ways, which take turns.

    Args:
        width: The number of steps.
        series: Keys of SERIES; the naive unroll is left out beyond NAIVE_UP_TO.
        repeats: How many processes there are of each, one after the other.
        rounds: How many turns each of them has.
        limit: How long to wait for one, in seconds.
        say: Told of what goes wrong.

    Returns:
        A point for each way.
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
