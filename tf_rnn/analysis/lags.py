"""The gradient by lag: how much of it comes from how far back, and what truncation loses."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.analysis.bias import CLEAR, LostGradient, Parts
from tf_rnn.analysis.contributions import sampled_contributions
from tf_rnn.analysis.past import start_gradient, whole_past
from tf_rnn.analysis.tangents import lyapunov_exponent
from tf_rnn.cells import VanillaCell
from tf_rnn.graph.lags import mean_gradient_norms
from tf_rnn.options import LARGEST_WIDTH, OptionError, require_choice
from tf_rnn.options.words import REFERENCES
from tf_rnn.setup import check_setup
from tf_rnn.tasks.values import has_target
from tf_rnn.training.evaluation import usable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.analysis.past import Past
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Stream, Task

MOST_POSITIONS = 100
# A change of the norm by less than this factor over the whole width is no trend.
STEADY_FACTOR = 2.0
BIASES = ("relative_bias", "cosine", "block_bias", "mean_bias", "mean_block_bias")


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
        reference: "widest": the biases are relative to the gradient over N steps. "infinite": to that over
            the whole past.
        directions: Random directions along which the contribution of what is older than N steps was
            estimated; 0 if it is exact.
        lyapunov: With "infinite", the largest Lyapunov exponent per step; None where the data consist of
            examples or of other sequences, over which no gradient can grow without bound.
        lyapunov_error: Its standard error.
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
    reference: str = "widest"
    directions: int = 0
    lyapunov: float | None = None
    lyapunov_error: float | None = None

    @property
    def mean_is_clear(self) -> bool:
        """Whether the mean gradient stands clearly above its noise."""
        return self.mean_signal >= CLEAR

    @property
    def grows(self) -> bool:
        """Whether gradients grow without bound: the exponent is above 0 by more than two standard errors."""
        return _is_positive(self.lyapunov, self.lyapunov_error)


def measure_lags(
    graph: UnrolledGraph,
    session: Any,
    task: Task,
    num_steps: int,
    split: str = "valid",
    reference: str = "widest",
) -> LagAnalysis:
    """Measures the gradient by lag and the bias of truncation at the current weights.

    Every block of `num_steps` steps gives one position: its last step's loss, followed back over the
    block. The state is carried from block to block; where the task consists of examples, every
    position is an example's last step, and the state starts at zero; with the reference "infinite" at the
    start of the example, else at that of the block. No gradient crosses the start of a sequence. Last steps
    without a target do not count; the others count alike, whatever the weights of their targets.

    Biases are of the gradient of the cell's weight matrices (of all variables of a third-party cell), without
    those of its bias vectors, of the gains of layer normalisation and of a learnt initial state.

    Args:
        graph: Holds the variables; a forward graph is made from it.
        session: An open session of the graph.
        task: Provides the data.
        num_steps: How far back to look, N.
        split: "train" or "valid".
        reference: "widest" or "infinite": the gradient that truncated ones are compared with, over
            `num_steps` steps or over the whole past. The latter is exact where the influence matrix is
            small enough, else estimated; see `whole_past`. Where the Lyapunov exponent is above 0 there
            is none, and the biases are nan (Mikhaeil, Monfared & Durstewitz 2022).

    Returns:
        See `LagAnalysis`.

    Raises:
        OptionError: If the data are too short, or not usable.
        OverflowError: If a gradient, or the carried state, is too large for a floating-point number.

    Source: Pascanu et al. 2013; Aicher, Foti & Fox 2019, section 3.
    """
    require_choice("reference", reference, REFERENCES)
    probe = graph.forward(num_steps=num_steps)
    usable(task, task.checked_stream(split), split, graph.options.dtype)
    exponent = error = past = None
    with np.errstate(over="ignore", invalid="ignore"):
        if reference == "infinite" and task.period == 1 and not task.has_starts:
            exponent, error = lyapunov_exponent(graph, session, task, split)
        grows = _is_positive(exponent, error)
        if reference == "infinite" and not grows:
            past = whole_past(probe, session, MOST_POSITIONS)
        found = _measured(probe, session, task, split, past)
    found = dataclasses.replace(found, reference=reference, lyapunov=exponent, lyapunov_error=error)
    if not grows:
        return found
    unknown: dict[str, Any] = dict.fromkeys(BIASES, [math.nan] * num_steps)
    return dataclasses.replace(found, mean_signal=math.nan, **unknown)


def _measured(graph: UnrolledGraph, session: Any, task: Task, split: str, past: Past | None) -> LagAnalysis:
    fetches = (
        graph.cached(mean_gradient_norms),
        graph.cached(sampled_contributions, MOST_POSITIONS),
        graph.cached(start_gradient),
        graph.final_state,
    )
    run = graph.runner(session, *fetches)
    norm_sum, lost = np.zeros(graph.num_steps), LostGradient(graph.num_steps)
    state, positions = graph.zero_state(), 0
    for lead, window in itertools.islice(_positions(graph, task, split), MOST_POSITIONS):
        if past and task.period > 1:
            state = past.start(lead)
        norms, lags, d_start, final_state = run(window.inputs, window.targets, state, starts=window.starts)
        _require_finite(norms, positions + 1)
        rows = len(window.targets)
        with_target = rows if task.loss_steps == "all" else int(has_target(window.targets[:, -1]).sum())
        if with_target:  # rows without one have no gradient
            norm_sum += norms * rows / with_target
            lost.add(past.parts(lags, d_start) if past else Parts.of_lags(lags))
            positions += 1
        if task.period == 1:
            if past:
                past.advance(window, state)
            state = final_state
    if not positions:
        problem = f"must be another: no block of {graph.num_steps} steps ends at a target"
        raise OptionError("num_steps", problem)
    return _analysis(
        norm_sum / positions, lost, _bound(graph, session), positions, past.directions if past else 0
    )


def _is_positive(exponent: float | None, error: float | None) -> bool:
    return exponent is not None and error is not None and exponent > 2 * error


def _require_finite(norms: np.ndarray, position: int) -> None:
    lost = np.flatnonzero(~np.isfinite(norms))
    if len(lost):
        raise OverflowError(
            f"the gradient's norm is {norms[lost[0]]} at lag {lost[0]} of {len(norms)}, "
            f"in block {position} of the data: it explodes, or the state does; "
            "lower recurrent_gain, or look less far back with num_steps"
        )


def check_lags(setup: Setup, task: Task, num_steps: int, reference: str = "widest") -> None:
    """Raises OptionError unless a setup suits its task, whose data are long enough to look back so far."""
    check_setup(setup, task, [num_steps])
    check_data(task, setup.batch_size, num_steps, reference)


def check_data(task: Task, batch_size: int, num_steps: int, reference: str) -> None:
    """Raises OptionError unless the held-out data are long enough to look back so far."""
    whole = _whole_examples(task, num_steps)
    task.blocks(batch_size, whole, "valid")
    if reference == "infinite" and whole - num_steps > LARGEST_WIDTH:
        raise OptionError(
            "reference",
            f"must be 'widest' where an example has more than {LARGEST_WIDTH} steps before the last "
            f"{num_steps}; here it has {whole - num_steps}",
        )


def _positions(graph: UnrolledGraph, task: Task, split: str) -> Iterator[tuple[Stream, Stream]]:
    """The steps of examples before a position's window, and the window.

    Where targets are marked, and there are no examples, the last window ends with the rows: the first steps
    of a held-out part may have no target.
    """
    if task.loss_steps == "marked" and task.period == 1:
        rows = task.rows(graph.batch_size, split)
        length = rows.targets.shape[1]
        for start in range(length % graph.num_steps, length, graph.num_steps):
            yield rows.steps(0, 0), rows.steps(start, start + graph.num_steps)
        return
    whole = _whole_examples(task, graph.num_steps)
    for rows in task.blocks(graph.batch_size, whole, split):
        lead = whole - graph.num_steps
        yield rows.steps(0, lead), rows.steps(lead, whole)


def _whole_examples(task: Task, num_steps: int) -> int:
    """The smallest multiple of an example's length that holds so many steps."""
    return math.ceil(num_steps / task.period) * task.period


def _analysis(
    norms: np.ndarray, lost: LostGradient, bound: float | None, positions: int, directions: int
) -> LagAnalysis:
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
        directions=directions,
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
    """The largest singular value of a vanilla cell's recurrent weights (Pascanu et al. 2013).

    None for other cells, and for sums that are normalised, whose gradient it does not bound.
    """
    if not isinstance(graph.cell, VanillaCell) or "layer_norm" in graph.cell.options():
        return None
    W = session.run(graph.cell.variables[0])
    return float(np.linalg.norm(W[-graph.cell.output_size :], 2))
