"""The loss on validation data."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.options import STATES, OptionError, require_choice
from tf_rnn.tasks.values import has_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream, Task

# A row starts from a zero state, so rows are long: the first steps must weigh little.
MAXIMUM_ROWS = 50
MINIMUM_ROW_LENGTH = 1000
CARRIED_STEPS = 50


class Evaluation(NamedTuple):
    """The performance of a model on a split of a task.

    Attributes:
        loss: Mean over all tokens, in nats (or squared units); weighted, where targets have weights.
        standard_error: Standard error of that mean, as if tokens were independent.
        tokens: Number of tokens counted: all of the split that have a loss.
        dependency_scores: For each lag that the task knows, the predicted effect / the true effect.
    """

    loss: float
    standard_error: float
    tokens: int
    dependency_scores: dict[int, float]


class Evaluator:
    """Measures the loss of a graph's variables on one split of a task.

    The split is cut into a few long rows that are read in order. With "carry" the state is carried from
    block to block, so that the result does not depend on the width of any graph; with "reset" it is
    zero at the start of every block of the graph's own width, as in training. Every token that has a
    loss counts, except the first `task.warm_up`. Rows that do not come out even are padded, and the
    padding does not count. Rows begin where an example of the task does, or a sequence, if one does nearby.
    Threads may share an evaluator.

    Args:
        graph: The graph whose variables are evaluated, in a forward graph of its own.
        task: The task.
        state: "carry" or "reset".
        split: "train" or "valid".

    Raises:
        OptionError: If an option is not allowed, or the data are not finite.
    """

    def __init__(self, graph: UnrolledGraph, task: Task, state: str = "carry", split: str = "valid") -> None:
        self._resets = {"carry": False, "reset": True}[require_choice("state", state, STATES)]
        self._task = task
        stream = usable(task, task.checked_stream(split), split, graph.options.dtype)
        length = len(stream.targets)
        num_rows = 1 if task.warm_up else min(MAXIMUM_ROWS, max(1, length // MINIMUM_ROW_LENGTH))
        row_length = math.ceil(length / num_rows / task.period) * task.period
        rows = lay_rows(length, num_rows, row_length, stream.starts)
        num_steps = graph.num_steps if self._resets else min(CARRIED_STEPS, rows.shape[1])
        counted = counted_tokens(task, stream, split)
        self._weights = weights_of(stream, counted)
        self._counted = np.append(counted, False)[rows]
        self._graph = graph.forward(num_steps=num_steps, batch_size=num_rows)
        self._blocks = _blocks(stream.at(np.minimum(rows, length - 1)), num_steps)
        self._scored_rows = 0 if task.has_starts or not task.lags else length // row_length
        self._losses = self._graph.cached(stacked_losses)
        self._predictions = self._graph.cached(stacked_predictions)
        self._prepared: tuple[Any, Callable[..., Any]] | None = None

    def __call__(self, session: Any) -> Evaluation:
        """Evaluates the present values of the variables."""
        losses, predictions = self._run(session)
        counted = losses[self._counted]
        loss, error = mean_and_error(counted, self._weights)
        return Evaluation(loss, error, len(counted), self._scores(predictions))

    def _runner(self, session: Any) -> Callable[..., Any]:
        """Prepared once per session, as training evaluates many times in the same one."""
        prepared = self._prepared  # another thread may replace it
        if prepared is None or prepared[0] is not session:
            fetches = [self._losses, self._graph.final_state]
            if self._scored_rows:
                fetches.append(self._predictions)
            prepared = self._prepared = session, self._graph.runner(session, *fetches)
        return prepared[1]

    def _run(self, session: Any) -> tuple[np.ndarray, np.ndarray]:
        run = self._runner(session)
        zero_state = state = self._graph.zero_state()
        losses, predictions = [], []
        for block in self._blocks:
            before = zero_state if self._resets else state
            block_losses, state, *shown = run(block.inputs, block.targets, before, starts=block.starts)
            losses.append(block_losses)
            predictions.extend(shown)
        joined = np.concatenate(losses, axis=1, dtype=np.float64)[:, : self._counted.shape[1]]
        return joined, np.concatenate(predictions, axis=1) if predictions else joined

    def _scores(self, predictions: np.ndarray) -> dict[int, float]:
        if not self._scored_rows:
            return {}
        inputs = np.concatenate([block.inputs for block in self._blocks], axis=1)
        filled = slice(self._scored_rows), slice(self._counted.shape[1])
        return self._task.dependency_scores(inputs[filled], predictions[filled][:, :, 1])


def stacked_losses(graph: UnrolledGraph) -> Any:
    """The losses of all steps, [batch_size, num_steps]."""
    return tf.stack(graph.losses, axis=1)


def stacked_predictions(graph: UnrolledGraph) -> Any:
    """The predictions of all steps, [batch_size, num_steps, num_classes]."""
    return tf.stack(graph.predictions, axis=1)


def stacked_hits(graph: UnrolledGraph) -> Any:
    """Whether the class with the largest prediction is the target, at all steps, [batch_size, num_steps]."""
    named = tf.argmax(stacked_predictions(graph), axis=2, output_type=tf.int32)
    return tf.equal(named, tf.stack(graph.targets, axis=1))


def has_loss(targets: np.ndarray, loss_steps: str) -> np.ndarray:
    """Booleans [length], true for the tokens that have a loss."""
    return has_target(targets) if loss_steps == "marked" else np.ones(len(targets), bool)


def counted_tokens(task: Task, stream: Stream, split: str) -> np.ndarray:
    """Booleans [length], true for the tokens of a split that count: those with a loss, after the warm-up.

    Raises:
        OptionError: If there are none.
    """
    counted = has_loss(stream.targets, task.loss_steps)
    if stream.target_weights is not None:
        counted &= stream.target_weights > 0
    counted[: task.warm_up] = False
    require_counted(counted, split)
    return counted


def weights_of(stream: Stream, counted: np.ndarray) -> np.ndarray | None:
    """The weights of the tokens that count, in their order; None where all count alike."""
    weights = stream.target_weights
    return None if weights is None else np.asarray(weights[counted], np.float64)


def mean_and_error(losses: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
    """The mean of losses l, and its standard error as if they were independent.

        mean = sum of w l / sum of w,   error^2 = sum of w^2 (l - mean)^2 / (sum of w)^2

    Args:
        losses: [tokens].
        weights: w, likewise; None for 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # after divergence
        if weights is None:
            return float(losses.mean()), float(losses.std()) / math.sqrt(len(losses))
        mean = np.average(losses, weights=weights)
        return float(mean), float(np.linalg.norm(weights * (losses - mean)) / weights.sum())


def lay_rows(length: int, num_rows: int, row_length: int, starts: np.ndarray | None) -> np.ndarray:
    """The times that each row of a stream holds, [num_rows, steps]; `length` where it is filled up.

    Every row begins `row_length` after the one before it; or, where sequences start, with the first of them
    that starts in the next `row_length` steps, so that its state is no other than if all were one row.
    Every time is in one row, in order.

    Args:
        length: Of the stream.
        num_rows: Number of rows.
        row_length: Steps of a row, so that all rows hold the stream.
        starts: Where sequences start, [length]; None for nowhere.
    """
    begins = np.arange(num_rows) * row_length
    if starts is not None:
        flagged = np.append(np.flatnonzero(starts), num_rows * row_length)
        next_start = flagged[np.searchsorted(flagged, begins)]
        begins[1:] = np.where(next_start < begins + row_length, next_start, begins)[1:]
    ends = np.append(begins[1:], length)[:, np.newaxis]
    longest = row_length if starts is None else (ends[:, 0] - begins).max()
    times = begins[:, np.newaxis] + np.arange(longest)
    return np.where(times < np.minimum(ends, length), times, length)


def _blocks(rows: Stream, num_steps: int) -> list[Stream]:
    """All steps of rows in blocks, the last filled up."""
    return [rows.steps(start, start + num_steps) for start in range(0, rows.targets.shape[1], num_steps)]


def usable(task: Task, stream: Stream, split: str, dtype: str) -> Stream:
    """The data of a split as a graph takes them: int32 classes within their range, finite real values.

    Marked targets may be nan, and -1 for classes.

    Args:
        task: The task.
        stream: Tokens [length, ...], or contiguous rows of them, [batch_size, row_length, ...].
        split: The name of the split.
        dtype: Of real values.

    Raises:
        OptionError: If there are none, or one is not usable.
    """
    if not len(stream.targets):
        raise OptionError("task", f"must have data in the split {split!r}, got none")
    inputs, targets = stream
    is_marked = task.loss_steps != "all"
    if task.input_kind == "classes":
        inputs = _classes("inputs", inputs, task.input_size, split, may_be_none=False)
    else:
        inputs = _reals("inputs", inputs, dtype, split, may_be_nan=False)
    if task.loss == "cross_entropy":
        targets = _classes("targets", targets, task.num_classes, split, may_be_none=is_marked)
    else:
        targets = _reals("targets", targets, dtype, split, may_be_nan=is_marked)
    weights = stream.target_weights
    if weights is not None:
        weights = _reals("target_weights", weights[..., np.newaxis], dtype, split, may_be_nan=False)[..., 0]
        if weights.min() < 0:
            raise OptionError("target_weights", f"of split {split!r} must be at least 0, got {weights.min()}")
    return dataclasses.replace(stream, inputs=inputs, targets=targets, target_weights=weights)


def _classes(name: str, values: np.ndarray, size: int, split: str, *, may_be_none: bool) -> np.ndarray:
    if not (-1 if may_be_none else 0) <= values.min() <= values.max() < size:
        found = f"from {values.min()} to {values.max()}"
        raise OptionError(name, f"of split {split!r} must be classes from 0 to {size - 1}, got {found}")
    return np.asarray(values, np.int32)


def _reals(name: str, values: np.ndarray, dtype: str, split: str, *, may_be_nan: bool) -> np.ndarray:
    if values.dtype == dtype:
        reals = values
    else:
        with np.errstate(over="ignore"):
            reals = np.asarray(values, dtype)
    strange = np.isinf(reals) if may_be_nan else ~np.isfinite(reals)
    if strange.any():
        width = values.shape[-1]
        step, place = np.argwhere(strange.reshape(-1, width))[0]
        got = values.reshape(-1, width)[step, place]
        wanted = f"finite in {dtype}" if np.isfinite(got) else "finite"
        where = f"step {step}" + (f", column {place}" if width > 1 else "")
        raise OptionError(name, f"of split {split!r} must be {wanted}, got {got} at {where}")
    return reals


def require_counted(counted: np.ndarray, split: str) -> None:
    """Raises OptionError unless some token of a split counts."""
    if not counted.any():
        raise OptionError("task", f"must have targets in the split {split!r} after the warm-up, got none")
