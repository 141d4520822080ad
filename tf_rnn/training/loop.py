"""`train`: the session loop with evaluation, progress, checkpoints and a schedule."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.files import SUMMARIES
from tf_rnn.graph.describe import describe
from tf_rnn.graph.styles import steps_per_epoch, steps_per_update
from tf_rnn.options import OptionError, require_whole, shown
from tf_rnn.setup import check_rows
from tf_rnn.training.budget import Budget
from tf_rnn.training.divergence import DivergedError, LastGood
from tf_rnn.training.evaluation import Evaluation, Evaluator
from tf_rnn.training.keeper import FolderKeeper, Keeper, Nothing, kept_config, only_writer, open_keeper
from tf_rnn.training.meter import Meter
from tf_rnn.training.progress import Listener, Listeners, ProgressLine
from tf_rnn.training.schedules import Schedule
from tf_rnn.training.session_loop import Place, Update, session_epochs
from tf_rnn.training.summaries import Summaries
from tf_rnn.training.windows import Truncation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.record import CurvePoint

# What a seed fed to TensorFlow may be, from 0.
SEEDS = 2**31


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


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a graph is trained; see `train` for what each option means.

    Attributes:
        budget: How long.
        state: "carry" or "reset".
        evaluations: How many, or None for one an epoch.
        truncation: Which errors go back how far.
        schedule: How the learning rate changes.
        patience: How many evaluations without a lower loss end the run; None for none.
        seed: Of what dropout drops.
    """

    budget: Budget
    state: str
    evaluations: int | None
    truncation: Truncation
    schedule: Schedule
    patience: int | None
    seed: int

    def __post_init__(self) -> None:
        require_whole("seed", self.seed, at_least=0)
        for option, kind in (("truncation", Truncation), ("schedule", Schedule)):
            if not isinstance(getattr(self, option), kind):
                got = shown(getattr(self, option))
                raise OptionError(option, f"must be a tf_rnn.{kind.__name__}, got {got}")
        for option in ("evaluations", "patience"):
            if getattr(self, option) is not None:
                require_whole(option, getattr(self, option))


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
    patience: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
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

    A run that is kept in a folder (`out`) can be stopped at any moment and gone on with (`resume`):
    losses and weights are those of a run that was not stopped, bit for bit in a session with one
    thread. A first interrupt ends such a run after the present update, saves it and raises
    KeyboardInterrupt.

    Args:
        graph: With an optimizer.
        task: Whose inputs and targets the graph takes.
        epochs: How long to train, from the very beginning; give this or one of the next three.
            Default: one epoch, or what a run that is gone on with was begun with.
        tokens: The same, in examples times steps.
        updates: The same, in runs of the training step.
        seconds: The same, in seconds of training, evaluation not counted.
        state: "carry" feeds the final state of each block to the next; "reset" feeds zero.
        evaluations: How many times to evaluate on held-out data, evenly spread, at most once an
            update, the last at the end; None for the end of each epoch and the very end.
        truncation: Which errors go back how far, `Truncation("sliding", stride=1)` say; None for
            blocks.
        schedule: How the learning rate changes; None for not at all.
        patience: Ends the run when the held-out loss has not become lower for so many evaluations in
            a row; None for never.
        seed: Of what dropout drops.
        out: A new folder to keep the run in: configuration, metrics, checkpoints.
        resume: The folder of a run to go on with. The graph's width, batch size, learning rate and
            limit on the gradient may be others than before (with another batch size the epoch begins
            anew), all else must be the same.
        session: An open session of the graph; None to open one for this call. An open one keeps its
            variables' values, before and after.
        listener: Told of the progress; None for a line on standard error.

    Returns:
        Curves, final evaluation and weights.

    Raises:
        OptionError: (a ValueError) If an option is not allowed, or does not suit the task; or a
            folder is not what it must be, or cannot be written.
        DivergedError: If the loss, in training or on held-out data, or its gradient is not finite. It
            says at which update, and from how far back the gradient was largest before; what was last
            kept of the run can be gone on with, at a smaller rate or with a limited gradient.
        KeyboardInterrupt: After an interrupt, and after saving if there is a folder.
    """
    budget = _one_budget(epochs=epochs, tokens=tokens, updates=updates, seconds=seconds)
    if budget is None:
        budget = Budget("epochs", 1.0) if resume is None else kept_budget(resume)
    plan = Plan(
        budget, state, evaluations, truncation or Truncation(), schedule or Schedule(), patience, seed
    )
    _check(graph, task, plan)
    evaluator = Evaluator(graph, task, state)
    with contextlib.ExitStack() as stack:
        keeper: Keeper = Nothing()
        if out is not None or resume is not None:
            stack.enter_context(only_writer(out, resume))
            config = run_config(graph, task, plan)
            keeper = open_keeper(out, resume, graph, config, getattr(task, "vocabulary", None), task.unit)
        if session is None:
            session = stack.enter_context(graph.session())
        stack.enter_context(keeper)
        listener = ProgressLine() if listener is None else listener
        if isinstance(keeper, FolderKeeper):
            summaries = Summaries(keeper.folder / SUMMARIES, graph, task, keeper.evaluations)
            listener = Listeners(listener, summaries)
        tell = stack.enter_context(listener)
        return _Run(graph, task, plan, keeper, evaluator, session, tell)()


class _Run:
    """One call of `train`, checked and opened."""

    def __init__(
        self,
        graph: UnrolledGraph,
        task: Task,
        plan: Plan,
        keeper: Keeper,
        evaluator: Evaluator,
        session: Any,
        tell: Listener,
    ) -> None:
        self._graph, self._task, self._plan, self._keeper = graph, task, plan, keeper
        self._evaluator, self._session, self._tell = evaluator, session, tell
        kept = keeper.restore(session)
        sizes = _sizes(graph, task, plan)
        self._meter = Meter(plan.budget, *sizes, plan.evaluations, kept.record if kept else None, task.unit)
        self._place = kept.place if kept else Place()
        final_state = kept.final_state if kept else None
        self._final_state = graph.zero_state() if final_state is None else final_state
        self._rate: float = graph.options.learning_rate
        self._evaluation: Evaluation | None = None
        self._good = LastGood(graph, session)
        self._good.keep(self._meter.record.updates)
        self._epochs = session_epochs(
            graph, task, session, plan.state, plan.truncation, self._place, self._controls()
        )

    def __call__(self) -> TrainingResult:
        """Trains until the budget is spent, patience ends, or somebody interrupts.

        Raises:
            DivergedError: With what is known of the gradient by lag.
        """
        try:
            return self._trained()
        except DivergedError as error:
            raise error.with_lag(self._good.largest_lag(self._task, self._place)) from None

    def _trained(self) -> TrainingResult:
        if not self._meter.curve:
            self._evaluate(self._meter.evaluate)
        self._check_interrupt()
        while not self._is_over:
            self._train_epoch(next(self._epochs))
        return self._result()

    @property
    def _is_over(self) -> bool:
        patience = self._plan.patience
        return self._meter.is_spent or (patience is not None and self._meter.since_lowest >= patience)

    def _train_epoch(self, updates: Iterator[Update]) -> None:
        for update in updates:
            self._meter.count(update)
            self._place, self._final_state = update.place, update.final_state
            if self._meter.evaluation_is_due:
                self._evaluate(self._meter.evaluate)
            elif self._meter.report_is_due:
                self._report()
            if self._keeper.save_is_due:
                self._save()
            self._check_interrupt()
            if self._is_over:
                return
        self._meter.end_epoch()
        self._place = Place(self._place.epoch + 1)
        if self._meter.evaluates_epochs or self._meter.evaluation_is_due:
            self._evaluate(self._meter.evaluate)
        self._check_interrupt()

    def _result(self) -> TrainingResult:
        meter = self._meter
        if not meter.is_evaluated:
            self._evaluate(meter.evaluate_out_of_turn)
        evaluation = self._evaluation or self._evaluator(self._session)
        self._save()
        self._check_interrupt()
        return TrainingResult(
            meter.curve,
            evaluation,
            meter.record.updates,
            meter.record.tokens,
            meter.curve[-1].seconds,
            self._final_state,
            {variable.op.name: self._session.run(variable) for variable in self._graph.variables},
        )

    def _evaluate(self, evaluate: Callable[[Evaluator, Any], Evaluation]) -> None:
        if self._meter.has_news:
            self._report()
        self._evaluation = evaluate(self._evaluator, self._session)
        with self._meter.paused():
            self._good.keep(self._meter.record.updates)
            self._tell.evaluated(self._meter.curve[-1], self._session)
        self._save()

    def _report(self) -> None:
        self._tell(self._meter.report(self._rate))

    def _save(self) -> None:
        with self._meter.paused():
            meter = self._meter
            self._keeper.save(self._session, meter.record, self._place, self._final_state, meter.curve)

    def _check_interrupt(self) -> None:
        if self._keeper.is_stopped:
            self._save()
            raise KeyboardInterrupt

    def _next_rate(self) -> float:
        self._rate = self._graph.options.learning_rate * self._plan.schedule.factor(self._meter.moment)
        return self._rate

    def _next_seed(self) -> np.ndarray:
        return np.array([self._plan.seed % SEEDS, self._meter.record.updates], np.int32)

    def _controls(self) -> dict[str, Callable[[], Any]]:
        """What is fed anew at each run, and how to get it."""
        controls: dict[str, Callable[[], Any]] = {}
        if self._plan.schedule.name != "constant":
            controls["learning_rate"] = self._next_rate
        if self._graph.options.dropout:
            controls["dropout_seed"] = self._next_seed
        return controls


def _one_budget(**amounts: float | None) -> Budget | None:
    given = {kind: amount for kind, amount in amounts.items() if amount is not None}
    if len(given) > 1:
        raise OptionError(" and ".join(given), "must not be given together; give one of them")
    return Budget(*next(iter(given.items()))) if given else None


def kept_budget(resume: str | os.PathLike[str]) -> Budget:
    """The budget that the run in a folder was begun with.

    Raises:
        OptionError: For `resume`, if there is no run.
    """
    training = kept_config(resume)["training"]
    try:
        return Budget(**training["budget"])
    except (KeyError, TypeError) as error:
        raise OptionError("resume", f"must be the folder of a training run, got {str(resume)!r}") from error


def run_config(graph: UnrolledGraph, task: Task, plan: Plan) -> dict[str, Any]:
    """All that makes a run's results what they are, ready for JSON."""
    config = describe(graph) | {"task": _task_config(task), "training": dataclasses.asdict(plan)}
    plain_config: dict[str, Any] = json.loads(json.dumps(config, default=np.generic.item))
    return plain_config


def _task_config(task: Task) -> dict[str, Any]:
    digest = getattr(task, "sha256", None)
    return {"name": task.name, "options": task.options()} | ({"sha256": digest} if digest else {})


def _sizes(graph: UnrolledGraph, task: Task, plan: Plan) -> tuple[int, int]:
    """Tokens of an update and updates of an epoch, as a rule."""
    length = task.rows(graph.batch_size).targets.shape[1]
    course = (plan.truncation.style, graph.num_steps, plan.truncation.stride, length)
    per_update = steps_per_update(*course)
    return graph.batch_size * per_update, steps_per_epoch(*course) // per_update


def _check(graph: UnrolledGraph, task: Task, plan: Plan) -> None:
    if graph.train_step is None:
        raise OptionError("graph", "must have an optimizer to be trained, got optimizer=None")
    check_fit(graph, task)
    plan.truncation.check(graph)
    task.blocks(graph.batch_size, graph.num_steps)
    check_rows(plan.truncation.style, task, graph.batch_size)


def check_fit(graph: UnrolledGraph, task: Task) -> None:
    """Raises OptionError unless the graph takes the task's inputs and targets."""
    for option in ("input_kind", "input_size", "num_classes", "loss", "readout"):
        wanted, given = getattr(task, option), getattr(graph.options, option)
        if wanted != given and (wanted, given) != ("linear", "tied"):
            raise OptionError(option, f"must be {wanted!r} for the task {task.name}, the graph has {given!r}")
