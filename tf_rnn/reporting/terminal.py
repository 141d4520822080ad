"""Lines and tables on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tf_rnn.reporting.table import Table

# Where standard output is a file or a pipe.
PLAIN_WIDTH = 120


def print_line(line: str) -> None:
    """Prints text as it stands, square brackets included; a terminal wraps it between words."""
    from rich.console import Console  # noqa: PLC0415 (only terminals need it)

    Console(width=_width()).print(line, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def print_table(table: Table) -> None:
    """Prints a table."""
    from rich.console import Console  # noqa: PLC0415

    Console(width=_width()).print(table.rich())


def print_written(files: Iterable[Path]) -> None:
    """Prints which files were written."""
    from rich.console import Console  # noqa: PLC0415

    line = f"written: {', '.join(map(str, files))}"
    Console().print(line, highlight=False, markup=False, soft_wrap=True)


def _width() -> int | None:
    return None if sys.stdout.isatty() else PLAIN_WIDTH
