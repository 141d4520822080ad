"""A user's own arrays, checked and converted: class indices or real values over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.options import LARGEST_SIZE, OptionError, shown
from tf_rnn.tasks.stream import Stream, starts_of
from tf_rnn.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NO_CLASS = -1  # the target of a step without one


class Kind(NamedTuple):
    """What an array holds.

    Attributes:
        real: Whether real values, else class indices.
        size: The number of values per step or of classes, or None where it is not given.
        marked: Whether -1 or nan marks steps that have none.
    """

    real: bool
    size: int | None
    marked: bool


def as_numbers(option: str, values: Any) -> NDArray[Any]:
    """Returns values as an array of whole or real numbers, or raises OptionError; lists are converted."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise OptionError(option, f"must be an array of numbers, got {shown(values)}") from error
    if array.dtype.kind == "b":
        array = array.astype(np.int32)
    if array.dtype.kind not in "iuf":
        raise OptionError(option, f"must be an array of numbers, got dtype {array.dtype}")
    if array.ndim == 0 or array.size == 0:
        raise OptionError(option, f"must have at least one step, got shape {list(array.shape)}")
    return array


def read_sequences(
    arrays: dict[str, NDArray[Any]], kinds: tuple[Kind, Kind], lengths: Sequence[int] | None = None
) -> tuple[Stream, int]:
    """Returns inputs and targets with time as the first axis, and the length of a sequence.

    Args:
        arrays: Inputs and targets under their names, each from `as_numbers`: one sequence, `[length, ...]`,
            or several of one length, `[rows, length, ...]`. Real values may lack their last axis, except
            the inputs of several sequences.
        kinds: What the inputs and the targets hold.
        lengths: Of the sequences that the arrays hold one after another, `[length, ...]`; None for those
            of one length.

    Returns:
        Read-only copies, with starts if there are `lengths`; and the length of a sequence where there are
        several of one length, else 1.

    Raises:
        OptionError: For the array that has the wrong shape or value, with the first step at fault.
    """
    (inputs_name, inputs), (targets_name, targets) = arrays.items()
    most = (3 if kinds[0].real else 2) - (lengths is not None)
    if inputs.ndim > most:
        raise OptionError(inputs_name, f"must have at most {most} axes, got shape {list(inputs.shape)}")
    # Of time: the sequences, if there are several, and their steps.
    axes = 2 if inputs.ndim == most and lengths is None else 1
    steps = inputs.shape[:axes]
    if targets.shape[:axes] != steps:
        wanted = counted(steps[0], "step")
        if axes == 2:
            wanted = f"{counted(steps[0], 'sequence')} of {counted(steps[1], 'step')}"
        got = len(targets) if axes == 1 else f"shape {list(targets.shape)}"
        raise OptionError(targets_name, f"must have {wanted}, as {inputs_name}, got {got}")
    if targets.ndim > axes + kinds[1].real:
        raise OptionError(
            targets_name, f"must have at most {axes + kinds[1].real} axes, got shape {list(targets.shape)}"
        )
    one, other = (
        _convert(name, arrays[name], axes, kind, lengths) for name, kind in zip(arrays, kinds, strict=True)
    )
    starts = None if lengths is None else starts_of(lengths)
    return Stream(one, other, starts), steps[1] if axes == 2 else 1


def _convert(
    option: str, array: NDArray[Any], axes: int, kind: Kind, lengths: Sequence[int] | None
) -> NDArray[Any]:
    """Returns a read-only copy of an array, int32 `[length]` or float32 `[length, size]`."""
    if kind.real:
        values = array if array.ndim > axes else array[..., np.newaxis]
        copy: NDArray[Any] = _as_reals(option, values, kind, lengths).reshape(-1, values.shape[-1])
    else:
        copy = _as_classes(option, array, kind, lengths).ravel()
    copy.flags.writeable = False
    return copy


def _as_classes(option: str, array: NDArray[Any], kind: Kind, lengths: Sequence[int] | None) -> NDArray[Any]:
    """Returns class indices as int32; or raises OptionError if one is out of range."""
    if array.dtype.kind == "f":
        raise OptionError(option, f"must be class indices (whole numbers), got dtype {array.dtype}")
    largest = LARGEST_SIZE - 1 if kind.size is None else kind.size - 1
    outside = (array < (NO_CLASS if kind.marked else 0)) | (array > largest)
    if outside.any():
        allowed = f"from 0 to {largest}" + (
            f", or {NO_CLASS} where there is no target" if kind.marked else ""
        )
        raise OptionError(option, f"must be {allowed}, got {array[outside][0]} {_first(outside, lengths)}")
    return array.astype(np.int32, order="C")


def _as_reals(option: str, array: NDArray[Any], kind: Kind, lengths: Sequence[int] | None) -> NDArray[Any]:
    """Returns real values as float32; or raises OptionError if one is inf, or nan where it is not allowed."""
    with np.errstate(over="ignore"):
        reals = array.astype(np.float32, order="C")
    bad = np.isinf(reals) if kind.marked else ~np.isfinite(reals)
    if bad.any():
        value = array[bad][0]
        allowed = "finite" if not np.isfinite(value) else "finite in float32"
        if kind.marked:
            allowed += ", or nan where there is no target"
        where, size = _first(np.any(bad, axis=-1), lengths), array.shape[-1]
        column = f", column {np.argwhere(bad)[0][-1]}" if size > 1 else ""
        raise OptionError(option, f"must be {allowed}, got {value} {where}{column}")
    return reals


def has_target(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Returns which steps have a target, `[length]`: not -1, and not nan alone."""
    if targets.ndim == 1:
        return np.asarray(targets != NO_CLASS)
    return np.asarray(~np.isnan(targets).all(axis=1))


def is_marked(targets: NDArray[Any]) -> bool:
    """Returns whether a target is missing, or a part of one."""
    return bool((targets == NO_CLASS if targets.ndim == 1 else np.isnan(targets)).any())


def frequency_loss(
    train: NDArray[Any],
    valid: NDArray[Any],
    num_classes: int,
    train_weights: NDArray[Any] | None = None,
    valid_weights: NDArray[Any] | None = None,
) -> float:
    """Returns the mean cross-entropy, in nats, of the frequencies of classes, one added to each count.

        mean over valid classes c of -ln((count(c) + 1) / (m + C))

    Args:
        train: The m classes that are counted, without -1.
        valid: The classes that are predicted, without -1.
        num_classes: C.
        train_weights: How much each of the first counts; None for 1.
        valid_weights: How much each of the others counts; None for 1.
    """
    counts = np.bincount(train, train_weights, minlength=num_classes) + 1.0
    return float(np.average(-np.log(counts / counts.sum())[valid], weights=valid_weights))


def mean_loss(errors: NDArray[Any], quantiles: Sequence[float] | None = None) -> float:
    """Returns the mean over steps of the mean loss of a step's values; what is nan does not count.

    Args:
        errors: Predictions less targets, `[steps, values]`.
        quantiles: Those that value after value is for, in turns, with the pinball loss; None for the
            squared error.
    """
    known = np.asarray(errors[has_target(errors)], np.float64)
    if not len(known):
        return 0.0
    if quantiles is None:
        return float(np.nanmean(known**2, axis=1).mean())
    levels = np.resize(quantiles, known.shape[1])
    return float(np.nanmean(np.maximum(-levels * known, (1 - levels) * known), axis=1).mean())


def _first(bad: NDArray[np.bool_], lengths: Sequence[int] | None) -> str:
    """Returns where the first bad step is, of `[length]`, sequences of such lengths, or `[rows, length]`."""
    *row, step = np.argwhere(bad)[0]
    if lengths is not None:
        ends = np.cumsum(lengths)
        row = [np.searchsorted(ends, step, side="right")]
        step -= ends[row[0]] - lengths[row[0]]
    return f"at step {step}" + (f" of sequence {row[0]}" if row else "")
