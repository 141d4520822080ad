"""One time step laid side by side n times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.pieces import join_rows, split_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.cells import Cell, Weights


def as_it_is(_: int, state: Any) -> Any:
    """Hands a state on to the next step without a change."""
    return state


def all_of_it(_: int, __: int, outputs: Any) -> Any:
    """Hands outputs up to the next layer without a change."""
    return outputs


def unroll(
    cell: Any, inputs: list[Any], state: Any, hand_on: Callable[[int, Any], Any] = as_it_is
) -> tuple[list[Any], list[Any]]:
    """Lays a cell side by side, once for each input: the definition, and the way for any cell.

        for X_t in inputs:
            output, state = cell(X_t, state)

    which for three inputs is

        output_0, S_0 = cell(X_0, S_init)
        output_1, S_1 = cell(X_1, S_0)
        output_2, S_2 = cell(X_2, S_1)

    Args:
        cell: Any v1 RNN cell.
        inputs: n tensors [batch_size, input_size].
        state: S_{-1}, in the structure of the cell's state.
        hand_on: What becomes of the state after step t on its way to step t + 1, a function of t and
            the state.

    Returns:
        The outputs and the states, n each.
    """
    outputs, states = [], []
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        for vectors in inputs:
            output, state = cell(vectors, state)
            outputs.append(output)
            states.append(state)
            state = hand_on(len(states) - 1, state)
    return outputs, states


class ChunkTrace(NamedTuple):
    """What the way back through one layer needs of a chunk of steps.

    Attributes:
        steps: Which steps of the graph.
        before: H_{t-1} of each step.
        projected: X W_x + b of the whole chunk, [steps * batch_size, columns].
        recurrents: H_{t-1} W_s of each step.
        kept: What the cell keeps of each step.
        outputs: H_t of all steps, [steps * batch_size, state_size], time first.
    """

    steps: range
    before: list[Any]
    projected: Any
    recurrents: list[Any]
    kept: list[Any]
    outputs: Any


class Unrolled(NamedTuple):
    """An unrolled stack of layers.

    Attributes:
        outputs: The top layer's outputs as they are handed up, a tensor [steps * batch_size,
            state_size] a chunk, time first.
        states: The states of all layers after each step, n tuples.
        traces: For each layer a list over chunks.
        handed_on: The state of each layer as it is handed on to what comes after.
    """

    outputs: list[Any]
    states: list[tuple[Any, ...]]
    traces: list[list[ChunkTrace]]
    handed_on: list[Any]

    @classmethod
    def before(cls, states: Sequence[Any]) -> Unrolled:
        """No steps yet, and the states that the first will start from."""
        return cls([], [], [[] for _ in states], list(states))

    @property
    def num_steps(self) -> int:
        """How many steps there are."""
        return len(self.states)

    @property
    def num_chunks(self) -> int:
        """How many chunks they were taken in."""
        return len(self.outputs)

    def then(self, other: Unrolled) -> Unrolled:
        """These steps, and those that go on from them."""
        traces = [one + more for one, more in zip(self.traces, other.traces, strict=True)]
        return Unrolled(self.outputs + other.outputs, self.states + other.states, traces, other.handed_on)


def unroll_layers(
    layers: Sequence[Cell],
    weights: Sequence[Weights],
    project_inputs: Callable[[int, Any], Any],
    chunks: list[list[Any]],
    states: Sequence[Any],
    hand_on: Callable[[int, Any], Any] = as_it_is,
    hand_up: Callable[[int, int, Any], Any] = all_of_it,
    first_step: int = 0,
) -> Unrolled:
    """Lays the layers side by side, taking everything that need not wait a chunk of steps at a time.

    The inputs of a chunk are projected in one product; only H_{t-1} W_s and what follows is left to
    the single step. The layers take turns at each chunk, so that a layer works on one chunk while
    the layer above works on the chunk before.

    Args:
        layers: From the inputs upwards.
        weights: One read of each layer's variables.
        project_inputs: The chunk's number, the lowest layer's inputs of the chunk -> X W_x + b.
        chunks: The inputs of each step, in consecutive groups.
        states: Initial states of the layers.
        hand_on: What becomes of a layer's state after step t on its way to step t + 1, a function of
            t and the state.
        hand_up: What becomes of a layer's outputs of a chunk on their way up, a function of how many
            layers they have passed, the chunk's number and the outputs.
        first_step: Which step of the graph the first of them is.

    Returns:
        See `Unrolled`.
    """
    result = Unrolled.before(states)
    current = result.handed_on
    for position, inputs in enumerate(chunks):
        outputs = join_rows(inputs)
        first = first_step + len(result.states)
        steps = range(first, first + len(inputs))
        history = []
        for number, (layer, read) in enumerate(zip(layers, weights, strict=True)):
            projected = layer.project(read, outputs) if number else project_inputs(position, outputs)
            chunk = _run_chunk(layer, read, projected, current[number], steps, hand_on)
            result.traces[number].append(chunk.trace)
            history.append(chunk.states)
            current[number] = chunk.handed_on
            outputs = hand_up(number + 1, position, chunk.trace.outputs)
        result.states.extend(zip(*history, strict=True))
        result.outputs.append(outputs)
    return result


class _Chunk(NamedTuple):
    trace: ChunkTrace
    states: list[Any]
    handed_on: Any


def _run_chunk(
    layer: Cell,
    weights: Weights,
    projected: Any,
    state: Any,
    steps: range,
    hand_on: Callable[[int, Any], Any],
) -> _Chunk:
    before, recurrents, states, kept = [], [], [], []
    for t, step in zip(steps, split_rows(projected, len(steps)), strict=True):
        before.append(layer.hidden(state))
        recurrents.append(tf.matmul(before[-1], weights.recurrent_kernel))
        state, needed = layer.combine(weights, step, recurrents[-1], state)
        kept.append(needed)
        states.append(state)
        state = hand_on(t, state)
    outputs = join_rows([layer.hidden(after) for after in states])
    return _Chunk(ChunkTrace(steps, before, projected, recurrents, kept, outputs), states, state)
