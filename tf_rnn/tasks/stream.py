"""Streams of inputs and targets over time, cut into the rows and blocks that a graph is fed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, require_whole
from tf_rnn.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Stream:
    """Inputs and their targets; time is the first axis.

    Cut into rows, every array has one more axis in front: `[batch_size, length, ...]` instead of
    `[length, ...]`. A stream unpacks to inputs and targets:
    `for inputs, targets in task.blocks(batch_size=200, num_steps=10)`.

    Attributes:
        inputs: int32 class indices `[length]`, or float32 values `[length, input_size]`.
        targets: int32 class indices `[length]`, or float32 values `[length, num_classes]`;
            `targets[t]` is to be predicted at time `t`. A step without a target has -1 or nan.
        starts: bool `[length]`: where a sequence starts that has nothing to do with what comes before it,
            so that the state is zero there; None where the stream is one sequence.
        target_weights: float32 `[length]`: how much the loss of each step counts, finite and at least 0; None
            where all count alike.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    starts: NDArray[np.bool_] | None = None
    target_weights: NDArray[np.floating[Any]] | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.inputs, self.targets))

    def map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Stream:
        """Returns the stream with the same change made to each of its arrays."""
        starts = None if self.starts is None else change(self.starts)
        weights = None if self.target_weights is None else change(self.target_weights)
        return Stream(change(self.inputs), change(self.targets), starts, weights)

    def at(self, times: NDArray[np.integer[Any]]) -> Stream:
        """Returns the tokens at some times of a stream that is not cut, arrays `[*times.shape, ...]`."""
        return self.map(lambda array: array[times])

    def steps(self, start: int, stop: int) -> Stream:
        """Returns some steps of rows.

        Args:
            start: The first step, at least 0.
            stop: The step after the last one, above `start`. It may lie beyond the end of the rows; the
                last step is repeated there.

        Returns:
            Arrays `[batch_size, stop - start, ...]`; views where nothing is repeated.
        """
        length = self.targets.shape[1]
        if stop <= length:
            return self.map(lambda array: array[:, start:stop])
        times = np.minimum(np.arange(start, stop), length - 1)
        return self.map(lambda array: array[:, times])


def starts_of(lengths: Sequence[int]) -> NDArray[np.bool_]:
    """Returns where sequences of these lengths start, one after another; the flags are read-only."""
    starts = np.zeros(sum(lengths), bool)
    starts[np.cumsum([0, *lengths[:-1]])] = True
    starts.flags.writeable = False
    return starts


def require_stream(
    stream: Any,
    *,
    input_size: int | None,
    target_size: int | None,
    has_starts: bool = False,
    has_target_weights: bool = False,
    source: str = "the stream",
) -> Stream:
    """Returns what a task's `stream` returned, or raises OptionError unless it has the form it should have.

    Args:
        stream: What was returned.
        input_size: The number of real values per step, or None for class indices.
        target_size: The number of real targets per step, or None for class indices.
        has_starts: Whether it says where sequences start.
        has_target_weights: Whether it says how much targets count.
        source: The name of the stream in the error message.

    Raises:
        OptionError: For `stream`, unless it is a `Stream` of NumPy arrays of one length, of the kinds
            and shapes that the sizes ask for. The values are not looked at.
    """
    problem = (
        _problem(stream, (input_size, target_size))
        or _more_problem("starts", stream.starts, len(stream.targets), "b", is_there=has_starts)
        or _more_problem(
            "target_weights", stream.target_weights, len(stream.targets), "f", is_there=has_target_weights
        )
    )
    if problem:
        raise OptionError("stream", f"must return {problem} ({source})")
    checked: Stream = stream
    return checked


def _problem(stream: Any, sizes: tuple[int | None, int | None]) -> str | None:
    if not isinstance(stream, Stream) or not all(isinstance(array, np.ndarray) for array in stream):
        return f"a Stream of two NumPy arrays, got {_kind(stream)}"
    for part, array, size in zip(("inputs", "targets"), stream, sizes, strict=True):
        if array.ndim == 0 or array.shape[1:] != (() if size is None else (size,)):
            form = "[length]" if size is None else f"[length, {size}]"
            return f"{part} of shape {form}, got {list(array.shape)}"
        if array.dtype.kind not in ("iu" if size is None else "iuf"):
            return f"{part} that are {'whole' if size is None else 'real'} numbers, got dtype {array.dtype}"
    if len(stream.inputs) != len(stream.targets):
        return f"inputs and targets of one length, got {len(stream.inputs)} and {len(stream.targets)}"
    return None


def _more_problem(part: str, array: Any, length: int, kind: str, *, is_there: bool) -> str | None:
    """Returns what is wrong with a part that only some tasks have."""
    if not is_there:
        return None if array is None else f"{part} only for a task whose has_{part} is True"
    if not isinstance(array, np.ndarray) or array.dtype.kind != kind:
        wanted = {"b": "bool", "f": "floating-point numbers"}[kind]
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        return f"{part} that are an array of {wanted} for a task whose has_{part} is True, got {got}"
    if array.shape != (length,):
        return f"{part} of shape {[length]}, got {list(array.shape)}"
    return None


def _kind(value: Any) -> str:
    """Returns the type of a value, and for a tuple or a stream those of its parts."""
    parts = [type(part).__name__ for part in value] if isinstance(value, tuple | Stream) else []
    return type(value).__name__ + (f" of {', '.join(parts)}" if parts else "")


def require_row_length(length: int, batch_size: int, *, period: int = 1, source: str = "the stream") -> int:
    """Returns the length of the rows into which `cut_rows` cuts a stream of `length` tokens.

    Raises:
        OptionError: See `cut_rows`.
    """
    batch_size = require_whole("batch_size", batch_size)
    period = require_whole("period", period)
    examples = length // period
    if not examples:
        what = "token" if period == 1 else f"example of {period} steps"
        got = counted(length, "token")
        raise OptionError("task", f"must have at least one {what} in {source}, got {got}")
    if batch_size > examples:
        what = counted(examples, "token" if period == 1 else "example")
        what += "" if period == 1 else f" of {period} steps"
        raise OptionError(
            "batch_size", f"must be at most {examples} for the {what} of {source}, got {batch_size}"
        )
    return examples // batch_size * period


def require_width(
    num_steps: int, length: int, batch_size: int, *, period: int = 1, source: str = "the stream"
) -> int:
    """Returns the width of the blocks into which `cut_blocks` cuts a stream of `length` tokens.

    Raises:
        OptionError: See `cut_blocks`.
    """
    row_length = require_row_length(length, batch_size, period=period, source=source)
    num_steps = require_whole("num_steps", num_steps)
    if num_steps > row_length:
        rows = length // period // -(-num_steps // period)  # so many of whole examples are wide enough
        whole = "" if period == 1 else " of whole examples"
        remedy = f"; it fits with a batch_size of at most {rows}" if rows else ""
        raise OptionError(
            "num_steps",
            f"must be at most {row_length} (the {counted(length, 'token')} of {source} cut into "
            f"{counted(batch_size, 'row')}{whole}), got {num_steps}{remedy}",
        )
    return num_steps


def cut_rows(stream: Stream, batch_size: int, *, period: int = 1, source: str = "the stream") -> Stream:
    """Cuts a stream into contiguous rows, which a graph reads side by side.

    With `row_length` the largest multiple of `period` up to `length / batch_size`, row r holds the
    times `r * row_length` to `(r + 1) * row_length - 1`, so every row begins with an example. Tokens
    after the last row are dropped. The first step of a row is flagged as a start only where the stream's is.

    Args:
        stream: Arrays whose first axis is time.
        batch_size: The number of rows, from 1 to `length // period`.
        period: The length of the examples that make up the stream, the first at its beginning; 1 if
            it is not made of examples.
        source: The name of the stream in error messages.

    Returns:
        Views of the stream: inputs `[batch_size, row_length(, input_size)]`, targets
        `[batch_size, row_length(, num_classes)]`, and starts `[batch_size, row_length]` where it has them.

    Raises:
        OptionError: `batch_size` or `period` is not a whole number above 0, or there are fewer
            examples than rows.
    """
    row_length = require_row_length(len(stream.targets), batch_size, period=period, source=source)
    return stream.map(lambda array: _fold(array, batch_size, row_length))


def cut_blocks(
    stream: Stream, batch_size: int, num_steps: int, *, period: int = 1, source: str = "the stream"
) -> Iterator[Stream]:
    """Cuts a stream into blocks, each of which continues the rows of the previous one.

    For 14 tokens, `batch_size=2` and `num_steps=3` (a dot is a token that is dropped):

        row 0    0  1  2 |  3  4  5 | .
        row 1    7  8  9 | 10 11 12 | .
                 block 0    block 1

    Args:
        stream: Arrays whose first axis is time.
        batch_size: The number of rows, from 1 to `length // period`.
        num_steps: The width of a block, from 1 to the length of a row; it need not be a multiple of
            `period`.
        period: The length of an example, as for `cut_rows`.
        source: The name of the stream in error messages.

    Returns:
        An iterator over views of the stream: inputs `[batch_size, num_steps(, input_size)]`,
        targets `[batch_size, num_steps(, num_classes)]`, and starts `[batch_size, num_steps]` where it has
        them. A ragged last block is dropped.

    Raises:
        OptionError: At the call, not at the first block: `batch_size`, `num_steps` or `period` is
            not a whole number above 0, or the stream is too short for it.
    """
    num_steps = require_width(num_steps, len(stream.targets), batch_size, period=period, source=source)
    rows = cut_rows(stream, batch_size, period=period, source=source)
    last = rows.targets.shape[1] - num_steps
    return (rows.steps(start, start + num_steps) for start in range(0, last + 1, num_steps))


def _fold(array: NDArray[Any], batch_size: int, row_length: int) -> NDArray[Any]:
    """Returns the beginning of `[length, ...]` as `[batch_size, row_length, ...]`, without a copy."""
    return array[: batch_size * row_length].reshape(batch_size, row_length, *array.shape[1:])
