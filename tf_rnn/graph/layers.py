"""The layers of a network over a stretch of steps."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tf_rnn.graph.encoding import project
from tf_rnn.graph.unroll import Unrolled, unroll_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.graph.dropout import Dropout
    from tf_rnn.graph.encoding import Projection
    from tf_rnn.graph.network import Network, Reading


class LayerUnroller:
    """Lays the layers over any stretch of a graph's steps, with the same result each time.

    Args:
        network: Embedding, cell, readout.
        reading: One read of its variables.
        dropout: Dropout between the layers.
        on_state: See `Borders.on_state`.
        rows: The number of inputs looked up at a time, over examples and steps.
    """

    def __init__(
        self,
        network: Network,
        reading: Reading,
        dropout: Dropout,
        on_state: Callable[..., Any],
        rows: int,
    ) -> None:
        self._layers, self._weights = network.cell.layers, reading.layers
        starts = [network.cell.split_state(start) for start in reading.start] or [[None] * len(self._layers)]
        self._dropout, self._on_states = dropout, [functools.partial(on_state, start=s) for s in starts[0]]
        self._project = _projector(network, reading, dropout, rows)

    def first_states(self, init_states: Sequence[Any]) -> list[Any]:
        """The states that the first step of the graph starts from."""
        return [on_state(-1, state) for on_state, state in zip(self._on_states, init_states, strict=True)]

    def __call__(
        self, chunks: list[list[Any]], states: list[Any], first_step: int = 0, first_chunk: int = 0
    ) -> Unrolled:
        """Unrolls the layers.

        Args:
            chunks: The inputs of each step, in chunks.
            states: The states of the layers before.
            first_step: The number of their first step in the graph.
            first_chunk: The number of their first chunk.
        """
        return unroll_layers(
            self._layers,
            self._weights,
            lambda chunk, inputs: self._project(first_chunk + chunk, inputs),
            chunks,
            states,
            self._on_states,
            lambda place, chunk, outputs: self._dropout(place, first_chunk + chunk, outputs),
            first_step,
        )


def _projector(
    network: Network, reading: Reading, dropout: Dropout, rows: int
) -> Callable[[int, Any], Projection]:
    """The lowest layer's X W_x + b, a function of a chunk's number and its inputs."""
    encoding, layer, weights = network.encoding, network.cell.layers[0], reading.layers[0]
    if not dropout.acts(0):
        projector = encoding.projector(reading.embedding, layer, weights, rows)
        return lambda _, inputs: projector(inputs)

    def project_after_dropout(chunk: int, inputs: Any) -> Projection:
        return project(layer, weights, dropout(0, chunk, encoding.vectors(reading.embedding, inputs)))

    return project_after_dropout
