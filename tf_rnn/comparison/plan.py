"""The runs of a comparison before they begin: how many there are, and about how long they take."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.tables import planned_table
from tf_rnn.comparison.worker import EVALUATED_AT
from tf_rnn.text import counted
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.reporting import Table
    from tf_rnn.tasks import Task

# A worker process loads TensorFlow.
START_SECONDS = 3.0
# A run that drops out of a race had at most half of its budget; to verify, it is trained from the start.
VERIFIED = 1.5


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs that a comparison or a race has still to train.

    Attributes:
        records: A dictionary for each width and state: `num_steps`, `state`, the number of `runs`, the
            `seconds` of one, and its memory, `graph_bytes`.
        finished: Number of runs that the folder holds already.
        workers: How many runs are trained at a time.
        seconds: About how long all take, if nothing else runs on the machine; of a race, at most.
        is_race: Whether it is a race, in which most runs are stopped early.
        verifies: Whether all runs of the race are trained to the end afterwards.
    """

    records: list[dict[str, Any]]
    finished: int
    workers: int
    seconds: float
    is_race: bool = False
    verifies: bool = False

    def __repr__(self) -> str:
        return f"Plan({self.sentence})"

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(record["runs"] for record in self.records)

    @property
    def sentence(self) -> str:
        """How many runs there are, and how long they take, in words."""
        if not self.runs:
            done = "the only run is" if self.finished == 1 else f"all {self.finished} runs are"
            return f"nothing to train: {done} finished"
        workers, runs = f"with {counted(self.workers, 'worker')}", counted(self.runs, "run")
        if self.is_race:
            stopped = "all are then trained to the end" if self.verifies else "most are stopped much earlier"
            longest = f"at most {clock(self.seconds)} {workers}, unless wider widths join"
            return f"a race of {runs}, {longest}; {stopped}"
        return f"{runs}, about {clock(self.seconds)} {workers}"

    def table(self) -> Table:
        """The runs of each width."""
        return planned_table(self.records)


def plan_of(
    comparison: Comparison,
    task: Task,
    results: Results,
    workers: Workers,
    *,
    is_race: bool = False,
    verify: bool = False,
) -> Plan:
    """The plan of a comparison whose costs are known.

    Args:
        comparison: The settings.
        task: What is learnt.
        results: Has the costs of all widths, and the runs that are finished.
        workers: Where runs will be trained.
        is_race: Whether it is a race, of which this is the longest course.
        verify: Whether all runs of the race are trained to their end afterwards.
    """
    missing = results.missing(comparison.keys)
    groups: dict[tuple[int, str], list[RunKey]] = {(key.num_steps, key.state): [] for key in comparison.keys}
    for key in missing:
        groups[key.num_steps, key.state].append(key)
    records = [
        {
            "num_steps": width,
            "state": state,
            "runs": len(keys),
            "seconds": run_seconds(comparison, task, results.costs[width]),
            "graph_bytes": results.costs[width]["graph_bytes"],
        }
        for (width, state), keys in groups.items()
    ]
    slots = max(1, workers.slots())
    seconds = total_seconds(records, min(slots, workers.cores or slots)) * (VERIFIED if verify else 1)
    return Plan(records, len(comparison.keys) - len(missing), slots, seconds, is_race, verify)


def run_seconds(comparison: Comparison, task: Task, cost: Mapping[str, Any]) -> float:
    """The time of one run: to build a graph to train and one to evaluate, and to use them.

    Evaluations are counted at the speed of training steps: a forward pass is faster, but its losses are
    read back.
    """
    setup, speed = comparison.setup, float(cost["tokens_per_second"])
    evaluations = (1 + len(EVALUATED_AT)) * task.length("valid") / speed
    overhead: float = 2 * (cost["build_seconds"] + cost["first_run_seconds"]) + evaluations
    if comparison.budget == "seconds":
        return overhead + comparison.amount
    row = task.row_length(setup.batch_size)
    truncation = Truncation(setup.style, setup.stride, setup.tolerance)
    per_update = setup.batch_size * truncation.steps_per_update(cost["num_steps"], row)
    per_unit = {"tokens": 1, "updates": per_update, "epochs": setup.batch_size * row}[comparison.budget]
    training: float = max(per_update, comparison.amount * per_unit) / speed
    return overhead + training


def total_seconds(records: Sequence[Mapping[str, Any]], workers: int) -> float:
    """The time of all runs on so many workers: that of the longest, at least."""
    times = [(record["runs"], record["seconds"]) for record in records if record["runs"]]
    if not times:
        return 0.0
    in_turn: float = sum(runs * seconds for runs, seconds in times) / workers
    longest: float = max(seconds for _, seconds in times)
    return START_SECONDS + max(in_turn, longest)


def clock(seconds: float) -> str:
    """A time for people to plan with: `8 s`, `1 min 10 s`, `2 h 5 min`."""
    whole = max(1, round(seconds))
    if whole >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
