"""How the steps of a graph are taken together: in chunks, and these in segments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tf_rnn.graph.session import TINY_STEP

if TYPE_CHECKING:
    from tf_rnn.config import GraphOptions

# How many steps' inputs are projected, and states read out, in one product. All at once would make
# each layer wait for the whole of the one below.
CHUNK_STEPS = 10


class Chunks:
    """Cuts lists over time.

    A chunk is a run of steps whose products are taken together. A segment is a run of chunks between
    two states that are kept for the backward pass: the whole graph, unless it recomputes.

    Args:
        options: Of the graph.
        step_operations: Floating point operations of one step of one layer.
    """

    def __init__(self, options: GraphOptions, step_operations: float) -> None:
        self._segment_steps = options.segment_steps
        wanted = options.num_steps if step_operations < TINY_STEP else CHUNK_STEPS
        if options.recompute is not None:  # segments of even chunks
            wanted = math.ceil(self._segment_steps / math.ceil(self._segment_steps / wanted))
        self._chunk_steps = wanted

    def segments(self, items: list[Any]) -> list[list[list[Any]]]:
        """A list over time as segments of chunks."""
        return [chunked(segment, self._chunk_steps) for segment in chunked(items, self._segment_steps)]

    def cut(self, items: list[Any]) -> list[list[Any]]:
        """A list over time as chunks."""
        return [chunk for segment in self.segments(items) for chunk in segment]


def chunked(items: list[Any], size: int) -> list[list[Any]]:
    """Cuts a list into groups of `size`, the last one shorter where it does not come out even."""
    return [items[start : start + size] for start in range(0, len(items), size)]
