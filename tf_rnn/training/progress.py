"""What a training run says of itself while it goes on, and who listens."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from tf_rnn.text import loss_text, loss_words

if TYPE_CHECKING:
    from types import TracebackType

    from tf_rnn.training.record import CurvePoint

PLAIN_INTERVAL = 5.0


class Progress(NamedTuple):
    """Where a training run is.

    Attributes:
        epoch: Number of the epoch, from 1.
        epochs: How many there will be; None if that is not known.
        step: Runs of the training step in this epoch.
        steps: How many an epoch has, as a rule.
        updates: Runs of the training step so far.
        fraction: The part of the budget that is used up, 0 to 1.
        loss: Mean training loss since the last report, per step.
        unit: What losses are counted in.
        gradient_norm: The norm of the last gradient, before clipping.
        learning_rate: That of the last update.
        valid_loss: The latest loss on held-out data.
        tokens_per_second: Since the last report.
        seconds_left: At the mean pace so far.
    """

    epoch: int
    epochs: int | None
    step: int
    steps: int
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
        return (
            f"{epoch_text(self.epoch, self.epochs)} · step {self.step}/{self.steps} · "
            f"loss {loss_words(self.loss, self.unit)} · "
            f"|g| {self.gradient_norm:.2g} · lr {float(f'{self.learning_rate:.3g}')} · "
            f"{short_count(self.tokens_per_second)} tok/s"
        )


class Listener(Protocol):
    """Whoever is told of a run's progress: entered before the first report, left after the last."""

    def __enter__(self) -> Self: ...

    def __call__(self, progress: Progress) -> None:
        """Takes a report."""

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """Takes a point of the curve, with the session open at the weights that it is of."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Silence:
    """Listens and says nothing."""

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        """Says nothing."""

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """Says nothing."""

    def __exit__(self, *_: object) -> None:
        pass


class Listeners:
    """Several listeners as one."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:  # one that fails must not leave those before it open
            for listener in self._listeners:
                stack.enter_context(listener)
            self._stack = stack.pop_all()
        return self

    def __call__(self, progress: Progress) -> None:
        """Passes a report on to each."""
        for listener in self._listeners:
            listener(progress)

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """Passes a point on to each."""
        for listener in self._listeners:
            listener.evaluated(point, session)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


class ProgressLine:
    """Shows progress on standard error: one living line on a terminal, else a line now and then."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("training", total=1.0)
        self._last: Progress | None = None
        self._said = 0  # the updates up to which everything has been said
        self._next_line = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        self._next_line = time.monotonic() + PLAIN_INTERVAL
        return self

    def __call__(self, progress: Progress) -> None:
        """Shows a report."""
        self._last = progress
        self._bars.update(self._task, completed=progress.fraction, description=progress.line)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._say(f"{progress.line} · {clock(progress.seconds_left)} left")
            self._next_line = time.monotonic() + PLAIN_INTERVAL

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """Leaves a line; none for the evaluation before any update."""
        if self._last is None or not point.updates:
            return
        unit = self._last.unit
        self._say(
            f"{epoch_text(point.epoch, self._last.epochs)} · step {point.updates} in all · "
            f"loss {loss_text(point.train_loss, unit)} · "
            f"held out {loss_words(point.valid_loss, unit)} · {clock(point.seconds)}"
        )
        self._said = point.updates

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._last is not None and self._last.updates > self._said:
            self._say(self._last.line)

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def epoch_text(epoch: int, epochs: int | None) -> str:
    """`epoch 3/13`, or `epoch 3` where it is not known how many there will be."""
    return f"epoch {epoch}" + (f"/{epochs}" if epochs else "")


def short_count(number: float) -> str:
    """Three digits and a unit: 5320000 -> '5.32M'."""
    number = float(f"{number:.3g}")  # 999.9 is 1k, not 1e+03
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any: 83.4 -> '1:23', 3723 -> '1:02:03'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
