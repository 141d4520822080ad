"""The settings of a comparison: what is trained at which widths, and for how long."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.comparison.ranking import Question
from tf_rnn.options import STATES, OptionError, require_number_of, shown
from tf_rnn.options.declared import COMPARE_OPTIONS
from tf_rnn.setup import Setup, check_setup, options_file, setup_identity
from tf_rnn.tasks.constant import constant_loss
from tf_rnn.text import counted
from tf_rnn.training.plan import require_usable

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
        learning_rate: The optimizer's learning rate.
    """

    num_steps: int
    state: str
    seed: int
    learning_rate: float

    @property
    def title(self) -> str:
        """The key for people to read."""
        return f"width {self.num_steps}, {self.state}, rate {self.learning_rate:g}, seed {self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The settings of a comparison. All runs share everything but width, state, learning rate and seed.

    Attributes:
        setup: The network and its training.
        num_steps: The widths, or ranges of them; see `tf_rnn.options.rules.Widths`.
        state: "carry", "reset" or both.
        seeds: Number of runs of each width and state, from seeds 0, 1, ...
        budget: "tokens", "updates", "seconds" or "epochs": what every run gets the same amount of.
        amount: How much of it.
        learning_rate: Learning rates; each width is judged at its best one. Empty for that of the setup.

    Raises:
        OptionError: If an option is not allowed.
    """

    setup: Setup
    num_steps: tuple[int, ...]
    state: tuple[str, ...] = STATES
    seeds: int = 3
    budget: str = "tokens"
    amount: float
    learning_rate: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        setup: Any = self.setup
        if not isinstance(setup, Setup):
            raise OptionError("setup", f"must be a Setup, got {shown(setup)}")
        if isinstance(self.learning_rate, tuple) and not self.learning_rate:
            object.__setattr__(self, "learning_rate", (setup.learning_rate,))
        found = {name: option.check(getattr(self, name)) for name, option in COMPARE_OPTIONS.items()}
        found["learning_rate"] = tuple(sorted(set(found["learning_rate"])))
        for rate in found["learning_rate"]:
            require_number_of("learning_rate", rate, "float32")
        if type(self.amount) in (int, float):
            found["amount"] = self.amount
        for name, value in found.items():  # as JSON can hold it
            object.__setattr__(self, name, value)
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
            RunKey(width, state, seed, rate)
            for width in self.widths
            for state in dict.fromkeys(self.state)
            for rate in self.learning_rate
            for seed in range(self.seeds)
        ]

    @property
    def budget_words(self) -> str:
        """The budget of a run for people to read: `5,000,000 tokens`."""
        return counted(self.amount, self.budget.removesuffix("s"), ",.10g")

    def question(self, task: Task) -> Question:
        """What the comparison asks of its runs."""
        return Question(
            self.budget_words,
            constant_loss(task),
            self.learning_rate,
            tuple(self.widths),
            lowest=task.optimum() or 0.0,
            contenders=task.contenders(self.widths),
        )

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
        require_usable(task)

    def identity(self, task: Task) -> dict[str, Any]:
        """What two comparisons must share for their runs to be in one table, ready for JSON.

        Raises:
            OptionError: For `task`, if JSON cannot hold its options.
        """
        # The learning rate is an axis, like the width: every run has its own.
        run = {"task": task.name, "budget": self.budget, "amount": self.amount, "learning_rate": None}
        return checked_identity(setup_identity(self.setup, task) | run)


def run_file(command: str, comparison: Comparison, task: Task, **changes: Any) -> str | None:
    """The content of `run.toml`, see `options_file`.

    Args:
        command: "compare" or "recommend".
        comparison: The settings.
        task: What is learnt.
        **changes: Further options, or others than those of the settings.
    """
    own = {name: getattr(comparison, name) for name in COMPARE_OPTIONS}
    return options_file(command, comparison.setup, task, **(own | changes))


def checked_identity(identity: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration, or raises OptionError for `task` if JSON cannot hold the task's options."""
    try:
        json.dumps(identity)
    except (TypeError, ValueError) as error:
        raise OptionError("task", f"must have options that JSON can hold ({error})") from error
    return identity
