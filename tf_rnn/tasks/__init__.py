"""Tasks to learn: streams of inputs and targets, and reference losses."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tf_rnn.options import OptionError, require_choice, shown
from tf_rnn.tasks.adding import Adding
from tf_rnn.tasks.arrays import Arrays
from tf_rnn.tasks.autoregression import Autoregression
from tf_rnn.tasks.base import SPLITS, Defaults, Task
from tf_rnn.tasks.copy import Copy
from tf_rnn.tasks.echo import Echo
from tf_rnn.tasks.influence import Influence
from tf_rnn.tasks.labels import Labels
from tf_rnn.tasks.language import Language
from tf_rnn.tasks.memory import Memory
from tf_rnn.tasks.sequences import pack
from tf_rnn.tasks.series import Series
from tf_rnn.tasks.stream import Stream, cut_blocks, cut_rows
from tf_rnn.tasks.table_options import TableOptions
from tf_rnn.tasks.tabular import Tabular
from tf_rnn.tasks.text import Text
from tf_rnn.tasks.vocabulary import Vocabulary
from tf_rnn.tasks.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "SPLITS",
    "TABLES",
    "TASKS",
    "Adding",
    "Arrays",
    "Autoregression",
    "Copy",
    "Defaults",
    "Echo",
    "Influence",
    "Labels",
    "Language",
    "Memory",
    "Series",
    "Stream",
    "TableOptions",
    "Tabular",
    "Task",
    "Text",
    "Vocabulary",
    "Words",
    "cut_blocks",
    "cut_rows",
    "described_task",
    "make_task",
    "make_vocabulary",
    "pack",
]

TASKS: dict[str, type[Task]] = {
    "echo": Echo,
    "autoregression": Autoregression,
    "memory": Memory,
    "copy": Copy,
    "adding": Adding,
    "influence": Influence,
    "text": Text,
    "words": Words,
    "series": Series,
    "labels": Labels,
}

# Tasks whose defaults depend on the size of a table.
TABLES = tuple(name for name, kind in TASKS.items() if issubclass(kind, Tabular))


def make_task(name: str, **options: Any) -> Task:
    """Makes the task that is registered under a name.

    Args:
        name: A key of `TASKS`.
        **options: Options of the task's constructor.

    Returns:
        The task; `make_task(task.name, **task.options())` is an equal one.

    Raises:
        OptionError: For the option `task`, if there is no such task; or a value is not allowed.
        TypeError: The task has no such option.
    """
    constructor: Callable[..., Task] = TASKS[require_choice("task", name, TASKS)]
    return constructor(**options)


def described_task(description: Any, **changes: Any) -> Task:
    """Makes the task that a saved description names.

    Args:
        description: The task's name under "name" and its options under "options".
        **changes: Options that replace those of the description.

    Raises:
        OptionError: For `task`, if the description is malformed; or a value is not allowed.
    """
    if not isinstance(description, dict) or not isinstance(description.get("options"), dict):
        raise OptionError("task", f"must be described by its name and options, got {shown(description)}")
    name = require_choice("task", description.get("name"), TASKS)
    options = description["options"] | changes
    for option in options:
        if option not in inspect.signature(TASKS[name]).parameters:
            raise OptionError("task", f"must be described by options that {name} has, got {option!r}")
    return make_task(name, **options)


def make_vocabulary(task: str, tokens: Iterable[str]) -> Vocabulary:
    """Makes the vocabulary of a language task, for instance that of a saved model, without the task's data.

    Args:
        task: The name of the task.
        tokens: Its `vocabulary`.

    Returns:
        A vocabulary, which turns text into class indices and back.

    Raises:
        OptionError: For the option `task`, if it is not a language task; for `vocabulary`, if something
            is not a token of that kind of task.
    """
    kinds = {name: kind.vocabulary_kind for name, kind in TASKS.items() if issubclass(kind, Language)}
    return kinds[require_choice("task", task, kinds)](tokens)
