"""The gradient by lag: how much of it comes from how far back, and what truncation loses."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.analysis.bias import CLEAR, LostGradient, Parts
from tf_rnn.analysis.contributions import sampled_contributions
from tf_rnn.cells import VanillaCell
from tf_rnn.graph.lags import mean_gradient_norms
from tf_rnn.setup import check_setup
from tf_rnn.tasks import Stream
from tf_rnn.training.evaluation import usable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task

MOST_POSITIONS = 100
# A change of the norm by less than this factor over the whole width is no trend.
STEADY_FACTOR = 2.0


@dataclasses.dataclass(frozen=True)
class LagAnalysis:
    """The gradient by lag and the bias of truncation, averaged over positions in time and examples.

    Attributes:
        lags: 0 to N - 1.
        gradient_norm: Mean of || dL_t / dS_{t-k} || for each lag k.
        decay: Factor by which the norm changes per step back, fitted to all lags whose norm is not 0; nan
            if there are fewer than two.
        half_life: Steps in which the norm halves; negative if it grows, inf if it does neither.
        trend: "vanishes", "explodes" or "holds".
        bound: The largest singular value of a vanilla cell's recurrent weights, which the factor per
            step cannot exceed on average; None for other cells.
        truncations: K = 1 to N.
        relative_bias: For each K, the norm of what truncation after K steps loses of each position's
            gradient, relative to the gradient over N steps; nan if that is 0.
        cosine: For each K, the cosine between the two gradients.
        block_bias: For each width n, the relative bias in blocks of n steps, whose errors are followed
            back 1 to n steps.
        positions: Number of positions in time that were averaged.
        mean_bias: For each K, what truncation loses of the mean gradient over positions and examples; nan
            where that is lost in its noise. See `LostGradient.of_mean`.
        mean_block_bias: The same in blocks.
        mean_signal: The squared norm of the mean gradient in standard errors; nan with fewer than 4
            positions.
    """

    lags: list[int]
    gradient_norm: list[float]
    decay: float
    half_life: float
    trend: str
    bound: float | None
    truncations: list[int]
    relative_bias: list[float]
    cosine: list[float]
    block_bias: list[float]
    positions: int
    mean_bias: list[float] = dataclasses.field(default_factory=list)
    mean_block_bias: list[float] = dataclasses.field(default_factory=list)
    mean_signal: float = math.nan

    @property
    def mean_is_clear(self) -> bool:
        """Whether the mean gradient stands clearly above its noise."""
        return self.mean_signal >= CLEAR


def measure_lags(
    graph: UnrolledGraph, session: Any, task: Task, num_steps: int, split: str = "valid"
) -> LagAnalysis:
    """Measures the gradient by lag and the bias of truncation at the current weights.

    Every block of `num_steps` steps gives one position: its last step's loss, followed back over the
    block. The state is carried from block to block; where the task consists of examples, every
    position is an example's last step, and the state starts at zero.

    Args:
        graph: Holds the variables; a forward graph is made from it.
        session: An open session of the graph.
        task: Provides the data.
        num_steps: How far back to look, N.
        split: "train" or "valid".

    Returns:
        See `LagAnalysis`.

    Raises:
        OptionError: If the data are too short, or not usable.
        OverflowError: If a gradient, or the carried state, is too large for a floating-point number.

    Source: Pascanu et al. 2013; the bias as in Aicher, Foti & Fox 2019, section 3.
    """
    probe = graph.forward(num_steps=num_steps)
    usable(task, task.checked_stream(split), split, graph.options.dtype)
    norms, parts = probe.cached(mean_gradient_norms), probe.cached(sampled_contributions, MOST_POSITIONS)
    run = probe.runner(session, norms, parts, probe.final_state)
    norm_sum = np.zeros(num_steps)
    lost = LostGradient(num_steps)
    state, positions = probe.zero_state(), 0
    for inputs, targets in itertools.islice(_positions(probe, task, split), MOST_POSITIONS):
        block_norms, block_parts, final_state = run(inputs, targets, state)
        _require_finite(block_norms, positions + 1)
        norm_sum += block_norms
        lost.add(Parts.of_lags(block_parts))
        positions += 1
        if task.period == 1:
            state = final_state
    return _analysis(norm_sum / positions, lost, _bound(graph, session), positions)


def _require_finite(norms: np.ndarray, position: int) -> None:
    lost = np.flatnonzero(~np.isfinite(norms))
    if len(lost):
        raise OverflowError(
            f"the gradient's norm is {norms[lost[0]]} at lag {lost[0]} of {len(norms)}, "
            f"in block {position} of the data: it explodes, or the state does; "
            "lower recurrent_gain, or look less far back with num_steps"
        )


def check_lags(setup: Setup, task: Task, num_steps: int) -> None:
    """Raises OptionError unless a setup suits its task, whose data are long enough to look back so far."""
    check_setup(setup, task, [num_steps])
    task.blocks(setup.batch_size, _whole_examples(task, num_steps), "valid")


def _positions(graph: UnrolledGraph, task: Task, split: str) -> Iterator[Stream]:
    for inputs, targets in task.blocks(graph.batch_size, _whole_examples(task, graph.num_steps), split):
        yield Stream(inputs[:, -graph.num_steps :], targets[:, -graph.num_steps :])


def _whole_examples(task: Task, num_steps: int) -> int:
    """The smallest multiple of an example's length that holds so many steps."""
    return math.ceil(num_steps / task.period) * task.period


def _analysis(norms: np.ndarray, lost: LostGradient, bound: float | None, positions: int) -> LagAnalysis:
    n = len(norms)
    bias, cosine, block_bias = lost.of_each()
    mean = lost.of_mean()
    decay = fitted_decay(norms)
    return LagAnalysis(
        lags=list(range(n)),
        gradient_norm=norms.tolist(),
        decay=decay,
        half_life=half_life(decay),
        trend=trend(decay, n),
        bound=bound,
        truncations=list(range(1, n + 1)),
        relative_bias=bias.tolist(),
        cosine=cosine.tolist(),
        block_bias=block_bias.tolist(),
        positions=positions,
        mean_bias=mean.bias,
        mean_block_bias=mean.block_bias,
        mean_signal=mean.signal,
    )


def fitted_decay(norms: np.ndarray) -> float:
    """The factor d of the geometric sequence a d^k that fits the norms best, by least squares of logarithms.

    Lags whose norm is 0 are left out; nan if fewer than two remain.
    """
    lags = np.flatnonzero(norms > 0)
    if len(lags) < 2:
        return math.nan
    slope = np.polyfit(lags, np.log(norms[lags]), 1)[0]
    return float(np.exp(slope))


def half_life(decay: float) -> float:
    """The number of steps in which a norm with this decay halves; negative if it doubles instead."""
    if decay == 1:
        return math.inf
    return math.log(0.5) / math.log(decay)


def trend(decay: float, num_steps: int) -> str:
    """What happens to the gradient over a width, in a word."""
    change = num_steps * math.log(decay) if decay > 0 else math.nan
    if abs(change) < math.log(STEADY_FACTOR):
        return "holds"
    return "explodes" if change > 0 else "vanishes"


def _bound(graph: UnrolledGraph, session: Any) -> float | None:
    """The largest singular value of a vanilla cell's recurrent weights (Pascanu et al. 2013)."""
    if not isinstance(graph.cell, VanillaCell):
        return None
    W = session.run(graph.cell.variables[0])
    return float(np.linalg.norm(W[-graph.cell.output_size :], 2))
