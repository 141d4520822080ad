"""Measurements of the gradient by lag during training."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.graph.lags import mean_gradient_norms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream

PROBED_POSITIONS = 4


class GradientProbe:
    """Measures the gradient by lag at the current weights, over a graph's width.

    Args:
        graph: The graph.
        session: An open session of it.
        positions: The number of blocks that are measured.
    """

    def __init__(self, graph: UnrolledGraph, session: Any, positions: int = PROBED_POSITIONS) -> None:
        self._graph, self._session, self._positions = graph, session, positions

    @functools.cached_property
    def _run(self) -> Callable[..., Any]:
        """Prepared when first used, since most training runs never measure."""
        # Without dropout, which would differ each time, and which the trained model does not have.
        graph = self._graph.forward() if self._graph.options.dropout else self._graph
        return graph.runner(self._session, graph.cached(mean_gradient_norms), graph.final_state)

    def norms(self, rows: Stream, start: int, state: Any) -> np.ndarray:
        """The mean norm by lag, [num_steps], over a few blocks from a step on, from a state."""
        found = []
        width = self._graph.num_steps
        last = rows.targets.shape[1] - width
        for position in range(start, last + 1, width)[: self._positions]:
            block = rows.steps(position, position + width)
            norms, state = self._run(block.inputs, block.targets, state, starts=block.starts)
            found.append(norms)
        return np.asarray(np.mean(found, axis=0))
