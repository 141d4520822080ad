"""One time step laid side by side n times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.cells.base import StepInputs
from tf_rnn.cells.concat import join_rows, split_rows
from tf_rnn.cells.products import product
from tf_rnn.graph.encoding import project
from tf_rnn.graph.third_party import calling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.cells import Cell, Weights
    from tf_rnn.graph.encoding import Projection


def same_state(_: int, state: Any) -> Any:
    """Passes a state to the next step unchanged."""
    return state


def same_outputs(_: int, __: int, outputs: Any) -> Any:
    """Passes outputs to the next layer unchanged."""
    return outputs


def unroll(
    cell: Any, inputs: list[Any], state: Any, on_state: Callable[[int, Any], Any] = same_state
) -> tuple[list[Any], list[Any]]:
    """Lays a cell side by side, once for each input: the definition, for any cell.

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
        on_state: Maps t and the state after step t to the state that step t + 1 starts from.

    Returns:
        The outputs and the states, n each.

    Raises:
        OptionError: If the cell has its weights in another `tf.Graph`.
    """
    outputs, states = [], []
    with calling(cell):
        for vectors in inputs:
            output, state = cell(vectors, state)
            outputs.append(output)
            states.append(state)
            state = on_state(len(states) - 1, state)
    return outputs, states


class ChunkTape(NamedTuple):
    """What the backward pass through one layer needs of a chunk of steps.

    Attributes:
        steps: The steps of the graph in the chunk.
        inputs: X of all steps, [steps * batch_size, input_size], time first; None where projections were
            looked up.
        before: H_{t-1} of each step.
        projected: X W_x + b of the whole chunk, [steps * batch_size, columns].
        recurrents: H_{t-1} W_s of each step.
        normalized: What `Cell.recur` saves of each step.
        residuals: What the cell saves of each step for its derivative.
        outputs: H_t of all steps, [steps * batch_size, state_size], time first.
    """

    steps: range
    inputs: Any
    before: list[Any]
    projected: Any
    recurrents: list[Any]
    normalized: list[Any]
    residuals: list[Any]
    outputs: Any


class Unrolled(NamedTuple):
    """An unrolled stack of layers.

    Attributes:
        outputs: The top layer's outputs as the readout reads them, a tensor [steps * batch_size,
            state_size] for each chunk, time first.
        states: The states of all layers after each step, n tuples.
        tapes: For each layer one `ChunkTape` a chunk.
        carried: The state of each layer that a following step would start from.
    """

    outputs: list[Any]
    states: list[tuple[Any, ...]]
    tapes: list[list[ChunkTape]]
    carried: list[Any]

    @classmethod
    def before(cls, states: Sequence[Any]) -> Unrolled:
        """No steps, and the states that the first step will start from."""
        return cls([], [], [[] for _ in states], list(states))

    @property
    def num_steps(self) -> int:
        """Number of steps."""
        return len(self.states)

    @property
    def num_chunks(self) -> int:
        """Number of chunks."""
        return len(self.outputs)

    def then(self, following: Unrolled) -> Unrolled:
        """These steps and those that follow them."""
        tapes = [one + more for one, more in zip(self.tapes, following.tapes, strict=True)]
        return Unrolled(
            self.outputs + following.outputs, self.states + following.states, tapes, following.carried
        )


def unroll_layers(
    layers: Sequence[Cell],
    weights: Sequence[Weights],
    project_inputs: Callable[[int, Any], Projection],
    chunks: list[list[Any]],
    states: Sequence[Any],
    on_states: Sequence[Callable[[int, Any], Any]],
    on_outputs: Callable[[int, int, Any], Any] = same_outputs,
    first_step: int = 0,
) -> Unrolled:
    """Lays layers side by side, computing all that need not wait a chunk of steps at a time.

    The inputs of a chunk are projected in one product; only H_{t-1} W_s and what follows is left to
    the single step. Chunk by chunk, all layers are laid over it, so that a layer can run on one chunk
    while the layer above runs on the chunk before.

    Args:
        layers: From the inputs upwards.
        weights: One read of each layer's variables.
        project_inputs: Maps a chunk's number and the lowest layer's inputs of the chunk to X W_x + b.
        chunks: The inputs of each step, in consecutive groups.
        states: Initial states of the layers.
        on_states: For each layer, maps t and its state after step t to the state that step t + 1 starts from.
        on_outputs: Maps the number of layers below, the chunk's number and a layer's outputs of the
            chunk to what the next layer, or the readout, reads.
        first_step: The first step's number in the graph.

    Returns:
        See `Unrolled`.
    """
    result = Unrolled.before(states)
    current = result.carried
    for position, inputs in enumerate(chunks):
        outputs = join_rows(inputs)
        first = first_step + len(result.states)
        steps = range(first, first + len(inputs))
        history = []
        for number, (layer, read) in enumerate(zip(layers, weights, strict=True)):
            projection = project(layer, read, outputs) if number else project_inputs(position, outputs)
            chunk = _run_chunk(layer, read, projection, current[number], steps, on_states[number])
            result.tapes[number].append(chunk.tape)
            history.append(chunk.states)
            current[number] = chunk.carried
            outputs = on_outputs(number + 1, position, chunk.tape.outputs)
        result.states.extend(zip(*history, strict=True))
        result.outputs.append(outputs)
    return result


class _Chunk(NamedTuple):
    tape: ChunkTape
    states: list[Any]
    carried: Any


def _run_chunk(
    layer: Cell,
    weights: Weights,
    projection: Projection,
    state: Any,
    steps: range,
    on_state: Callable[[int, Any], Any],
) -> _Chunk:
    before, recurrents, normalized, states, residuals = [], [], [], [], []
    for t, step in zip(steps, split_rows(projection.rows, len(steps)), strict=True):
        before.append(layer.hidden(state))
        recurrents.append(product(before[-1], weights.recurrent_kernel))
        recurrent = layer.recur(weights, recurrents[-1])
        normalized.append(recurrent.normalized)
        after, residual = layer.combine(weights, step, recurrent.rows, state)
        inputs = StepInputs(weights, step, recurrent.rows, state)
        residuals.append(inputs if residual is None else residual)
        states.append(after)
        state = on_state(t, after)
    outputs = join_rows([layer.hidden(after) for after in states])
    tape = ChunkTape(
        steps, projection.vectors, before, projection.rows, recurrents, normalized, residuals, outputs
    )
    return _Chunk(tape, states, state)
