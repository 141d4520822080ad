"""The progress line on standard error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from tf_rnn.console import log_console, print_log, visible
from tf_rnn.text import clock, counted, loss_text, loss_words
from tf_rnn.training.callbacks import Callback, count_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from tf_rnn.training.callbacks import Progress
    from tf_rnn.training.state import CurvePoint

# Characters of the bar, and of all that stands beside the report: bar, time left and spaces.
BAR = 10
BESIDE = BAR + 14


class ProgressLine(Callback):
    """Shows progress on standard error: one updated line on a terminal, else a line every few seconds.

    Args:
        console: Where to print; None for standard error.
        seconds: Seconds between two lines where there is no terminal.
    """

    def __init__(self, console: Console | None = None, seconds: float = 5.0) -> None:
        self._console = console or log_console()
        self._seconds = seconds
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR),
            TextColumn("{task.fields[left]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self.bars.add_task("measuring the loss before training", total=1.0, left="")
        self._last: Progress | None = None
        self._printed = 0  # the updates up to which everything has been printed
        self._next_line = 0.0

    def __enter__(self) -> Self:
        self.bars.start()
        self._next_line = time.monotonic() + self._seconds
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bars.stop()
        if self._last is not None and self._last.updates > self._printed:
            self._print(self._last.line)

    def on_progress(self, progress: Progress) -> None:
        """Updates the line."""
        self._last = progress
        line = visible(progress.line_within(self._console.width - BESIDE))
        left = f"{clock(progress.seconds_left)} left"
        self.bars.update(self._task, completed=progress.fraction, description=line, left=left)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._print(f"{progress.line} · {clock(progress.seconds_left)} left")
            self._next_line = time.monotonic() + self._seconds

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Prints a line that stays; none for the evaluation before any update."""
        if self._last is None or not point.updates:
            return
        unit = self._last.unit
        self._print(
            f"{count_text('epoch', point.epoch, self._last.epochs)} · "
            f"{counted(point.updates, 'update')} so far · "
            f"loss {loss_text(point.train_loss, unit)} · "
            f"validation {loss_words(point.valid_loss, unit)} · {clock(point.seconds)}"
        )
        self._printed = point.updates

    def _print(self, line: str) -> None:
        print_log(self._console, line)
