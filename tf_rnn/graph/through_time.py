"""Backpropagation through time: the backward pass through one layer, step by step.

`tf.gradients` would find the same, but one operation at a time; here a step is the derivative that its
cell declares (`Cell.backward`), in fewer operations, and W_s is transposed once for all steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_rows, split_rows
from tf_rnn.cells.norm import norm_gradient
from tf_rnn.cells.products import operand, product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cells import Cell, Weights
    from tf_rnn.graph.borders import Borders
    from tf_rnn.graph.unroll import ChunkTape


class LayerGradient(NamedTuple):
    """The gradient with respect to what one layer computes with.

    Attributes:
        projected: dL/d(projected) of each chunk, [steps * batch_size, columns], time first.
        recurrents: dL/d(H W_s) of each chunk, likewise.
        states: dL/dS of the state before each step, in chunks.
        biases: dL/db of the biases after the first.
        gains: dL/dg_s; none without layer normalisation.
    """

    projected: list[Any]
    recurrents: list[Any]
    states: list[list[Any]]
    biases: tuple[Any, ...]
    gains: list[Any]


def back_through_time(
    layer: Cell,
    weights: Weights,
    tapes: Sequence[ChunkTape],
    d_outputs: Sequence[Any],
    d_state: Any,
    borders: Borders,
) -> LayerGradient:
    """Goes through the steps of a layer from the last to the first.

        dL/dH_t = (from above) + dL/d(recurrent_{t+1}) W_s^T + (from S_{t+1}, element by element)

    Args:
        layer: The layer.
        weights: The read of its variables that the steps were computed with.
        tapes: Its chunks.
        d_outputs: dL/dH_t from above for the steps of each chunk, [steps * batch_size, state_size];
            None for a chunk without any.
        d_state: dL/dS of the state after the last step, from whatever follows it.
        borders: What happens to states, and to their gradients, between the steps.

    Source: Werbos 1990; for the LSTM Graves & Schmidhuber 2005, appendix A.
    """
    transposed = tf.transpose(operand(weights.recurrent_kernel))
    projected, recurrents, combined, biases, gains = [], [], [], [], []
    before: list[list[Any]] = []
    for tape, rows in zip(reversed(tapes), reversed(d_outputs), strict=True):
        chunk: list[Any] = []
        products: list[Any] = []
        before.append([])
        local, above_it = layer.local_derivatives(tape.residuals), _steps(rows, tape)
        steps = (tape.steps, local, above_it, tape.normalized)
        for t, derivatives, above, norm in zip(*map(reversed, steps), strict=True):
            d_state = borders.on_state_gradient(t, d_state)
            step = layer.backward(derivatives, _add_hidden(layer, d_state, above))
            products.append(step.recurrent)
            if norm is not None:
                products[-1] = norm_gradient(weights.gains[1] * step.recurrent, norm)
            d_state = _add_hidden(layer, step.state, product(products[-1], transposed))
            chunk.append(step)
            before[-1].insert(0, d_state)
        biases += [step.biases for step in chunk]
        chunk.reverse()
        projected.append(join_rows([step.projected for step in chunk]))
        adds = all(step.recurrent is step.projected for step in chunk)
        combined.append(projected[-1] if adds else join_rows([step.recurrent for step in chunk]))
        recurrents.append(combined[-1])
        if weights.gains:
            recurrents[-1] = join_rows(products[::-1])
            normalized = join_rows([norm.rows for norm in tape.normalized])
            gains.append(tf.reduce_sum(combined[-1] * normalized, axis=0))
    sums = tuple(map(tf.add_n, zip(*biases, strict=True))) or layer.other_bias_gradients(combined)
    of_gains = [tf.add_n(gains)] if gains else []
    return LayerGradient(projected[::-1], recurrents[::-1], before[::-1], sums, of_gains)


def _steps(rows: Any, tape: ChunkTape) -> list[Any]:
    """The rows of each step of a chunk."""
    count = len(tape.steps)
    return [None] * count if rows is None else split_rows(rows, count)


def _add_hidden(layer: Cell, d_state: Any, more: Any) -> Any:
    """Adds a gradient of H_t to the gradient of a state; None counts as zero."""
    hidden = layer.hidden(d_state)
    parts = [part for part in (hidden, more) if part is not None]
    return layer.with_hidden(d_state, parts[0] if len(parts) == 1 else tf.add(*parts))
