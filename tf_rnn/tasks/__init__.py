"""What is learnt: streams of inputs and targets, and the losses to compare a network with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.config import require_choice
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
    "cut_blocks",
    "cut_rows",
    "make_task",
]

TASKS: dict[str, type[Task]] = {
    "echo": Echo,
    "memory": Memory,
    "copy": Copy,
    "adding": Adding,
    "influence": Influence,
    "text": Text,
}


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
