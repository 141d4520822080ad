"""A task made of a user's own arrays."""

from __future__ import annotations

import hashlib
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import (
    LARGEST_SIZE,
    LOSSES,
    OptionError,
    require_choice,
    require_fraction,
    require_whole,
    shown,
)
from tf_rnn.tasks.base import EPOCHS, Defaults, Task
from tf_rnn.tasks.sequences import has_lengths, read_lists, with_weights
from tf_rnn.tasks.values import Kind, as_numbers, frequency_loss, has_target, read_sequences

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tf_rnn.tasks.stream import Stream

VALID_FRACTION = 0.1
MOST_EPOCHS = 20  # of the default budget
MOST_TOKENS = 1_000_000
WIDTHS = (1, 2, 5, 10, 20, 50)
UNITS = {"cross_entropy": "nats", "squared_error": "squared error"}


class Arrays(Task):
    """The tokens of arrays, with a target for each or for some of them.

    What is learnt follows from the arrays' types. Whole numbers are class indices, from 0; real numbers
    are values. Targets of classes have the loss "cross_entropy", targets of values "squared_error". A target
    of -1 (of classes) or nan (of values) has no loss.

        inputs, targets        classes           values
        one sequence           [length]          [length] or [length, size]
        sequences of a length  [rows, length]    inputs [rows, length, size],
                                                 targets [rows, length] or [rows, length, size]
        of several lengths     a list of these arrays, each one sequence

    Sequences of one length are examples that follow one another; see `Task`. Those of several lengths are
    put end to end (`pack`), and each starts from a state of zero, whatever came before it. Arrays are
    copied; the same arrays serve every epoch.

        level = np.sin(np.arange(5000) / 9)
        task = tf_rnn.tasks.Arrays(inputs=level[:-1], targets=level[1:])
        for inputs, targets in task.blocks(batch_size=20, num_steps=10):
            ...

    Args:
        inputs: The inputs, an array or lists; or a list of sequences of several lengths.
        targets: The targets, for as many steps.
        valid_inputs: The inputs of the split "valid"; None to hold out the end of `inputs`.
        valid_targets: The targets of the split "valid".
        valid_fraction: The fraction of steps (of sequences, where there are several) held out at the end,
            above 0 and below 1; rounded to whole ones.
        target_weights: How much the loss of each step counts, finite and at least 0, in the shapes of the
            targets without the axis of values; None where all count alike.
        valid_target_weights: Those of `valid_targets`.
        loss: "cross_entropy" or "squared_error"; None for the one that suits the targets. With
            "squared_error" whole numbers are values, too.
        input_size: The number of input classes; None for the largest one that occurs, plus 1.
        num_classes: The number of target classes, likewise.
        max_lag: The largest number of steps from a target back to an input on which it depends, if known.
        defaults: Training settings; None for some that suit the size of the data.
        name: The name of the task in reports.

    Attributes:
        sha256: The SHA-256 of the data, in hexadecimal.

    Raises:
        OptionError: For the array or option that is not allowed, with the first step at fault.
    """

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        valid_inputs: ArrayLike | None = None,
        valid_targets: ArrayLike | None = None,
        valid_fraction: float = VALID_FRACTION,
        target_weights: ArrayLike | None = None,
        valid_target_weights: ArrayLike | None = None,
        loss: str | None = None,
        input_size: int | None = None,
        num_classes: int | None = None,
        max_lag: int | None = None,
        defaults: Defaults | None = None,
        name: str = "arrays",
    ) -> None:
        if not isinstance(name, str) or not name:
            raise OptionError("name", f"must be a word, got {shown(name)}")
        self.name = name
        self.max_lag = None if max_lag is None else require_whole("max_lag", max_lag, at_least=0)
        given = {"inputs": inputs, "targets": targets}
        self.has_starts = any(map(has_lengths, given.values()))
        if self.has_starts:
            train, lengths = read_lists(given)
        else:
            train, lengths = {option: as_numbers(option, array) for option, array in given.items()}, None
        self._axes = [array.ndim for array in train.values()]
        self.input_kind = "real" if train["inputs"].dtype.kind == "f" else "classes"
        self.loss = _loss(loss, train["targets"])
        self.unit = UNITS[self.loss]
        kinds = (
            Kind(self.input_kind == "real", _size("input_size", input_size), marked=False),
            Kind(self.loss == "squared_error", _size("num_classes", num_classes), marked=True),
        )
        stream, self.period = read_sequences(train, kinds, lengths)
        self.has_target_weights = target_weights is not None
        if target_weights is not None:
            stream = with_weights(stream, self.period, "target_weights", target_weights)
        if valid_inputs is None and valid_targets is None:
            if valid_target_weights is not None:
                raise OptionError("valid_target_weights", "must be left out where valid_inputs is")
            self._streams = self._hold_out(stream, require_fraction("valid_fraction", valid_fraction))
        else:
            _refuse_fraction(valid_fraction)
            valid = {"valid_inputs": valid_inputs, "valid_targets": valid_targets}
            held_out = self._held_out(valid, kinds)
            if (valid_target_weights is None) == self.has_target_weights:
                raise OptionError("valid_target_weights", "must be given with target_weights, and only then")
            if valid_target_weights is not None:
                held_out = with_weights(held_out, self.period, "valid_target_weights", valid_target_weights)
            self._streams = {"train": stream, "valid": held_out}
        self.input_size = self._number("input_size", 0, kinds[0])
        self.num_classes = self._number("num_classes", 1, kinds[1])
        self._find_marks()
        self.sha256 = self._digest()
        self.defaults = self._suitable() if defaults is None else defaults

    def length(self, split: str = "train") -> int:
        """Returns the number of steps of a split."""
        return len(self._streams[require_choice("split", split, self.splits)].targets)

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the steps of a split, the same in every epoch; the arrays are read-only."""
        require_choice("split", split, self.splits)
        require_whole("epoch", epoch, at_least=0)
        return self._streams[split]

    def baselines(self) -> dict[str, float]:
        """Returns the held-out losses of predictors that see no inputs.

        For C classes "uniform" gives each 1 / C, ln C nats, and "frequencies" gives class c its share of
        the m training targets with one added to each count, (count(c) + 1) / (m + C). For real values,
        "mean" predicts the mean of the training targets. Weights of targets count here, too.
        """
        (train, train_weights), (valid, valid_weights) = map(self._counted, self.splits)
        if self.loss == "squared_error":
            known = ~np.isnan(train)
            counts = known if train_weights is None else known * train_weights[:, np.newaxis]
            mean = np.sum(np.where(known, train, 0) * counts, axis=0, dtype=np.float64) / counts.sum(axis=0)
            errors = np.nanmean((valid - mean) ** 2, axis=1)
            return {"mean": float(np.average(errors, weights=valid_weights))}
        frequencies = frequency_loss(train, valid, self.num_classes, train_weights, valid_weights)
        return {"uniform": math.log(self.num_classes), "frequencies": frequencies}

    def _counted(self, split: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Returns the targets of a split that count, and their weights, if they have any."""
        stream = self._streams[split]
        counted, weights = _counts(stream), stream.target_weights
        return stream.targets[counted], None if weights is None else weights[counted].astype(np.float64)

    def options(self) -> dict[str, Any]:
        """Returns what identifies the task, ready for JSON: shapes and SHA-256 instead of the arrays."""
        shapes = {
            split: {"inputs": list(stream.inputs.shape), "targets": list(stream.targets.shape)}
            | ({} if stream.starts is None else {"sequences": int(stream.starts.sum())})
            for split, stream in self._streams.items()
        }
        names = ("loss", "input_size", "num_classes", "period", "max_lag", "sha256")
        return {**shapes, **{name: getattr(self, name) for name in names}}

    def _hold_out(self, stream: Stream, fraction: float) -> dict[str, Stream]:
        """Returns the splits of one stream, the end held out; or raises OptionError if one is empty."""
        begins = np.arange(len(stream.targets) // self.period) * self.period
        if stream.starts is not None:
            begins = np.flatnonzero(stream.starts)
        examples = len(begins)
        held_out = round(examples * fraction)
        if not 0 < held_out < examples:
            what = "step" if self.period == 1 and not self.has_starts else "sequence"
            raise OptionError(
                "valid_fraction",
                f"must leave at least one {what} for each split, got {fraction} of {examples} {what}s",
            )
        border = begins[examples - held_out]
        return {
            "train": stream.map(lambda array: array[:border]),
            "valid": stream.map(lambda array: array[border:]),
        }

    def _held_out(self, arrays: dict[str, ArrayLike | None], kinds: tuple[Kind, Kind]) -> Stream:
        """Returns the held-out arrays as a stream; or raises OptionError if their form differs."""
        for option, other in itertools.permutations(arrays):
            if arrays[option] is None:
                raise OptionError(option, f"must be given with {other}, got None")
        if self.has_starts:
            numbers, lengths = read_lists(arrays, self._axes)
            return read_sequences(numbers, kinds, lengths)[0]
        given = {option: as_numbers(option, array) for option, array in arrays.items()}
        stream, period = read_sequences(given, kinds)
        if period != self.period:
            raise OptionError(
                "valid_inputs",
                f"must be sequences of {self.period} steps, as inputs, got {period}",
            )
        return stream

    def _find_marks(self) -> None:
        """Sets `loss_steps`, or raises OptionError if a split has no target."""
        marks = {split: has_target(stream.targets) for split, stream in self._streams.items()}
        for split, stream in self._streams.items():
            if not _counts(stream).any():
                raise OptionError("targets", f"must have at least one target in split {split!r}, got none")
        self.loss_steps = "all" if all(mark.all() for mark in marks.values()) else "marked"

    def _number(self, option: str, part: int, kind: Kind) -> int:
        """Returns the number of classes or of real values of inputs (0) or targets (1)."""
        arrays = [(stream.inputs, stream.targets)[part] for stream in self._streams.values()]
        if not kind.real:
            return kind.size or max(int(array.max()) for array in arrays) + 1
        sizes: list[int] = [array.shape[1] for array in arrays]
        if sizes[1] != sizes[0]:
            option = ("valid_inputs", "valid_targets")[part]
            raise OptionError(option, f"must have {sizes[0]} values per step, got {sizes[1]}")
        if kind.size not in {None, sizes[0]}:
            raise OptionError(option, f"must be {sizes[0]} or left out for these arrays, got {kind.size}")
        return sizes[0]

    def _digest(self) -> str:
        digest = hashlib.sha256(str(self.period).encode())
        for stream in self._streams.values():
            parts = (*stream, stream.starts, stream.target_weights)
            for array in (part for part in parts if part is not None):
                digest.update(f"{array.shape} {array.dtype.str}".encode())
                digest.update(array.tobytes())
        return digest.hexdigest()

    def _suitable(self) -> Defaults:
        """Returns training settings that suit the size of the data."""
        shortest = min(map(self.length, self.splits))
        batch_size = min(20, max(1, shortest // 100) if self.period == 1 else shortest // self.period)
        length = self.length()
        tokens = max(length, min(MOST_EPOCHS * length, MOST_TOKENS))
        longest = min(WIDTHS[-1], *(self.row_length(batch_size, split) for split in self.splits))
        return Defaults(
            batch_size=batch_size,
            optimizer="adam",
            learning_rate=0.005,
            tokens=tokens,
            epochs=max(EPOCHS, tokens // length),
            cell="lstm",
            state_size=32,
            clip_norm=5.0,
            num_steps=tuple(width for width in WIDTHS if width <= longest),
            longest=longest,
        )


def _counts(stream: Stream) -> NDArray[np.bool_]:
    """Returns which steps have a target whose weight is not 0."""
    counted, weights = has_target(stream.targets), stream.target_weights
    return counted if weights is None else counted & (weights > 0)


def _loss(loss: str | None, targets: NDArray[Any]) -> str:
    real = targets.dtype.kind == "f"
    if loss is None:
        return "squared_error" if real else "cross_entropy"
    if require_choice("loss", loss, LOSSES) == "cross_entropy" and real:
        raise OptionError("loss", f"must be squared_error for targets of dtype {targets.dtype}, got {loss!r}")
    return loss


def _size(option: str, size: int | None) -> int | None:
    return None if size is None else require_whole(option, size, at_most=LARGEST_SIZE)


def _refuse_fraction(fraction: Any) -> None:
    if fraction != VALID_FRACTION:
        raise OptionError(
            "valid_fraction", f"must be left out where valid_inputs is given, got {shown(fraction)}"
        )
