"""The state before the first step of a sequence, where it is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.options import GraphOptions

# What is fed in place of a state that is learnt. No step ends there: outputs are finite, nan, or from 0 on.
NOTHING = -np.inf


def zero_state(init_state: Any, options: GraphOptions) -> Any:
    """What to feed as S_{-1} where nothing came before, NumPy arrays in the structure of the state.

    Zeros, or where the initial state is learnt `NOTHING`, in whose place the graph puts s_0.

    Args:
        init_state: The tensors to feed.
        options: Options of their graph.
    """
    value = NOTHING if options.initial_state == "learnt" else 0.0
    return tf.nest.map_structure(lambda part: np.full(part.shape, value, options.dtype), init_state)


def state_placeholder(cell: Any, options: GraphOptions) -> Any:
    """S_{-1} to feed, in the structure of a cell's state; `zero_state` if it is not fed."""
    zeros = cell.zero_state(options.batch_size, tf.as_dtype(options.dtype))
    if options.initial_state == "learnt":
        zeros = tf.nest.map_structure(lambda part: tf.fill(part.shape, tf.cast(NOTHING, part.dtype)), zeros)
    return tf.nest.map_structure(
        lambda part: tf.placeholder_with_default(part, part.shape, name="state"), zeros
    )


def is_nothing(state: Any) -> Any:
    """In which rows nothing came before a state that was fed, bool [batch_size]."""
    first = tf.nest.flatten(state)[0]
    is_one = tf.equal(first, tf.cast(NOTHING, first.dtype))
    return tf.reduce_all(is_one, axis=list(range(1, first.shape.rank)))


class InitialState:
    """s_0, a vector for each part of the state, the same for all rows; zero at first.

    Attributes:
        variables: s_0 in the order of `tf.nest.flatten`, [state_size] each.

    Args:
        cell: Any cell.
        dtype: Of the graph.

    Raises:
        OptionError: If a part of the cell's state is not of real numbers.

    Source: Forcada & Carrasco 1995, for an initial state that is trained like the weights.
    """

    def __init__(self, cell: Any, dtype: str) -> None:
        self._like = cell.zero_state(1, tf.as_dtype(dtype))
        parts = tf.nest.flatten(self._like)
        if not all(part.dtype.is_floating for part in parts):
            raise OptionError(
                "initial_state", "must be 'zero' for a cell whose state is not of real numbers, got 'learnt'"
            )
        zeros = tf.zeros_initializer()
        self.variables: tuple[Any, ...] = tuple(
            tf.get_variable(name, part.shape[1:], part.dtype, zeros, use_resource=True)
            for name, part in zip(state_names(cell), parts, strict=True)
        )

    def read(self) -> Any:
        """Reads each variable once: s_0 in the structure of the state."""
        return tf.nest.pack_sequence_as(self._like, [each.read_value() for each in self.variables])


def state_names(cell: Any) -> list[str]:
    """Names of the arrays of a cell's state: `state_0`, or `state_0_hidden` where the state has fields.

    The number is that of the layer; those of a third-party cell are counted through.
    """
    if not hasattr(cell, "layers"):
        return [f"state_{number}" for number, _ in enumerate(tf.nest.flatten(cell.state_size))]
    names = []
    for number, layer in enumerate(cell.layers):
        fields = getattr(layer.state_size, "_fields", None)
        names += [f"state_{number}_{field}" for field in fields] if fields else [f"state_{number}"]
    return names
