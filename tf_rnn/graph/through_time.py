"""Backpropagation through time: the way back through one layer, step by step, written out.

`tf.gradients` would find the same, but it takes every operation of every step by itself; here a step is
what its cell says that it is (`Cell.backward`), in fewer operations, and W_s is laid out once for all
steps in the order in which the way back reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.pieces import join_rows, split_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.cells import Cell, Weights
    from tf_rnn.graph.unroll import ChunkTrace


class LayerGradient(NamedTuple):
    """What flowed back into one layer.

    Attributes:
        projected: dL/d(projected) of each chunk, [steps * batch_size, columns], time first.
        recurrents: dL/d(recurrent) of each chunk, likewise.
        state: dL/dS of the state before the first step.
    """

    projected: list[Any]
    recurrents: list[Any]
    state: Any


def back_through_time(
    layer: Cell,
    weights: Weights,
    traces: Sequence[ChunkTrace],
    of_outputs: Sequence[Any],
    of_state: Any,
    hand_back: Callable[[int, Any], Any],
) -> LayerGradient:
    """Takes the steps of a layer from the last to the first.

        dL/dH_t = (what comes down from above) + dL/d(recurrent_{t+1}) W_s^T + (what the cell hands on)

    Args:
        layer: The layer.
        weights: The read of its variables that the steps were taken with.
        traces: Its chunks.
        of_outputs: dL/dH_t from above for the steps of each chunk, [steps * batch_size, state_size];
            None for a chunk that nothing comes down to.
        of_state: dL/dS of the state after the last step, from what comes after.
        hand_back: What becomes of dL/dS on its way back over the border between steps t + 1 and t, a
            function of t and the gradient.

    Source: Werbos 1990; for the LSTM Graves & Schmidhuber 2005, appendix A.
    """
    transposed = tf.transpose(weights.recurrent_kernel)
    projected, recurrents = [], []
    for trace, rows in zip(reversed(traces), reversed(of_outputs), strict=True):
        chunk = []
        steps = (trace.steps, layer.slopes(trace.kept), _steps(rows, trace))
        for t, slopes, above in zip(*map(reversed, steps), strict=True):
            step = layer.backward(slopes, _plus(layer, hand_back(t, of_state), above))
            of_state = _plus(layer, step.state, tf.matmul(step.recurrent, transposed))
            chunk.append(step)
        chunk.reverse()
        projected.append(join_rows([step.projected for step in chunk]))
        adds = all(step.recurrent is step.projected for step in chunk)
        recurrents.append(projected[-1] if adds else join_rows([step.recurrent for step in chunk]))
    return LayerGradient(projected[::-1], recurrents[::-1], of_state)


def _steps(rows: Any, trace: ChunkTrace) -> list[Any]:
    """The rows of each step of a chunk."""
    count = len(trace.steps)
    return [None] * count if rows is None else split_rows(rows, count)


def _plus(layer: Cell, of_state: Any, more: Any) -> Any:
    """A gradient of a state, and more of H_t; None is nothing."""
    hidden = layer.hidden(of_state)
    parts = [part for part in (hidden, more) if part is not None]
    return layer.with_hidden(of_state, parts[0] if len(parts) == 1 else tf.add(*parts))
