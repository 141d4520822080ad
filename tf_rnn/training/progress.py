"""What a training run says of itself while it goes on, and who listens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from types import TracebackType

PLAIN_INTERVAL = 5.0


class Progress(NamedTuple):
    """Where a training run is.

    Attributes:
        epoch: Number of the epoch, from 1.
        updates: Runs of the training step so far.
        fraction: The part of the budget that is used up, 0 to 1.
        loss: Mean training loss since the last report, per step in nats (or squared units).
        valid_loss: The latest loss on held-out data.
        tokens_per_second: Since the last report.
        seconds_left: At the mean pace so far.
    """

    epoch: int
    updates: int
    fraction: float
    loss: float
    valid_loss: float
    tokens_per_second: float
    seconds_left: float

    @property
    def line(self) -> str:
        """The report in one line, without the time left."""
        return (
            f"epoch {self.epoch} · update {self.updates} · loss {self.loss:.4f} · "
            f"held out {self.valid_loss:.4f} · {short_count(self.tokens_per_second)} tokens/s"
        )


class Listener(Protocol):
    """Whoever is told of a run's progress: entered before the first report, left after the last."""

    def __enter__(self) -> Self: ...

    def __call__(self, progress: Progress) -> None:
        """Takes a report."""

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

    def __exit__(self, *_: object) -> None:
        pass


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

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        if self._last is not None:
            self._say(self._last.line)

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def short_count(number: float) -> str:
    """Three digits and a unit: 5320000 -> '5.32M'."""
    number = float(f"{number:.3g}")  # 999.9 is 1k, not 1e+03
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def clock(seconds: float) -> str:
    """Minutes and seconds: 83.4 -> '1:23'."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
