"""How a graph is trained, and whether graph, task and plan fit together."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from tf_rnn.files import as_json_number
from tf_rnn.graph.describe import describe
from tf_rnn.graph.unrolled import UnrolledGraph
from tf_rnn.options import STATES, OptionError, require_block, require_choice, require_whole, shown
from tf_rnn.options.declared import TRAINING_OPTIONS
from tf_rnn.setup import check_rows, check_weights
from tf_rnn.tasks import SPLITS, TASKS, Task
from tf_rnn.training.budget import Budget
from tf_rnn.training.evaluation import usable
from tf_rnn.training.schedules import Schedule
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Sequence

# Beyond this, neighbouring fractions of a budget are the same number.
MOST_EVALUATIONS = 2**53


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a graph is trained; see `train` for the meaning of each option.

    Attributes:
        budget: How long.
        state: "carry" or "reset".
        evaluations: Number of evaluations, evenly spread; or the fractions of the budget at which to
            evaluate, in increasing order; None for one per epoch.
        truncation: The truncation style.
        schedule: The learning rate's schedule.
        patience: Number of evaluations without improvement that end the run; None for no limit.
        seed: Seed for dropout.
        schedule_width: The widths of a graph that grows, an equal part of the budget for each; None for the
            graph's own width.

    Raises:
        OptionError: If an option is not allowed.
    """

    budget: Budget
    state: str
    evaluations: int | tuple[float, ...] | None
    truncation: Truncation
    schedule: Schedule
    patience: int | None
    seed: int
    schedule_width: Sequence[int] | None = None

    def __post_init__(self) -> None:
        require_choice("state", self.state, STATES)
        require_whole("seed", self.seed, at_least=0)
        for option, kind in (("truncation", Truncation), ("schedule", Schedule)):
            if not isinstance(getattr(self, option), kind):
                got = shown(getattr(self, option))
                raise OptionError(option, f"must be a tf_rnn.{kind.__name__}, got {got}")
        for option in ("evaluations", "patience"):
            if not isinstance(getattr(self, option), tuple | None):
                require_whole(option, getattr(self, option))
        widths = TRAINING_OPTIONS["schedule_width"].check(self.schedule_width)
        object.__setattr__(self, "schedule_width", widths)

    def width_at(self, fraction: float) -> int:
        """The width of a graph that grows, after a fraction of the budget."""
        widths = self.schedule_width or ()
        return widths[min(int(fraction * len(widths)), len(widths) - 1)]

    def evaluated_at(self, number: int) -> float:
        """The fraction of the budget at which an evaluation is due, counted from 1; inf for none."""
        planned = self.evaluations
        if isinstance(planned, tuple):
            return planned[number - 1] if number <= len(planned) else math.inf
        count = self.num_evaluations
        return math.inf if count is None or number > count else number / count

    @property
    def num_evaluations(self) -> int | None:
        """How many evaluations are spread evenly, as far as fractions of the budget can be told apart."""
        return min(self.evaluations, MOST_EVALUATIONS) if isinstance(self.evaluations, int) else None

    @classmethod
    def from_config(cls, training: dict[str, Any]) -> Plan:
        """The plan of a run's configuration, its part "training"."""
        parts = {
            "budget": Budget(**training["budget"]),
            "truncation": Truncation(**training["truncation"]),
            "schedule": Schedule(**training["schedule"]),
        }
        return cls(**(training | parts))


def one_budget(**amounts: float | None) -> Budget | None:
    """The budget of which one amount may be given, or None.

    Raises:
        OptionError: If several are given, or the amount is not allowed.
    """
    given = {kind: amount for kind, amount in amounts.items() if amount is not None}
    if len(given) > 1:
        raise OptionError(" and ".join(given), "must not be given together; give one of them")
    return Budget(*next(iter(given.items()))) if given else None


def run_config(
    graph: UnrolledGraph,
    task: Task,
    plan: Plan,
    workers: int = 1,
    start_from: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The configuration of a run, ready for JSON: all that determines its results.

    Args:
        graph: The graph being trained.
        task: The task.
        plan: How to train.
        workers: Number of processes that train a graph like this one together. The configuration has
            the rows of all, so that any number of workers can resume the run.
        start_from: Where its first weights come from, see `Origin.record`; None for a random start.
    """
    digest = getattr(task, "sha256", None)
    of_task = {"name": task.name, "options": task.options()}
    of_task |= {"sha256": digest} if digest else {}
    of_task |= task.kept()
    config = describe(graph) | {"task": of_task, "training": dataclasses.asdict(plan)}
    config |= {"start_from": start_from} if start_from else {}
    config["graph"]["batch_size"] *= workers
    plain_config: dict[str, Any] = json.loads(json.dumps(config, default=as_json_number))
    return plain_config


def require_in_order(graph: Any, task: Any) -> None:
    """Raises OptionError unless the first argument of `train` is a graph, and the second a task."""
    hint = "; the graph comes first, then the task" if isinstance(graph, Task) else ""
    if not isinstance(graph, UnrolledGraph):
        raise OptionError("graph", f"must be a tf_rnn.UnrolledGraph, got {shown(graph)}{hint}")
    if not isinstance(task, Task):
        name = "; tf_rnn.tasks.make_task makes one of a name" if isinstance(task, str) else ""
        raise OptionError("task", f"must be a task, got {shown(task)}{name}")


def check(graph: UnrolledGraph, task: Task, plan: Plan) -> None:
    """Raises OptionError unless a graph can be trained on a task as planned."""
    if graph.train_step is None:
        raise OptionError("graph", "must have an optimizer to be trained, got optimizer=None")
    check_fit(graph, task)
    plan.truncation.check(graph)
    check_weights(plan.truncation.style, task)
    if plan.schedule_width:
        require_block(plan.truncation.style)
        if max(plan.schedule_width) != graph.num_steps:
            raise OptionError(
                "schedule_width",
                f"must end with the width of the graph, {graph.num_steps}, got {plan.schedule_width[-1]}",
            )
    task.blocks(graph.batch_size, graph.num_steps)
    check_rows(plan.truncation.style, task, graph.batch_size)
    require_usable(task, graph.options.dtype)


def require_usable(task: Task, dtype: str = "float32") -> None:
    """Raises OptionError for data of a user's own task that no graph can take; ours are usable."""
    if type(task) not in TASKS.values():
        for split in SPLITS:
            usable(task, task.checked_stream(split), split, dtype)


def check_fit(graph: UnrolledGraph, task: Task) -> None:
    """Raises OptionError unless the graph takes the task's inputs and targets."""
    for option in ("input_kind", "input_size", "num_classes", "loss", "quantiles", "readout"):
        wanted, given = getattr(task, option), getattr(graph.options, option)
        if wanted != given and (wanted, given) != ("linear", "tied"):
            raise OptionError(option, f"must be {wanted!r} for the task {task.name}, the graph has {given!r}")
    for option, whose in (
        ("starts", "sequences start within rows"),
        ("target_weights", "targets have weights"),
    ):
        if getattr(task, f"has_{option}") and not getattr(graph.options, option):
            raise OptionError(
                option, f"must be True for the task {task.name}, whose {whose}; the graph has False"
            )
    if task.loss_steps == "marked" != graph.options.loss_steps:
        raise OptionError(
            "loss_steps",
            f"must be 'marked' for the task {task.name}, which has targets at some steps only; "
            f"the graph has {graph.options.loss_steps!r}",
        )
