"""A stretch of tokens in time, and how it is cut into the rows and blocks that a graph is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.options import OptionError, require_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class Stream(NamedTuple):
    """Inputs, and the targets that belong to them; time is the first axis.

    Cut in rows, every array has one more axis in front: `[batch_size, length]` in place of
    `[length]`. It unpacks: `for inputs, targets in task.blocks(batch_size=200, num_steps=10)`.

    Attributes:
        inputs: int32 class indices `[length]`, or float32 values `[length, input_size]`.
        targets: int32 class indices `[length]`, or float32 values `[length, num_classes]`;
            `targets[t]` is to be predicted at time `t`. Of a step without a target, -1 or nan.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]


def cut_rows(stream: Stream, batch_size: int, *, period: int = 1, source: str = "the stream") -> Stream:
    """Cuts a stream into contiguous rows, which a graph reads side by side.

    With `row_length`, the largest multiple of `period` up to `length / batch_size`, row r holds the
    times `r * row_length` to `(r + 1) * row_length - 1`, and so begins where an example does. What
    stands after the last row is dropped.

    Args:
        stream: Arrays whose first axis is time.
        batch_size: The number of rows, from 1 to `length // period`.
        period: The length of the examples of which the stream is made, the first at its beginning;
            1 if it is not made of examples.
        source: What the error message calls the stream.

    Returns:
        Views of the stream: inputs `[batch_size, row_length(, input_size)]` and targets
        `[batch_size, row_length(, num_classes)]`.

    Raises:
        OptionError: `batch_size` or `period` is no whole number above 0, or there are fewer
            examples than rows.
    """
    batch_size = require_whole("batch_size", batch_size)
    period = require_whole("period", period)
    examples = len(stream.targets) // period
    if batch_size > examples:
        what = "tokens" if period == 1 else f"examples of {period} steps"
        raise OptionError(
            "batch_size",
            f"must be at most {examples} for the {examples} {what} of {source}, got {batch_size}",
        )
    row_length = examples // batch_size * period
    return Stream(_fold(stream.inputs, batch_size, row_length), _fold(stream.targets, batch_size, row_length))


def cut_blocks(
    stream: Stream, batch_size: int, num_steps: int, *, period: int = 1, source: str = "the stream"
) -> Iterator[Stream]:
    """Cuts a stream into blocks, of which each continues the rows of the one before.

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
        source: What the error messages call the stream.

    Returns:
        An iterator over views of the stream: inputs `[batch_size, num_steps(, input_size)]` and
        targets `[batch_size, num_steps(, num_classes)]`. A ragged last block is dropped.

    Raises:
        OptionError: At the call, not at the first block: `batch_size`, `num_steps` or `period` is
            no whole number above 0, or the stream is too short for it.
    """
    rows = cut_rows(stream, batch_size, period=period, source=source)
    num_steps = require_whole("num_steps", num_steps)
    row_length = rows.targets.shape[1]
    if num_steps > row_length:
        raise OptionError(
            "num_steps",
            f"must be at most {row_length} (the {len(stream.targets)} tokens of {source} "
            f"cut into {batch_size} rows{'' if period == 1 else ' of whole examples'}), got {num_steps}",
        )
    return (
        Stream(rows.inputs[:, start : start + num_steps], rows.targets[:, start : start + num_steps])
        for start in range(0, row_length - num_steps + 1, num_steps)
    )


def _fold(array: NDArray[Any], batch_size: int, row_length: int) -> NDArray[Any]:
    """Returns the beginning of `[length, ...]` as `[batch_size, row_length, ...]`, without a copy."""
    return array[: batch_size * row_length].reshape(batch_size, row_length, *array.shape[1:])
