"""What a run that diverges says, and what it knows of where its gradient came from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.session import assign
from tf_rnn.training.probe import GradientProbe

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.session_loop import Place


class LargestLag(NamedTuple):
    """From how far back the gradient was largest.

    Attributes:
        lag: How far; the first whose gradient is no finite number, if there is one.
        norm: The mean norm of dL_t / dS_{t-lag}.
        norm_at_0: That of dL_t / dS_t.
        update: After which update the weights were what this was measured with.
    """

    lag: int
    norm: float
    norm_at_0: float
    update: int


class DivergedError(FloatingPointError):
    """The loss, its gradient, or, where both of these are, a weight is no longer a finite number.

    Attributes:
        loss: What the loss is.
        update: The update, counted from 1, where it was noticed; 0 for before any.
        epoch: Its epoch.
        largest_norm: The largest norm of the gradient, before clipping, up to then.
        gradient_norm: The norm of this update's gradient.
        lag: From how far back the gradient was largest when that was last to be seen; or None.
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
        """The same error that knows more."""
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
            what = f"a weight is no finite number any more {when}{grew}"
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
    """The weights that were good when a run was last evaluated, to look at when it has diverged.

    Args:
        graph: That is trained.
        session: An open session of it.
    """

    def __init__(self, graph: UnrolledGraph, session: Any) -> None:
        self._graph, self._session = graph, session
        self._variables = list(graph.variables)

    def keep(self, update: int) -> None:
        """Keeps the present weights, those after an update."""
        self._update, self._values = update, self._session.run(self._variables)

    def largest_lag(self, task: Task, place: Place) -> LargestLag | None:
        """From how far back the gradient was largest with the weights that were kept.

        Measured on the block where it came to nothing, and from the state there if that is finite. The
        session has its weights back afterwards.

        Args:
            task: Whose split "train" was read.
            place: Where.

        Returns:
            None if the weights are no finite numbers, the rows too short, or there is no gradient.
        """
        if not _is_finite(self._values):
            return None
        graph, session = self._graph, self._session
        rows = task.rows(graph.batch_size, "train", place.epoch)
        start = min(place.start, rows.targets.shape[1] - graph.num_steps)
        if start < 0:
            return None
        block = type(rows)(*(part[:, start : start + graph.num_steps] for part in rows))
        state = graph.zero_state()
        if place.state is not None and _is_finite(tf.nest.flatten(place.state)):
            state = place.state
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
