"""The tables of a comparison, once as cells of text, to be shown anywhere."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable

from tf_rnn.comparison.verdict import megabytes
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary
    from tf_rnn.tasks import Task

LN2 = math.log(2)


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: What it says.
        header: A word or two for each column, on a line each.
        rows: Cells of text.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


def learning_table(summaries: Sequence[Summary], task: Task) -> Table:
    """What each width learns. Columns that a task knows nothing of are left out."""
    columns: dict[str, list[str]] = {
        "width": [str(summary.num_steps) for summary in summaries],
        "state": [summary.state for summary in summaries],
        "loss ± seeds": [_loss(summary) for summary in summaries],
        f"bits a\n{task.token}": [
            number(summary.loss / LN2 if task.unit == "nats" else None, ".3f") for summary in summaries
        ],
        "over\noptimum": [_gap(summary.gap_to_optimum, task.unit) for summary in summaries],
        "over\nfloor": [_gap(summary.gap_to_floor, task.unit) for summary in summaries],
    }
    for lag in task.lags:
        columns[f"lag {lag}\nlearnt"] = [
            number(summary.dependency_scores[lag], ".2f") for summary in summaries
        ]
        columns[f"reach\n{lag}"] = [number(summary.reach[lag], ".0%") for summary in summaries]
    columns["updates"] = [number(summary.updates, ",.0f") for summary in summaries]
    return _table("What each width learns", columns)


def cost_table(summaries: Sequence[Summary]) -> Table:
    """What each width costs, whatever becomes of the state."""
    costs = {summary.num_steps: summary.cost for summary in summaries if summary.cost}
    rows = [costs[width] for width in sorted(costs)]
    columns = {
        "width": [str(cost["num_steps"]) for cost in rows],
        "step (ms)": [f"{cost['step_milliseconds']:.3f}" for cost in rows],
        "tokens/s": [f"{cost['tokens_per_second']:,.0f}" for cost in rows],
        "build (s)": [f"{cost['build_seconds']:.3f}" for cost in rows],
        "first\nrun (s)": [f"{cost['first_run_seconds']:.3f}" for cost in rows],
        "memory": [megabytes(cost["graph_bytes"]) for cost in rows],
        "operations": [f"{cost['operations']:,}" for cost in rows],
        "parameters": [f"{cost['parameters']:,}" for cost in rows],
    }
    return _table("What each width costs", columns)


def _gap(gap: float | None, unit: str) -> str:
    return "–" if gap is None else f"{'+' if gap >= 0 else ''}{loss_text(gap, unit)}"


def _loss(summary: Summary) -> str:
    spread = "" if math.isnan(summary.spread) else f" ± {loss_text(summary.spread, summary.unit)}"
    unfinished = f" ({summary.unfinished})" if summary.unfinished else ""
    loss = "–" if math.isnan(summary.loss) else loss_text(summary.loss, summary.unit)
    return loss + spread + unfinished


def _table(title: str, columns: dict[str, list[str]]) -> Table:
    """Leaves out the columns in which no row has anything."""
    used = {name: cells for name, cells in columns.items() if any(cell != "–" for cell in cells)}
    return Table(title, list(used), [list(row) for row in zip(*used.values(), strict=True)])


def number(value: float | None, form: str) -> str:
    """A number in a format; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else format(value, form)


def as_markdown(table: Table) -> str:
    """The table in Markdown, numbers to the right."""
    header = [name.replace("\n", " ") for name in table.header]
    lines = [header, ["---:"] * len(table.header), *table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def as_rich(table: Table) -> RichTable:
    """The table for a terminal."""
    shown = RichTable(title=table.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in table.header:
        shown.add_column(name, justify="right", vertical="bottom")
    for row in table.rows:
        shown.add_row(*row)
    return shown


CSV_COLUMNS = (
    "num_steps",
    "state",
    "seed",
    "loss",
    "standard_error",
    "gap_to_optimum",
    "gap_to_floor",
    "train_loss",
    "updates",
    "tokens",
    "seconds",
    "parameters",
    "operations",
    "build_seconds",
    "first_run_seconds",
    "step_milliseconds",
    "tokens_per_second",
    "graph_bytes",
    "error",
)


def as_csv(runs: Sequence[dict[str, Any]], lags: Sequence[int]) -> str:
    """One line a run, numbers in full."""
    scores = {f"dependency_score_{lag}": str(lag) for lag in lags}
    shares = {f"share_of_errors_{lag}": str(lag) for lag in lags}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *scores, *shares])
    for run in runs:
        writer.writerow(
            [
                *(run.get(name) for name in CSV_COLUMNS),
                *((run.get("dependency_scores") or {}).get(lag) for lag in scores.values()),
                *((run.get("share_of_errors") or {}).get(lag) for lag in shares.values()),
            ]
        )
    return text.getvalue()
