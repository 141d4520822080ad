"""Training loops of a linear unit in NumPy, right ones and wrong ones, for the tests of the audit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tf_rnn.audit import Probe


class Span(NamedTuple):
    """A window: it reads steps start ... stop - 1 (from 0) and counts the losses from `counted` on."""

    start: int
    counted: int
    stop: int


def blocks(num_steps: int, width: int) -> list[Span]:
    """Whole blocks, all of whose losses count."""
    return [Span(start, start, start + width) for start in range(0, num_steps - width + 1, width)]


def slide(num_steps: int, width: int, stride: int = 1) -> list[Span]:
    """Windows that count what the one before has not."""
    stops = range(width, num_steps + 1, stride)
    return [Span(stop - width, stop - (stride if stop > width else width), stop) for stop in stops]


def full(num_steps: int) -> list[Span]:
    return blocks(num_steps, num_steps)


@dataclasses.dataclass(frozen=True)
class Loop:
    """A training loop; run on a probe it gives the gradient of the recurrent weight and the output.

    Attributes:
        windows: The windows for a number of steps.
        fresh: Whether each window starts from a state of zero.
        scale: The factor of the loss.
        clip: The largest gradient of a window.
        rate: The learning rate.
        epochs: How often the data are run, with the weights of the run before.
        activation: The unit.
        slope: Its derivative, from its value.
    """

    windows: Callable[[int], Iterable[Span]]
    fresh: bool = False
    scale: float = 1.0
    clip: float = np.inf
    rate: float = 0.0
    epochs: int = 1
    activation: Callable[[float], float] = float
    slope: Callable[[float], float] = lambda _: 1.0

    def __call__(self, probe: Probe) -> tuple[float, float]:
        """dL/dw over the last epoch, and the output; nan for a step that no window counts."""
        weight, gradient, output = 1.0, 0.0, np.nan
        for _ in range(self.epochs):
            states, gradient = np.zeros(probe.num_steps + 1), 0.0
            for span in self.windows(probe.num_steps):
                own = [0.0 if self.fresh else states[span.start]]
                for x in probe.inputs[span.start : span.stop]:
                    own.append(float(self.activation(weight * own[-1] + float(x))))
                states[span.start + 1 : span.stop + 1] = own[1:]
                if span.counted < probe.step <= span.stop:
                    output = own[probe.step - span.start]
                one = self._backward(probe, span, own, weight)
                gradient += one
                weight -= self.rate * one
        return gradient, output

    def _backward(self, probe: Probe, span: Span, states: list[float], weight: float) -> float:
        gradient, error = 0.0, 0.0
        for step in range(span.stop - 1, span.start - 1, -1):
            at = step - span.start
            error += self.scale * float(probe.weights[step]) * (step >= span.counted)
            error *= self.slope(states[at + 1])
            gradient += error * states[at]
            error *= weight
        return float(np.clip(gradient, -self.clip, self.clip))


def reached(num_steps: int, windows: Iterable[Span], *, fresh: bool = False) -> np.ndarray:
    """Which error reaches which step, by the definition of the windows; steps after a zero state left out."""
    matrix = np.zeros((num_steps, num_steps), bool)
    for span in windows:
        for step in range(span.counted, span.stop):
            matrix[step, span.start : step + 1] = True
            if fresh:
                matrix[step, span.start] = False
    matrix[:, 0] = False
    return matrix
