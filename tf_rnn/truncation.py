"""Truncation styles: how far back each error flows, as windows that a graph is run on.

A style makes the windows of one epoch, in order. A window says which graph to train on which steps, and
which state the next window starts from:

    block      |-----|-----|-----|        n steps forward, their errors back over the same n
    sliding    |-----|                    n steps forward, the errors of the last k back over n
                 |---xx|
                   |---xx|
    random     |--|------|-|----|         segments of random length, reweighted to stay unbiased
    adaptive   sliding, with n from the measured decay of the gradient
    full       |----------------|         the whole row at once

Needs no TensorFlow, so that options can be checked before it is loaded.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from tf_rnn.options import OptionError, require_choice, require_fraction, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Tail of the random lengths: the larger, the closer to a geometric distribution. Tallec & Ollivier
# 2017, section 5.
TAIL_EXPONENT = 6.0
# How many windows apart the adaptive style measures the gradient's decay.
MEASURE_EVERY = 200


class Window(NamedTuple):
    """One run of a training step.

    Attributes:
        graph: The graph to run.
        start: The first step that it reads.
        new_steps: How many steps have their errors counted for the first time.
        advance: How many steps after `start` the next window starts.
        next_state: The state after `advance` steps, tensors to fetch.
        more: What the graph is fed beyond inputs, targets and state.
        loss_scale: The factor from the graph's total loss to the mean loss of a step.
    """

    graph: Any
    start: int
    new_steps: int
    advance: int
    next_state: Any
    more: tuple[Any, ...] = ()
    loss_scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Truncation:
    """A truncation style with its options.

    Attributes:
        style: A name in `STYLES`: "block", "sliding", "random", "adaptive" or "full".
        stride: For "sliding": how many of a window's errors are new; 1 is "true" truncated
            backpropagation.
        tolerance: For "adaptive": the share of the gradient's norm that may be cut off.
        seed: For "random".

    Raises:
        OptionError: If an option is not allowed.
    """

    style: str = "block"
    stride: int = 1
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("style", self.style, STYLES)
        require_whole("stride", self.stride)
        require_fraction("tolerance", self.tolerance)
        require_whole("seed", self.seed, at_least=0)

    def check(self, graph: Any) -> None:
        """Raises OptionError unless the style can be used on an `UnrolledGraph`."""
        self._on(graph.num_steps).check(graph.options.loss_steps)

    def check_widths(self, num_steps: int, loss_steps: str | int) -> None:
        """Raises OptionError unless the style can be used on a task, before there is a graph.

        Args:
            num_steps: The smallest width.
            loss_steps: Which losses count in the task; see `loss_steps`.
        """
        self._on(num_steps).check(self.loss_steps(loss_steps))

    def loss_steps(self, of_task: str | int) -> str | int:
        """Which losses count in graphs trained in this style, if a task asks for some.

        "last" asks for one loss at the end of each block; where windows are not blocks, every step of the
        row is the last of some block, and the losses of all steps count.
        """
        return "all" if STYLES[self.style].needs_all_losses and of_task == "last" else of_task

    def of(self, graph: Any, length: int) -> Style:
        """The style on a graph and rows.

        Args:
            graph: The `UnrolledGraph` whose variables are trained.
            length: Steps in a row.
        """
        return STYLES[self.style](self, graph.num_steps, length, graph)

    def steps_per_update(self, num_steps: int, length: int) -> int:
        """How many steps most windows of a width count for the first time; see `Style.steps_per_update`."""
        return self._on(num_steps, length).steps_per_update

    def error_positions(self, num_steps: int, loss_steps: str | int) -> np.ndarray | None:
        """The positions in their windows, from 0, of the errors that are counted.

        Args:
            num_steps: The width.
            loss_steps: Which losses count; with "marked", any step may have one.

        Returns:
            Positions; None for styles that decide while they run.
        """
        return self._on(num_steps).positions(loss_steps)

    def _on(self, num_steps: int, length: int = 0) -> Style:
        return STYLES[self.style](self, num_steps, length)


class Epoch(NamedTuple):
    """What windows may depend on beside graph and rows.

    Attributes:
        number: Its number, from 0; for "random".
        measure: The mean gradient norm by lag, [num_steps], at the current weights, measured from a given
            step on; for "adaptive".
    """

    number: int
    measure: Callable[[int], np.ndarray]


class Style(abc.ABC):
    """A truncation style at a width.

    Args:
        truncation: The style's options.
        num_steps: The width.
        length: Steps in a row.
        graph: The `UnrolledGraph` of this width whose variables are trained; for `windows`.
    """

    # Whether all losses must count; and whether the length of a row tells how many windows an epoch has,
    # and how many steps they count.
    needs_all_losses: ClassVar[bool] = False
    knows_updates: ClassVar[bool] = True
    knows_steps: ClassVar[bool] = True

    def __init__(self, truncation: Truncation, num_steps: int, length: int = 0, graph: Any = None) -> None:
        self._truncation, self._num_steps = truncation, num_steps
        self._length, self._graph = length, graph

    def windows(self, epoch: int, measure: Callable[[int], np.ndarray]) -> Iterator[Window]:
        """The windows of one epoch, in order.

        Args:
            epoch: Its number, from 0.
            measure: For "adaptive": the mean gradient norm by lag, [num_steps], at the current weights,
                measured from a given step on.
        """
        return self._windows(Epoch(epoch, measure))

    @abc.abstractmethod
    def _windows(self, epoch: Epoch) -> Iterator[Window]:
        """The windows of one epoch, in order."""

    @property
    def steps_per_update(self) -> int:
        """How many steps most windows count for the first time; the mean where it varies."""
        return self._num_steps

    @property
    def steps_per_epoch(self) -> int:
        """How many steps of a row the windows of an epoch count; at most where it varies."""
        return self._length

    def check(self, loss_steps: str | int) -> None:
        """Raises OptionError unless the style can be used on graphs of this width."""
        style = self._truncation.style
        if not self.needs_all_losses or loss_steps == "all":
            return
        if loss_steps == "marked":
            raise OptionError(
                "style", f"must be block or full where not every step has a target, got {style!r}"
            )
        raise OptionError("loss_steps", f"must be 'all' for the style {style}, got {loss_steps!r}")

    def positions(self, _: str | int) -> np.ndarray | None:
        """See `Truncation.error_positions`."""
        return None


class Block(Style):
    """TBPTT(n, n): blocks of n steps; errors flow back to the start of their block.

    Source: Williams & Peng 1990; Mikolov et al. 2010; Zaremba et al. 2014.
    """

    def _windows(self, _: Epoch) -> Iterator[Window]:
        graph, n = self._graph, self._num_steps
        for start in range(0, self._length - n + 1, n):
            yield Window(graph, start, n, n, graph.final_state, loss_scale=graph.loss_scale)

    @property
    def steps_per_epoch(self) -> int:
        """Whole blocks."""
        return self._length // self._num_steps * self._num_steps

    def positions(self, loss_steps: str | int) -> np.ndarray | None:
        """All steps, or the last ones."""
        words = {"last": 1, "all": self._num_steps, "marked": self._num_steps}
        counted = words[loss_steps] if isinstance(loss_steps, str) else loss_steps
        return np.arange(self._num_steps)[-counted:]


class Sliding(Style):
    """TBPTT(k, n): every k = `stride` steps, the errors of the last k flow back over n steps.

    The first window counts the errors of all its steps, none of which was counted before. Every window
    starts from the state n steps before its end, computed at the weights of that time, and is run
    forward once.

    Source: Williams & Peng 1990, BPTT(h; h'); Sutskever 2013, section 2.8.6.
    """

    needs_all_losses = True

    def _windows(self, _: Epoch) -> Iterator[Window]:
        return slide(self._graph, self._num_steps, self._truncation.stride, 0, self._length)

    @property
    def steps_per_update(self) -> int:
        """The stride."""
        return self._truncation.stride

    @property
    def steps_per_epoch(self) -> int:
        """The first window, and `stride` steps for each that fits after it."""
        stride, n = self._truncation.stride, self._num_steps
        return n + (self._length - n) // stride * stride

    def check(self, loss_steps: str | int) -> None:
        """The stride must be at most the width, and all losses must count."""
        stride, n = self._truncation.stride, self._num_steps
        if stride > n:
            raise OptionError("stride", f"must be from 1 to num_steps ({n}), got {stride}")
        super().check(loss_steps)

    def positions(self, _: str | int) -> np.ndarray | None:
        """The last `stride` steps, as in all windows but the first."""
        return np.arange(self._num_steps)[-self._truncation.stride :]


def slide(
    base: Any, width: int, stride: int, start: int, length: int, most: float = math.inf
) -> Iterator[Window]:
    """Windows of a width, `stride` apart, from a step on, while they fit into the row.

    The first counts all its errors, the others their last `stride`. The last of `most` windows passes on
    the state at its end, so that nothing after it is counted twice.

    Args:
        base: The graph that others are made from.
        width: Steps of a window.
        stride: From 1 to `width`.
        start: The first step of the first window.
        length: Steps in a row.
        most: The largest number of windows.
    """
    graph, new_steps = base.with_steps(width), width
    for number, first in enumerate(range(start, length - width + 1, stride), start=1):
        if number >= most:
            yield Window(graph, first, new_steps, width, graph.final_state, loss_scale=graph.loss_scale)
            return
        state = graph.states[stride - 1]
        yield Window(graph, first, new_steps, stride, state, loss_scale=graph.loss_scale)
        graph, new_steps = base.with_steps(width, "all" if stride == width else stride), stride


class Full(Style):
    """The whole row at once: backpropagation through time without truncation.

    Source: Werbos 1990.
    """

    def _windows(self, _: Epoch) -> Iterator[Window]:
        graph, n = self._graph.with_steps(self._length), self._length
        yield Window(graph, 0, n, n, graph.final_state, loss_scale=graph.loss_scale)

    @property
    def steps_per_update(self) -> int:
        """The row."""
        return self._length


class Random(Style):
    """Anticipated reweighted truncation: segments of random length, the gradient unbiased.

    After step t of a segment, counted from 1, the gradient is cut with probability

        c_t = a / ((a - 1) n + t),   a = TAIL_EXPONENT

    and otherwise multiplied by 1 / (1 - c_t) on its way back, which makes up for what is cut: the
    expected gradient is that of the whole row. The mean length is about n. Long segments need wide
    graphs, each made when first needed.

    Source: Tallec & Ollivier 2017, sections 4 and 5.
    """

    needs_all_losses = True
    knows_updates = False

    def _windows(self, epoch: Epoch) -> Iterator[Window]:
        n, rng = self._num_steps, np.random.default_rng([self._truncation.seed, epoch.number])
        divisor = float(n) if self._graph.options.reduction == "mean" else 1.0
        start = 0
        while start < self._length:
            steps, flow = draw_segment(rng, n, self._length - start)
            graph = self._graph.with_steps(_ladder(n, steps, self._length), reweighted=True)
            factors, weights = np.zeros((2, graph.num_steps))
            factors[: steps - 1] = flow
            weights[:steps] = 1 / (graph.batch_size * divisor)
            yield Window(graph, start, steps, steps, graph.final_state, (factors, weights), divisor / steps)
            start += steps


def draw_segment(rng: np.random.Generator, mean: int, longest: int) -> tuple[int, np.ndarray]:
    """Draws a segment's length, at most `longest` (the row ends there and nothing is cut).

    Returns:
        The length, and the factors of the gradient after each of its steps but the last.
    """
    steps = np.arange(1, longest)
    cut = np.minimum(1.0, TAIL_EXPONENT / ((TAIL_EXPONENT - 1) * mean + steps))
    happens = np.flatnonzero(rng.random(longest - 1) < cut)
    length = int(happens[0]) + 1 if len(happens) else longest
    return length, 1 / (1 - cut[: length - 1])


def _ladder(mean: int, length: int, longest: int) -> int:
    """The smallest of mean, 2 mean, 4 mean, ... that holds a length, at most `longest`."""
    return min(longest, mean << max(0, math.ceil(math.log2(length / mean))))


class Adaptive(Style):
    """Windows whose width follows the measured decay of the gradient.

    From time to time the gradient's norm by lag is measured over the graph's width N. K is the smallest
    number of steps beyond which no more than `tolerance` of it lies (`needed_steps`). Windows of 2 K
    steps, at most N (which is at least 2), then slide by K, so that every error flows back over at
    least K steps. K is rounded up to a power of 2 or three quarters of one, so that few graphs are made.

    Source: Aicher, Foti & Fox 2019, algorithm 1, with the measured share in place of their bound.
    """

    needs_all_losses = True
    knows_updates = False
    knows_steps = False

    def _windows(self, epoch: Epoch) -> Iterator[Window]:
        start, widest = 0, self._num_steps
        while start + widest <= self._length:
            needed = needed_steps(epoch.measure(start), self._truncation.tolerance)
            reach = max(1, min(_round_up(needed), widest // 2))
            width = min(2 * reach, widest)
            for window in slide(self._graph, width, reach, start, self._length, MEASURE_EVERY):
                yield window
                start = window.start + window.advance

    def check(self, loss_steps: str | int) -> None:
        """The width must be at least 2, and all losses must count."""
        n = self._num_steps
        if n < 2:
            raise OptionError("num_steps", f"must be at least 2 for the style adaptive, got {n}")
        super().check(loss_steps)


def needed_steps(norms: np.ndarray, tolerance: float) -> int:
    """The smallest K such that lags of K and more carry at most a share `tolerance` of the gradient.

        sum over k >= K of norms[k]  <=  tolerance * sum over all k of norms[k]

    Norms beyond the measured lags are extrapolated with the geometric decay of the second half; where
    they do not decay, every measured lag is needed.

    Args:
        norms: Mean gradient norm by lag, [N], lag 0 first.
        tolerance: Between 0 and 1.

    Returns:
        K, from 1 to N.
    """
    tail = _tail_beyond(norms)
    if math.isinf(tail):
        return len(norms)
    beyond = np.append(np.cumsum(norms[::-1])[::-1], 0.0) + tail
    enough = np.flatnonzero(beyond[1:] <= tolerance * beyond[0])
    return int(enough[0]) + 1 if len(enough) else len(norms)


def _tail_beyond(norms: np.ndarray) -> float:
    """The sum of the norms beyond the measured lags; inf where they do not decay."""
    half = norms[len(norms) // 2 :]
    if half[-1] <= 0:
        return 0.0
    if len(half) < 2:
        return math.inf
    decay = float((half[-1] / half[0]) ** (1 / (len(half) - 1)))
    return math.inf if decay >= 1 else float(half[-1]) * decay / (1 - decay)


def _round_up(steps: int) -> int:
    """The next power of 2, or three quarters of one: 1, 2, 3, 4, 6, 8, 12, 16, 24, ..."""
    power = 1 << math.ceil(math.log2(steps))
    return power * 3 // 4 if power >= 4 and steps <= power * 3 // 4 else power


STYLES: dict[str, type[Style]] = {
    "block": Block,
    "sliding": Sliding,
    "random": Random,
    "adaptive": Adaptive,
    "full": Full,
}
