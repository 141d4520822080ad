"""Tables, shown as Markdown, CSV or on a terminal."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tf_rnn.console import visible
from tf_rnn.reporting.document import escaped, scrolling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MISSING = "–"
# Of a longer table, HTML shows the beginning.
MOST_ROWS = 500
# Cells of text up to the length of a time stay on one line; columns with long ones are wide enough to read.
SHORT_CELL, LONG_CELL = 19, 32
_NUMBER = re.compile(rf"[-+−]?\.?\d(?!\d*-\d)|{MISSING}|$")  # and no date
# Characters between two columns on a terminal.
SPACE = 2


class Table(NamedTuple):
    """Rows of cells under a header.

    Attributes:
        title: One line.
        header: The name of each column; a line break is one on a terminal only.
        rows: A cell for each column. A cell of None is empty.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of_columns(cls, title: str, columns: Mapping[str, Sequence[str]]) -> Self:
        """Makes a table of columns of text, without those in which every cell is missing."""
        used = {name: cells for name, cells in columns.items() if any(cell != MISSING for cell in cells)}
        return cls(title, list(used), [list(row) for row in zip(*used.values(), strict=True)])

    @classmethod
    def of_records(cls, title: str, records: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Self:
        """Makes a table with a row for each record; what a record lacks is None.

        Args:
            title: One line.
            records: Values by name.
            names: The columns.
        """
        return cls(title, list(names), [[record.get(name) for name in names] for record in records])

    def __str__(self) -> str:
        return f"{self.title}\n\n{self.markdown()}" if self.title else self.markdown()

    def markdown(self) -> str:
        """The table in Markdown, columns aligned to the right."""
        rows = [_one_line(self.header), ["---:"] * len(self.header), *map(_cells, self.rows)]
        return "\n".join(f"| {' | '.join(map(_markdown_cell, row))} |" for row in rows)

    def html(self, heading: str = "") -> str:
        """The table in HTML; columns of numbers are aligned to the right.

        Args:
            heading: What stands above it; a title that says the same is there for screen readers alone.
        """
        rows = [_cells(row) for row in self.rows]
        looks = [_look(column) for column in zip(*rows, strict=True)] or [""] * len(self.header)
        left_out = f" (the first {MOST_ROWS:,} of {len(rows):,} rows)" if len(rows) > MOST_ROWS else ""
        hidden = ' class="hidden"' if self.title == heading and not left_out else ""
        parts = [
            "<table>",
            f"<caption{hidden}>{escaped(self.title)}{left_out}</caption>",
            f"<thead>\n{_html_row(self.header, looks, 'col')}\n</thead>",
            "<tbody>",
            *(_html_row(row, looks, "row") for row in rows[:MOST_ROWS]),
            "</tbody>",
            "</table>",
        ]
        return scrolling(self.title, "\n".join(parts))

    def csv(self) -> str:
        """The table as CSV, numbers with all their digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_one_line(self.header))
        writer.writerows(self.rows)
        return text.getvalue()

    def parts(self, width: int) -> list[Self]:
        """Tables of no more columns than fit a terminal; each begins with those that tell the rows apart.

        Args:
            width: Characters in a line.
        """
        rows = [_cells(row) for row in self.rows]
        keys = next(
            (n for n in range(1, len(self.header)) if len({*map(tuple, _firsts(rows, n))}) == len(rows)), 1
        )
        parts = [[*range(keys)]]
        for column in range(keys, len(self.header)):
            if len(parts[-1]) > keys and self._width([*parts[-1], column]) > width:
                parts.append([*range(keys)])
            parts[-1].append(column)
        return [self._of(columns) for columns in parts]

    def _of(self, columns: Sequence[int]) -> Self:
        """Some of the columns."""
        rows = [[row[column] for column in columns] for row in self.rows]
        return self._replace(header=[self.header[column] for column in columns], rows=rows)

    def _width(self, columns: Sequence[int]) -> int:
        """Characters in a line of some columns."""
        from rich.cells import cell_len  # noqa: PLC0415 (only terminals need it)

        def longest(column: int) -> int:
            cells = [cell for row in self.rows for cell in _cells([row[column]])]
            return max(cell_len(visible(line)) for line in [*self.header[column].split("\n"), *cells])

        return sum(longest(column) + SPACE for column in columns) + 1

    def rich(self) -> Any:
        """The table for a terminal, without its title: a `rich.table.Table`."""
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415 (only terminals need it)
        from rich.table import Table as RichTable  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        # As `Text`, cells in square brackets are not read as markup.
        shown = RichTable(
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        for name in self.header:
            title = Text(visible(name, keep="\n"), style="table.header")
            shown.add_column(title, justify="right", vertical="bottom", overflow="fold")
        for row in self.rows:
            shown.add_row(*(Text(visible(cell)) for cell in _cells(row)))
        return shown


def _firsts(rows: Sequence[Sequence[str]], count: int) -> list[Sequence[str]]:
    return [row[:count] for row in rows]


def _one_line(header: Sequence[str]) -> list[str]:
    return [name.replace("\n", " ") for name in header]


def _markdown_cell(text: str) -> str:
    return visible(text).replace("|", "\\|")


def _look(cells: Sequence[str]) -> str:
    """The class of a column of HTML."""
    if all(_NUMBER.match(cell) for cell in cells):
        return ' class="number"'
    longest = max(map(len, cells))
    return ' class="wide"' if longest > LONG_CELL else ' class="short"' if longest <= SHORT_CELL else ""


def _html_row(cells: Sequence[str], looks: Sequence[str], scope: str) -> str:
    """A row of HTML: a head, or one with a head of its own in the first column."""
    made = []
    for number, (cell, look) in enumerate(zip(cells, looks, strict=True)):
        is_head = cell and (scope == "col" or number == 0)
        tag, named = ("th", f' scope="{scope}"') if is_head else ("td", "")
        made.append(f"<{tag}{named}{look}>{escaped(cell)}</{tag}>")
    return f"<tr>{''.join(made)}</tr>"


def _cells(row: Sequence[Any]) -> list[str]:
    return ["" if cell is None else str(cell) for cell in row]


def number(value: float | None, form: str) -> str:
    """Formats a number, zero without a sign; a dash for None and for what is not finite."""
    return MISSING if value is None or not math.isfinite(value) else format(value, f"z{form}")
