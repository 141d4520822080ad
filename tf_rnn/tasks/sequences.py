"""Sequences of different lengths, put end to end in one stream."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, shown
from tf_rnn.tasks.stream import Stream, starts_of
from tf_rnn.tasks.values import as_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray


def pack(sequences: Iterable[Stream | tuple[NDArray[Any], NDArray[Any]]]) -> Stream:
    """Puts sequences of any lengths end to end, with a start at the first step of each.

        lengths 3, 1, 2    inputs  a a a b c c
                           starts  x     x x

    Nothing is padded and every step is there once. A stream that is cut into rows may cut sequences, as one
    text would be: the rest of a cut sequence begins its row, from a state of zero.

    Args:
        sequences: Inputs `[length(, input_size)]` and targets `[length(, num_classes)]` of each, as NumPy
            arrays; at least one, with at least one step. Those that are a `Stream` keep their own starts and
            weights; the others have weights of 1 then.

    Returns:
        The arrays of all, one after another, and the starts `[length]`.

    Raises:
        OptionError: There are no sequences; or one has no steps, not as many inputs as targets, or steps of
            another shape than those of the first.
    """
    given = list(sequences)
    pairs = [tuple(sequence) for sequence in given]
    if not pairs:
        raise OptionError("sequences", "must be at least one, got none")
    for number, pair in enumerate(pairs):
        lengths = [len(array) for array in pair]
        if len(pair) != 2 or len(set(lengths)) != 1 or not lengths[0]:
            raise OptionError(
                "sequences",
                f"must be inputs and targets of as many steps, got {lengths} in sequence {number}",
            )
        for array, first in zip(pair, pairs[0], strict=True):
            if array.shape[1:] != first.shape[1:]:
                raise OptionError(
                    "sequences",
                    f"must all have steps of shape {list(first.shape[1:])}, got {list(array.shape[1:])} in "
                    f"sequence {number}",
                )
    inputs, targets = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    starts = starts_of([len(targets) for _, targets in pairs])
    own_starts = _joined(given, "starts", np.zeros)
    weights = _joined(given, "target_weights", np.ones)
    return Stream(
        inputs, targets, starts if own_starts is None else starts | own_starts.astype(bool), weights
    )


def _joined(given: list[Any], part: str, default: Callable[..., NDArray[Any]]) -> NDArray[Any] | None:
    """Returns a part that only some of the sequences have, a default for the others; None if none has it."""
    found = [getattr(sequence, part, None) for sequence in given]
    if all(array is None for array in found):
        return None
    sizes = [len(next(iter(sequence))) for sequence in given]
    return np.concatenate(
        [
            default(size, np.float32) if array is None else array
            for size, array in zip(sizes, found, strict=True)
        ]
    )


def has_lengths(values: Any) -> bool:
    """Returns whether values are a list of sequences whose lengths differ."""
    if not isinstance(values, list | tuple) or any(isinstance(value, str | bytes) for value in values):
        return False
    try:
        return len({len(value) for value in values}) > 1
    except TypeError:  # numbers
        return False


def read_lists(
    given: dict[str, Any], axes: Sequence[int] | None = None
) -> tuple[dict[str, NDArray[Any]], list[int]]:
    """Returns a user's sequences, inputs and targets, as arrays that hold one after another.

    Args:
        given: The inputs and the targets under their names, lists of arrays or lists.
        axes: The number of axes of a single sequence of each; then several of one length may be an array,
            and so may be a single one. None where all must be lists.

    Returns:
        The arrays, and the lengths of the sequences.

    Raises:
        OptionError: For the first sequence at fault.
    """
    inputs, targets = (
        _read_list(option, values, None if axes is None else axes[part])
        for part, (option, values) in enumerate(given.items())
    )
    names = list(given)
    if len(inputs) != len(targets):
        raise OptionError(names[1], f"must have {len(inputs)} sequences, as {names[0]}, got {len(targets)}")
    for number, (one, other) in enumerate(zip(inputs, targets, strict=True)):
        if len(one) != len(other):
            raise OptionError(
                names[1],
                f"must have {len(one)} steps in sequence {number}, as {names[0]}, got {len(other)}",
            )
    arrays = {option: np.concatenate(parts) for option, parts in zip(names, (inputs, targets), strict=True)}
    return arrays, [len(part) for part in inputs]


def _read_list(option: str, values: Any, axes: int | None) -> list[NDArray[Any]]:
    """Returns the sequences of a list, or of an array; see `read_lists`."""
    if axes is not None and not has_lengths(values):
        array = as_numbers(option, values)
        values = array if array.ndim > axes else [array]
    elif not isinstance(values, list | tuple):
        raise OptionError(option, f"must be a list of sequences, got {shown(values)}")
    parts: list[NDArray[Any]] = []
    for number, value in enumerate(values):
        try:
            parts.append(as_numbers(option, value))
        except OptionError as error:
            raise OptionError(option, f"{error.problem} in sequence {number}") from error
        if parts[-1].shape[1:] != parts[0].shape[1:]:
            shapes = [list(part.shape[1:]) for part in (parts[0], parts[-1])]
            raise OptionError(
                option, f"must have steps of one shape, got {shapes[0]} and {shapes[1]} in sequence {number}"
            )
    return parts


def with_weights(stream: Stream, period: int, option: str, values: Any) -> Stream:
    """Returns a stream whose targets have weights.

    Args:
        stream: From `read_sequences`.
        period: The length of its examples.
        option: Where the weights were given.
        values: A weight for each step, as the targets were given: `[length]`, `[rows, length]` or a list.

    Raises:
        OptionError: If they are not as many, or one is not finite or below 0.
    """
    length = len(stream.targets)
    if stream.starts is None:
        parts = [as_numbers(option, values)]
        fits = parts[0].shape in ((length,), (length // period, period))
    else:
        parts = _read_list(option, values, axes=1)
        borders = [*np.flatnonzero(stream.starts), length]
        fits = [part.shape for part in parts] == [(size,) for size in np.diff(borders)]
    if not fits:
        raise OptionError(
            option, "must be a weight for each step of the targets, in arrays of the same shapes"
        )
    with np.errstate(over="ignore"):
        weights = np.concatenate([part.ravel() for part in parts]).astype(np.float32)
    bad = weights[~(np.isfinite(weights) & (weights >= 0))]
    if bad.size:
        raise OptionError(option, f"must be finite and at least 0, got {bad[0]}")
    weights.flags.writeable = False
    return dataclasses.replace(stream, target_weights=weights)
