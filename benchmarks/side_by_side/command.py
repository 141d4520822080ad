"""What the commands of this package have in common."""

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
WIDE_ENOUGH = 130  # columns that a table needs where there is no terminal that has some


def exit_status(name: str, run: Callable[[], None]) -> int:
    """Runs a command whose command line has been read.

    Args:
        name: The command's.
        run: What to do.

    Returns:
        0 done, 1 nothing to compare with, 2 bad input, 130 interrupted; if it is not 0, a line on
        standard error says why.
    """
    try:
        run()
    except OptionError as error:
        return _fail(name, f"--{error.option} {error.problem}", BAD_INPUT)
    except PeerError as error:
        return _fail(name, str(error), 1)
    except KeyboardInterrupt:
        return _fail(name, "interrupted; what is finished is kept", INTERRUPTED)
    return 0


def _fail(name: str, line: str, status: int) -> int:
    print(f"{name}: error: {line}", file=sys.stderr)
    return status


def output() -> Console:
    """Where tables go: standard output."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDE_ENOUGH))


def say(line: str, console: Console | None = None) -> None:
    """Prints a line as it is, on standard error as a rule."""
    (console or Console(stderr=True)).print(line, highlight=False, markup=False, soft_wrap=True)
