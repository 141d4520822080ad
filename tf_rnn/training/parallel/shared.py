"""What the workers know of one another: variables on a parameter server, beside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.graph.session import assign

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

SCOPE = "tf_rnn_shared"
HOME = "/job:ps/task:0"
# Generations are numbered from 1 upwards; while the chief makes one ready, and after the end:
NOT_READY, FINISHED = 0, -1


class News(NamedTuple):
    """What a worker is told at the end of each of its updates.

    Attributes:
        generation: Which time it is that the run goes on from a checkpoint, a number that grows: when
            it is another, all go back to where they were at that checkpoint.
        updates: Blocks read since the run began: by each worker where all keep step, else by all together.
        rate: The learning rate.
    """

    generation: Any
    updates: Any
    rate: Any


class Shared:
    """The variables, the same for all workers.

    Args:
        num_workers: How many workers there are.
        state: A state of a worker's graph, for its structure, shapes and dtype.
        members: Of which workers the state is of interest here.

    Attributes:
        positions: Blocks that each worker has read since the run began, int64 [num_workers].
        states: By worker, the final state of its last update, as a flat list of variables.
    """

    def __init__(self, num_workers: int, state: Any, members: Sequence[int]) -> None:
        parts = tf.nest.flatten(state)
        with tf.device(HOME), tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
            self._generation = _variable("generation", [], tf.int64)
            self.updates = _variable("updates", [], tf.int64)
            self.rate = _variable("rate", [], parts[0].dtype)
            self.positions = _variable("positions", [num_workers], tf.int64)
            self.states = {
                worker: [
                    _variable(f"state_{worker}_{number}", part.shape, part.dtype)
                    for number, part in enumerate(parts)
                ]
                for worker in members
            }

    def news(self) -> News:
        """Reads what a worker is told."""
        return News(self._generation.read_value(), self.updates.read_value(), self.rate.read_value())

    def keep_state(self, worker: int, state: Any) -> list[Any]:
        """The operations that keep a worker's state, given in its structure or as a flat list."""
        pairs = zip(self.states[worker], tf.nest.flatten(state), strict=True)
        return [variable.assign(part, read_value=False) for variable, part in pairs]

    def begin(
        self,
        session: Any,
        updates: int,
        rate: float,
        positions: Sequence[int],
        states: dict[int, list[np.ndarray]],
    ) -> None:
        """Gives all variables but the generation their values."""
        variables: list[Any] = [self.updates, self.rate, self.positions]
        values: list[Any] = [updates, rate, positions]
        for worker, parts in states.items():
            variables += self.states[worker]
            values += parts
        assign(session, variables, values)

    def set_generation(self, session: Any, generation: int) -> None:
        """Tells the workers which generation it is."""
        assign(session, [self._generation], [generation])


def _variable(name: str, shape: Any, dtype: Any) -> Any:
    return tf.get_variable(
        name, shape, dtype, tf.zeros_initializer(), trainable=False, collections=[], use_resource=True
    )
