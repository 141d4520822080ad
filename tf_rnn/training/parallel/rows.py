"""The rows of the stream that a worker reads, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tf_rnn.tasks import Stream, Task


class Position(NamedTuple):
    """Where in the stream a worker is.

    Attributes:
        epoch: Number of the epoch, from 0.
        block: Number of the block in the epoch, from 0.
    """

    epoch: int
    block: int


class OwnRows:
    """A worker's share of the rows that all read side by side.

    Of B rows and W workers, worker w has the rows w B / W to (w + 1) B / W - 1: together they read what
    one would that had them all. Where it is, is a function of how many blocks it has read since the
    run began.

    Args:
        task: Whose split "train" to read.
        batch_size: Rows of all workers together, B, a multiple of W.
        num_steps: Steps of a block.
        index: Which worker, w.
        workers: How many, W.
    """

    def __init__(self, task: Task, batch_size: int, num_steps: int, index: int, workers: int) -> None:
        self._task, self._batch_size, self._num_steps = task, batch_size, num_steps
        share = batch_size // workers
        self._own = slice(index * share, (index + 1) * share)
        self._epoch, self._rows = 0, self._read(0)
        self.blocks_per_epoch: int = self._rows.targets.shape[1] // num_steps

    def _read(self, epoch: int) -> Stream:
        rows = self._task.rows(self._batch_size, "train", epoch)
        return type(rows)(rows.inputs[self._own], rows.targets[self._own])

    def position(self, blocks: int) -> Position:
        """Where it is after so many blocks."""
        return Position(*divmod(blocks, self.blocks_per_epoch))

    def block(self, blocks: int) -> Stream:
        """The block that comes after so many, inputs and targets [rows, num_steps, ...]."""
        epoch, number = self.position(blocks)
        if epoch != self._epoch:
            self._epoch, self._rows = epoch, self._read(epoch)
        steps = slice(number * self._num_steps, (number + 1) * self._num_steps)
        return type(self._rows)(self._rows.inputs[:, steps], self._rows.targets[:, steps])
