"""Results on disk: one JSON file, complete after every run, never half written."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.settings import RunKey
from tf_rnn.config import OptionError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "results.json"
CONFIG = "config.json"
COST_KEYS: dict[str, type] = {
    "num_steps": int,
    "parameters": int,
    "operations": int,
    "build_seconds": float,
    "first_run_seconds": float,
    "step_milliseconds": float,
    "tokens_per_second": float,
    "graph_bytes": int,
}
ELSEWHERE = "choose another folder"


class Results:
    """The finished runs and measured costs of a comparison.

    Args:
        folder: Where they are kept; made if it is not there.
        identity: What all runs in it have in common.

    Attributes:
        runs: Records by key.
        costs: Records by width.

    Raises:
        OptionError: If the folder cannot be written, or what is in it is damaged or of another
            configuration. Nothing is overwritten then.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))
        self.runs: dict[RunKey, dict[str, Any]] = {}
        self.costs: dict[int, dict[str, Any]] = {}
        self._make_folder()
        if (folder / CONFIG).exists():
            self._check_identity(self._read(CONFIG))
        if (folder / FILE).exists():
            self._load()
        write_json(folder / CONFIG, self.identity)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / ".write-test"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise OptionError(
                "out", f"must be a folder that can be written, got {str(self.folder)!r} ({error.strerror})"
            ) from error

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise self._damaged(name) from error
        if not isinstance(value, dict):
            raise self._damaged(name)
        return value

    def _damaged(self, name: str) -> OptionError:
        path = str(self.folder / name)
        return OptionError("out", f"must hold undamaged results, {path!r} cannot be read; {ELSEWHERE}")

    def _load(self) -> None:
        saved = self._read(FILE)
        try:
            self._check_identity(dict(saved["config"]))
            for cost in saved["costs"]:
                self.costs[int(cost["num_steps"])] = checked_cost(cost)
            for run in saved["runs"]:
                self.add_run(checked_run(run))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, OptionError):
                raise
            raise self._damaged(FILE) from error

    def _check_identity(self, saved: dict[str, Any]) -> None:
        for name in sorted({*saved, *self.identity}):
            here, there = self.identity.get(name), saved.get(name)
            if here != there:
                raise OptionError(
                    "out",
                    f"must hold results of the same configuration; in {str(self.folder)!r} {name} is "
                    f"{there!r}, here {here!r}; {ELSEWHERE}",
                )

    def missing(self, keys: list[RunKey]) -> list[RunKey]:
        """Those of the keys that have no finished run."""
        return [key for key in keys if key not in self.runs]

    def add_run(self, record: dict[str, Any]) -> None:
        """Adds a finished run."""
        self.runs[RunKey(record["num_steps"], record["state"], record["seed"])] = record

    def add_costs(self, records: list[dict[str, Any]]) -> None:
        """Adds measured costs."""
        self.costs.update({record["num_steps"]: record for record in records})

    def save(self, **more: Any) -> None:
        """Writes everything, with `more` keys beside."""
        runs = [self.runs[key] for key in sorted(self.runs)]
        costs = [self.costs[width] for width in sorted(self.costs)]
        write_json(
            self.folder / FILE,
            {
                "task": self.identity["task"],
                "cell": self.identity["cell"],
                "budget": {"kind": self.identity["budget"], "amount": self.identity["amount"]},
                "config": self.identity,
                "costs": costs,
                "runs": [run | self.costs.get(run["num_steps"], {}) for run in runs],
                **more,
            },
        )


def checked_run(run: dict[str, Any]) -> dict[str, Any]:
    """Returns a run's record, or raises an error if what tables and plots need is not there."""
    int(run["num_steps"]), int(run["seed"])
    if run["loss"] is not None:
        for name in ("loss", "standard_error", "updates", "seconds"):
            float(run[name])
        {int(lag): float(score) for lag, score in run["dependency_scores"].items()}
    return run


def checked_cost(cost: dict[str, Any]) -> dict[str, Any]:
    """Returns a width's costs, or raises an error if what tables and plots need is not there."""
    return {name: COST_KEYS[name](cost[name]) for name in COST_KEYS}


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that it is there as a whole or not at all."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file so that it is there as a whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
