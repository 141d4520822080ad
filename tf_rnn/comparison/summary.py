"""Summaries of all runs of one width and state: means, spreads, gaps, and what they cost."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.curves import best_point
from tf_rnn.comparison.reach import share_of_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.settings import RunKey
    from tf_rnn.tasks import Task


@dataclasses.dataclass(frozen=True)
class Summary:
    """All runs of one width and state, at one learning rate.

    Attributes:
        num_steps: The width.
        state: "carry" or "reset".
        runs: Number of runs that ended with a finite loss.
        diverged: Number of runs whose loss was not finite.
        failed: Number of runs that did not end, since their worker died.
        learning_rate: The learning rate; of several, the one with the lowest mean loss.
        losses: The held-out loss of each run by seed, the lowest of its curve, nats.
        loss: Their mean; nan without runs.
        spread: Standard deviation of the loss over seeds; nan with fewer than two runs.
        resolution: Standard error of one run's held-out loss, from its number of tokens.
        updates: Mean number of training steps of a run.
        tokens: Mean number of tokens of a run, rows times time steps.
        curves: The learning curve of each run.
        dependency_scores: Means over runs, by lag.
        reach: The share of errors that flow back that far, by lag; see `share_of_errors`.
        gap_to_optimum: Distance of the loss to the lowest possible; None if that is not known.
        gap_to_floor: Distance to the lowest possible with a reset state, or None.
        cost: A record of `tf_rnn.analysis.Cost`.
        unit: The unit of losses.
        fraction: The fraction of the budget that the runs had, 1 for all of it.
    """

    num_steps: int
    state: str
    runs: int
    diverged: int
    loss: float
    spread: float
    resolution: float
    updates: float
    tokens: float
    dependency_scores: dict[int, float]
    reach: dict[int, float | None]
    gap_to_optimum: float | None
    gap_to_floor: float | None
    cost: dict[str, Any]
    losses: dict[int, float]
    curves: list[list[dict[str, Any]]]
    learning_rate: float
    unit: str = "nats"
    failed: int = 0
    fraction: float = 1.0

    @property
    def total(self) -> int:
        """Number of all runs."""
        return self.runs + self.diverged + self.failed

    @property
    def steady(self) -> bool:
        """Whether all runs ended with a finite loss."""
        return self.runs == self.total

    @property
    def unfinished(self) -> str:
        """The runs without a finite loss in words: `1 diverged, 2 failed`; empty if there are none."""
        counts = {"diverged": self.diverged, "failed": self.failed}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)

    @property
    def spread_error(self) -> float:
        """Standard error of the mean loss over seeds; 0 for a single run."""
        return 0.0 if self.runs < 2 else self.spread / math.sqrt(self.runs)

    @property
    def best_at(self) -> float:
        """The mean fraction of the budget after which the runs had their losses."""
        found = [best_point(curve)["updates"] / curve[-1]["updates"] for curve in self.curves]
        return self.fraction * mean(found)

    @property
    def last_loss(self) -> float:
        """The mean held-out loss at the end of the training, where it may be higher than before."""
        return mean([curve[-1]["valid_loss"] for curve in self.curves])

    @property
    def seconds(self) -> float:
        """The price: time of the training steps for the whole budget, at the speed measured alone."""
        if not self.cost:
            return math.nan
        return self.tokens / self.fraction / float(self.cost["tokens_per_second"])


def summarise(results: Results, keys: Sequence[RunKey], task: Task, fraction: float = 1.0) -> list[Summary]:
    """Summarises the runs with the given keys, ordered by state and width; each at its best learning rate.

    Args:
        results: Runs and costs.
        keys: Which runs.
        task: What was learnt.
        fraction: How far to look: runs as they were after this fraction of their budget.
    """
    groups: dict[tuple[str, int], dict[float, list[dict[str, Any]]]] = {}
    failed: Counter[tuple[str, int, float]] = Counter()
    for key in keys:
        runs = groups.setdefault((key.state, key.num_steps), {})
        run = results.after(key, fraction)
        if run is not None:
            runs.setdefault(key.learning_rate, []).append(run)
        elif key in results.failures:
            runs.setdefault(key.learning_rate, [])
            failed[key.state, key.num_steps, key.learning_rate] += 1
    reach = {width: share_of_errors(task, results.identity, width) for _, width in groups}
    return [
        min(
            (
                _summary(
                    (state, width, rate),
                    runs,
                    failed[state, width, rate],
                    results.costs.get(width, {}),
                    task,
                    reach[width],
                    fraction,
                )
                for rate, runs in by_rate.items()
            ),
            key=_quality,
        )
        for (state, width), by_rate in sorted(groups.items())
        if by_rate
    ]


def _quality(summary: Summary) -> tuple[bool, float]:
    """Of several learning rates the best sorts first: no run without a loss, then the lowest mean."""
    return not summary.steady, summary.loss if summary.runs else math.inf


def _summary(
    group: tuple[str, int, float],
    runs: list[dict[str, Any]],
    failed: int,
    cost: dict[str, Any],
    task: Task,
    reach: dict[int, float | None],
    fraction: float,
) -> Summary:
    state, width, learning_rate = group
    finished = [run for run in runs if run["loss"] is not None]
    loss = mean([run["loss"] for run in finished])
    floor = task.floor(width) if state == "reset" else None
    return Summary(
        num_steps=width,
        state=state,
        runs=len(finished),
        diverged=len(runs) - len(finished),
        failed=failed,
        learning_rate=learning_rate,
        losses={run["seed"]: run["loss"] for run in finished},
        loss=loss,
        spread=statistics.stdev(run["loss"] for run in finished) if len(finished) > 1 else math.nan,
        resolution=mean([run["standard_error"] for run in finished]),
        updates=mean([run["updates"] for run in finished]),
        tokens=mean([run["tokens"] for run in finished]),
        curves=[run["curve"] for run in finished],
        dependency_scores={
            lag: mean([run["dependency_scores"].get(str(lag), math.nan) for run in finished])
            for lag in task.lags
        },
        reach=reach,
        gap_to_optimum=gap(loss, task.optimum()),
        gap_to_floor=gap(loss, floor),
        cost=cost,
        unit=task.unit,
        fraction=fraction,
    )


def gap(loss: float, reference: float | None) -> float | None:
    """The distance of a loss to a reference; None if either is not known."""
    return None if reference is None or not math.isfinite(loss) else loss - reference


def mean(values: list[float]) -> float:
    """The mean; nan without values."""
    return statistics.fmean(values) if values else math.nan
