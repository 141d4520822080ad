"""Progress of a comparison on the screen."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from tf_rnn.console import log_console, print_log, visible
from tf_rnn.text import counted

if TYPE_CHECKING:
    from rich.progress import TaskID

    from tf_rnn.comparison.settings import RunKey
    from tf_rnn.tasks import Task


class Screen:
    """Shows running runs as progress bars on a terminal, and a line for each run that ends.

    Args:
        console: Where to write; None for standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console = log_console() if console is None else console
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lines: dict[RunKey, TaskID] = {}
        self._ended: set[RunKey] = set()
        self._lock = threading.Lock()
        self._overall: TaskID | None = None
        self._total = self._done = 0

    @classmethod
    def silent(cls) -> Self:
        """A screen that shows nothing."""
        return cls(Console(quiet=True))

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """Prints a line."""
        print_log(self._console, line)

    def say_data(self, task: Task) -> None:
        """Shows what was read, if anything was."""
        for line in task.lines():
            self.say(line)

    def say_costs(self, widths: int) -> None:
        """Prints that costs are being measured."""
        self.say(f"measuring the cost of {counted(widths, 'width')}, one at a time")

    def start_runs(self, total: int, done: int) -> None:
        """Prints how many of all runs are finished already, and starts counting."""
        self._total, self._done = total, done
        if done:
            self.say(f"{done} of {total} runs are already finished")
        with self._lock:
            self._ended.clear()
        if self._overall is not None:
            self._bars.remove_task(self._overall)
        self._overall = self._bars.add_task("all runs", total=total, completed=done, note="")

    def show_run(self, key: RunKey, fraction: float, line: str) -> None:
        """Shows the progress of a run."""
        with self._lock:
            if key in self._ended:
                return
            if key not in self._lines:
                self._lines[key] = self._bars.add_task(key.title, total=1.0, note="")
            self._bars.update(self._lines[key], completed=fraction, note=visible(line))

    def finish_run(self, key: RunKey, outcome: str) -> None:
        """Prints the outcome of a run."""
        with self._lock:
            self._ended.add(key)
            if key in self._lines:
                self._bars.remove_task(self._lines.pop(key))
            self._done += 1
            if self._overall is not None:
                self._bars.update(self._overall, completed=self._done)
        self.say(f"[{self._done}/{self._total}] {key.title}: {outcome}")
