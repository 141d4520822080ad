"""Truncation styles: which errors flow back how far, as windows that a graph is run on.

A style is a function from a `Course` to the windows of one epoch, in order. A window says which graph
to train on which steps, and which state goes on to the next window:

    block      |-----|-----|-----|        n steps forward, their errors back over the same n
    sliding    |-----|                    n steps forward, the errors of the newest k back over n
                 |---xx|
                   |---xx|
    random     |--|------|-|----|         segments of random length, what crosses is made up for
    adaptive   sliding, with n from the measured decay of the gradient
    full       |----------------|         the whole row at once
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.graph.reweighted import ReweightedGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tf_rnn.graph.unrolled import UnrolledGraph

# Tail of the random lengths: the larger, the closer to a geometric distribution. Tallec & Ollivier
# 2017, section 5.
TAIL_EXPONENT = 6.0
# How many windows apart the adaptive style measures the gradient's decay anew.
MEASURE_EVERY = 200


class Window(NamedTuple):
    """One run of a training step.

    Attributes:
        graph: Which graph.
        start: The first step that it reads.
        new_steps: How many steps have their errors counted for the first time.
        advance: How far on the next window starts.
        next_state: The state after `advance` steps, tensors to fetch.
        more: What the graph is fed beyond inputs, targets and state.
        loss_scale: What the graph's total loss is multiplied by to give the mean of a step.
    """

    graph: UnrolledGraph
    start: int
    new_steps: int
    advance: int
    next_state: Any
    more: tuple[Any, ...] = ()
    loss_scale: float = 1.0


class Course(NamedTuple):
    """What a style has to go by.

    Attributes:
        graphs: The graphs on the variables being trained.
        length: Steps in a row.
        stride: For "sliding": how many of a window's errors are new, from 1 to its width.
        tolerance: For "adaptive": the share of the gradient's norm that may be cut off.
        rng: For "random".
        measure: For "adaptive": the mean gradient norm by lag, [num_steps], at the present weights,
            measured from a given step on.
    """

    graphs: Graphs
    length: int
    stride: int
    tolerance: float
    rng: np.random.Generator
    measure: Callable[[int], np.ndarray]


class Graphs:
    """Graphs of several widths on the same variables and optimizer, each made when first asked for.

    Args:
        graph: The first of them.
    """

    def __init__(self, graph: UnrolledGraph) -> None:
        self.base = graph
        self._made: dict[Any, UnrolledGraph] = {(graph.num_steps, graph.options.newest): graph}
        self._reweighted: dict[int, UnrolledGraph] = {}

    def of(self, num_steps: int, newest: int | None = None) -> UnrolledGraph:
        """The graph of a width, with the losses of its newest steps (None: as the first graph's)."""
        if newest is None:
            newest = num_steps if self.base.options.newest == self.base.num_steps else 1
        key = (num_steps, newest)
        if key not in self._made:
            marked = self.base.options.loss_steps == "marked"
            loss_steps = ("marked" if marked else "all") if newest == num_steps else newest
            self._made[key] = self.base.with_steps(num_steps, loss_steps)
        return self._made[key]

    def reweighted(self, num_steps: int) -> UnrolledGraph:
        """The reweighted graph of a width."""
        if num_steps not in self._reweighted:
            self._reweighted[num_steps] = self.base.with_steps(num_steps, kind=ReweightedGraph)
        return self._reweighted[num_steps]


def block(course: Course) -> Iterator[Window]:
    """TBPTT(n, n): blocks of n steps; errors go back to the start of their block.

    Source: Williams & Peng 1990; Mikolov et al. 2010; Zaremba et al. 2014.
    """
    graph = course.graphs.base
    n = graph.num_steps
    for start in range(0, course.length - n + 1, n):
        yield Window(graph, start, n, n, graph.final_state, loss_scale=graph.loss_scale)


def sliding(course: Course) -> Iterator[Window]:
    """TBPTT(k, n): every k = `stride` steps, the errors of the newest k go back over n steps.

    The first window counts the errors of all its steps, which none has counted before. Every window
    starts from the state as it was n steps before its end, and is run forward once.

    Source: Williams & Peng 1990, BPTT(h; h'); Sutskever 2013, section 2.8.6.
    """
    yield from _slide(course, course.graphs.base.num_steps, course.stride, 0)


def _slide(course: Course, width: int, stride: int, begin: int, most: float = math.inf) -> Iterator[Window]:
    """At most so many windows of a width from a step on, while they fit into the row.

    The last of `most` windows hands on the state at its end, so that nothing is counted twice after
    it.
    """
    graph, new_steps = course.graphs.of(width, newest=width), width
    for number, start in enumerate(range(begin, course.length - width + 1, stride), start=1):
        if number >= most:
            yield Window(graph, start, new_steps, width, graph.final_state, loss_scale=graph.loss_scale)
            return
        yield Window(graph, start, new_steps, stride, graph.states[stride - 1], loss_scale=graph.loss_scale)
        graph, new_steps = course.graphs.of(width, newest=stride), stride


def full(course: Course) -> Iterator[Window]:
    """The whole row at once: backpropagation through time without truncation.

    Source: Werbos 1990.
    """
    graph = course.graphs.of(course.length)
    yield Window(graph, 0, course.length, course.length, graph.final_state, loss_scale=graph.loss_scale)


def random(course: Course) -> Iterator[Window]:
    """Anticipated reweighted truncation: segments of random length, the gradient unbiased.

    After step t of a segment, counted from 1, the gradient is cut with probability

        c_t = a / ((a - 1) n + t),   a = TAIL_EXPONENT

    and otherwise multiplied by 1 / (1 - c_t) on its way back. What survives makes up for what is cut:
    the expected gradient is that of the whole row. The mean length is about n. Long segments need
    wide graphs, which are made when the first of their kind is drawn.

    Source: Tallec & Ollivier 2017, sections 4 and 5.
    """
    n = course.graphs.base.num_steps
    divisor = float(n) if course.graphs.base.options.reduction == "mean" else 1.0
    start = 0
    while start < course.length:
        length, flow = draw_segment(course.rng, n, course.length - start)
        graph = course.graphs.reweighted(_ladder(n, length, course.length))
        weights = np.zeros(graph.num_steps)
        weights[: length - 1] = flow
        more = (weights, length, divisor)
        yield Window(graph, start, length, length, graph.final_state, more, divisor / length)
        start += length


def draw_segment(rng: np.random.Generator, mean: int, longest: int) -> tuple[int, np.ndarray]:
    """Draws a segment's length, at most `longest` (the row ends there and nothing is cut).

    Returns:
        The length, and what the gradient is multiplied by after each of its steps but the last.
    """
    steps = np.arange(1, longest)
    cut = np.minimum(1.0, TAIL_EXPONENT / ((TAIL_EXPONENT - 1) * mean + steps))
    happens = np.flatnonzero(rng.random(longest - 1) < cut)
    length = int(happens[0]) + 1 if len(happens) else longest
    return length, 1 / (1 - cut[: length - 1])


def _ladder(mean: int, length: int, longest: int) -> int:
    """The smallest of mean, 2 mean, 4 mean, ... that holds a length, at most `longest`."""
    return min(longest, mean << max(0, math.ceil(math.log2(length / mean))))


def adaptive(course: Course) -> Iterator[Window]:
    """The width follows the measured decay of the gradient.

    From time to time the gradient's norm by lag is measured over the first graph's width N, and K is
    the smallest number of steps beyond which no more than `tolerance` of it lies (`needed_steps`).
    Windows of 2 K steps, at most N (which is at least 2), then slide by K, so that every error goes
    back over at least K steps. K is rounded up to a power of 2 or three quarters of one, so that few
    graphs are made.

    Source: Aicher, Foti & Fox 2019, algorithm 1, with the measured share in place of their bound.
    """
    start = 0
    widest = course.graphs.base.num_steps
    while start + widest <= course.length:
        needed = needed_steps(course.measure(start), course.tolerance)
        reach = max(1, min(_round_up(needed), widest // 2))
        for window in _slide(course, min(2 * reach, widest), reach, start, MEASURE_EVERY):
            yield window
            start = window.start + window.advance


def needed_steps(norms: np.ndarray, tolerance: float) -> int:
    """The smallest K such that lags of K and more carry at most a share `tolerance` of the gradient.

        sum over k >= K of norms[k]  <=  tolerance * sum over all k of norms[k]

    The norms beyond those measured go on as the geometric decay of their second half; where they do
    not decay, every lag measured is needed.

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
    """The sum of the norms at the lags that were not measured; inf where they do not decay."""
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


STYLES: dict[str, Callable[[Course], Iterator[Window]]] = {
    "block": block,
    "sliding": sliding,
    "random": random,
    "adaptive": adaptive,
    "full": full,
}


def steps_per_update(style: str, num_steps: int, stride: int, length: int) -> int:
    """How many steps a training step counts for the first time, as a rule.

    Args:
        style: A key of STYLES.
        num_steps: The width.
        stride: For "sliding".
        length: Steps in a row.
    """
    counts: dict[str, int] = {"sliding": stride, "full": length}
    return counts.get(style, num_steps)


def steps_per_epoch(style: str, num_steps: int, stride: int, length: int) -> int:
    """How many steps of a row a style counts in an epoch (see `steps_per_update`)."""
    return {
        "block": length // num_steps * num_steps,
        "sliding": num_steps + (length - num_steps) // stride * stride,
    }.get(style, length)
