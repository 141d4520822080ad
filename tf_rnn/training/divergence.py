"""Divergence: the error, and from which lag the gradient was largest."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.session import assign
from tf_rnn.training.probe import GradientProbe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.state import StreamPosition


class LargestLag(NamedTuple):
    """The lag from which the gradient was largest.

    Attributes:
        lag: The lag; the first whose gradient is not finite, if there is one.
        norm: Mean norm of dL_t / dS_{t-lag}.
        norm_at_0: Mean norm of dL_t / dS_t.
        update: The update after which the weights were those it was measured with.
    """

    lag: int
    norm: float
    norm_at_0: float
    update: int


class DivergedError(FloatingPointError):
    """The loss, its gradient or a weight is no longer finite.

    Attributes:
        loss: The loss.
        update: The update, counted from 1, at which it was noticed; 0 for before any.
        epoch: The epoch.
        largest_norm: Largest gradient norm, before clipping, up to then.
        gradient_norm: Norm of this update's gradient.
        lag: The lag from which the gradient was largest with the last good weights, if known.
    """

    def __init__(
        self,
        loss: float,
        update: int,
        epoch: int,
        largest_norm: float,
        gradient_norm: float = math.nan,
        lag: LargestLag | None = None,
    ) -> None:
        super().__init__(loss, update, epoch, largest_norm, gradient_norm, lag)
        self.loss, self.update, self.epoch, self.largest_norm = loss, update, epoch, largest_norm
        self.gradient_norm, self.lag = gradient_norm, lag

    def with_lag(self, lag: LargestLag | None) -> DivergedError:
        """The same error with the lag."""
        return DivergedError(self.loss, self.update, self.epoch, self.largest_norm, self.gradient_norm, lag)

    def __str__(self) -> str:
        when = f"at update {self.update} (epoch {self.epoch})" if self.update else "before any update"
        grew = (
            f", after gradients that grew to a norm of {self.largest_norm:.3g}" if self.largest_norm else ""
        )
        if not math.isfinite(self.loss):
            what = f"the loss is {self.loss} {when}{grew}"
        elif not math.isfinite(self.gradient_norm):
            what = f"the gradient's norm is {self.gradient_norm}, of a loss of {self.loss:.4g}, {when}"
        else:
            what = f"a weight is no longer finite {when}{grew}"
        return f"{what}{self._where}; limit the gradient's norm with clip_norm, or lower learning_rate"

    @property
    def _where(self) -> str:
        if self.lag is None:
            return ""
        lag, norm, norm_at_0, update = self.lag
        beside = f", and {norm_at_0:.3g} at lag 0" if lag else ""
        return (
            f"; by lag, with the weights after update {update}, it was largest at lag {lag} "
            f"({norm:.3g}{beside})"
        )


class LastGood:
    """The weights at the last evaluation, to measure the gradient with after divergence.

    Args:
        graph: The graph being trained.
        session: An open session of it.
    """

    def __init__(self, graph: UnrolledGraph, session: Any) -> None:
        self._graph, self._session = graph, session
        self._variables = list(graph.variables)

    def keep(self, update: int) -> None:
        """Keeps the present weights, those after a given update."""
        self._update, self._values = update, self._session.run(self._variables)

    def at(self, position: StreamPosition, state: Any) -> None:
        """Takes the position of the next block and the state at its start."""
        self._position, self._state = position, state

    @contextlib.contextmanager
    def explaining(self, task: Task) -> Iterator[None]:
        """Adds to a DivergedError the lag from which the gradient was largest."""
        try:
            yield
        except DivergedError as error:
            raise error.with_lag(self._largest_lag(task)) from None

    def _largest_lag(self, task: Task) -> LargestLag | None:
        """The lag from which the gradient was largest with the weights that were kept.

        It is measured on the block on which training diverged, from its state if that is finite. The
        weights of the session are unchanged afterwards. None if the weights are not finite, the rows too
        short, or the gradient is zero.
        """
        if not _is_finite(self._values):
            return None
        graph, session = self._graph, self._session
        rows = task.rows(graph.batch_size, "train", self._position.epoch)
        start = min(self._position.start, rows.targets.shape[1] - graph.num_steps)
        if start < 0:
            return None
        block = rows.steps(start, start + graph.num_steps)
        state = self._state if _is_finite(tf.nest.flatten(self._state)) else graph.zero_state()
        spoilt = session.run(self._variables)
        assign(session, self._variables, self._values)
        with np.errstate(over="ignore", invalid="ignore"):
            norms = GradientProbe(graph, session).norms(block, 0, state)
        assign(session, self._variables, spoilt)
        lost = np.flatnonzero(~np.isfinite(norms))
        lag = int(lost[0]) if len(lost) else int(np.argmax(norms))
        if norms[lag] == 0:
            return None
        return LargestLag(lag, float(norms[lag]), float(norms[0]), self._update)


def _is_finite(arrays: list[np.ndarray]) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays)
