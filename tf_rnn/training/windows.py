"""Runs the windows of a truncation style on the rows of a task."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.graph.lags import mean_gradient_norms
from tf_rnn.graph.styles import STYLES, Course, Graphs, Window
from tf_rnn.options import STYLES as STYLE_NAMES
from tf_rnn.options import require_choice, require_fraction, require_style, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream

PROBED_POSITIONS = 4


@dataclasses.dataclass(frozen=True)
class Truncation:
    """Which errors go back how far, and in which windows.

    Attributes:
        style: "block", "sliding", "random", "adaptive" or "full"; see `tf_rnn.graph.styles`.
        stride: For "sliding": how many of a window's errors are new; 1 is "true" truncated
            backpropagation.
        tolerance: For "adaptive": the share of the gradient that may be cut off.
        seed: For "random".

    Raises:
        OptionError: If an option is not allowed.
    """

    style: str = "block"
    stride: int = 1
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("style", self.style, STYLE_NAMES)
        require_whole("stride", self.stride)
        require_fraction("tolerance", self.tolerance)
        require_whole("seed", self.seed, at_least=0)

    def check(self, graph: UnrolledGraph) -> None:
        """Raises OptionError unless it can be used on a graph."""
        require_style(self.style, self.stride, graph.num_steps, graph.options.loss_steps)

    def windows(
        self, graphs: Graphs, length: int, epoch: int, measure: Callable[[int], np.ndarray]
    ) -> Iterator[Window]:
        """The windows of one epoch; see `tf_rnn.graph.styles.Course` for the arguments."""
        rng = np.random.default_rng([self.seed, epoch])
        return STYLES[self.style](Course(graphs, length, self.stride, self.tolerance, rng, measure))


class Runs:
    """Training steps of any windows, each kind prepared once.

    Args:
        session: An open session of the graphs.
        controls: Names of the graphs' attributes that are fed at each run.
    """

    def __init__(self, session: Any, controls: tuple[str, ...] = ()) -> None:
        self._session, self._controls = session, controls
        self._prepared: dict[tuple[int, int], Callable[..., Any]] = {}

    def __call__(self, window: Window, rows: Stream, state: Any, values: tuple[Any, ...] = ()) -> Any:
        """Returns the loss, the gradient's norm, the state for the next window, and None.

        Args:
            window: What to run.
            rows: The rows that it reads.
            state: The state at its start.
            values: What is fed to the controls.
        """
        graph = window.graph
        key = (id(graph), id(window.next_state))
        run = self._prepared.get(key)
        if run is None:
            fetches = (graph.total_loss, graph.gradient_norm, window.next_state, graph.train_step)
            feeding = [getattr(graph, name) for name in self._controls]
            run = graph.runner(self._session, *fetches, feeding=feeding)
            self._prepared[key] = run
        return run(*_cut(rows, window.start, graph.num_steps), state, *window.more, *values)


def _cut(rows: Stream, start: int, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps of the rows; beyond their end the last step again, which then does not count."""
    stop = start + num_steps
    if stop <= rows.targets.shape[1]:
        return rows.inputs[:, start:stop], rows.targets[:, start:stop]
    places = np.minimum(np.arange(start, stop), rows.targets.shape[1] - 1)
    return rows.inputs[:, places], rows.targets[:, places]


class GradientProbe:
    """Measures the gradient by lag in the middle of training, over a graph's width.

    Args:
        graph: Over whose width.
        session: An open session of it.
    """

    def __init__(self, graph: UnrolledGraph, session: Any) -> None:
        self._graph, self._session = graph, session

    @functools.cached_property
    def _run(self) -> Callable[..., Any]:
        """Most runs never measure: the operations are made for the first that does."""
        # What is dropped in training would differ each time, and is not there when the model is used.
        graph = self._graph.forward() if self._graph.options.dropout else self._graph
        return graph.runner(self._session, graph.once(mean_gradient_norms), graph.final_state)

    def norms(self, rows: Stream, start: int, state: Any) -> np.ndarray:
        """The mean norm by lag, [num_steps], over a few blocks from a step on, from a state."""
        found = []
        width = self._graph.num_steps
        last = rows.targets.shape[1] - width
        for position in range(start, last + 1, width)[:PROBED_POSITIONS]:
            norms, state = self._run(*_cut(rows, position, width), state)
            found.append(norms)
        return np.asarray(np.mean(found, axis=0))
