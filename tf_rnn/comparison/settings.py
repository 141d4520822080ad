"""The settings of a comparison: what is trained at which widths, and for how long."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.options import (
    BUDGETS,
    LARGEST_WIDTH,
    MOST,
    STATES,
    OptionError,
    require_choice,
    require_positive,
    require_whole,
    shown,
)
from tf_rnn.setup import Setup, check_setup, setup_identity

if TYPE_CHECKING:
    from tf_rnn.tasks import Task

# Generated data are made for a whole run, but an epoch must fit into memory.
LONGEST_EPOCH = 20_000_000


class RunKey(NamedTuple):
    """Identifies a run of a comparison.

    Attributes:
        num_steps: The width.
        state: "carry" or "reset".
        seed: For weights and dropout.
    """

    num_steps: int
    state: str
    seed: int

    @property
    def title(self) -> str:
        """The key for people to read."""
        return f"width {self.num_steps}, {self.state}, seed {self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The settings of a comparison. All runs share everything but width, state and seed.

    Attributes:
        setup: The network and its training.
        num_steps: The widths.
        state: "carry", "reset" or both.
        seeds: Number of runs of each width and state, from seeds 0, 1, ...
        budget: "tokens", "updates", "seconds" or "epochs": what every run gets the same amount of.
        amount: How much of it.

    Raises:
        OptionError: If an option is not allowed.
    """

    setup: Setup
    num_steps: tuple[int, ...]
    state: tuple[str, ...] = STATES
    seeds: int = 3
    budget: str = "tokens"
    amount: float

    def __post_init__(self) -> None:
        setup: Any = self.setup
        if not isinstance(setup, Setup):
            raise OptionError("setup", f"must be a Setup, got {shown(setup)}")
        for option in ("num_steps", "state"):
            if not isinstance(getattr(self, option), tuple | list):
                got = shown(getattr(self, option))
                raise OptionError(option, f"must be a sequence of values, got {got}")
            if not getattr(self, option):
                raise OptionError(option, "must have at least one value, got none")
        widths = tuple(require_whole("num_steps", width, at_most=LARGEST_WIDTH) for width in self.num_steps)
        states = tuple(require_choice("state", state, STATES) for state in self.state)
        require_choice("budget", self.budget, BUDGETS)
        amount = require_positive("amount", self.amount)
        plain = {
            "num_steps": widths,
            "state": states,
            "seeds": require_whole("seeds", self.seeds, at_most=MOST),
            "amount": self.amount if type(self.amount) in (int, float) else amount,
        }
        for option, value in plain.items():  # as JSON can hold it
            object.__setattr__(self, option, value)
        if self.setup.style == "full" and len(self.widths) > 1:
            raise OptionError(
                "num_steps",
                f"must be a single width where style is full, which trains whole rows whatever the width, "
                f"got {', '.join(map(str, self.widths))}",
            )

    @property
    def widths(self) -> list[int]:
        """The widths in increasing order, each once."""
        return sorted(set(self.num_steps))

    @property
    def keys(self) -> list[RunKey]:
        """All runs, those with the most updates first."""
        return [
            RunKey(width, state, seed)
            for width in self.widths
            for state in dict.fromkeys(self.state)
            for seed in range(self.seeds)
        ]

    def make_task(self, task: Task | None = None) -> Task:
        """The task of all runs; generated data last for a whole run, without an epoch's end.

        Args:
            task: Any task; None for the one that the setup names.
        """
        if task is None:
            task = self.setup.make_task()
        if self.budget != "tokens" or self.setup.style == "full":  # a window is a whole row
            return task
        return task.lasting(min(math.ceil(self.amount), LONGEST_EPOCH))

    def check(self, task: Task) -> None:
        """Raises OptionError unless the setup suits the task, and its data are long enough for all widths."""
        check_setup(self.setup, task, self.num_steps)

    def identity(self, task: Task) -> dict[str, Any]:
        """What two comparisons must share for their runs to be in one table, ready for JSON.

        Raises:
            OptionError: For `task`, if JSON cannot hold its options.
        """
        run = {"task": task.name, "budget": self.budget, "amount": self.amount}
        return checked_identity(setup_identity(self.setup, task) | run)


def checked_identity(identity: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration, or raises OptionError for `task` if JSON cannot hold the task's options."""
    try:
        json.dumps(identity)
    except (TypeError, ValueError) as error:
        raise OptionError("task", f"must have options that JSON can hold ({error})") from error
    return identity
