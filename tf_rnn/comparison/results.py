"""The runs and costs of a comparison, in memory and in a JSON file that is complete after every run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from tf_rnn.analysis import ByPosition
from tf_rnn.comparison.curves import best_point
from tf_rnn.comparison.settings import RunKey
from tf_rnn.files import (
    claim_folder,
    damaged,
    is_there,
    read_json,
    require_claimable,
    require_same,
    write_json,
)
from tf_rnn.options import STATES, require_choice, require_positive, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "results.json"
COST_KEYS: dict[str, Callable[[str, Any], float]] = {
    "num_steps": require_whole,
    "parameters": require_whole,
    "operations": require_whole,
    "build_seconds": require_positive,
    "first_run_seconds": require_positive,
    "step_milliseconds": require_positive,
    "tokens_per_second": require_positive,
    "graph_bytes": require_whole,
}


class Results:
    """The finished runs and measured costs of a comparison.

    Args:
        folder: Where they are saved, made if it is missing; None to keep them in memory only.
        identity: The configuration that all runs share.
        claims: Whether the folder becomes one for these results; else it is only read.

    Attributes:
        runs: Records by key.
        costs: Records by width.
        parts: Records of runs that had a part of their budget, their `fraction`, by key.
        failures: Error messages of runs that failed, by key; such runs are tried again.

    Raises:
        OptionError: If the folder cannot be written, or its results are damaged or have another
            configuration. Then nothing is overwritten.
    """

    def __init__(self, folder: Path | None, identity: dict[str, Any], *, claims: bool = True) -> None:
        self.folder = folder
        self.runs: dict[RunKey, dict[str, Any]] = {}
        self.parts: dict[RunKey, dict[str, Any]] = {}
        self.costs: dict[int, dict[str, Any]] = {}
        self.failures: dict[RunKey, str] = {}
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))
        if folder is None:
            return
        if is_there(folder, FILE):  # checked before anything is written
            self._load(folder, folder / FILE)
        (claim_folder if claims else require_claimable)(folder, identity)

    def _load(self, folder: Path, path: Path) -> None:
        saved = read_json(path)
        try:
            config = dict(saved["config"])
            costs = [checked_cost(cost) for cost in saved["costs"]]
            runs = [checked_run(run) for run in saved["runs"]]
            parts = [checked_part(run) for run in saved.get("parts", [])]
            failures = [(checked_key(run), str(run["error"])) for run in saved.get("failed", [])]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(path) from error
        require_same(folder, config, self.identity)
        self.add_costs(costs)
        self.failures.update(failures)
        for run in runs:
            self.add_run(run)
        for part in parts:
            self.add_part(part)
        if not {key.num_steps for key in (*self.runs, *self.failures)} <= set(self.costs):
            raise damaged(path)

    def missing(self, keys: list[RunKey]) -> list[RunKey]:
        """The keys that have no finished run."""
        return [key for key in keys if key not in self.runs]

    def add_run(self, record: dict[str, Any]) -> None:
        """Adds a finished run."""
        key = checked_key(record)
        self.runs[key] = record
        self.parts.pop(key, None)
        self.failures.pop(key, None)

    def add_part(self, record: dict[str, Any]) -> None:
        """Adds a run that had a part of its budget; one that had more of it stays."""
        key = checked_key(record)
        if (
            key not in self.runs
            and record["fraction"] >= self.parts.get(key, record | {"fraction": 0})["fraction"]
        ):
            self.parts[key] = record
        self.failures.pop(key, None)

    def after(self, key: RunKey, fraction: float) -> dict[str, Any] | None:
        """The record of a run as it was after a fraction of its budget; None if it had less."""
        run = self.runs.get(key)
        reached = 1.0
        if run is None:
            run = self.parts.get(key)
            reached = run["fraction"] if run else 0.0
        if run is None or run["loss"] is None or reached == fraction:
            return run if reached >= fraction else None
        return _cut(run, fraction / reached) if reached > fraction else None

    def record(self, key: RunKey) -> dict[str, Any]:
        """The record of a run, finished or not."""
        return self.runs.get(key) or self.parts[key]

    def add_failure(self, key: RunKey, error: str) -> None:
        """Adds a run that failed."""
        self.failures[key] = error

    def add_costs(self, records: list[dict[str, Any]]) -> None:
        """Adds measured costs."""
        self.costs.update({record["num_steps"]: record for record in records})

    def update(self, other: Results) -> None:
        """Adds all runs and costs of other results."""
        self.add_costs(list(other.costs.values()))
        self.failures.update(other.failures)
        for run in other.runs.values():
            self.add_run(run)
        for part in other.parts.values():
            self.add_part(part)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The finished runs in the order of their keys, each with the costs of its width."""
        return [run | self.costs.get(key.num_steps, {}) for key, run in sorted(self.runs.items())]

    @property
    def failed_records(self) -> list[dict[str, Any]]:
        """The failed runs in the order of their keys."""
        return [key._asdict() | {"error": error} for key, error in sorted(self.failures.items())]

    def as_json(self, **more: Any) -> dict[str, Any]:
        """The content of `results.json`, with `more` keys at the end."""
        return {
            "task": self.identity["task"],
            "cell": self.identity["cell"],
            "budget": {"kind": self.identity["budget"], "amount": self.identity["amount"]},
            "config": self.identity,
            "costs": [self.costs[width] for width in sorted(self.costs)],
            "runs": self.records,
            "failed": self.failed_records,
            "parts": [part for _, part in sorted(self.parts.items())],
            **more,
        }

    def save(self, **more: Any) -> None:
        """Writes `results.json` if there is a folder; see `as_json`."""
        if self.folder is not None:
            write_json(self.folder / FILE, self.as_json(**more))


def checked_key(run: dict[str, Any]) -> RunKey:
    """Returns the key of a run's record, or raises an error if it has none."""
    return RunKey(
        require_whole("num_steps", run["num_steps"]),
        require_choice("state", run["state"], STATES),
        require_whole("seed", run["seed"], at_least=0),
        require_positive("learning_rate", run["learning_rate"]),
    )


def checked_run(run: dict[str, Any]) -> dict[str, Any]:
    """Returns a run's record with the lowest loss of its curve, or raises an error if it lacks something."""
    checked_key(run)
    if run["loss"] is not None:
        numbers = [run[name] for name in ("loss", "standard_error", "updates", "tokens", "seconds")]
        numbers += [point[name] for point in run["curve"] for name in ("updates", "valid_loss")]
        if not all(math.isfinite(value) for value in [*numbers, *run["dependency_scores"].values()]):
            raise ValueError("a number is not finite")
        run["loss"] = best_point(run["curve"])["valid_loss"]  # earlier versions had that of the end
    if "by_position" in run:
        ByPosition(**run["by_position"])
    if run.get("gradient"):
        values = [
            run["gradient"]["half_life"],
            *run["gradient"]["relative_bias"],
            *run["gradient"]["block_bias"],
        ]
        if not all(value is None or math.isfinite(value) for value in values):
            raise ValueError("a gradient is not finite")
    return run


def checked_part(run: dict[str, Any]) -> dict[str, Any]:
    """Returns the record of a run that had a part of its budget, or raises an error; see `checked_run`."""
    if not 0 < run["fraction"] <= 1:
        raise ValueError("a fraction is not one")
    return checked_run(run)


def _cut(run: dict[str, Any], fraction: float) -> dict[str, Any]:
    """A run's record as it was after a fraction of its training; scores are those of the end."""
    curve = [point for point in run["curve"] if point["updates"] <= fraction * run["updates"] + 1]
    last = {name: curve[-1][name] for name in ("train_loss", "updates", "tokens", "seconds")}
    return run | last | {"loss": best_point(curve)["valid_loss"], "curve": curve}


def checked_cost(cost: dict[str, Any]) -> dict[str, Any]:
    """Returns the costs of a width, or raises an error if they lack what tables and figures need."""
    return {name: require(name, cost[name]) for name, require in COST_KEYS.items()}
