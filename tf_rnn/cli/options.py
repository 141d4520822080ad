"""Options that commands share, and how a parser says what is wrong: in one line."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import Any, Never

from tf_rnn.config import CELLS, OPTIMIZERS, OptionError, require_positive, require_whole
from tf_rnn.tasks import TASKS

BAD_INPUT = 2
TASK_OPTIONS = ("lags", "effects", "data")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on standard error, exit status 2."""

    def error(self, message: str) -> Never:
        """Ends the program."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def whole(text: str) -> int:
    """A whole number of at least 1, as argparse wants its types."""
    try:
        return require_whole("value", int(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}") from error


def positive(text: str) -> float:
    """A finite number above 0, as argparse wants its types."""
    try:
        return require_positive("value", text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(error.problem) from error


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--task` and the options that belong to one task or another."""
    group = parser.add_argument_group("what is learnt")
    group.add_argument("--task", choices=TASKS, default="echo", help="default: echo")
    group.add_argument("--lags", type=int, nargs="+", metavar="K", help="echo: lags, default 3 8")
    group.add_argument(
        "--effects", type=float, nargs="+", metavar="E", help="echo: effects, default 0.5 -0.25"
    )
    group.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="text: a UTF-8 file; default: the documentation that ships with Python",
    )


def task_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the task's options that were given.

    Raises:
        OptionError: If one belongs to another task.
    """
    given = {name: getattr(arguments, name) for name in TASK_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        takers = [task for task, kind in TASKS.items() if name in inspect.signature(kind).parameters]
        if arguments.task not in takers:
            raise OptionError(name, f"must be left out unless --task is {' or '.join(takers)}")
    if "data" in given:
        given["data"] = str(given["data"])
    return given


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the cell and of training."""
    group = parser.add_argument_group("the network and its training")
    group.add_argument("--cell", choices=CELLS, default="vanilla", help="default: vanilla")
    group.add_argument("--state-size", type=whole, default=16, metavar="D", help="default: 16")
    group.add_argument("--num-layers", type=whole, default=1, metavar="N", help="default: 1")
    group.add_argument("--batch-size", type=whole, metavar="N", help="default: the task's")
    group.add_argument("--optimizer", choices=OPTIMIZERS, help="default: the task's")
    group.add_argument(
        "--learning-rate", type=positive, metavar="R", help="default: the task's; one for all widths"
    )
    group.add_argument("--clip-norm", type=positive, metavar="G", help="upper limit on the gradient's norm")
