"""Lines and tables on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tf_rnn.console import visible, written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import Console

    from tf_rnn.reporting.table import Table

# Where standard output is a file or a pipe.
PLAIN_WIDTH = 120


def print_line(line: str) -> None:
    """Prints text as it stands, square brackets included; a terminal wraps it between words."""
    shown = visible(line, keep="\n")
    _console(_width()).print(
        shown, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty()
    )


def print_table(table: Table) -> None:
    """Prints a table, in parts where it is too wide."""
    console = _console(_width())
    if table.title:
        print_line(table.title)
    for part in table.parts(console.width):
        console.print(part.rich())


def print_written(files: Iterable[Path]) -> None:
    """Prints which files were written."""
    _console().print(written(files), highlight=False, markup=False, emoji=False, soft_wrap=True)


def _console(width: int | None = None) -> Console:
    """A console that raises BrokenPipeError when nobody reads, as `print` does; rich's ends the program."""
    from rich.console import Console  # noqa: PLC0415 (only terminals need it)

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(width=width)


def _width() -> int | None:
    return None if sys.stdout.isatty() else PLAIN_WIDTH
