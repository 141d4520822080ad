"""Scores rules on the atlas: what a width costs in loss and in time, against the best of the ladder.

The regret of a width is (L - L*) / s, with L the lowest held-out loss of a run, mean over seeds, L* that of
the best width, and s the larger of L* and the distance from knowing nothing to L*. The cheapest good width is
the one whose training steps take the least time among those with a regret of at most 2 %; of those within
10 % of that time, the narrowest.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.atlas.replay import Sweep, settings
from benchmarks.atlas.rules import RULES, Evidence, rung
from benchmarks.atlas.store import read, read_known, restored
from benchmarks.atlas.tasks import LADDER, TASKS
from tf_rnn.comparison.ranking import SAME_PRICE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tf_rnn.comparison.summary import Summary

GOOD = 0.02


class Outcome(NamedTuple):
    """What a width means for a task.

    Attributes:
        width: A rung of the ladder.
        regret: How much worse than the best width, as a fraction.
        rungs: How many rungs it is from the cheapest good width, below 0 if narrower.
        rungs_from_fastest: The same from the good width that takes the least time, however small the lead.
        time: Time of its training steps relative to that of the cheapest good width.
        memory: Memory likewise.
    """

    width: int
    regret: float
    rungs: int
    rungs_from_fastest: int
    time: float
    memory: float


class Scored:
    """A task of the atlas, its losses at all widths and what rules say.

    Args:
        sweep: The task and its runs.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._summaries = {each.num_steps: each for each in sweep.summaries()}

    @functools.cached_property
    def best(self) -> Summary:
        """The width with the lowest loss."""
        return min((each for each in self._summaries.values() if each.steady), key=lambda each: each.loss)

    @functools.cached_property
    def good(self) -> list[Summary]:
        """The good widths, the narrowest first."""
        return [each for each in self._summaries.values() if self.regret(each.num_steps) <= GOOD]

    @functools.cached_property
    def fastest(self) -> Summary:
        """The good width that takes the least time."""
        return min(self.good, key=lambda each: each.seconds)

    @functools.cached_property
    def cheapest(self) -> Summary:
        """The cheapest good width."""
        return next(each for each in self.good if each.seconds <= (1 + SAME_PRICE) * self.fastest.seconds)

    def summary(self, width: int) -> Summary:
        """The runs of a width."""
        return self._summaries[width]

    def regret(self, width: int) -> float:
        """How much worse a width is than the best; inf where a run diverged."""
        summary = self._summaries[width]
        if not summary.steady:
            return math.inf
        best = self.best.loss
        return (summary.loss - best) / max(best, self._sweep.known.knowing_nothing - best)

    def outcome(self, width: int) -> Outcome:
        """What a rung means for this task."""
        own, cheapest = self._summaries[width], self.cheapest
        return Outcome(
            width,
            self.regret(width),
            rungs_between(cheapest.num_steps, width),
            rungs_between(self.fastest.num_steps, width),
            own.seconds / cheapest.seconds,
            own.cost["graph_bytes"] / cheapest.cost["graph_bytes"],
        )

    @functools.cached_property
    def evidence(self) -> Evidence:
        """What rules may look at."""
        verdict = self._sweep.verdict()
        named = verdict.num_steps if verdict else None
        return Evidence(self._sweep, self._sweep.race(), named)

    def by_rule(self) -> dict[str, Outcome | None]:
        """The outcome of each rule; None where it names no width."""
        named = {name: rule(self.evidence) for name, rule in RULES.items()}
        return {name: None if width is None else self.outcome(rung(width)) for name, width in named.items()}


def rungs_between(start: int, end: int) -> int:
    """How many rungs of the ladder it is up from one width to another."""
    return LADDER.index(end) - LADDER.index(start)


def scored(names: Iterable[str], folder: Path, scratch: Path) -> dict[str, Scored]:
    """The named tasks with their stored runs."""
    runs, costs, known = read("runs.csv", folder), read("costs.csv", folder), read_known(folder)
    found = {}
    for name in names:
        entry = TASKS[name]
        experiment = entry.experiment(scratch / "texts")
        identity = settings(entry, experiment).identity(experiment.task)
        results = restored(runs[name], costs[name], identity)
        found[name] = Scored(Sweep(entry, experiment, known[name], results))
    return found
