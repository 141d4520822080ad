"""`train`, and the loop: next window, learning rate, step, count, evaluate, save, stop."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.files import SUMMARIES
from tf_rnn.graph.naming import weight_names
from tf_rnn.options import OptionError
from tf_rnn.training.budget import Budget
from tf_rnn.training.callbacks import CallbackList, checked_callbacks
from tf_rnn.training.epoch import Epoch
from tf_rnn.training.evaluation import Evaluator
from tf_rnn.training.interrupts import Interrupts, SavedInterrupt
from tf_rnn.training.monitor import Monitor
from tf_rnn.training.origin import find_origin, recorded_origin
from tf_rnn.training.plan import Plan, check, one_budget, require_in_order, run_config
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.progress import ProgressLine
from tf_rnn.training.result import TrainingResult
from tf_rnn.training.run_folder import InPlace, RunFolder, Saver, new_run, resumed_run, saved_config
from tf_rnn.training.schedules import Schedule
from tf_rnn.training.state import (
    StreamPosition,
    TrainingState,
    read_variables,
    read_weights,
)
from tf_rnn.training.stepper import Stepper
from tf_rnn.training.tensorboard import TensorBoard
from tf_rnn.training.worker import Votes, Worker
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.callbacks import Callback
    from tf_rnn.training.origin import Origin

# The range of a seed that is fed to TensorFlow, from 0.
SEEDS = 2**31
# How far apart the dropout seeds of two workers are.
SEED_STRIDE = 1_000_003


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
    schedule: Schedule | None = None,
    schedule_width: Sequence[int] | None = None,
    patience: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    start_from: str | os.PathLike[str] | Origin | None = None,
    session: Any = None,
    callbacks: Sequence[Callback] | None = None,
    worker: Worker | None = None,
) -> TrainingResult:
    """Trains a graph on a task with the session loop of the notes.

        state = graph.zero_state()
        for inputs, targets in task.blocks(batch_size, num_steps):
            loss, state, _ = session.run(
                [graph.total_loss, graph.final_state, graph.train_step],
                feed_dict=graph.feed(inputs, targets, state))

    The state starts at zero in every epoch.

    A run that is saved in a folder (`out`) can be stopped at any moment and resumed (`resume`): losses
    and weights are those of an uninterrupted run, bit for bit in a session with one thread. A first
    interrupt ends such a run after the present update, saves it and raises `SavedInterrupt`, a
    KeyboardInterrupt; a second one is immediate.

    Args:
        graph: A graph with an optimizer.
        task: The task, whose inputs and targets the graph takes.
        epochs: Total length of training, counted from the start of the run; this or one of the next
            three. Default: one epoch, or the length that a resumed run was started with.
        tokens: The same, in rows times time steps.
        updates: The same, in training steps.
        seconds: The same, in seconds of training, without evaluations.
        state: "carry" feeds the final state of each block to the next; "reset" feeds zero.
        evaluations: Number of evaluations on validation data, evenly spread, at most one per update,
            the last at the end; None for one at the end of each epoch and one at the very end.
        truncation: The truncation style, `Truncation("sliding", stride=1)` say; None for blocks.
        schedule: The learning rate's schedule; None for a constant rate.
        schedule_width: Increasing widths of a graph that grows, an equal part of the training for each; the
            last one is that of `graph`, whose variables and optimizer all share. None for one width.
        patience: Number of evaluations in a row without a lower validation loss that end the run; None
            for no limit.
        seed: Seed for dropout.
        out: A new folder for the run: configuration, metrics, checkpoints.
        resume: The folder of a run to resume. The graph's width, batch size, learning rate, gradient
            clipping, weight decay and recomputation may differ from before (with another batch size the epoch
            begins again); everything else must be the same. See also `tf_rnn.resume`.
        start_from: The folder of a trained run of the same network: a new run begins with the weights of its
            best checkpoint.
        session: An open session of the graph, whose variables keep their values before and after; None
            to open one for this call.
        callbacks: Objects that watch the run; None for a progress line on standard error, () for silence.
        worker: This process, if several train together, a `tf_rnn.parallel.worker.RingWorker`: the graph
            has the rows of this worker alone, and `out`, `resume` and `callbacks` are used by worker 0.
            None for training by this process.

    Returns:
        Curve, final evaluation and weights.

    Raises:
        OptionError: (a ValueError) If an option is not allowed or does not suit the task, the data are
            not finite, or a folder is not as it must be.
        DivergedError: If a loss, a gradient or a weight is not finite. It says at which update, and from
            which lag the gradient was largest before. The last checkpoint can be resumed with a smaller
            rate or with clipping.
        KeyboardInterrupt: After an interrupt; a `SavedInterrupt` if the run has been saved.
    """
    require_in_order(graph, task)
    worker, called = worker or Worker(), checked_callbacks(callbacks)
    budget = one_budget(epochs=epochs, tokens=tokens, updates=updates, seconds=seconds)
    _require_one("out", out, resume)
    _require_one("start_from", start_from, resume)
    if budget is None:
        budget = (
            Budget("epochs", 1.0) if resume is None else Budget(**saved_config(resume)["training"]["budget"])
        )
    truncation, schedule = truncation or Truncation(), schedule or Schedule()
    plan = Plan(budget, state, evaluations, truncation, schedule, patience, seed, schedule_width)
    task = worker.share(task, plan.truncation.style)
    check(graph, task, plan)
    origin = None if start_from is None else find_origin(start_from, task)
    evaluator = Evaluator(graph, task, state)
    with contextlib.ExitStack() as stack:
        start, folder, interrupts = TrainingState({}, {}), None, Interrupts()
        if worker.is_chief and (out is not None or resume is not None):
            config = run_config(graph, task, plan, worker.num_workers, origin and origin.record)
            folder = stack.enter_context(_folder(out, resume, config, task.unit))
            start, origin = _first(folder, config, graph, origin, worker)
        start = dataclasses.replace(start, vocabulary=getattr(task, "vocabulary", None))
        if session is None:
            session = stack.enter_context(graph.session())
        if origin is not None:
            _begin_with(origin, start, folder, graph, session)
        start, saver = worker.begin(start, folder, graph, session)
        if start.variables:
            start.restore("resume", graph, session)
        watchers: list[Callback] = []
        if worker.is_chief:
            watchers += [ProgressLine()] if called is None else called
        if folder is not None:
            done = len(start.history.curve), start.history.updates
            board = TensorBoard(folder.path / SUMMARIES, graph, task, *done)
            watchers += [InPlace(folder), board]
        if saver is not None:
            stack.enter_context(interrupts)
        watching = stack.enter_context(CallbackList(*watchers))
        return train_from(start, graph, task, plan, session, evaluator, watching, saver, interrupts, worker)


def train_from(
    start: TrainingState,
    graph: UnrolledGraph,
    task: Task,
    plan: Plan,
    session: Any,
    evaluator: Evaluator,
    callbacks: CallbackList,
    saver: Saver | None,
    interrupts: Interrupts,
    worker: Worker,
    until: float = 1.0,
) -> TrainingResult:
    """Trains from a state on; see `run_loop`.

    Args:
        start: The run so far; the variables in the session are its own.
        graph: The graph.
        task: The task.
        plan: How to train.
        session: An open session of the graph.
        evaluator: Measures the validation loss.
        callbacks: Receive reports and evaluations.
        saver: Saves the run; None for no saving.
        interrupts: Whether to stop.
        worker: This process, among those that train together.
        until: The part of the budget after which to stop, 1 for all of it.
    """
    monitor = Monitor(graph, task, plan, session, start.history, evaluator, callbacks, worker, until)
    with monitor.last_good.explaining(task):
        final_state = run_loop(graph, task, plan, session, start, monitor, saver, interrupts, worker)
        return TrainingResult(
            monitor.curve,
            monitor.evaluation,
            start.history.updates,
            start.history.tokens,
            monitor.curve[-1].seconds,
            final_state,
            read_weights(graph, session),
            task.unit,
        )


def run_loop(
    graph: UnrolledGraph,
    task: Task,
    plan: Plan,
    session: Any,
    start: TrainingState,
    monitor: Monitor,
    saver: Saver | None,
    interrupts: Interrupts,
    worker: Worker,
) -> Any:
    """Trains from a state on until the budget or patience is used up, or somebody interrupts.

    Args:
        graph: The graph; its variables in the session are those of `start`.
        task: The task.
        plan: How to train.
        session: An open session of the graph.
        start: The run so far; its history grows.
        monitor: Counts, evaluates and reports.
        saver: Saves the run; None for no saving.
        interrupts: Whether to stop.
        worker: This process, among those that train together.

    Returns:
        The state after the last update, in the structure of the cell's state.

    Raises:
        DivergedError: See `train`.
        SavedInterrupt: If it was interrupted.
    """
    history, watch, position, zero_state = monitor.history, monitor.watch, start.position, graph.zero_state()
    carried = zero_state
    if start.carried:
        carried = worker.own_rows(tf.nest.pack_sequence_as(zero_state, start.carried))
    stepper, probe = Stepper(session, _feeds(graph, plan), worker.loss), GradientProbe(graph, session)
    batch_size = graph.batch_size * worker.num_workers
    own_seed = (plan.seed + SEED_STRIDE * worker.index) % SEEDS
    epoch, at_epoch_end, growing = None, False, graph
    if plan.schedule_width:  # the last window may have been of another width
        position = position.for_new_width()
    while True:
        state = carried if plan.state == "carry" and position.start else zero_state
        monitor.last_good.at(position, state)

        # Evaluate or report.
        evaluated, over = monitor.look(at_epoch_end=at_epoch_end)

        # Save and stop: all decisions are made here.
        save_is_due = saver is not None and saver.save_is_due
        votes = worker.agree(Votes(watch.seconds, interrupts.is_requested, save_is_due))
        if saver is not None and (evaluated or over or votes.stop or votes.save):
            with watch.paused():
                variables, flat = read_variables(graph, session), tf.nest.flatten(worker.all_rows(carried))
                now = {"variables": variables, "carried": flat, "position": position, "history": history}
                state_now = dataclasses.replace(start, **now)
                saver.save(state_now, set(weight_names(graph)), monitor.curve, is_over=over)
        if votes.stop:
            raise SavedInterrupt
        if over:
            return worker.all_rows(carried)

        # The next window, of a graph that may have grown; after the last one the epoch ends.
        width = plan.width_at(watch.fraction) if plan.schedule_width else graph.num_steps
        if width != growing.num_steps:
            growing, epoch, position = graph.with_steps(width), None, position.for_new_width()
        if epoch is None:
            epoch = Epoch(growing, task, plan.truncation, probe, position, worker.num_workers)
            watch.begin_epoch(epoch)
        window = epoch.next_window(state)
        at_epoch_end = window is None
        if window is None:
            history.end_epoch()
            epoch, position = None, StreamPosition(position.epoch + 1)
            continue

        # Train on it.
        rate = watch.learning_rate(graph.options.learning_rate)
        seed = np.array([own_seed, history.updates], np.int32) if graph.options.dropout else None
        step = stepper(window, epoch.rows, state, learning_rate=rate, dropout_seed=seed)
        monitor.count(step, int(window.new_steps * batch_size), rate)
        carried, position = step.state, epoch.after(window)


def _folder(
    out: Any, resume: Any, config: dict[str, Any], unit: str
) -> contextlib.AbstractContextManager[RunFolder]:
    """The folder of a new or resumed run, one of which is given."""
    return new_run(out, config, unit) if resume is None else resumed_run(resume, config, unit)


def _require_one(option: str, value: Any, resume: Any) -> None:
    """Raises OptionError where an option of new runs is given to one that is resumed."""
    if value is not None and resume is not None:
        raise OptionError(f"{option} and resume", "must not be given together; give one of them")


def _first(
    folder: RunFolder, config: dict[str, Any], graph: UnrolledGraph, origin: Origin | None, worker: Worker
) -> tuple[TrainingState, Origin | None]:
    """The state from which a run in a folder starts, and whose weights it gets if it has none of its own.

    Args:
        folder: The folder.
        config: The configuration of the run.
        graph: The graph being trained.
        origin: The trained run that a new one begins with.
        worker: This process.

    Raises:
        OptionError: For `resume`, if the folder has no weights and those that it began with are gone.
    """
    if folder.origin is not None:  # it stays in the configuration
        config = config | {"start_from": folder.origin}
    if folder.start is not None:
        start = folder.start.state.fitted(graph, worker.num_workers)
        return dataclasses.replace(start, config=config), None
    if folder.origin is not None:
        origin = recorded_origin(folder.path, folder.origin)
    return TrainingState(config, {}), origin


def _begin_with(
    origin: Origin, start: TrainingState, folder: RunFolder | None, graph: UnrolledGraph, session: Any
) -> None:
    """Gives a session the weights of a trained run, and saves them, so that it is needed no longer."""
    origin.restore(graph, session)
    if folder is not None:
        now = dataclasses.replace(start, variables=read_variables(graph, session))
        folder.save(now, set(weight_names(graph)), [])


def _feeds(graph: UnrolledGraph, plan: Plan) -> tuple[str, ...]:
    """The tensors that each step is given."""
    rate = () if plan.schedule.is_constant else ("learning_rate",)
    return (*rate, "dropout_seed") if graph.options.dropout else rate
