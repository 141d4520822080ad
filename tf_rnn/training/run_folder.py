"""The folder of a run, from which it can be resumed as if it had never stopped.

    config.json        the configuration, written once
    metrics.jsonl      a line for each evaluation
    checkpoints/       the last two and the best
    summaries/         for TensorBoard

Files are replaced as a whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tf_rnn.console import say
from tf_rnn.files import (
    CHECKPOINTS,
    CONFIG,
    as_path,
    is_own_file,
    read_config,
    require_new,
    require_no_links,
    usable_config,
    write_json,
    write_text,
)
from tf_rnn.lock import held, made_and_held, require_in_place
from tf_rnn.options import OptionError
from tf_rnn.training.callbacks import Callback
from tf_rnn.training.checkpoints import Checkpoint, Checkpoints, quiet
from tf_rnn.training.divergence import DivergedError
from tf_rnn.training.result import records
from tf_rnn.training.resume_rules import require_same_run
from tf_rnn.training.state import Best

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tf_rnn.training.state import CurvePoint, History, TrainingState

METRICS = "metrics.jsonl"


class Saver(Protocol):
    """What saves a run."""

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is some time ago."""

    def save(
        self, state: TrainingState, weights: set[str], curve: list[CurvePoint], *, is_over: bool = False
    ) -> None:
        """Saves the run; see `RunFolder.save`."""


class RunFolder:
    """Saves a run in its folder.

    Attributes:
        path: The folder.
        start: The checkpoint that the run is resumed from; None for the start.
        origin: Where a run that is resumed got its first weights from; None if they were random.
        save_seconds: Seconds between two checkpoints, unless there is an evaluation.
        save_share: The largest part of the time that saving takes.

    Args:
        path: The folder.
        unit: The unit of losses.
        start: The checkpoint that the run is resumed from.
        origin: See above.
    """

    save_seconds = 60.0
    save_share = 0.05

    def __init__(
        self,
        path: Path,
        unit: str = "nats",
        start: Checkpoint | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        self.path = path = path.absolute()  # the process may change its directory
        self.start, self.origin, self._unit = start, origin, unit
        self._facts = path.stat()
        self._best = start.state.best if start else None
        self._checkpoints = Checkpoints(path / CHECKPOINTS, "out", start and start.number)
        self._next_save = time.monotonic() + self.save_seconds
        self._encoded: dict[CurvePoint, list[str]] = {}

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is some time ago."""
        return time.monotonic() >= self._next_save

    def save(
        self, state: TrainingState, weights: set[str], curve: list[CurvePoint], *, is_over: bool = False
    ) -> None:
        """Writes a checkpoint and the metrics, unless a run that is over has both already.

        Args:
            state: The run.
            weights: Which of its variables are weights.
            curve: The learning curve so far.
            is_over: Whether the run ends.

        Raises:
            OptionError: For `out`, if they cannot be written; what was saved before is unchanged then.
            DivergedError: If a weight is not finite; such a checkpoint would be useless.
        """
        history = state.history
        require_finite_weights(state, weights)
        self.require_in_place()
        lines = self._lines(curve)
        if is_over and self._has(history, lines):
            return
        began = time.monotonic()
        number = self._checkpoints.next_number
        if len(curve) > 1 and curve[-1].updates == history.updates:
            loss = curve[-1].valid_loss
            if self._best is None or loss < self._best.valid_loss:
                self._best = Best(number, loss)
        metrics = "".join(f"{line}\n" for line in lines)
        try:
            self._checkpoints.write(number, dataclasses.replace(state, best=self._best))
            write_text(self.path / METRICS, metrics)
        except (OSError, OptionError):
            self.require_in_place()  # it may have been moved meanwhile
            raise
        took = time.monotonic() - began
        self._next_save = time.monotonic() + max(self.save_seconds, took / self.save_share)

    def _lines(self, curve: list[CurvePoint]) -> list[str]:
        """The lines of the metrics, each encoded once: a run may have thousands, and be saved after each."""
        for point in curve:
            if point not in self._encoded:
                encoded = [json.dumps(line, allow_nan=False) for line in records([point], self._unit)]
                self._encoded[point] = encoded
        return [line for point in curve for line in self._encoded[point]]

    def _has(self, history: History, lines: list[str]) -> bool:
        """Whether the run got no further than where it was resumed, and all of its metrics are there.

        They are written after the checkpoint, so that a process may have been killed in between. The last
        evaluation may have been made anew, at another second. A damaged checkpoint that is newer has to go.
        """
        if self.start is None or self.start.state.history.updates != history.updates:
            return False
        if self.start.number + 1 != self._checkpoints.next_number:
            return False
        path = self.path / METRICS
        if not is_own_file(path):  # a link may lead to what has no end, a pipe be one that nobody writes to
            return False
        try:
            text = path.read_text(encoding="utf-8")
            found = [json.loads(line) | {"seconds": 0} for line in text.splitlines()]
            return found == [json.loads(line) | {"seconds": 0} for line in lines]
        except (OSError, ValueError, TypeError, RecursionError):
            return False

    def require_in_place(self) -> None:
        """Raises OptionError for `out` if the folder was moved or deleted."""
        require_in_place("out", self.path, self._facts)


class InPlace(Callback):
    """Ends a run whose folder was moved before anything is written in its place.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Looks for the folder."""
        self._folder.require_in_place()


def require_finite_weights(state: TrainingState, weights: set[str]) -> None:
    """Raises DivergedError if a weight of a state is not finite."""
    history = state.history
    if not all(np.isfinite(state.variables[name]).all() for name in weights):
        raise DivergedError(0.0, history.updates, history.epoch, history.largest_norm, 0.0)


@contextlib.contextmanager
def new_run(out: str | os.PathLike[str], config: dict[str, Any], unit: str) -> Iterator[RunFolder]:
    """The folder of a new run, locked.

    Args:
        out: The folder, which must not hold results.
        config: The configuration of the run.
        unit: The unit of losses.

    Raises:
        OptionError: For `out`, if it is in use, holds results or cannot be written.
    """
    path = as_path("out", out)
    with made_and_held("out", path):
        require_new(path)
        write_json(path / CONFIG, config)
        yield RunFolder(path, unit)


@contextlib.contextmanager
def resumed_run(resume: str | os.PathLike[str], config: dict[str, Any], unit: str) -> Iterator[RunFolder]:
    """The folder of a run to resume, locked.

    Args:
        resume: The folder.
        config: The configuration of the rest of the run.
        unit: The unit of losses.

    Raises:
        OptionError: For `resume`, if there is no run, it is in use, or cannot be read or written; or for
            an option that must stay the same.
    """
    path = as_path("resume", resume)
    with held("resume", path) if path.is_dir() else contextlib.nullcontext():
        start = find_start(path)
        saved = start.state.config if start else read_config(path)
        require_same_run(path, saved, config)
        require_no_links("resume", path)
        if kept_config(path) is None:
            write_json(path / CONFIG, saved)
            say(f"{CONFIG} was damaged; it is that of the last checkpoint again")
        yield RunFolder(path, unit, start, saved.get("start_from"))


def find_start(folder: Path, warn: Callable[[str], None] = say) -> Checkpoint | None:
    """The checkpoint to resume from; None for a run that was stopped before its first.

    Args:
        folder: The folder of the run.
        warn: Receives a line for each damaged checkpoint that is skipped.

    Raises:
        OptionError: For `resume`, if a checkpoint cannot be read or all are damaged.
    """
    checkpoints = Checkpoints(folder / CHECKPOINTS, "resume")
    start = checkpoints.newest(warn)
    if start is None and checkpoints.numbers:
        raise OptionError("resume", f"must have an undamaged checkpoint, {str(folder)!r} has none")
    return start and start.with_config(usable_config("resume", folder, start.state.config))


def kept_config(folder: Path) -> dict[str, Any] | None:
    """The content of config.json; None if it is damaged, and checkpoints hold another copy.

    Raises:
        OptionError: For `resume`, if there is no run.
    """
    try:
        return read_config(folder)
    except OptionError:
        if Checkpoints(folder / CHECKPOINTS, "resume").numbers:
            return None
        raise


def saved_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration of a run when it was last saved, or else when it was started.

    Raises:
        OptionError: For `resume`, if there is no run to resume.
    """
    path = as_path("resume", folder)
    start = find_start(path, quiet)
    return start.state.config if start else read_config(path)
