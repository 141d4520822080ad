"""Checkpoints: one `.npz` file each, replaced atomically and verified on reading.

    checkpoints/checkpoint-000012.npz
        format, names               version of this layout, and all other names
        config, vocabulary          JSON
        variables/layer_0/W, ...    weights and optimizer slots
        carried/0, ...              the recurrent state after the last update
        position, measured/0, ...   the position in the training data
        counts, numbers, curve      the history
        best                        number and loss of the best checkpoint

Every byte of data is covered by the CRC-32 of the zip format. Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import stat
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from tf_rnn.console import say
from tf_rnn.files import replacing
from tf_rnn.options import OptionError
from tf_rnn.training.state import Best, CurvePoint, History, StreamPosition, TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMAT = 2
COUNTS = ("updates", "tokens", "epochs", "epoch_updates", "epoch_tokens", "loss_count")
NUMBERS = ("seconds", "largest_norm", "loss_sum")
POSITION = ("epoch", "offset", "windows", "start")
_NAME = re.compile(r"checkpoint-(\d{6,})\.npz")
_FOLDER_OF_OLD = re.compile(r"checkpoint-\d{6,}")
_LEFT_OVER = re.compile(r"\.checkpoint-\d{6,}\.npz\.partial")


class DamagedError(Exception):
    """A checkpoint does not hold what was written."""


class Checkpoint(NamedTuple):
    """An undamaged checkpoint.

    Attributes:
        number: Its number.
        path: Its file.
        state: Its content.
    """

    number: int
    path: Path
    state: TrainingState

    def with_config(self, config: dict[str, Any]) -> Checkpoint:
        """The same checkpoint with another form of its configuration."""
        return self._replace(state=dataclasses.replace(self.state, config=config))


def quiet(line: str) -> None:
    """Prints nothing."""


class Checkpoints:
    """The checkpoints of a run: the last two and the best.

    Args:
        folder: Their folder, which need not exist.
        option: The option named in an error.
        start: The number of the checkpoint from which the run was resumed.
    """

    def __init__(self, folder: Path, option: str, start: int | None = None) -> None:
        self._folder, self._option = folder, option
        self._last = start

    @property
    def numbers(self) -> list[int]:
        """Numbers of the existing checkpoints, damaged or not, newest first.

        Raises:
            OptionError: If the folder holds only checkpoints of an earlier version.
        """
        try:
            names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        except OSError as error:
            reason = error.strerror or error
            raise OptionError(self._option, f"could not be read: {reason} ({str(self._folder)!r})") from error
        found = [int(match[1]) for match in map(_NAME.fullmatch, names) if match]
        if not found and any(map(_FOLDER_OF_OLD.fullmatch, names)):
            raise OptionError(
                self._option,
                f"must hold checkpoints of this version, {str(self._folder)!r} has those of an earlier one",
            )
        return sorted(found, reverse=True)

    @property
    def next_number(self) -> int:
        """The number of the next checkpoint."""
        return next(iter(self.numbers), 0) + 1

    def path(self, number: int) -> Path:
        """The file of a checkpoint."""
        return self._folder / f"checkpoint-{number:06d}.npz"

    def write(self, number: int, state: TrainingState) -> None:
        """Writes a checkpoint and deletes those that are no longer needed.

        Raises:
            OptionError: For `out`, if it cannot be written; earlier checkpoints are unchanged then.
        """
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise OptionError("out", f"could not be written: {reason} ({str(self._folder)!r})") from error
        with replacing(self.path(number)) as partial, partial.open("xb") as file:
            write_state(file, state)
        self._prune({number, self._last, state.best.number if state.best else None})
        self._last = number

    def _prune(self, keep: set[int | None]) -> None:
        for path in list(self._folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if _LEFT_OVER.fullmatch(path.name) or (match and int(match[1]) not in keep):
                path.unlink(missing_ok=True)

    def newest(self, warn: Callable[[str], None] = say) -> Checkpoint | None:
        """The newest undamaged checkpoint, or None if there is none.

        A run that is still training may delete a checkpoint while it is read; then there is a newer one.

        Args:
            warn: Receives a line for each damaged checkpoint that is skipped.

        Raises:
            OptionError: If a checkpoint cannot be read, for lack of permission say.
        """
        warned: set[int] = set()
        while True:
            numbers = self.numbers
            for number in numbers:
                if found := self._read(number, "the one before it is used", warn, warned):
                    return found
            if numbers == self.numbers:
                return None

    def best(self, warn: Callable[[str], None] = say) -> Checkpoint | None:
        """The undamaged checkpoint with the lowest validation loss; the newest if none was evaluated.

        Args and errors are those of `newest`.
        """
        warned: set[int] = set()
        while True:
            numbers, newest = self.numbers, self.newest(warn)
            if newest is None or newest.state.best is None:
                return newest
            number = newest.state.best.number
            if number == newest.number:
                return newest
            if found := self._read(number, f"{newest.path.name}, the newest, is used", warn, warned):
                return found
            if number in warned:
                return newest
            if numbers == self.numbers:
                warn(f"{self.path(number).name} is missing; {newest.path.name}, the newest, is used")
                return newest

    def numbered(self, number: int) -> Checkpoint:
        """The checkpoint with a number.

        Raises:
            OptionError: For `checkpoint`, if there is none or it is damaged.
        """
        path, numbers = self.path(number), self.numbers
        if number not in numbers:
            there = ", ".join(map(str, sorted(numbers))) or "none"
            raise OptionError("checkpoint", f"must be one that is kept ({there}), got {number}")
        try:
            return Checkpoint(number, path, read_checkpoint(path))
        except DamagedError as error:
            raise OptionError("checkpoint", f"must be undamaged, {path.name} is not ({error})") from error

    def _read(
        self, number: int, instead: str, warn: Callable[[str], None], warned: set[int]
    ) -> Checkpoint | None:
        """A checkpoint, or None if it is damaged, which is reported once, or deleted meanwhile."""
        path = self.path(number)
        try:
            return Checkpoint(number, path, read_checkpoint(path))
        except FileNotFoundError:
            return None
        except DamagedError as error:
            if number not in warned:
                warned.add(number)
                warn(f"{path.name} is damaged ({error}); {instead}")
            return None
        except OSError as error:
            reason = error.strerror or error
            raise OptionError(self._option, f"could not be read: {reason} ({str(path)!r})") from error


def read_checkpoint(path: Path) -> TrainingState:
    """Reads a checkpoint.

    Raises:
        DamagedError: If it does not hold what was written.
        OSError: If it cannot be read.
        MemoryError: If it does not fit in memory.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise DamagedError("it is a link, or no file")
    data = path.read_bytes()
    try:
        return read_state(data)
    except MemoryError:
        raise
    except Exception as error:  # readers of damaged files raise errors of all kinds
        lines = str(error).splitlines() or [type(error).__name__]
        raise DamagedError(f"{error} is missing" if isinstance(error, KeyError) else lines[0]) from error


def write_state(file: BinaryIO, state: TrainingState) -> None:
    """Writes a state in the form of a checkpoint."""
    arrays: dict[str, Any] = _to_arrays(state)
    np.savez(file, **arrays)


def read_state(data: bytes) -> TrainingState:
    """The state in the bytes of a checkpoint; errors of all kinds if they are damaged."""
    return _from_arrays(_verified(data))


def _verified(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, after all checksums have been verified."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        spoilt = archive.testzip()
        if spoilt is not None or len(set(names)) < len(names):
            raise ValueError(f"the checksum of {spoilt or 'the archive'} is wrong")
        if any(entry.file_size > len(data) for entry in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def _to_arrays(state: TrainingState) -> dict[str, np.ndarray]:
    history, position = state.history, state.position
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "config": _from_json(state.config),
        "position": np.array([getattr(position, name) for name in POSITION], np.int64),
        "counts": np.array([getattr(history, name) for name in COUNTS], np.int64),
        "numbers": np.array([getattr(history, name) for name in NUMBERS], np.float64),
        "curve": np.array(history.curve, np.float64).reshape(-1, len(CurvePoint._fields)),
    }
    if state.best is not None:
        arrays["best"] = np.array(state.best, np.float64)
    if state.vocabulary is not None:
        arrays["vocabulary"] = _from_json(list(state.vocabulary))
    parts = {f"variables/{name}": value for name, value in state.variables.items()}
    parts |= {f"carried/{number}": value for number, value in enumerate(state.carried or ())}
    parts |= {f"measured/{number}": value for number, value in enumerate(position.measured)}
    # A damaged directory of an archive may lack some of them.
    return arrays | parts | {"names": _from_json(sorted([*arrays, *parts]))}


def _from_arrays(arrays: dict[str, np.ndarray]) -> TrainingState:
    if arrays["format"] != FORMAT:
        raise ValueError(f"its format is {arrays['format']}, not {FORMAT}")
    if _to_json(arrays["names"], list) != sorted(set(arrays) - {"names"}):
        raise ValueError("some of its arrays are missing")
    counts = _checked(arrays["counts"], np.int64, (len(COUNTS),))
    numbers = _checked(arrays["numbers"], np.float64, (len(NUMBERS),))
    position = _checked(arrays["position"], np.int64, (len(POSITION),))
    if counts.min() < 0 or position.min() < 0:
        raise ValueError("a count is negative")
    curve = _checked(arrays["curve"], np.float64, (len(arrays["curve"]), len(CurvePoint._fields)))
    history = History(
        **dict(zip(COUNTS, counts.tolist(), strict=True)),
        **dict(zip(NUMBERS, numbers.tolist(), strict=True)),
        curve=[
            CurvePoint(int(updates), int(tokens), seconds, train_loss, valid_loss, int(epoch))
            for updates, tokens, seconds, train_loss, valid_loss, epoch in curve.tolist()
        ],
    )
    best = _checked(arrays["best"], np.float64, (2,)).tolist() if "best" in arrays else None
    vocabulary = _to_json(arrays["vocabulary"], list) if "vocabulary" in arrays else None
    if vocabulary is not None and not all(isinstance(token, str) for token in vocabulary):
        raise ValueError("its vocabulary is not a list of tokens")
    measured = tuple(_group(arrays, "measured/").values())
    return TrainingState(
        config=_to_json(arrays["config"], dict),
        variables=_group(arrays, "variables/"),
        carried=list(_group(arrays, "carried/").values()) or None,
        position=StreamPosition(**dict(zip(POSITION, position.tolist(), strict=True)), measured=measured),
        history=history,
        best=None if best is None else Best(int(best[0]), best[1]),
        vocabulary=None if vocabulary is None else tuple(vocabulary),
    )


def _group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays under a prefix, in the order in which they were written."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _checked(array: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"an array is {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} {list(shape)}"
        )
    return array


def _from_json(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _to_json(array: np.ndarray, kind: type) -> Any:
    value = json.loads(_checked(array, np.uint8, (array.size,)).tobytes())
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.50} is not a {kind.__name__}")
    return value
