"""What is compared: one frozen record of every option of a sweep over widths."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, NamedTuple

from tf_rnn.config import (
    BUDGETS,
    CELLS,
    OPTIMIZERS,
    STATES,
    OptionError,
    require_choice,
    require_positive,
    require_whole,
)
from tf_rnn.tasks import Task, make_task

# What may differ between two commands that add to the same results.
AXES = ("num_steps", "state", "seeds")


class RunKey(NamedTuple):
    """Which of the runs of a comparison.

    Attributes:
        num_steps: The width.
        state: "carry" or "reset".
        seed: Of the initial weights.
    """

    num_steps: int
    state: str
    seed: int

    @property
    def title(self) -> str:
        """The key for a person to read."""
        return f"width {self.num_steps}, {self.state}, seed {self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The options of a sweep over widths. All widths share everything but the width.

    Attributes:
        task: A name in `TASKS`.
        task_options: The task's own options.
        num_steps: The widths.
        state: "carry", "reset" or both.
        seeds: How many initial weights to train from: seeds 0, 1, ...
        cell: "vanilla", "gru" or "lstm".
        state_size: Units of each layer.
        num_layers: Layers upon each other.
        batch_size: Examples side by side.
        optimizer: By name.
        learning_rate: The same for all widths.
        clip_norm: Upper limit on the gradient's norm, or None.
        budget: "tokens", "updates", "seconds" or "epochs": in what the runs are equal.
        amount: How many of these each run gets.

    Raises:
        OptionError: If an option is not allowed.
    """

    task: str
    task_options: dict[str, Any]
    num_steps: tuple[int, ...]
    state: tuple[str, ...]
    seeds: int
    cell: str
    state_size: int
    num_layers: int
    batch_size: int
    optimizer: str
    learning_rate: float
    clip_norm: float | None
    budget: str
    amount: float

    def __post_init__(self) -> None:
        for option in ("num_steps", "state"):
            if not getattr(self, option):
                raise OptionError(option, "must have at least one value, got none")
        for width in self.num_steps:
            require_whole("num_steps", width)
        for state in self.state:
            require_choice("state", state, STATES)
        require_choice("cell", self.cell, CELLS)
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        require_choice("budget", self.budget, BUDGETS)
        for option in ("seeds", "state_size", "num_layers", "batch_size"):
            require_whole(option, getattr(self, option))
        for option in ("learning_rate", "amount"):
            require_positive(option, getattr(self, option))
        if self.clip_norm is not None:
            require_positive("clip_norm", self.clip_norm)

    def make_task(self) -> Task:
        """The task with its options."""
        return make_task(self.task, **self.task_options)

    def check_data(self, task: Task) -> None:
        """Raises OptionError unless the task's data hold at least one block of every width."""
        task.blocks(self.batch_size, max(self.num_steps))

    @property
    def keys(self) -> list[RunKey]:
        """All runs, those with the most updates first."""
        return [
            RunKey(width, state, seed)
            for width in sorted(set(self.num_steps))
            for state in dict.fromkeys(self.state)
            for seed in range(self.seeds)
        ]

    def identity(self, task: Task) -> dict[str, Any]:
        """What two comparisons must have in common for their runs to stand in one table."""
        options = dataclasses.asdict(self)
        for axis in AXES:
            del options[axis]
        options["task_options"] = task.options()
        data = getattr(task, "sha256", None)
        return options | ({"data_sha256": data} if data else {})

    def name(self, task: Task) -> str:
        """A folder name for the results: readable, and different for another configuration."""
        text = json.dumps(self.identity(task), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:6]
        return f"compare-{self.task}-{self.cell}-{self.state_size}-{digest}"
