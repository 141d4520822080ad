"""Which error reaches which step: the readings of all losses together."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.audit.decode import number_of
from tf_rnn.audit.overlap import overlapping_windows
from tf_rnn.audit.probe import Probe, probes, require_asked, require_scale
from tf_rnn.audit.reading import Reading, read_probe
from tf_rnn.audit.styles import fitting_windows, irregular, lost_losses, starts_of
from tf_rnn.audit.words import steps_word
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Reach:
    """Which error reaches which step.

    Attributes:
        readings: One for each loss, steps 1 to N.
        asked: The number of steps that the loop is meant to go back.
        asked_stride: The number of steps between its updates.
        counted_often: What windows look like that count losses more than once; None if no loss is.
    """

    readings: tuple[Reading, ...]
    asked: int | None = None
    asked_stride: int | None = None
    counted_often: str | None = None

    @property
    def matrix(self) -> NDArray[np.bool_]:
        """Whether the error of step t reaches step i: entry [t - 1, i - 1] of [N, N]; column 0 is False."""
        found = np.zeros((len(self.readings),) * 2, bool)
        for reading in self.readings:
            found[reading.loss_step - 1, [step - 1 for step in reading.steps or ()]] = True
        return found

    @property
    def carried(self) -> bool | None:
        """Whether the state was never reset; None if there are losses that cannot be read."""
        return None if self.problem else all(reading.carried for reading in self.readings)

    @property
    def problem(self) -> str | None:
        """What the numbers look like that cannot be read, of the first loss that has such; None otherwise."""
        problems = [(reading.loss_step, reading.problem) for reading in self.readings if reading.problem]
        if not problems:
            return None
        return self.counted_often or f"loss on step {problems[0][0]}: {problems[0][1]}"

    @property
    def sentence(self) -> str:
        """The truncation style, in a sentence."""
        if self.problem:
            return self.problem
        starts, num_steps = starts_of(self.readings), len(self.readings)
        if not starts:
            return "no loss reaches any step: the gradient is 0 for the loss of every step"
        windows = fitting_windows(starts)
        if windows and windows.width == 1 and not self.carried:
            return "no step before is used: the state is reset at every step"
        if windows:
            style = windows.name
        else:
            whole = all(start == 1 for start in starts.values())
            style = f"not truncated within {steps_word(num_steps)}" if whole else irregular(starts)
        state = "state carried" if self.carried else self._reset(starts)
        parts = [f"{style}, {state}", lost_losses(starts, num_steps, windows)]
        if windows:
            parts.append(self._difference(windows.width, windows.stride))
        elif self.asked:
            seen = self.asked < num_steps
            parts.append(
                f"{self.asked} were asked for" if seen else f"{self.asked} take more steps to be seen"
            )
        return "; ".join(part for part in parts if part)

    def _reset(self, starts: dict[int, int]) -> str:
        resets = {
            reading.loss_step: reading.reset_before for reading in self.readings if reading.reset_before
        }
        if all(starts.get(step) == reset for step, reset in resets.items()):
            return "state reset at the start of each"
        borders = sorted(set(resets.values()))
        gaps = {after - before for before, after in itertools.pairwise([1, *borders])}
        return f"state reset every {gaps.pop()} steps" if len(gaps) == 1 else "state reset at times"

    def _difference(self, width: int, stride: int) -> str:
        """How windows differ from those asked for; "" if they do not."""
        asked, every = self.asked, self.asked_stride
        if asked == width and every in (None, stride):
            return ""
        if (width, stride) == (every, asked) and width != stride:
            return f"{asked} that move by {every} were asked for: width and stride (k2 and k1) are mixed up"
        if asked is None and every in (None, stride):
            return ""
        moving = f" that move by {every}" if every else ""
        return f"{asked or width}{moving} were asked for"

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each loss, for `pandas.DataFrame(reach.records)`."""
        return [dataclasses.asdict(reading) | {"carried": reading.carried} for reading in self.readings]

    def picture(self) -> str:
        """The matrix in characters: a row for the error of each step, # where it reaches a step."""
        lines = ["".join("#" if hit else "." for hit in row[: t + 1]) for t, row in enumerate(self.matrix)]
        return "\n".join(f"{t:>4} {line}" for t, line in enumerate(lines, start=1))


def read_all(
    made: Sequence[Probe],
    gradients: Sequence[Any],
    outputs: Sequence[Any],
    loss_scale: float = 1.0,
    asked: int | None = None,
    asked_stride: int | None = None,
) -> Reach:
    """Reads the gradients of all losses.

    Args:
        made: Probes as `probes` makes them.
        gradients: For each, dL/dw of the recurrent weight, as for `Probe.read`.
        outputs: For each, the output of the step that has the loss; 0 or nan for steps that the loop drops.
        loss_scale: As for `Probe.read`.
        asked: The number of steps that the loop is meant to go back (k2).
        asked_stride: The number of steps between its updates (k1).

    Raises:
        OptionError: A value is not allowed, or there are not as many gradients and outputs as probes.
    """
    scale = require_scale(loss_scale)
    for option, values in (("gradients", gradients), ("outputs", outputs)):
        if len(values) != len(made):
            raise OptionError(option, f"must be as many as probes, {len(made)}, got {len(values)}")
    numbers = [
        (probe, number_of("gradients", gradient) / scale, number_of("outputs", output))
        for probe, gradient, output in zip(made, gradients, outputs, strict=True)
    ]
    by_loss = itertools.groupby(numbers, key=lambda part: part[0].step)
    readings = tuple(_read_parts(list(parts)) for _, parts in by_loss)
    if [reading.loss_step for reading in readings] != list(range(1, made[0].num_steps + 1)):
        raise OptionError(
            "made", "must be the probes of all losses in order, as tf_rnn.audit.probes makes them"
        )
    often = overlapping_windows(numbers) if any(reading.problem for reading in readings) else None
    asked, asked_stride = require_asked("asked", asked), require_asked("asked_stride", asked_stride)
    return Reach(readings, asked, asked_stride, often)


def _read_parts(parts: list[tuple[Probe, float, float]]) -> Reading:
    """One reading of the probes of a loss, each of which shows some steps; the latest are read first."""
    steps: list[int] = []
    reset = None  # the last one; those before it are not seen
    for probe, gradient, output in reversed(parts):
        if gradient == 0 and (not np.isfinite(output) or (output == 0 != probe.output)):
            continue  # a loss that is dropped, with its step
        reading = read_probe(probe, gradient, output, beyond=[len(steps)])
        if reading.steps is None:
            return reading
        steps = [*reading.steps, *steps]
        reset = reset or reading.reset_before
    first, last = parts[0][0].span[0], parts[-1][0].span[1]
    return Reading(parts[0][0].step, steps, reset, (first, last))


def measure_reach(
    run: Callable[[Probe], tuple[Any, Any]],
    num_steps: int,
    dtype: str = "float32",
    loss_scale: float = 1.0,
    asked: int | None = None,
    asked_stride: int | None = None,
) -> Reach:
    """Runs a training loop with the loss on each step in turn, and reads which errors reach which steps.

    Args:
        run: A function of a `Probe` that runs the loop on its inputs, with its weights or targets and from
            weights of 1, and returns the gradient of the recurrent weight and the output of the step that
            has the loss.
        num_steps: Steps of the data. Twice the width that is asked for shows the borders of blocks.
        dtype: "float32" or "float64", that of the loop.
        loss_scale: As for `Probe.read`.
        asked: As for `read_all`.
        asked_stride: As for `read_all`.

    Raises:
        OptionError: A value is not allowed.
    """
    made = probes(num_steps, dtype)
    require_scale(loss_scale)
    for option, value in (("asked", asked), ("asked_stride", asked_stride)):
        require_asked(option, value)
    found = [run(probe) for probe in made]
    return read_all(
        made, [each[0] for each in found], [each[1] for each in found], loss_scale, asked, asked_stride
    )
