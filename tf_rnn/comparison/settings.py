"""What is compared: one frozen record of every option of a sweep over widths."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tf_rnn.options import (
    BUDGETS,
    MOST,
    STATES,
    OptionError,
    require_choice,
    require_positive,
    require_whole,
    shown,
)
from tf_rnn.setup import Setup, check_setup, setup_identity
from tf_rnn.tasks.downloads import DOWNLOADS

if TYPE_CHECKING:
    from tf_rnn.tasks import Task

# Tokens of an epoch that are made for a run; a longer run has several epochs, to fit into memory.
LONGEST_EPOCH = 20_000_000
# What may differ between two commands that add to the same results.
AXES = ("num_steps", "state", "seeds")

AnySetup = TypeVar("AnySetup", bound=Setup)


def anywhere(setup: AnySetup) -> AnySetup:
    """Returns the setup with the whole path of its data, for a process that runs in another folder."""
    data = setup.task_options.get("data")
    if data is None or data in DOWNLOADS:
        return setup
    options = setup.task_options | {"data": str(Path(data).absolute())}
    return dataclasses.replace(setup, task_options=options)


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
class Comparison(Setup):
    """The options of a sweep over widths. All widths share everything but the width.

    Attributes, beside those of `Setup`:
        num_steps: The widths.
        state: "carry", "reset" or both.
        seeds: How many initial weights to train from: seeds 0, 1, ...
        budget: "tokens", "updates", "seconds" or "epochs": in what the runs are equal.
        amount: How many of these each run gets.

    Raises:
        OptionError: If an option is not allowed.
    """

    num_steps: tuple[int, ...]
    state: tuple[str, ...]
    seeds: int
    budget: str
    amount: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("num_steps", "state"):
            if not isinstance(getattr(self, option), tuple | list):
                got = shown(getattr(self, option))
                raise OptionError(option, f"must be a sequence of values, got {got}")
            if not getattr(self, option):
                raise OptionError(option, "must have at least one value, got none")
        for width in self.num_steps:
            require_whole("num_steps", width)
        for state in self.state:
            require_choice("state", state, STATES)
        require_choice("budget", self.budget, BUDGETS)
        require_whole("seeds", self.seeds, at_most=MOST)
        require_positive("amount", self.amount)

    def make_task(self) -> Task:
        """The task with its options; data that are made last for a whole run, without an epoch's end."""
        task = super().make_task()
        if self.budget != "tokens" or self.style == "full":  # where a row is one window
            return task
        return task.lasting(min(math.ceil(self.amount), LONGEST_EPOCH))

    def check_data(self, task: Task) -> None:
        """Raises OptionError unless the options suit the task, and its data every width."""
        check_setup(self, task, self.num_steps)

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
        identity = setup_identity(self, task)
        for axis in AXES:
            del identity[axis]
        return identity
