"""A stretch of tokens in time, and how it is cut into the rows and blocks that a graph is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.config import OptionError, require_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


class Stream(NamedTuple):
    """Inputs, and the targets that belong to them; time is the first axis.

    Cut in rows, every array has one more axis in front: `[batch_size, length]` in place of
    `[length]`. It unpacks: `for inputs, targets in task.blocks(batch_size=200, num_steps=10)`.

    Attributes:
        inputs: int32 class indices `[length]`, or float32 values `[length, input_size]`.
        targets: int32 class indices `[length]`; `targets[t]` is to be predicted at time `t`.
    """

    inputs: NDArray[Any]
    targets: NDArray[np.int32]


def cut_rows(stream: Stream, batch_size: int, *, source: str = "the stream") -> Stream:
    """Cuts a stream into contiguous rows, which a graph reads side by side.

    With `row_length = length // batch_size`, row r holds the times `r * row_length` to
    `(r + 1) * row_length - 1`. The last `length % batch_size` tokens fill no further step of all
    rows and are dropped.

    Args:
        stream: Arrays whose first axis is time.
        batch_size: The number of rows, from 1 to `length`.
        source: What the error message calls the stream.

    Returns:
        Views of the stream: inputs `[batch_size, row_length(, input_size)]` and targets
        `[batch_size, row_length]`.

    Raises:
        OptionError: `batch_size` is no whole number above 0, or there are fewer tokens than rows.
    """
    batch_size = require_whole("batch_size", batch_size)
    length = len(stream.targets)
    if batch_size > length:
        raise OptionError(
            "batch_size",
            f"must be at most {length} for the {length} tokens of {source}, got {batch_size}",
        )
    return Stream(_fold(stream.inputs, batch_size), _fold(stream.targets, batch_size))


def cut_blocks(
    stream: Stream, batch_size: int, num_steps: int, *, source: str = "the stream"
) -> Iterator[Stream]:
    """Cuts a stream into blocks, of which each continues the rows of the one before.

    For 14 tokens, `batch_size=2` and `num_steps=3` (a dot is a token that is dropped):

        row 0    0  1  2 |  3  4  5 | .
        row 1    7  8  9 | 10 11 12 | .
                 block 0    block 1

    Args:
        stream: Arrays whose first axis is time.
        batch_size: The number of rows, from 1 to `length`.
        num_steps: The width of a block, from 1 to `length // batch_size`.
        source: What the error messages call the stream.

    Returns:
        An iterator over views of the stream: inputs `[batch_size, num_steps(, input_size)]` and
        targets `[batch_size, num_steps]`. A ragged last block is dropped.

    Raises:
        OptionError: At the call, not at the first block: `batch_size` or `num_steps` is no whole
            number above 0, or the stream is too short for it.
    """
    rows = cut_rows(stream, batch_size, source=source)
    num_steps = require_whole("num_steps", num_steps)
    row_length = rows.targets.shape[1]
    if num_steps > row_length:
        raise OptionError(
            "num_steps",
            f"must be at most {row_length} (the {len(stream.targets)} tokens of {source} "
            f"cut into {batch_size} rows), got {num_steps}",
        )
    return (
        Stream(rows.inputs[:, start : start + num_steps], rows.targets[:, start : start + num_steps])
        for start in range(0, row_length - num_steps + 1, num_steps)
    )


def _fold(array: NDArray[Any], batch_size: int) -> NDArray[Any]:
    """Returns `[length, ...]` as `[batch_size, length // batch_size, ...]`, without a copy."""
    row_length = len(array) // batch_size
    return array[: batch_size * row_length].reshape(batch_size, row_length, *array.shape[1:])
