"""The rows of several workers: which each reads, and the state of all of them for a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.parallel.cluster import ClusterTask
    from tf_rnn.parallel.ring import Ring
    from tf_rnn.tasks import Stream


def own_rows(task: ClusterTask, stream: Stream) -> Stream:
    """The share of one worker of the rows that all read side by side.

    Of B rows and W workers, worker w has the rows w B / W to (w + 1) B / W - 1.

    Raises:
        OptionError: For `batch_size`, if B is no multiple of W.
    """
    own = task.rows(len(stream.targets))
    return type(stream)(stream.inputs[own], stream.targets[own])


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
