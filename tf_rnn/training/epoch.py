"""One pass over the training data, in windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.training.evaluation import usable
from tf_rnn.training.state import StreamPosition

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.probe import GradientProbe
    from tf_rnn.truncation import Style, Truncation, Window


def counts_of(
    style: Style, graph: UnrolledGraph, length: int, workers: int, position: StreamPosition | None = None
) -> tuple[int | None, int | None]:
    """Updates and tokens (rows times time steps) of an epoch, None where the style does not know.

    Args:
        style: The style, on rows of this length.
        graph: The graph being trained.
        length: Time steps in a row from the position's offset on.
        workers: Number of processes that train a graph like this one together.
        position: Where the epoch stands, so that only what is left counts; None for its start.
    """
    position, width = position or StreamPosition(), graph.num_steps
    per_update, per_epoch = style.steps_per_update, style.steps_per_epoch
    updates = 1 + (per_epoch - width) // per_update - position.windows if length >= width else 0
    # The first window of a row may count more steps than the others.
    more = max(0, width - per_update) if position.windows else 0
    steps = per_epoch - (position.start - position.offset) - more if length >= width else 0
    return (
        max(0, updates) if style.knows_updates else None,
        max(0, steps) * graph.batch_size * workers if style.knows_steps else None,
    )


class Epoch:
    """The rest of an epoch from a position on.

    Args:
        graph: The graph being trained.
        task: The task, whose split "train" is read.
        truncation: The style, which makes the windows.
        probe: Measures gradient norms by lag, for the style "adaptive".
        position: Where to begin.
        workers: Number of processes that train together; the tokens of all are counted.

    Attributes:
        rows: What the windows read, [batch_size, length, ...].
        updates_left: Windows left; None if the style does not know.
        tokens_left: Rows times time steps left to count; None if the style does not know.
        updates: Windows of a whole epoch; None if the style does not know.
        tokens: Rows times time steps of a whole epoch; None if the style does not know.

    Raises:
        OptionError: If the data of the epoch are not finite.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        task: Task,
        truncation: Truncation,
        probe: GradientProbe,
        position: StreamPosition,
        workers: int = 1,
    ) -> None:
        rows = task.rows(graph.batch_size, "train", position.epoch)
        rows = usable(task, rows, "train", graph.options.dtype)
        self.rows = rows.steps(position.offset, rows.targets.shape[1])
        self._position, self._probe = position, probe
        self._measured, self._replayed = list(position.measured), iter(position.measured)
        self._state: Any = None
        length = self.rows.targets.shape[1]
        whole, style = truncation.of(graph, rows.targets.shape[1]), truncation.of(graph, length)
        self.updates, self.tokens = counts_of(whole, graph, rows.targets.shape[1], workers)
        self.updates_left, self.tokens_left = counts_of(style, graph, length, workers, position)
        self._windows: Iterator[tuple[int, Window]] = iter(())
        if length >= graph.num_steps:
            self._windows = enumerate(style.windows(position.epoch, self._measure), start=1)

    def next_window(self, state: Any) -> Window | None:
        """The next window, or None at the end of the epoch.

        Args:
            state: The state at its start, from which an adaptive style measures.
        """
        self._state = state
        for number, window in self._windows:
            if number > self._position.windows:  # the others are only replayed, after resuming
                self._number = number
                return window
        return None

    def after(self, window: Window) -> StreamPosition:
        """The position after the present window."""
        position = self._position
        start = position.offset + int(window.start + window.advance)
        return StreamPosition(position.epoch, position.offset, self._number, start, tuple(self._measured))

    def _measure(self, start: int) -> np.ndarray:
        """Gradient norms by lag from a time step of the rows on, or what was measured there before."""
        norms = next(self._replayed, None)
        if norms is None:
            norms = self._probe.norms(self.rows, start, self._state)
            self._measured.append(norms)
        return norms
