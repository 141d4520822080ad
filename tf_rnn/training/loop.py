"""The session loop: run the graph on a block, take its final state, feed it to the next run."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.config import STATES, OptionError, require_choice
from tf_rnn.graph.styles import Graphs, steps_per_epoch, steps_per_update
from tf_rnn.training.budget import Budget
from tf_rnn.training.evaluation import Evaluation, Evaluator
from tf_rnn.training.meter import CurvePoint, Meter, Update
from tf_rnn.training.progress import Listener, ProgressLine
from tf_rnn.training.windows import GradientProbe, Runs, Truncation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task


class TrainingResult(NamedTuple):
    """What a training run gave.

    Attributes:
        curve: Evaluations, the first before any update, the last after the last one.
        evaluation: The last evaluation in full.
        updates: Runs of the training step.
        tokens: Examples times steps.
        seconds: Of training, evaluation not counted.
        final_state: What the last run left, in the structure of the cell's state.
        weights: The trained variables by name, NumPy arrays.
    """

    curve: list[CurvePoint]
    evaluation: Evaluation
    updates: int
    tokens: int
    seconds: float
    final_state: Any
    weights: dict[str, np.ndarray]


def train(
    graph: UnrolledGraph,
    task: Task,
    *,
    epochs: float | None = None,
    tokens: float | None = None,
    updates: float | None = None,
    seconds: float | None = None,
    state: str = "carry",
    evaluations: int | None = None,
    truncation: Truncation | None = None,
    session: Any = None,
    listener: Listener | None = None,
) -> TrainingResult:
    """Trains a graph on a task with the session loop of the notes.

        state = graph.zero_state()
        for inputs, targets in task.blocks(batch_size, num_steps):
            loss, state, _ = session.run(
                [graph.total_loss, graph.final_state, graph.train_step],
                feed_dict=graph.feed(inputs, targets, state))

    The state starts at zero in every epoch.

    Args:
        graph: With an optimizer.
        task: Whose inputs and targets the graph takes.
        epochs: How long to train; give this or one of the next three. Default: one epoch.
        tokens: The same, in examples times steps.
        updates: The same, in runs of the training step.
        seconds: The same, in seconds of training, evaluation not counted.
        state: "carry" feeds the final state of each block to the next; "reset" feeds zero.
        evaluations: How many times to evaluate on held-out data, evenly spread, at most once an
            update, the last at the end; None for once an epoch (for a budget of seconds: once).
        truncation: Which errors go back how far, `Truncation("sliding", stride=1)` say; None for
            blocks.
        session: An open session of the graph; None to open one for this call. An open one keeps its
            variables' values, before and after.
        listener: Told of the progress; None for a line on standard error.

    Returns:
        Curves, final evaluation and weights.

    Raises:
        OptionError: (a ValueError) If an option is not allowed, or does not suit the task.
        DivergedError: If the loss, in training or on held-out data, is not finite.
    """
    budget = _one_budget(epochs=epochs, tokens=tokens, updates=updates, seconds=seconds)
    if graph.train_step is None:
        raise OptionError("graph", "must have an optimizer to be trained, got optimizer=None")
    check_fit(graph, task)
    if truncation is None:
        truncation = Truncation()
    truncation.check(graph)
    task.blocks(graph.batch_size, graph.num_steps)
    length = task.rows(graph.batch_size).targets.shape[1]
    sizes = (truncation.style, graph.num_steps, truncation.stride, length)
    per_update, per_epoch = steps_per_update(*sizes), steps_per_epoch(*sizes) // steps_per_update(*sizes)
    evaluator = Evaluator(graph, task, state)
    with contextlib.ExitStack() as stack:
        if session is None:
            session = stack.enter_context(graph.session())
        tell = stack.enter_context(ProgressLine() if listener is None else listener)
        meter = Meter(budget, graph.batch_size * per_update, per_epoch, evaluations)
        evaluation = meter.evaluate(evaluator, session)
        for update in session_loop(graph, task, session, state, truncation):
            meter.count(update)
            if meter.evaluation_is_due:
                evaluation = meter.evaluate(evaluator, session)
            if meter.report_is_due:
                tell(meter.report())
            if meter.is_spent:
                break
        return TrainingResult(
            meter.curve,
            evaluation,
            meter.updates,
            meter.tokens,
            meter.curve[-1].seconds,
            update.final_state,
            {variable.op.name: session.run(variable) for variable in graph.variables},
        )


def session_loop(
    graph: UnrolledGraph,
    task: Task,
    session: Any,
    state: str = "carry",
    truncation: Truncation | None = None,
) -> Iterator[Update]:
    """Runs the training step on window after window, epoch after epoch, without end.

    Args:
        graph: With an optimizer.
        task: Whose split "train" to read.
        session: An open session of the graph.
        state: "carry" or "reset".
        truncation: Which errors go back how far; None for blocks.

    Yields:
        An `Update` after each run.
    """
    truncation = truncation or Truncation()
    next_state = NEXT_STATE[require_choice("state", state, STATES)]
    graphs, runs = Graphs(graph), Runs(session)
    zero_state = graph.zero_state()
    probe = GradientProbe(graph, session)
    for epoch in itertools.count():
        rows = task.rows(graph.batch_size, "train", epoch)
        current = zero_state
        windows = truncation.windows(
            graphs,
            rows.targets.shape[1],
            epoch,
            measure=lambda start: probe.norms(rows, start, current),  # noqa: B023 (this epoch's, by then)
        )
        for window in windows:
            loss, gradient_norm, state_after, _ = runs(window, rows, current)
            current = next_state(state_after, zero_state)
            yield Update(
                epoch=epoch + 1,
                loss=float(loss) * window.loss_scale,
                gradient_norm=float(gradient_norm),
                final_state=state_after,
                tokens=window.new_steps * graph.batch_size,
            )


NEXT_STATE: dict[str, Callable[[Any, Any], Any]] = {
    "carry": lambda final_state, _: final_state,
    "reset": lambda _, zero_state: zero_state,
}


def _one_budget(**amounts: float | None) -> Budget:
    given = {kind: amount for kind, amount in amounts.items() if amount is not None}
    if len(given) > 1:
        raise OptionError(" and ".join(given), "must not be given together; give one of them")
    ((kind, amount),) = given.items() or {"epochs": 1.0}.items()
    return Budget(kind, amount)


def check_fit(graph: UnrolledGraph, task: Task) -> None:
    """Raises OptionError unless the graph takes the task's inputs and targets."""
    for option in ("input_kind", "input_size", "num_classes", "loss", "readout"):
        wanted, given = getattr(task, option), getattr(graph.options, option)
        if wanted != given:
            raise OptionError(option, f"must be {wanted!r} for the task {task.name}, the graph has {given!r}")
