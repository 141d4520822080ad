"""What the atlas has measured, in tables that are part of the repository, and back from them."""

from __future__ import annotations

import collections
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.comparison.curves import best_point
from tf_rnn.comparison.results import COST_KEYS, Results
from tf_rnn.comparison.settings import RunKey
from tf_rnn.files import plain
from tf_rnn.reporting import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = Path(__file__).parent
RUN_COLUMNS = ("task", "num_steps", "seed", "learning_rate", "updates", "tokens", "seconds", "train_loss",
               "valid_loss", "standard_error")  # fmt: skip
COST_COLUMNS = ("task", *COST_KEYS)
TASK_COLUMNS = ("task", "knowing_nothing", "half_life", "gradient_needs")


class Known(NamedTuple):
    """What is known of a task besides its runs.

    Attributes:
        knowing_nothing: The held-out loss of the best constant prediction.
        half_life: Steps in which the norm of the gradient halves.
        gradient_needs: The steps in blocks that keep 90 % of the gradient; 0 if those measured do not.
    """

    knowing_nothing: float
    half_life: float
    gradient_needs: int


def run_rows(task: str, results: Results) -> list[dict[str, Any]]:
    """A row for each point of the learning curves; one without a loss for a run that diverged."""
    rows = []
    for _, run in sorted(results.runs.items()):
        named = {"task": task} | {name: run[name] for name in ("num_steps", "seed", "learning_rate")}
        points = [point for point in run.get("curve", []) if point["updates"]]
        kept = ("updates", "tokens", "seconds", "train_loss", "valid_loss")
        rows += [named | {name: point[name] for name in kept} | {"standard_error": ""} for point in points]
        if points:
            rows[-1]["standard_error"] = run["standard_error"]
        else:
            rows.append(named | dict.fromkeys((*kept, "standard_error"), ""))
    return rows


def cost_rows(task: str, results: Results) -> list[dict[str, Any]]:
    """A row for each width."""
    return [{"task": task} | cost for _, cost in sorted(results.costs.items())]


def write(name: str, columns: Sequence[str], rows: Iterable[dict[str, Any]], folder: Path = FOLDER) -> None:
    """Writes a table, numbers to six digits."""
    short = [{key: _short(value) for key, value in plain(row).items()} for row in rows]
    (folder / name).write_text(Table.of_records("", short, columns).csv(), encoding="utf-8")


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def read(name: str, folder: Path = FOLDER) -> dict[str, list[dict[str, str]]]:
    """The rows of a table by task."""
    rows: dict[str, list[dict[str, str]]] = collections.defaultdict(list)
    with (folder / name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows[row.pop("task")].append(row)
    return dict(rows)


def read_known(folder: Path = FOLDER) -> dict[str, Known]:
    """What is known of each task."""
    return {
        task: Known(float(row["knowing_nothing"]), float(row["half_life"]), int(row["gradient_needs"]))
        for task, (row,) in read("tasks.csv", folder).items()
    }


def restored(
    runs: Sequence[dict[str, str]], costs: Sequence[dict[str, str]], identity: dict[str, Any]
) -> Results:
    """The results of a task as `compare` had them, without its scores."""
    results = Results(None, identity)
    whole = ("num_steps", "parameters", "operations", "graph_bytes")
    results.add_costs(
        [{name: int(v) if name in whole else float(v) for name, v in cost.items()} for cost in costs]
    )
    curves: dict[RunKey, list[dict[str, str]]] = collections.defaultdict(list)
    for row in runs:
        key = RunKey(int(row["num_steps"]), "carry", int(row["seed"]), float(row["learning_rate"]))
        curves[key].append(row)
    for key, points in curves.items():
        results.add_run(key._asdict() | _run(points))
    return results


def _run(points: Sequence[dict[str, str]]) -> dict[str, Any]:
    last = points[-1]
    if not last["valid_loss"]:
        return {"loss": None, "error": "diverged"}
    numbers = ("updates", "tokens", "seconds", "train_loss", "valid_loss")
    curve = [{name: float(point[name]) for name in numbers} for point in points]
    more = {"standard_error": float(last["standard_error"]), "dependency_scores": {}, "curve": curve}
    return curve[-1] | more | {"loss": best_point(curve)["valid_loss"], "error": None}
