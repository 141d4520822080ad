"""One prediction: what its loss owes to each earlier input."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.console import visible
from tf_rnn.options import LARGEST_WIDTH, OptionError
from tf_rnn.tasks import Language
from tf_rnn.text import counted, loss_text
from tf_rnn.training.evaluation import has_loss, usable

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream, Task

# So many steps of the data at a time are read before those that are looked at.
READ_STEPS = 50


@dataclasses.dataclass(frozen=True)
class InputGradients:
    """The norm of the gradient of one loss at each earlier input.

    Attributes:
        position: Of the prediction in the held-out data, from 0.
        num_steps: The width in training, whose errors reach back to lag num_steps - 1 at most.
        target: What was to be predicted, in words.
        loss: The loss of the prediction.
        unit: Its unit.
        norms: || dL_t / dx_{t-k} ||, lag k = 0 first; x is the vector that the lowest layer reads: the
            embedding, the unit vector of a class, or the values.
        inputs: The inputs in words, lag 0 first.
        values: The inputs of a task with real ones, lag 0 first; else None.
    """

    position: int
    num_steps: int
    target: str
    loss: float
    unit: str
    norms: list[float]
    inputs: list[str]
    values: list[list[float]] | None

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each input, the latest first; as in `at.csv`."""
        return [
            {"position": self.position - lag, "lag": lag, "input": shown, "gradient_norm": norm}
            for lag, (shown, norm) in enumerate(zip(self.inputs, self.norms, strict=True))
        ]

    @property
    def sentence(self) -> str:
        """To which input the loss owes most, and how much lies beyond the width."""
        total, loss = math.fsum(self.norms), f"{loss_text(self.loss, self.unit)} {self.unit}"
        start = f"position {self.position}, target {self.target!r}, loss {loss}"
        if not total:
            return f"{start}: no input has a gradient."
        lag = int(np.argmax(self.norms))
        steps = "this step" if lag == 0 else f"{counted(lag, 'step')} back"
        found = f"{start}: the largest gradient is that of the input of {steps} ({self.inputs[lag]!r})"
        if len(self.norms) <= self.num_steps:
            return f"{found}."
        beyond = math.fsum(self.norms[self.num_steps :]) / total
        share = f"{beyond:.1%} are beyond the width of {self.num_steps}"
        return f"{found}; of the norms of the last {len(self.norms)} inputs, {share}."


def check_at(task: Task, num_steps: int, at: int) -> None:
    """Raises OptionError unless there is a prediction at a position, with inputs to look at.

    Args:
        task: The task.
        num_steps: The width.
        at: The position in the held-out data.
    """
    if task.input_kind == "none":
        raise OptionError("at", f"must be left out for the task {task.name}, which has no inputs")
    last = task.length("valid") - 1
    if not num_steps - 1 <= at <= last:
        raise OptionError(
            "at",
            f"must be a position from {num_steps - 1} (num_steps - 1) to {last} (the end of the held-out "
            f"data), got {at}",
        )
    targets = np.flatnonzero(has_loss(task.checked_stream("valid").targets, task.loss_steps))
    if at not in targets:
        near = targets[np.argmin(np.abs(targets - at))] if len(targets) else "none"
        raise OptionError("at", f"must be a position with a target, the nearest is {near}, got {at}")


def input_gradient_norms(graph: UnrolledGraph) -> Any:
    """The norm of the last loss's gradient with respect to each input, by lag.

        norms[k, i] = || dL_t / dx_{t-k} || = || W_x dL_t / dz_{t-k} ||  for example i, t = n - 1

    with z the lowest layer's x W_x + b. The gradient is that over all steps of the graph.

    Args:
        graph: A graph of a cell of this package.

    Returns:
        A tensor [num_steps, batch_size], lag 0 first.
    """
    with graph.tf_graph.as_default(), tf.name_scope("input_gradient_norms"):
        of_projected = tf.gradients(
            tf.reduce_sum(graph.losses[-1]),
            [tape.projected for tape in graph.tapes[0]],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        kernel = graph.cell.layers[0].read().input_kernel
        rows = tf.matmul(tf.concat(of_projected, axis=0), kernel, transpose_b=True)
        return tf.reshape(tf.norm(rows, axis=1), [graph.num_steps, graph.batch_size])[::-1]


def measure_at(
    graph: UnrolledGraph, session: Any, task: Task, num_steps: int, at: int, state: str = "carry"
) -> InputGradients:
    """Measures what the loss at a position of the held-out data owes to each input up to there.

    With the state carried, the data are read from their start, and the gradient is followed back over
    twice the width; with the state reset, over the width alone, from a zero state.

    Args:
        graph: Holds the variables.
        session: An open session of the graph.
        task: Provides the data.
        num_steps: The width in training.
        at: The position, see `check_at`.
        state: "carry" or "reset".

    Raises:
        OptionError: If the position is not allowed.
        OverflowError: If a gradient is too large for a floating-point number.
    """
    check_at(task, num_steps, at)
    reach = num_steps if state == "reset" else min(2 * num_steps, at + 1, LARGEST_WIDTH)
    stream = usable(task, task.checked_stream("valid"), "valid", graph.options.dtype)
    rows = stream.map(lambda part: part[None, : at + 1])
    probe = graph.forward(num_steps=reach, batch_size=1)
    start = at + 1 - reach
    before = probe.zero_state() if state == "reset" else _state_after(graph, session, rows, start)
    run = probe.runner(session, probe.cached(input_gradient_norms), probe.losses[-1])
    window = rows.steps(start, at + 1)
    norms, loss = run(window.inputs, window.targets, before, starts=window.starts)
    if not np.isfinite(norms).all():
        raise OverflowError(
            f"the gradient of the loss at position {at} explodes; lower recurrent_gain, or look less far "
            "back with num_steps"
        )
    latest = stream.inputs[start : at + 1][::-1]
    return InputGradients(
        position=at,
        num_steps=num_steps,
        target=_words(task, stream.targets[at]),
        loss=float(loss[0]),
        unit=task.unit,
        norms=norms[:, 0].tolist(),
        inputs=[_words(task, each) for each in latest],
        values=None if task.input_kind == "classes" else latest.tolist(),
    )


def _state_after(graph: UnrolledGraph, session: Any, rows: Stream, steps: int) -> Any:
    """The state after so many steps of the data, from zero."""
    state, start = graph.forward(batch_size=1).zero_state(), 0
    for width in (READ_STEPS, 1):
        if steps - start >= width:
            part = graph.forward(num_steps=width, batch_size=1)
            run = part.runner(session, part.final_state)
            while steps - start >= width:
                block = rows.steps(start, start + width)
                (state,) = run(block.inputs, block.targets, state, starts=block.starts)
                start += width
    return state


def _words(task: Task, token: Any) -> str:
    """A token in words: of a text itself, hidden characters escaped; of other classes the number."""
    if np.ndim(token):
        return " ".join(f"{value:.4g}" for value in token)
    return visible(task.vocabulary[token]) if isinstance(task, Language) else str(token)
