"""What a run keeps on disk, so that it can stop at any moment and go on as if it had not.

    config.json        how the run was set up
    metrics.jsonl      a line for each evaluation
    checkpoints/       the last two and the best
    summaries/         for TensorBoard

Of these, config.json is written once, the others again and again, each as a whole.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, Self

from tf_rnn._tensorflow import tf
from tf_rnn.files import (
    CHECKPOINTS,
    CONFIG,
    as_path,
    make_folder,
    plain,
    read_config,
    require_new,
    require_no_links,
    usable_config,
    write_json,
    write_text,
)
from tf_rnn.graph.naming import saved_names, weight_names
from tf_rnn.lock import held, made_and_held
from tf_rnn.options import OptionError
from tf_rnn.text import perplexity
from tf_rnn.training.checkpoints import Best, Checkpoint, Checkpoints, DamagedError, Snapshot
from tf_rnn.training.divergence import DivergedError
from tf_rnn.training.schedules import OVER_BUDGET

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.training.record import CurvePoint, Record
    from tf_rnn.training.session_loop import Place

METRICS = "metrics.jsonl"
SAVE_SECONDS = 60.0
# Saving takes at most this part of the time.
SAVE_SHARE = 0.05
# What may be another when a run goes on, by its place in the configuration.
MAY_CHANGE = (
    ("graph", "num_steps"),
    ("graph", "batch_size"),
    ("graph", "seed"),
    ("graph", "clip_norm"),
    ("graph", "learning_rate"),
    ("graph", "recompute"),
    ("task", "options", "data"),
    ("training", "patience"),
)
BUDGET = ("training", "budget")
# What an option is called where the last name of its place does not tell.
CALLED = {
    ("task", "name"): "task",
    ("task", "sha256"): "data",
    ("training", "schedule", "name"): "schedule",
    ("training", "budget", "kind"): "budget",
    ("training", "budget", "amount"): "budget",
}


class Keeper(Protocol):
    """What the loop asks of whatever keeps it."""

    is_stopped: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is a while ago."""

    def restore(self, session: Any) -> Snapshot | None:
        """Gives the variables their values, and returns the rest; None where a run begins."""

    def save(
        self, session: Any, record: Record, place: Place, final_state: Any, curve: list[CurvePoint]
    ) -> None:
        """Writes all that is needed to go on from here, and the curve so far."""


class Nothing:
    """Keeps nothing."""

    is_stopped = False
    save_is_due = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def restore(self, session: Any) -> None:
        """Nothing was kept."""

    def save(
        self, session: Any, record: Record, place: Place, final_state: Any, curve: list[CurvePoint]
    ) -> None:
        """Nothing is kept."""


class FolderKeeper:
    """Keeps a run in a folder; while it is entered, an interrupt only sets `is_stopped`.

    A second interrupt is no longer held back.

    Args:
        folder: Where.
        graph: Whose variables.
        config: How the run is set up.
        vocabulary: Of a language task, else None.
        start: The checkpoint to go on from, or None.
        unit: What losses are counted in.
    """

    def __init__(
        self,
        folder: Path,
        graph: UnrolledGraph,
        config: dict[str, Any],
        vocabulary: tuple[str, ...] | None,
        start: Checkpoint | None,
        unit: str = "nats",
    ) -> None:
        self.folder, self._graph, self._config = folder, graph, config
        self._vocabulary, self._start, self._unit = vocabulary, start, unit
        self._best = start.snapshot.best if start else None
        self._checkpoints = Checkpoints(folder / CHECKPOINTS, start)
        self._saver, self._finite = graph.cached(_saver), graph.cached(_all_finite)
        self._next_save = time.monotonic() + SAVE_SECONDS
        self._saved: tuple[int, int, int] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self.is_stopped = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _stop(self, number: int, frame: Any) -> None:
        if self.is_stopped:
            raise KeyboardInterrupt
        self.is_stopped = True

    @property
    def evaluations(self) -> int:
        """How many there were before this start."""
        return len(self._start.snapshot.record.curve) if self._start else 0

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is a while ago."""
        return time.monotonic() >= self._next_save

    def restore(self, session: Any) -> Snapshot | None:
        """Gives the variables their values, and returns the rest with the state as the graph wants it."""
        if self._start is None:
            return None
        try:
            self._start.restore(self._saver, session, saved_names(self._graph))
        except DamagedError as error:
            raise OptionError("resume", f"must hold the variables of its configuration: {error}") from error
        return _at_home(self._start.snapshot, self._graph)

    def save(
        self, session: Any, record: Record, place: Place, final_state: Any, curve: list[CurvePoint]
    ) -> None:
        """Writes a checkpoint and the metrics; what was there before still is if they cannot be written.

        Raises:
            OptionError: For `out`, if they cannot be written.
            DivergedError: If a weight is no finite number; such a checkpoint would be of no use.
        """
        present = (record.updates, record.epochs, len(curve))
        if present == self._saved:
            return
        if not session.run(self._finite):
            epoch = record.epochs + (record.epoch_updates > 0)
            raise DivergedError(0.0, record.updates, epoch, record.largest_norm, 0.0)
        began = time.monotonic()
        name = self._checkpoints.next_name
        if len(curve) > 1 and curve[-1].updates == record.updates:
            loss = curve[-1].valid_loss
            if self._best is None or loss < self._best.valid_loss:
                self._best = Best(name, loss)
        kept = place._replace(state=_flat(place.state))
        snapshot = Snapshot(self._config, record, kept, _flat(final_state), self._best, self._vocabulary)
        self._checkpoints.write(name, snapshot, lambda path: self._save_variables(session, path))
        write_metrics(self.folder / METRICS, curve, self._unit)
        self._saved = present
        took = time.monotonic() - began
        self._next_save = time.monotonic() + max(SAVE_SECONDS, took / SAVE_SHARE)

    def _save_variables(self, session: Any, path: str) -> None:
        self._saver.save(session, path, write_meta_graph=False, write_state=False)


def _saver(graph: UnrolledGraph) -> Any:
    return tf.train.Saver(saved_names(graph), max_to_keep=None)


def _all_finite(graph: UnrolledGraph) -> Any:
    """Whether all weights are finite numbers."""
    values = [variable.read_value() for variable in weight_names(graph).values()]
    return tf.reduce_all(tf.stack([tf.reduce_all(tf.is_finite(value)) for value in values]))


def _flat(state: Any) -> list[Any] | None:
    return None if state is None else tf.nest.flatten(state)


def _at_home(snapshot: Snapshot, graph: UnrolledGraph) -> Snapshot:
    """The snapshot as the graph needs it: states in its structure, other sizes minded."""
    kept = snapshot.config["graph"]
    other_width = kept.get("num_steps") != graph.num_steps
    if kept.get("batch_size") != graph.batch_size or (other_width and snapshot.place.positions):
        return snapshot.at_start_of_epoch()
    zero_state = graph.zero_state()
    place = snapshot.place._replace(state=_packed(zero_state, snapshot.place.state))
    if other_width:
        place = place.for_other_width()
    return dataclasses.replace(snapshot, place=place, final_state=_packed(zero_state, snapshot.final_state))


def _packed(zero_state: Any, flat: list[Any] | None) -> Any:
    if flat is None:
        return None
    wanted, found = (
        [f"{array.dtype} {list(array.shape)}" for array in arrays]
        for arrays in (tf.nest.flatten(zero_state), flat)
    )
    if found != wanted:
        raise OptionError(
            "resume", f"must hold a state of {', '.join(wanted)}, got {', '.join(found) or 'nothing'}"
        )
    return tf.nest.pack_sequence_as(zero_state, flat)


def write_metrics(path: Path, curve: list[CurvePoint], unit: str = "nats") -> None:
    """Writes a line of JSON for each evaluation after the start; perplexity for losses in nats alone."""
    lines = [
        {
            "epoch": point.epoch,
            "step": point.updates,
            "tokens": point.tokens,
            "train_loss": point.train_loss,
            "valid_loss": point.valid_loss,
            "perplexity": perplexity(point.valid_loss) if unit == "nats" else None,
            "seconds": point.seconds,
        }
        for point in curve
        if point.updates
    ]
    write_text(path, "".join(json.dumps(plain(line), allow_nan=False) + "\n" for line in lines))


def say(line: str) -> None:
    """Tells the user something on standard error."""
    print(line, file=sys.stderr)


def only_writer(
    out: str | os.PathLike[str] | None, resume: str | os.PathLike[str] | None
) -> AbstractContextManager[None]:
    """Holds the folder of a run that begins in `out` or goes on in `resume`.

    Raises:
        OptionError: When entered, if somebody else is writing to it, or it cannot be written.
    """
    if resume is None:
        return made_and_held("out", as_path("out", out))
    folder = as_path("resume", resume)
    return held("resume", folder) if folder.is_dir() else nullcontext()


def open_keeper(
    out: str | os.PathLike[str] | None,
    resume: str | os.PathLike[str] | None,
    graph: UnrolledGraph,
    config: dict[str, Any],
    vocabulary: tuple[str, ...] | None,
    unit: str = "nats",
) -> Keeper:
    """Returns what keeps a run that begins in `out` or goes on in `resume`, or keeps nothing.

    Raises:
        OptionError: If both are given; `out` holds a run already or cannot be written; or there is
            nothing in `resume` to go on from, or a run of another configuration.
    """
    if out is not None and resume is not None:
        raise OptionError("out and resume", "must not be given together; give one of them")
    if out is not None:
        folder = as_path("out", out)
        require_new(folder)
        require_no_links("out", folder)
        make_folder("out", folder)
        write_json(folder / CONFIG, config)
        return FolderKeeper(folder, graph, config, vocabulary, None, unit)
    if resume is not None:
        folder = as_path("resume", resume)
        require_same_run(folder, kept_config(folder), config)
        require_no_links("resume", folder)
        start = find_start(folder)
        return FolderKeeper(folder, graph, config, vocabulary, start, unit)
    return Nothing()


def kept_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """How the run in a folder was set up when it was last saved, or else when it began.

    Raises:
        OptionError: For `resume`, if there is no run to go on with.
    """
    start = find_start(as_path("resume", folder), tell=lambda _: None)
    return start.snapshot.config if start else read_config(folder)


def find_start(folder: Path, tell: Callable[[str], None] = say) -> Checkpoint | None:
    """The checkpoint to go on from; None for a run that was stopped before its first.

    Raises:
        OptionError: For `resume`, if there are checkpoints, but all are damaged.
    """
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    start = checkpoints.newest(tell)
    if start is None and checkpoints.names:
        raise OptionError("resume", f"must have an undamaged checkpoint, {str(folder)!r} has none")
    return start and start.with_config(usable_config("resume", folder, start.snapshot.config))


def require_same_run(folder: Path, kept: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises OptionError unless a configuration may go on with what another has begun."""
    there, here = _leaves(kept), _leaves(json.loads(json.dumps(now)))
    over_budget = now["training"]["schedule"]["name"] in OVER_BUDGET
    may_change = MAY_CHANGE if over_budget else (*MAY_CHANGE, BUDGET)
    for place in {**there, **here}:
        before, after = there.get(place), here.get(place)
        if before == after or any(place[: len(free)] == free for free in may_change):
            continue
        raise OptionError(
            _option_name(place),
            f"must stay {before!r} to go on with the run in {str(folder)!r}, got {after!r}",
        )


def _leaves(value: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The leaves of a nested configuration by their place."""
    if isinstance(value, dict):
        return {
            at: leaf for name, part in value.items() for at, leaf in _leaves(part, (*place, name)).items()
        }
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return _leaves({str(number): part for number, part in enumerate(value)}, place)
    return {place: value}


def _option_name(place: tuple[str, ...]) -> str:
    """What an option is called that stands at a place: as a rule its last name that is no number."""
    return CALLED.get(place) or next((name for name in reversed(place) if not name.isdigit()), "config")
