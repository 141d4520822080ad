"""The loss by the number of steps since the state was zero, beside the loss of a state carried for long."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.training.evaluation import has_loss, stacked_losses, usable

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task

# A state counts as carried for long after so many widths.
FAR = 10
ROWS = 100
BLOCK = 50


@dataclasses.dataclass(frozen=True)
class ByPosition:
    """The held-out loss after k steps from a fresh state, k = 1, 2, ..., and that of a state carried on.

    With l(t, k) the loss of step t if the state was zero before step t - k + 1, so that k inputs are known,
    and T_k some steps t, each k steps after another start,

        fresh_k   = mean over T_k of l(t, k)
        carried_k = mean over T_k of l(t, r),   r >= steps + k

    Both are of the same steps, so that what these have in common cancels: where the state depends on the
    last m inputs alone, fresh_k = carried_k for all k >= m. (The loss of an evaluation that resets the state
    every k steps is another one, (fresh_1 + ... + fresh_k) / k: it comes close only as 1 / k.)

    Attributes:
        fresh: fresh_k; None where fewer than two of the steps have a loss, or it is not finite.
        carried: carried_k, likewise.
        errors: Standard error of the mean difference of the two.
        steps: Steps that the carried state has been carried for at least, before the fresh one starts.

    Raises:
        ValueError: If these are not such numbers, as in a damaged file.
    """

    fresh: list[float | None]
    carried: list[float | None]
    errors: list[float | None]
    steps: int

    def __post_init__(self) -> None:
        if not len(self.fresh) == len(self.carried) == len(self.errors) or self.steps < 0:
            raise ValueError("losses by position must be as many of each")
        if not all(part is None or math.isfinite(part) for part in self.fresh + self.carried + self.errors):
            raise ValueError("a loss by position is not finite")


class Layout(NamedTuple):
    """Where the state is carried, and where fresh ones start.

    Attributes:
        rows: The first step of each row, at which the carried state is zero.
        row_length: Steps of a row.
        starts: The first step of each fresh state.
        positions: Steps to follow a fresh state.
        steps: Steps of a row before the first start.
        at_a_time: Rows read in parallel.
    """

    rows: np.ndarray
    row_length: int
    starts: np.ndarray
    positions: int
    steps: int
    at_a_time: int


def measure_positions(
    graph: UnrolledGraph, session: Any, task: Task, longest: int, most: int, split: str = "valid"
) -> ByPosition:
    """Measures the loss by position at the current weights, on a bounded part of a split.

    Fresh states start where blocks of the graph's width start in training: anywhere, or, where the task
    consists of examples, at multiples of the width in rows of whole examples.

    Args:
        graph: Holds the variables, and is as wide as in training; a forward graph is made from it.
        session: An open session of the graph.
        task: Provides the data.
        longest: How many steps to follow a fresh state; at least the width and an example are followed, or
            a quarter of the data where these are short.
        most: The largest number of tokens to read after fresh states; about as many are read carrying it.
        split: "train" or "valid".

    Raises:
        OptionError: If the data are not usable.
    """
    stream = usable(task, task.checked_stream(split), split, graph.options.dtype)
    counted = has_loss(stream.targets, task.loss_steps)
    counted[: task.warm_up] = False
    weights = counted * (1.0 if stream.target_weights is None else stream.target_weights)
    layout = lay_out(len(counted), graph.num_steps, longest, task.period, most)
    probe = graph.forward(num_steps=min(BLOCK, layout.row_length), batch_size=layout.at_a_time)
    run = probe.runner(session, probe.cached(stacked_losses), probe.final_state)

    def losses(starts: np.ndarray, length: int) -> np.ndarray:
        """The losses of steps after a state of zero, [starts, length]."""
        found, width = [], probe.num_steps
        for first in range(0, len(starts), layout.at_a_time):
            rows = np.resize(starts[first : first + layout.at_a_time], (layout.at_a_time, 1))
            state, parts = probe.zero_state(), []
            for step in range(0, length, width):
                tokens = np.minimum(rows + np.arange(step, step + width), len(counted) - 1)
                block = stream.at(tokens)
                of_block, state = run(block.inputs, block.targets, state, starts=block.starts)
                parts.append(of_block)
            found.append(np.concatenate(parts, axis=1, dtype=np.float64))
        return np.concatenate(found)[: len(starts), :length]

    carried = np.full(len(counted), np.nan)
    carried[layout.rows[:, np.newaxis] + np.arange(layout.row_length)] = losses(
        layout.rows, layout.row_length
    )
    steps = layout.starts[:, np.newaxis] + np.arange(layout.positions)
    return by_position(losses(layout.starts, layout.positions), carried[steps], weights[steps], layout.steps)


def lay_out(length: int, num_steps: int, longest: int, period: int, most: int) -> Layout:
    """Where to start on a split; see `measure_positions`.

    Args:
        length: Steps of the split.
        num_steps: The width.
        longest: How many steps to follow a fresh state.
        period: Length of an example.
        most: The largest number of tokens to read after fresh states.
    """
    phase = math.gcd(num_steps, period)
    positions = min(max(num_steps, longest, period), max(1, length // 4))
    steps = max(FAR * num_steps, 2 * positions)
    row_length = min(length, math.ceil((steps + FAR * positions) / period) * period)
    steps = min(steps, row_length // 2) // phase * phase
    at_a_time = max(1, min(ROWS, most // row_length))
    rows = np.arange(min(at_a_time, length // row_length)) * row_length
    starts = (rows[:, np.newaxis] + np.arange(steps, row_length - positions + 1, phase)).ravel()
    most_starts = max(2, most // positions)
    if len(starts) > most_starts:  # at random, so that no cycle of the data is met at one phase alone
        starts = np.sort(np.random.default_rng(0).choice(starts, most_starts, replace=False))
    return Layout(rows, row_length, starts, positions, steps, at_a_time)


def by_position(fresh: np.ndarray, carried: np.ndarray, weights: np.ndarray, steps: int) -> ByPosition:
    """The means over starts.

    With weights w, as many steps as (sum of w)^2 / sum of w^2 of one weight have the same standard error.

    Args:
        fresh: The losses after each start, [starts, positions].
        carried: Those of the same steps with the state carried.
        weights: How much the loss of each step counts; 0 for steps without one.
        steps: See `ByPosition`.
    """
    sums = weights.sum(axis=0, dtype=np.float64)
    number = sums**2 / np.maximum(np.square(weights, dtype=np.float64).sum(axis=0), np.finfo(float).tiny)

    def mean(losses: np.ndarray) -> np.ndarray:
        total = np.where(weights > 0, weights * losses, 0).sum(axis=0)
        return np.asarray(total / np.where(number > 1, sums, np.nan))

    def finite(values: np.ndarray) -> list[float | None]:
        return [float(value) if math.isfinite(value) else None for value in values]

    with np.errstate(all="ignore"):  # after divergence
        difference = fresh - carried
        variance = mean((difference - mean(difference)) ** 2) * number / (number - 1)
        errors = np.sqrt(variance / number)
        return ByPosition(finite(mean(fresh)), finite(mean(carried)), finite(errors), steps)
