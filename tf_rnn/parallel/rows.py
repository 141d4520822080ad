"""The rows of several workers: which each reads, and the state of all of them for a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.parallel.cluster import ClusterTask
    from tf_rnn.parallel.ring import Ring
    from tf_rnn.tasks import Stream, Task


def own_rows(task: ClusterTask, stream: Stream) -> Stream:
    """The share of one worker of the rows that all read side by side.

    Of B rows and W workers, worker w has the rows w B / W to (w + 1) B / W - 1.

    Raises:
        OptionError: For `batch_size`, if B is no multiple of W.
    """
    own = task.rows(len(stream.targets))
    return stream.map(lambda part: part[own])


class SharedTask:
    """A task of which a worker reads its share of the rows; all else is the task's own.

    Args:
        task: The task.
        place: This worker.
    """

    def __init__(self, task: Task, place: ClusterTask) -> None:
        self._task, self._place = task, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def row_length(self, batch_size: int, split: str = "train") -> int:
        """The length of the rows; see `Task.row_length`.

        Args:
            batch_size: The rows of one worker.
            split: One of the task's.
        """
        return self._task.row_length(batch_size * self._place.num_workers, split)

    def rows(self, batch_size: int, split: str = "train", epoch: int = 0) -> Stream:
        """The worker's rows of those that all read; see `Task.rows`.

        Args:
            batch_size: The rows of one worker.
            split: One of the task's.
            epoch: Number of the epoch.
        """
        return own_rows(self._place, self._task.rows(batch_size * self._place.num_workers, split, epoch))

    def blocks(
        self, batch_size: int, num_steps: int, split: str = "train", epoch: int = 0
    ) -> Iterator[Stream]:
        """The worker's rows in blocks; see `Task.blocks`.

        Args:
            batch_size: The rows of one worker.
            num_steps: The width of a block.
            split: One of the task's.
            epoch: Number of the epoch.
        """
        blocks = self._task.blocks(batch_size * self._place.num_workers, num_steps, split, epoch)
        return (own_rows(self._place, block) for block in blocks)


def shared_task(place: ClusterTask, task: Task) -> Task:
    """The task with one worker's share of the rows; `rows(b)` are its b rows of all."""
    return cast("Task", SharedTask(task, place))


def own_state(task: ClusterTask, state: Any) -> Any:
    """The share of one worker of the states of all rows, arrays [rows, state_size] in any structure."""
    return tf.nest.map_structure(lambda part: part[task.rows(len(part))], state)


def gathered_state(ring: Ring, state: Any) -> Any:
    """The states of all rows in order, from each worker's own: what one process would carry.

    All workers must call it at the same point; all get the same state.
    """
    of_workers = ring.gather([np.asarray(part) for part in tf.nest.flatten(state)])
    parts = [np.concatenate(shares) for shares in zip(*of_workers, strict=True)]
    return tf.nest.pack_sequence_as(state, parts)
