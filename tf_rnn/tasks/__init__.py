"""What is learnt: streams of inputs and targets, and the losses to compare a network with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.config import CELLS, NEED_ALL_LOSSES, OptionError, Setup, require_choice
from tf_rnn.tasks.adding import Adding
from tf_rnn.tasks.base import SPLITS, Defaults, Task
from tf_rnn.tasks.copy import Copy
from tf_rnn.tasks.echo import Echo
from tf_rnn.tasks.influence import Influence
from tf_rnn.tasks.memory import Memory
from tf_rnn.tasks.stream import Stream, cut_blocks, cut_rows
from tf_rnn.tasks.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "SPLITS",
    "TASKS",
    "Adding",
    "Copy",
    "Defaults",
    "Echo",
    "Influence",
    "Memory",
    "Stream",
    "Task",
    "Text",
    "check_setup",
    "cut_blocks",
    "cut_rows",
    "make_task",
    "setup_identity",
]

TASKS: dict[str, type[Task]] = {
    "echo": Echo,
    "memory": Memory,
    "copy": Copy,
    "adding": Adding,
    "influence": Influence,
    "text": Text,
}


OPTIONS_OF_ONE_CELL = {"activation": "vanilla", "forget_bias": "lstm"}
# Their output is the prediction itself.
CELLS_THAT_PREDICT = ("influence",)


def make_task(name: str, **options: Any) -> Task:
    """Makes the task that is registered under a name.

    Args:
        name: A key of `TASKS`.
        **options: Those of the task's constructor.

    Returns:
        The task; `make_task(task.name, **task.options())` is an equal one.

    Raises:
        OptionError: For the option `task`, if there is no such task; or a value is not allowed.
        TypeError: The task has no such option.
    """
    constructor: Callable[..., Task] = TASKS[require_choice("task", name, TASKS)]
    return constructor(**options)


def check_setup(setup: Setup, task: Task, num_steps: int) -> None:
    """Raises OptionError unless a setup suits its task, and the task's data a width.

    Args:
        setup: What is to be trained.
        task: The setup's task.
        num_steps: The largest width.
    """
    for option, cell in OPTIONS_OF_ONE_CELL.items():
        if option in setup.cell_options and setup.cell != cell:
            raise OptionError(option, f"must be left out unless cell is {cell}, got {setup.cell!r}")
    predicts = setup.cell in CELLS_THAT_PREDICT
    if predicts != (task.readout == "none"):
        fitting = [cell for cell in CELLS if (cell in CELLS_THAT_PREDICT) != predicts]
        raise OptionError(
            "cell", f"must be {' or '.join(fitting)} for the task {task.name}, got {setup.cell!r}"
        )
    layers = {"num_layers": setup.num_layers} if setup.num_layers > 1 else {}
    for option, value in (layers | setup.cell_options).items():
        if predicts:
            raise OptionError(option, f"must be left out where cell is {setup.cell}, got {value!r}")
    if setup.style == "adaptive" and num_steps < 2:
        raise OptionError("num_steps", f"must be at least 2 for the style adaptive, got {num_steps}")
    if setup.style == "sliding" and setup.stride > num_steps:
        raise OptionError("stride", f"must be from 1 to num_steps ({num_steps}), got {setup.stride}")
    if setup.style in NEED_ALL_LOSSES and task.loss_steps == "marked":
        raise OptionError(
            "style",
            f"must be block or full for the task {task.name}, whose losses do not stand at every step; "
            f"got {setup.style!r}",
        )
    task.blocks(setup.batch_size, num_steps)


def setup_identity(setup: Setup, task: Task) -> dict[str, Any]:
    """All that makes a setup's results what they are, ready for JSON: its options and its data."""
    identity = dataclasses.asdict(setup) | {"task_options": task.options()}
    data = getattr(task, "sha256", None)
    return identity | ({"data_sha256": data} if data else {})
