"""The tables of a comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.sentences import duration, megabytes, signed_loss
from tf_rnn.reporting import Table, number
from tf_rnn.reporting.table import MISSING
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tf_rnn.comparison.summary import Summary
    from tf_rnn.comparison.verdict import Verdict
    from tf_rnn.tasks import Task

LN2 = math.log(2)
RUN_COLUMNS = (
    "num_steps",
    "state",
    "learning_rate",
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


def answer_table(verdict: Verdict, unit: str) -> Table:
    """The width to use between the next narrower and the next wider one."""
    rows = verdict.rows
    columns = {
        "": [row["which"] for row in rows],
        "width": [str(row["num_steps"]) for row in rows],
        "loss": [loss_text(row["loss"], unit) for row in rows],
        "difference": ["" if not row["difference"] else signed_loss(row["difference"], unit) for row in rows],
        "time for the\nsame training": [duration(row["seconds"]) for row in rows],
        "step (ms)": [f"{row['step_milliseconds']:.3g}" for row in rows],
        "memory": [megabytes(row["graph_bytes"]) for row in rows],
    }
    return Table.of_columns("The width to use and its neighbours", columns)


def planned_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """The runs that are to be trained.

    Args:
        records: A record for each width and state, as in `tf_rnn.comparison.Plan`.
    """
    rows = list(records)
    columns = {
        "width": [str(row["num_steps"]) for row in rows],
        "state": [row["state"] for row in rows],
        "runs": [str(row["runs"]) for row in rows],
        "time of\na run": [duration(row["seconds"]) for row in rows],
        "memory": [megabytes(row["graph_bytes"]) for row in rows],
    }
    return Table.of_columns("What is to be trained", columns)


def learning_table(summaries: Sequence[Summary], task: Task) -> Table:
    """What each width learns; columns in which nothing is known are left out."""
    several = len({summary.learning_rate for summary in summaries}) > 1
    columns: dict[str, list[str]] = {
        "width": [str(summary.num_steps) for summary in summaries],
        "state": [summary.state for summary in summaries],
        "rate": [f"{summary.learning_rate:g}" if several else MISSING for summary in summaries],
        "loss ± seeds": [_loss(summary) for summary in summaries],
        f"bits per\n{task.token}": [
            number(summary.loss / LN2 if task.unit == "nats" else None, ".3f") for summary in summaries
        ],
        "above\noptimum": [_gap(summary.gap_to_optimum, task.unit) for summary in summaries],
        "above\nfloor": [_gap(summary.gap_to_floor, task.unit) for summary in summaries],
    }
    for lag in task.lags:
        learnt = [number(summary.dependency_scores[lag], ".2f") for summary in summaries]
        columns[f"lag {lag}\nlearnt"] = learnt
        columns[f"reach\n{lag}"] = [number(summary.reach[lag], ".0%") for summary in summaries]
    columns["updates"] = [number(summary.updates, ",.0f") for summary in summaries]
    return Table.of_columns("What each width learns", columns)


def cost_table(costs: Iterable[Mapping[str, Any]]) -> Table:
    """What each width costs.

    Args:
        costs: A record for each width, as in `tf_rnn.analysis.Cost`.
    """
    rows = sorted(costs, key=lambda cost: cost["num_steps"])
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
    return Table.of_columns("What each width costs", columns)


def run_table(runs: Iterable[Mapping[str, Any]], lags: Sequence[int]) -> Table:
    """A row for each run, numbers with all their digits.

    Args:
        runs: Records of runs, with costs.
        lags: Those of the task.
    """
    names = {
        f"{column}_{lag}": (key, str(lag))
        for column, key in (
            ("dependency_score", "dependency_scores"),
            ("share_of_errors", "share_of_errors"),
        )
        for lag in lags
    }
    flat = [
        {**run, **{name: (run.get(key) or {}).get(lag) for name, (key, lag) in names.items()}} for run in runs
    ]
    return Table.of_records("Runs", flat, [*RUN_COLUMNS, *names])


def _gap(gap: float | None, unit: str) -> str:
    return "–" if gap is None else signed_loss(gap, unit)


def _loss(summary: Summary) -> str:
    spread = "" if math.isnan(summary.spread) else f" ± {loss_text(summary.spread, summary.unit)}"
    unfinished = f" ({summary.unfinished})" if summary.unfinished else ""
    loss = "–" if math.isnan(summary.loss) else loss_text(summary.loss, summary.unit)
    return loss + spread + unfinished
