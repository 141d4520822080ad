"""The division of a graph's steps into chunks, and of chunks into segments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tf_rnn.graph.session import TINY_STEP

if TYPE_CHECKING:
    from tf_rnn.options import GraphOptions

# The most steps whose inputs are projected, and whose states are read out, in one product. With all steps
# in one, each layer would wait for the whole of the layer below: a graph has four chunks, fewer where a
# product would have so few rows that it is slow, and at least two.
CHUNK_STEPS = 20
CHUNKS = 4
FEWEST_CHUNKS = 2
CHUNK_ROWS = 200


class Chunks:
    """Cuts lists over time.

    A chunk is a run of steps whose products are computed together. A segment is a run of chunks between
    two states that are saved for the backward pass: the whole graph, unless it recomputes.

    Args:
        options: Options of the graph.
        step_operations: Floating point operations of one step of one layer.
    """

    def __init__(self, options: GraphOptions, step_operations: float) -> None:
        self._segment_steps = options.segment_steps
        is_tiny = step_operations < TINY_STEP
        self._chunk_steps = options.num_steps if is_tiny else _chunk_steps(options)

    def segments(self, items: list[Any]) -> list[list[list[Any]]]:
        """A list over time as segments of chunks."""
        return [chunked(segment, self._chunk_steps) for segment in chunked(items, self._segment_steps)]

    def cut(self, items: list[Any]) -> list[list[Any]]:
        """A list over time as chunks."""
        return [chunk for segment in self.segments(items) for chunk in segment]


def _chunk_steps(options: GraphOptions) -> int:
    """The steps of a chunk; the last one of a segment may be shorter."""
    steps = options.segment_steps
    enough = max(math.ceil(steps / CHUNKS), math.ceil(CHUNK_ROWS / options.batch_size))
    wanted = min(CHUNK_STEPS, math.ceil(steps / FEWEST_CHUNKS), enough)
    return math.ceil(steps / math.ceil(steps / wanted))


def chunked(items: list[Any], size: int) -> list[list[Any]]:
    """Cuts a list into groups of `size`; the last one may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
