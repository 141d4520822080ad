"""Results on disk: one JSON file, complete after every run, never half written."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any, Never

from tf_rnn.comparison.settings import RunKey
from tf_rnn.config import STATES, OptionError, require_choice, require_positive, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "results.json"
CONFIG = "config.json"
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
            text = (self.folder / name).read_text(encoding="utf-8")
            value = json.loads(text, parse_constant=_refuse)
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
            config = dict(saved["config"])
            costs = [checked_cost(cost) for cost in saved["costs"]]
            runs = [checked_run(run) for run in saved["runs"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(FILE) from error
        self._check_identity(config)
        self.add_costs(costs)
        for run in runs:
            self.add_run(run)
        if not {key.num_steps for key in self.runs} <= set(self.costs):
            raise self._damaged(FILE)

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
    require_whole("num_steps", run["num_steps"])
    require_choice("state", run["state"], STATES)
    require_whole("seed", run["seed"], at_least=0)
    if run["loss"] is not None:
        numbers = [run[name] for name in ("loss", "standard_error", "updates", "seconds")]
        if not all(math.isfinite(value) for value in [*numbers, *run["dependency_scores"].values()]):
            raise ValueError("a number is not finite")
    return run


def checked_cost(cost: dict[str, Any]) -> dict[str, Any]:
    """Returns a width's costs, or raises an error if what tables and plots need is not there."""
    return {name: require(name, cost[name]) for name, require in COST_KEYS.items()}


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not in the JSON standard")


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
