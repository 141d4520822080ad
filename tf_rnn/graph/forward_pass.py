"""The cell laid over all steps of a block, in chunks and segments."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tf_rnn.cells.concat import join_rows
from tf_rnn.graph.chunks import Chunks
from tf_rnn.graph.dropout import Dropout
from tf_rnn.graph.layers import LayerUnroller
from tf_rnn.graph.recompute import Segment
from tf_rnn.graph.session import step_operations
from tf_rnn.graph.unroll import Unrolled, unroll
from tf_rnn.options import OptionError
from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph.block import Block
    from tf_rnn.graph.network import Network, Reading
    from tf_rnn.options import GraphOptions


class ForwardPass:
    """From the inputs of a block to the outputs that the readout reads.

    Attributes:
        states: n states S_t, in the structure of the cell's state.
        unrolled: Outputs and tapes, in chunks; no tapes of a third-party cell.
        segments: The stretches of steps between saved states; none of a third-party cell.
        targets: The block's targets, in the same chunks as the outputs.
        dropout: What is dropped between the layers.

    Args:
        network: Embedding, cell, readout.
        options: Options of the graph.
        reading: One read of the network's variables.
        block: Inputs, targets and initial state.
        on_state: See `Borders.on_state`.
    """

    def __init__(
        self,
        network: Network,
        options: GraphOptions,
        reading: Reading,
        block: Block,
        on_state: Callable[..., Any],
    ) -> None:
        self._network, self._options, self._reading = network, options, reading
        self._block, self._on_state = block, on_state
        self._chunks = Chunks(options, step_operations(network.cell, options))
        self.dropout = Dropout(options, network)
        self.targets = self._chunks.cut(block.targets)
        self.segments: list[Segment] = []
        self.states: list[Any] = []
        lay = self._lay_layers if network.is_layered else self._lay_cell
        self.unrolled: Unrolled = lay()

    def unroller_of(self, reading: Reading) -> LayerUnroller:
        """What lays the layers over a segment, with one read of the weights."""
        rows = self._options.batch_size * self._options.segment_steps
        return LayerUnroller(self._network, reading, self.dropout, self._on_state, rows)

    def cell_inputs(self) -> list[list[Any]]:
        """The vectors that each layer reads, n tensors [batch_size, ...] a layer."""
        states = [self._network.cell.split_state(state) for state in self.states]
        layers = enumerate(self._network.cell.layers)
        outputs = [[layer.hidden(state[number]) for state in states] for number, layer in layers]
        read = enumerate([self._vectors(), *outputs[:-1]])
        return [self.dropout.over_steps(place, steps, self._chunks) for place, steps in read]

    def _vectors(self) -> list[Any]:
        encoding = self._network.encoding
        return [encoding.vectors(self._reading.embedding, x) for x in self._block.inputs]

    def _lay_layers(self) -> Unrolled:
        lay, cell = self.unroller_of(self._reading), self._network.cell
        initial = cell.split_state(self._block.init_state)
        unrolled = Unrolled.before(lay.first_states(initial))
        inputs, targets = (self._chunks.segments(each) for each in (self._block.inputs, self._block.targets))
        for own_inputs, own_targets in zip(inputs, targets, strict=True):
            segment = Segment(
                own_inputs, own_targets, unrolled.num_steps, unrolled.num_chunks, unrolled.carried
            )
            self.segments.append(segment)
            unrolled = unrolled.then(segment.laid_by(lay))
        self.states = [cell.join_states(states) for states in unrolled.states]
        return unrolled

    def _lay_cell(self) -> Unrolled:
        for option, allowed in (("recompute", None), ("precision", FLOAT32)):
            value = getattr(self._options, option)
            if value != allowed:
                raise OptionError(option, f"must be {allowed!r} for a third-party cell, got {value!r}")
        vectors = self.dropout.over_steps(0, self._vectors(), self._chunks)
        cell, (start,) = self._network.cell, self._reading.start or [None]
        on_state = functools.partial(self._on_state, start=start)
        outputs, self.states = unroll(cell, vectors, on_state(-1, self._block.init_state), on_state)
        chunks = enumerate(join_rows(group) for group in self._chunks.cut(outputs))
        return Unrolled([self.dropout(1, number, chunk) for number, chunk in chunks], [], [], [])
