"""Progress of a comparison on the screen."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from tf_rnn.comparison.channel import Measurement
from tf_rnn.console import NotebookLine, log_console, print_log, visible
from tf_rnn.processor import precision_lines
from tf_rnn.text import clock, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.progress import TaskID

    from tf_rnn.comparison.settings import RunKey
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task

# Narrower bars leave room for the rest of a line.
BAR = 10
STARTING, BUILDING = "starting TensorFlow", "building its graph"
# The part of the work from which the time that is left can be told.
TELLING = 0.02


class Screen:
    """Shows running runs as progress bars on a terminal, and a line for each run that ends.

    Args:
        console: Where to write; None for standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console = log_console() if console is None else console
        whole = Column(no_wrap=True)  # names and numbers are never cut off; the bar gives way
        self.bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=whole),
            BarColumn(bar_width=BAR, table_column=Column(min_width=0)),
            TextColumn("{task.fields[note]}", markup=False, table_column=whole),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lines: dict[RunKey | Measurement, TaskID] = {}
        self._ended: set[RunKey | Measurement] = set()
        self._lock = threading.Lock()
        self._overall: TaskID | None = None
        self._total = self._done = self._finished = 0
        self._began = self._entered = 0.0
        self._work: Mapping[RunKey, float] = {}
        self._fractions: dict[RunKey | Measurement, float] = {}
        self._several_rates = self._has_reported = False

    @classmethod
    def silent(cls) -> Self:
        """A screen that shows nothing."""
        return cls(Console(quiet=True))

    def __enter__(self) -> Self:
        self._entered = time.monotonic()
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.bars.stop()
        if kind is None and isinstance(self._console.file, NotebookLine):  # what stays of it
            self.say(f"{counted(self._finished, 'run')} in {clock(time.monotonic() - self._entered)}")

    def say(self, line: str) -> None:
        """Prints a line."""
        print_log(self._console, line)

    def say_start(self, setup: Setup, task: Task) -> None:
        """Shows what was read, if anything was, and what is slow on this machine."""
        for line in [*task.lines(), *precision_lines(setup.precision)]:
            self.say(line)

    def say_costs(self, widths: int) -> None:
        """Prints that costs are being measured."""
        self.say(f"measuring the cost of {counted(widths, 'width')}, one at a time")
        self._ended.discard(Measurement())
        self.show_run(Measurement(), 0.0, STARTING)

    def end_costs(self) -> None:
        """Costs have been measured."""
        self._remove(Measurement())
        self._ended.add(Measurement())

    def start_runs(self, total: int, done: int, work: Mapping[RunKey, float]) -> None:
        """Prints how many of all runs are finished already, and starts counting.

        Args:
            total: Number of all runs.
            done: Number of those that are finished.
            work: For each run that is not, how long it takes beside the others.
        """
        self._total, self._done = total, done
        if done:
            self.say(f"{done} of {total} runs are already finished")
        with self._lock:
            self._ended.clear()
            self._began, self._work, self._fractions = time.monotonic(), work, {}
            self._several_rates = len({key.learning_rate for key in work}) > 1
        if self._overall is not None:
            self.bars.remove_task(self._overall)
        self._overall = self.bars.add_task(self._count, total=total, completed=done, note="")

    def begin_run(self, key: RunKey) -> None:
        """Shows a run that a worker has been given."""
        self.show_run(key, 0.0, BUILDING if self._has_reported else STARTING)

    def show_run(self, key: RunKey | Measurement, fraction: float, line: str) -> None:
        """Shows the progress of a run."""
        with self._lock:
            if key in self._ended:
                return
            if key not in self._lines:
                self._lines[key] = self.bars.add_task(self._name(key), total=1.0, note="")
            self.bars.update(self._lines[key], completed=fraction, note=visible(line))
            self._fractions[key] = fraction
            self._has_reported |= fraction > 0 and key in self._work
            self._show_overall()

    def finish_run(self, key: RunKey, outcome: str) -> None:
        """Prints the outcome of a run."""
        self._remove(key)
        with self._lock:
            self._ended.add(key)
            self._done += 1
            self._finished += 1
            self._fractions[key] = 1.0
            self._show_overall()
        self.say(f"[{self._done}/{self._total}] {key.title}: {outcome}")

    def _remove(self, key: RunKey | Measurement) -> None:
        with self._lock:
            if key in self._lines:
                self.bars.remove_task(self._lines.pop(key))

    def _name(self, key: RunKey | Measurement) -> str:
        """What a run is called among the others."""
        rate = getattr(key, "learning_rate", None)
        return key.title if rate is None or self._several_rates else key.title.replace(f" rate {rate:g},", "")

    def _show_overall(self) -> None:
        if self._overall is not None:
            self.bars.update(self._overall, completed=self._done, description=f"{self._count}{self._left}")

    @property
    def _count(self) -> str:
        return f"{self._done} of {counted(self._total, 'run')}"

    @property
    def _left(self) -> str:
        """About how long all runs will take, from the work that is done."""
        work = sum(self._work.values())
        done = sum(amount * self._fractions.get(key, 0.0) for key, amount in self._work.items())
        if not work or done < TELLING * work:
            return ""
        return f", about {clock((time.monotonic() - self._began) * (work / done - 1))} left"
