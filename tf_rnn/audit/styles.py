"""The truncation style that a reach matrix shows.

A loop runs windows of `width` steps that end every `stride` steps; the error of a loss flows back to the
first step of the window that counts it. Blocks are windows whose stride is their width.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from tf_rnn.audit.words import listed, steps_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tf_rnn.audit.reading import Reading


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows at regular distances.

    Attributes:
        width: Steps of a window.
        stride: Steps between the ends of two windows.
        phase: Windows end at steps t with t % stride == phase.
    """

    width: int
    stride: int
    phase: int

    def start(self, step: int) -> int:
        """The first step of the first window that has a step, or comes after it."""
        end = step + (self.phase - step) % self.stride
        return max(1, end - self.width + 1)

    @property
    def name(self) -> str:
        """`blocks of 4`, `sliding windows of 4`, `windows of 6 that move by 2`."""
        if self.width == 1 and self.stride == 1:
            return "nothing flows back: detached at every step"
        if self.width == self.stride:
            return f"blocks of {self.width}"
        if self.stride == 1:
            return f"sliding windows of {self.width}"
        if self.stride < self.width:
            return f"windows of {self.width} that move by {self.stride}"
        return f"windows of {self.width} every {self.stride} steps, the errors in between lost"


def starts_of(readings: Sequence[Reading]) -> dict[int, int]:
    """The first step that the error of each loss reaches, by the step of the loss, from 2 on.

    Losses that do not count are left out. 1 means 1 or 2.
    """
    return {
        reading.loss_step: reading.start
        for reading in readings
        if reading.loss_step > 1 and reading.start is not None
    }


def fitting_windows(starts: dict[int, int]) -> Windows | None:
    """The regular windows in which errors start where they do; None if there are none, or no truncation.

    Of several, the first that have no step in between which is in no window although its loss counts, or the
    other way round.
    """
    if all(start == 1 for start in starts.values()):
        return None
    fits = [
        windows
        for windows in _candidates(starts)
        if all(_is_start(windows.start(step), start) for step, start in starts.items())
    ]
    counted = range(min(starts), max(starts) + 1)
    explains = (w for w in fits if all((w.start(step) <= step) == (step in starts) for step in counted))
    return next(explains, fits[0] if fits else None)


def _candidates(starts: dict[int, int]) -> Iterator[Windows]:
    """Windows that may fit: with stride as the losses that count, then beginning at step 1, then all."""
    most = max(step - max(2, start) + 1 for step, start in starts.items())
    widths, longest = (most, most + 1), max(starts)
    gaps = {after - before for before, after in itertools.pairwise(sorted(starts))}
    if len(gaps) == 1 and gaps != {1}:
        (stride,) = gaps
        yield from (Windows(width, stride, longest % stride) for width in widths)
    for width, stride in itertools.product(widths, range(1, longest + 1)):
        yield Windows(width, stride, width % stride)
    for width, stride in itertools.product(widths, range(1, longest + 1)):
        yield from (Windows(width, stride, phase) for phase in range(stride) if phase != width % stride)


def _is_start(predicted: int, found: int) -> bool:
    return predicted <= 2 if found == 1 else predicted == found


def irregular(starts: dict[int, int]) -> str:
    """Words for windows without a regular distance."""
    steps = sorted(starts)
    reached = [step - starts[step] + 1 for step in steps]
    borders = sorted(set(starts.values()))
    if all(starts[step] == max(border for border in borders if border <= step) for step in steps):
        lengths = [after - before for before, after in itertools.pairwise(borders)]
        return f"blocks of different lengths, {min(lengths)} to {max(lengths)} steps"
    return f"no regular windows: errors reach from {min(reached)} to {steps_word(max(reached))}"


def lost_losses(starts: dict[int, int], num_steps: int, windows: Windows | None) -> str:
    """Words for losses that do not count; "" if all do."""
    steps = range(2, num_steps + 1)
    lost = [step for step in steps if step not in starts and not (windows and windows.start(step) > step)]
    if not lost or not starts:
        return "no loss counts" if lost else ""
    if windows and windows.stride > 1 and {*starts} == {*_ends(windows, num_steps)}:
        return f"only the last loss of every {windows.stride} steps counts"
    if lost[0] > max(starts):
        return f"{_losses('last', len(lost))} not count"
    if lost[-1] < min(starts):
        return f"{_losses('first', lost[-1])} not count"
    return f"the losses of steps {listed(lost)} do not count"


def _losses(which: str, count: int) -> str:
    if count == 1:
        return f"the loss of the {which} step does"
    return f"the losses of the {which} {count} steps do"


def _ends(windows: Windows, num_steps: int) -> Iterator[int]:
    return (step for step in range(2, num_steps + 1) if step % windows.stride == windows.phase)
