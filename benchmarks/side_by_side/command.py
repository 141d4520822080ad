"""Exit statuses and output shared by the benchmark commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.side_by_side.processes import PeerError
from tf_rnn.cli.parser import BAD_INPUT
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
WIDE_ENOUGH = 130  # columns, where the output is not a terminal


def exit_status(name: str, run: Callable[[], None]) -> int:
    """Runs a command and turns its errors into an exit status and one line on standard error.

    Args:
        name: Name of the command.
        run: Its body, called without arguments.

    Returns:
        0 on success, 1 if there is no reference to compare with, 2 on bad input, 130 if interrupted.
    """
    try:
        run()
    except OptionError as error:
        return _fail(name, f"--{error.option} {error.problem}", BAD_INPUT)
    except PeerError as error:
        return _fail(name, str(error), 1)
    except KeyboardInterrupt:
        return _fail(name, "interrupted; finished configurations are saved", INTERRUPTED)
    return 0


def _fail(name: str, line: str, status: int) -> int:
    print(f"{name}: error: {line}", file=sys.stderr)
    return status


def output() -> Console:
    """Console on standard output, wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDE_ENOUGH))


def say(line: str, console: Console | None = None) -> None:
    """Prints a line without markup, by default to standard error."""
    (console or Console(stderr=True)).print(line, highlight=False, markup=False, soft_wrap=True)
