"""Callbacks: objects that watch a training run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from tf_rnn.options import OptionError, shown
from tf_rnn.text import clock, loss_text, loss_words

if TYPE_CHECKING:
    from types import TracebackType

    from tf_rnn.training.state import CurvePoint


class Progress(NamedTuple):
    """The progress of a training run.

    Attributes:
        epoch: Number of the epoch, from 1.
        epochs: Number of epochs in the whole run; None if it is not known.
        step: Updates in this epoch.
        steps: Updates that this epoch will have; None if it is not known.
        updates: Updates so far.
        fraction: The part of the budget that is used, 0 to 1.
        loss: Mean training loss per time step since the last report.
        unit: The unit of losses.
        gradient_norm: Norm of the last gradient, before clipping.
        learning_rate: That of the last update.
        valid_loss: The latest validation loss.
        tokens_per_second: Since the last report.
        seconds_left: At the mean speed so far.
    """

    epoch: int
    epochs: int | None
    step: int
    steps: int | None
    updates: int
    fraction: float
    loss: float
    unit: str
    gradient_norm: float
    learning_rate: float
    valid_loss: float
    tokens_per_second: float
    seconds_left: float

    @property
    def line(self) -> str:
        """The report in one line, without the time left."""
        return " · ".join(self._parts)

    def line_within(self, width: int) -> str:
        """As much of the report as fits into so many characters, the most important first."""
        loss = f"loss {loss_text(self.loss, self.unit)}"
        epoch, step, words, *rest = self._parts
        lines = [[epoch, step, words, *rest[:count]] for count in (3, 2, 1, 0)]
        lines += [[epoch, step, loss], [epoch, loss]]
        return next((line for line in map(" · ".join, lines) if len(line) <= width), loss)

    @property
    def note(self) -> str:
        """Loss and time left, for a line beside others."""
        return f"loss {loss_text(self.loss, self.unit)} · {clock(self.seconds_left)} left"

    @property
    def _parts(self) -> list[str]:
        return [
            count_text("epoch", self.epoch, self.epochs),
            count_text("step", self.step, self.steps),
            f"loss {loss_words(self.loss, self.unit)}",
            f"|g| {self.gradient_norm:.2g}",
            f"lr {float(f'{self.learning_rate:.3g}')}",
            f"{short_count(self.tokens_per_second)} tok/s",
        ]


class Callback:
    """Base class of callbacks; its methods do nothing.

    A callback is entered before the first call and left after the last. All calls come from the thread that
    trains; a callback belongs to one run at a time.

    Attributes:
        report_seconds: Seconds between two calls of `on_progress`; the shortest of all callbacks counts.
    """

    report_seconds: ClassVar[float] = 0.1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def on_progress(self, progress: Progress) -> None:
        """Receives a progress report: regularly, before each evaluation, and at the end."""

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Receives a point of the learning curve and the session, which holds the weights it is for."""


def checked_callbacks(callbacks: Any) -> list[Callback] | None:
    """Returns callbacks as a list, or None if none were given, so that the caller uses its default.

    Raises:
        OptionError: For `callbacks`, unless it is a sequence of `Callback` objects.
    """
    if callbacks is None:
        return None
    if isinstance(callbacks, Iterable):
        given = list(callbacks)
        wrong = [each for each in given if not isinstance(each, Callback)]
        if not wrong:
            return given
        callbacks = wrong[0]
    raise OptionError(
        "callbacks", f"must be a sequence of tf_rnn.training.Callback objects, got {shown(callbacks)}"
    )


class CallbackList(Callback):
    """Several callbacks, called in order."""

    def __init__(self, *callbacks: Callback) -> None:
        self._callbacks = callbacks

    @property
    def shortest_report_seconds(self) -> float:
        """The shortest `report_seconds`."""
        return min((callback.report_seconds for callback in self._callbacks), default=self.report_seconds)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # if one fails, those before it are left
            for callback in self._callbacks:
                stack.enter_context(callback)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def on_progress(self, progress: Progress) -> None:
        """Passes a report on to each callback."""
        for callback in self._callbacks:
            callback.on_progress(progress)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Passes a point on to each callback."""
        for callback in self._callbacks:
            callback.on_evaluation(point, session)


def figures(progress: Progress) -> dict[str, float]:
    """What is drawn over updates beside losses."""
    return {name: getattr(progress, name) for name in ("gradient_norm", "learning_rate", "tokens_per_second")}


def count_text(name: str, number: int, total: int | None) -> str:
    """`epoch 3/13`, or `epoch 3` if the total is not known."""
    return f"{name} {number}" if total is None else f"{name} {number}/{total}"


def short_count(number: float) -> str:
    """Three digits and a unit: 5320000 -> '5.32M'."""
    number = float(f"{number:.3g}")  # 999.9 is 1k, not 1e+03
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"
