"""Training steps of any windows, each kind of window prepared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.tasks import Stream
    from tf_rnn.truncation import Window


class Runs:
    """Runs the training step on windows.

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
            window: The window to run.
            rows: The rows that it reads.
            state: The state at its start.
            values: The values of the controls.
        """
        graph = window.graph
        key = (id(graph), id(window.next_state))
        run = self._prepared.get(key)
        if run is None:
            fetches = (graph.total_loss, graph.gradient_norm, window.next_state, graph.train_step)
            feeding = [getattr(graph, name) for name in self._controls]
            run = graph.runner(self._session, *fetches, feeding=feeding)
            self._prepared[key] = run
        return run(*cut(rows, window.start, graph.num_steps), state, *window.more, *values)


def cut(rows: Stream, start: int, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps of the rows; beyond their end the last step is repeated (its losses have no weight then)."""
    stop = start + num_steps
    if stop <= rows.targets.shape[1]:
        return rows.inputs[:, start:stop], rows.targets[:, start:stop]
    places = np.minimum(np.arange(start, stop), rows.targets.shape[1] - 1)
    return rows.inputs[:, places], rows.targets[:, places]
