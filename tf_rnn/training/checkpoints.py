"""Checkpoints: folders that are there as a whole or not at all, and are checked before they are used.

    checkpoints/checkpoint-000012/
        variables.index, variables.data-...     weights and the optimizer's memory, by TensorFlow's Saver
        arrays.npz                              the state that goes on, and what else is made of arrays
        run.json                                configuration, counts, curve, place in the stream
        vocabulary.json                         of a language task
        manifest.json                           the SHA-256 of each of the files above

Nothing in them is a path out of the folder, and nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.files import MANIFEST
from tf_rnn.options import OptionError
from tf_rnn.training.record import Record, read_count, read_number
from tf_rnn.training.session_loop import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORMAT = 1
RUN, VOCABULARY = "run.json", "vocabulary.json"
VARIABLES, ARRAYS = "variables", "arrays.npz"
# Of a place, what is no array.
COUNTS = ("epoch", "offset", "windows", "start")
_NAME = re.compile(r"checkpoint-(\d{6,})")
_PARTIAL = ".partial"
_OF_PATTERNS = set("*?[]\\") - {os.sep}


class DamagedError(Exception):
    """A checkpoint is not what was written."""


@dataclasses.dataclass(frozen=True)
class Best:
    """The checkpoint with the lowest held-out loss.

    Attributes:
        name: Its name.
        valid_loss: Its loss.
    """

    name: str
    valid_loss: float


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What a run is at one moment, but for its variables.

    Attributes:
        config: How the run was set up.
        record: What it has done.
        place: Where in the stream it is; its state as a flat list of arrays.
        final_state: What the last run of the graph left, as such a list; None before any.
        best: The best checkpoint up to and including this one.
        vocabulary: Of a language task.
    """

    config: dict[str, Any]
    record: Record
    place: Place
    final_state: list[np.ndarray] | None
    best: Best | None
    vocabulary: tuple[str, ...] | None

    def at_start_of_epoch(self) -> Snapshot:
        """The same, but that nothing of the present epoch has been read."""
        record = dataclasses.replace(self.record, epoch_updates=0, epoch_tokens=0)
        return dataclasses.replace(self, place=self.place.for_other_rows(), final_state=None, record=record)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found undamaged.

    Attributes:
        path: Its folder.
        snapshot: What is in it, but for the variables.
    """

    path: Path
    snapshot: Snapshot

    @property
    def variables(self) -> str:
        """What TensorFlow's Saver wants to be told."""
        return str(self.path / VARIABLES)

    def restore(self, saver: Any, session: Any, variables: Mapping[str, Any]) -> None:
        """Gives a session's variables their values.

        Args:
            saver: Of these variables.
            session: Where.
            variables: By the names that they were saved under.

        Raises:
            DamagedError: If its variables are those of another graph.
        """
        try:
            with self._plain_name() as prefix:
                _require_shapes(prefix, variables)
                saver.restore(session, prefix)
        except (tf.errors.OpError, ValueError) as error:
            raise DamagedError(_reason(error)) from error

    @contextlib.contextmanager
    def _plain_name(self) -> Iterator[str]:
        """The same as `variables`; where TensorFlow would take it for a pattern, another name for a while."""
        if not _OF_PATTERNS & set(self.variables):
            yield self.variables
            return
        with tempfile.TemporaryDirectory() as elsewhere:
            link = Path(elsewhere) / "checkpoint"
            link.symlink_to(self.path.resolve(), target_is_directory=True)
            yield str(link / VARIABLES)

    def with_config(self, config: dict[str, Any]) -> Checkpoint:
        """The same with its configuration in another form."""
        return dataclasses.replace(self, snapshot=dataclasses.replace(self.snapshot, config=config))


def _require_shapes(prefix: str, variables: Mapping[str, Any]) -> None:
    """Raises ValueError unless variables are kept in their shapes; TensorFlow would take others, too."""
    kept = tf.train.NewCheckpointReader(prefix).get_variable_to_shape_map()
    for name, variable in variables.items():
        if kept.get(name) != variable.shape.as_list():
            raise ValueError(f"{name} has the shape {kept.get(name)}, not {variable.shape.as_list()}")


class Checkpoints:
    """The checkpoints of a run: the last two, and the best.

    Args:
        folder: Where they are, or will be.
        start: Which of them the run goes on from.
    """

    def __init__(self, folder: Path, start: Checkpoint | None = None) -> None:
        self._folder = folder
        self._last = {start.path.name} if start else set[str]()

    @property
    def names(self) -> list[str]:
        """Those that are there, damaged or not, the newest first."""
        if not self._folder.is_dir():
            return []
        names = [path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(names, key=lambda name: int(name.partition("-")[2]), reverse=True)

    @property
    def next_name(self) -> str:
        """The name of the next one."""
        newest = self.names[0].partition("-")[2] if self.names else 0
        return f"checkpoint-{int(newest) + 1:06d}"

    def write(self, name: str, snapshot: Snapshot, save_variables: Callable[[str], None]) -> None:
        """Writes a checkpoint, and clears away those that are no longer needed.

        Args:
            name: `next_name`.
            snapshot: What goes in it.
            save_variables: Given a path, makes TensorFlow save there.

        Raises:
            OptionError: For `out`, if it cannot be written; those before it are left as they are.
        """
        partial = self._folder / (name + _PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            save_variables(str(partial / VARIABLES))
            _write_snapshot(partial, snapshot)
            _seal(partial)
            partial.rename(self._folder / name)
            _sync_folder(self._folder)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise OptionError("out", f"could not be written: {_reason(error)} ({str(partial)!r})") from error
        self._prune({name, *self._last, *([snapshot.best.name] if snapshot.best else [])})
        self._last = {name}

    def _prune(self, keep: set[str]) -> None:
        for path in list(self._folder.iterdir()):
            if path.name not in keep and _NAME.fullmatch(path.name.removesuffix(_PARTIAL)) and path.is_dir():
                shutil.rmtree(_out_of_sight(path), ignore_errors=True)

    def newest(self, tell: Callable[[str], None]) -> Checkpoint | None:
        """The newest undamaged checkpoint, or None where there is none.

        A run that goes on meanwhile may clear away what was just found; then there is a newer one.

        Args:
            tell: Given a line about each damaged one that was passed over.
        """
        told: set[str] = set()
        while True:
            names = self.names
            for name in names:
                if found := self._read(name, tell, "the one before it is used", told):
                    return found
            if names == self.names:
                return None

    def best(self, tell: Callable[[str], None]) -> Checkpoint | None:
        """The undamaged checkpoint with the lowest held-out loss; the newest where none was evaluated."""
        told: set[str] = set()
        while True:
            names, newest = self.names, self.newest(tell)
            if newest is None or newest.snapshot.best is None:
                return newest
            name = newest.snapshot.best.name
            if name == newest.path.name:
                return newest
            if found := self._read(name, tell, f"{newest.path.name}, the newest, is used", told):
                return found
            if name in told:
                return newest
            if names == self.names:
                tell(f"{name} is missing; {newest.path.name}, the newest, is used")
                return newest

    def _read(
        self, name: str, tell: Callable[[str], None], instead: str, told: set[str]
    ) -> Checkpoint | None:
        """A checkpoint; None where it is damaged, which is told once, or not there any more."""
        try:
            return read_checkpoint(self._folder / name)
        except DamagedError as error:
            if name not in told and (self._folder / name).exists():
                told.add(name)
                tell(f"{name} is damaged ({error}); {instead}")
        return None


def _out_of_sight(path: Path) -> Path:
    """Gives a checkpoint the name of one that is not complete: a reader sees all of it or nothing."""
    with contextlib.suppress(OSError):
        return path.rename(path.with_name(path.name.removesuffix(_PARTIAL) + _PARTIAL))
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint, after checking that it is as it was written.

    Raises:
        DamagedError: If it is not.
    """
    try:
        _check_seal(path)
        return Checkpoint(path, _read_snapshot(path))
    except Exception as error:  # readers of files that are not what they should be raise all kinds
        raise DamagedError(_reason(error)) from error


def _write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    place = snapshot.place
    lists = {"state": place.state or [], "measured": place.measured, "final": snapshot.final_state or []}
    arrays = {f"{name}_{number}": array for name in lists for number, array in enumerate(lists[name])}
    np.savez(folder / ARRAYS, **arrays)
    run = {
        "format": FORMAT,
        "config": snapshot.config,
        "record": snapshot.record.to_json(),
        "place": {name: getattr(place, name) for name in COUNTS},
        "positions": list(place.positions),
        "arrays": {name: len(list_) for name, list_ in lists.items()},
        "best": dataclasses.asdict(snapshot.best) if snapshot.best else None,
    }
    _write_json(folder / RUN, run)
    if snapshot.vocabulary is not None:
        _write_json(folder / VOCABULARY, snapshot.vocabulary)


def _read_snapshot(folder: Path) -> Snapshot:
    run = _read_json(folder / RUN)
    if run["format"] != FORMAT:
        raise ValueError(f"its format is {run['format']!r}, not {FORMAT}")
    if not {"cell", "graph", "task", "training"} <= run["config"].keys():
        raise ValueError("its configuration is not complete")
    with (folder / ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        state, measured, final_state = (
            [arrays[f"{name}_{number}"] for number in range(read_count(run["arrays"][name]))]
            for name in ("state", "measured", "final")
        )
    has_vocabulary = (folder / VOCABULARY).exists()
    place = {name: read_count(run["place"][name]) for name in COUNTS}
    positions = tuple(map(read_count, run.get("positions", ())))
    return Snapshot(
        config=run["config"],
        record=Record.from_json(run["record"]),
        place=Place(**place, state=state or None, measured=tuple(measured), positions=positions),
        final_state=final_state or None,
        best=None if run["best"] is None else _read_best(run["best"]),
        vocabulary=_read_vocabulary(folder / VOCABULARY) if has_vocabulary else None,
    )


def _read_best(best: dict[str, Any]) -> Best:
    if not _NAME.fullmatch(best["name"]):
        raise ValueError(f"the best checkpoint is called {best['name']!r}")
    return Best(best["name"], read_number(best["valid_loss"]))


def _read_vocabulary(path: Path) -> tuple[str, ...]:
    tokens = _read_json(path)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError("its vocabulary is no list of tokens")
    return tuple(tokens)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _seal(folder: Path) -> None:
    """Writes the manifest, and everything through to the disk."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    _write_json(folder / MANIFEST, {path.name: _digest(path) for path in files})
    for path in (*files, folder / MANIFEST):
        _sync(path)
    _sync_folder(folder)


def _check_seal(folder: Path) -> None:
    for path in (folder, *folder.iterdir()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path.name} is a link to somewhere else, or no file")
    manifest = _read_json(folder / MANIFEST)
    files = {path.name for path in folder.iterdir()} - {MANIFEST}
    if not isinstance(manifest, dict) or files != set(manifest):
        raise ValueError("its files are not those of its manifest")
    for name, digest in manifest.items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} is not as it was written")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Makes sure that a file outlives a loss of power; a disk that is full may say so only here."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """The same for a folder's list of files, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        _sync(folder)


def _reason(error: Exception) -> str:
    """An error in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"{error} is missing"
    lines = str(error).partition("\n\t [[")[0].splitlines() or [type(error).__name__]
    # So TensorFlow begins; which operation it was comes then, and after "[[" where that stands.
    return lines[-1 if lines[0] == "Graph execution error:" else 0]
