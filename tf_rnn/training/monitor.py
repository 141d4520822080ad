"""Evaluations and progress reports during training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tf_rnn.training.divergence import DivergedError, LastGood
from tf_rnn.training.state import CurvePoint
from tf_rnn.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.callbacks import CallbackList
    from tf_rnn.training.evaluation import Evaluation, Evaluator
    from tf_rnn.training.plan import Plan
    from tf_rnn.training.state import History
    from tf_rnn.training.stepper import Step
    from tf_rnn.training.worker import Worker


class Monitor:
    """Evaluates and reports when it is due, and counts the updates.

    Attributes:
        history: What has been done.
        watch: Time and budget.
        curve: The evaluations; at the end perhaps one more than in the history.
        last_good: The weights at the last evaluation.

    Args:
        graph: The graph being trained.
        task: The task.
        plan: How to train.
        session: An open session of the graph.
        history: What has been done before.
        evaluator: Measures the validation loss.
        callbacks: Receive reports and evaluations.
        worker: This process, among those that train together.
        until: The part of the budget after which to stop.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        task: Task,
        plan: Plan,
        session: Any,
        history: History,
        evaluator: Evaluator,
        callbacks: CallbackList,
        worker: Worker,
        until: float = 1.0,
    ) -> None:
        style = plan.truncation.of(graph, task.row_length(graph.batch_size))
        per_update, per_epoch = style.steps_per_update, style.steps_per_epoch
        sizes = graph.batch_size * worker.num_workers * per_update, per_epoch // per_update
        seconds = callbacks.shortest_report_seconds
        self.watch = Stopwatch(plan, *sizes, history, task.unit, seconds, until)
        self.history, self.curve = history, history.curve
        self.last_good = LastGood(graph, session)
        self.last_good.keep(history.updates)
        self._session, self._evaluator, self._callbacks = session, evaluator, callbacks
        self._worker = worker
        self._evaluation: Evaluation | None = None
        self._last: tuple[int, float, float] = (0, math.nan, math.nan)

    @property
    def evaluation(self) -> Evaluation:
        """The last evaluation, made now if there was none."""
        return self._evaluation or self._measured()

    def count(self, step: Step, tokens: int, learning_rate: float) -> None:
        """Counts a training step.

        Raises:
            DivergedError: If its loss or gradient is not finite.
        """
        history = self.history
        history.count(step.loss, step.gradient_norm, tokens, self._worker.seconds(self.watch.seconds))
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            counts = history.updates, history.epoch, history.largest_norm
            raise DivergedError(step.loss, *counts, step.gradient_norm)
        self.watch.add_loss(step.loss)
        self._last = history.epoch_updates, step.gradient_norm, learning_rate

    def look(self, *, at_epoch_end: bool) -> tuple[bool, bool]:
        """Evaluates if that is due, or else reports if that is due.

        An evaluation at the very end that is not due otherwise is in the curve, but not in the history:
        a longer run does not have it.

        Args:
            at_epoch_end: Whether an epoch has just ended.

        Returns:
            Whether it evaluated because that was due, and whether the run is over.

        Raises:
            DivergedError: If the validation loss is not finite.
        """
        evaluates = self.watch.evaluation_is_due(at_epoch_end=at_epoch_end)
        if evaluates:
            self.history.add_point(self._evaluate())
            self.watch.pass_evaluations()
        elif self.watch.report_is_due:
            self._report()
        over = self.watch.is_over
        if over and self.curve[-1].updates != self.history.updates:
            self.curve = [*self.curve, self._evaluate()]
        return evaluates, over

    def _evaluate(self) -> CurvePoint:
        if self.watch.has_news:
            self._report()
        history, seconds = self.history, self.watch.seconds
        with self.watch.paused():
            self._evaluation = evaluation = self._measured()
            if not math.isfinite(evaluation.loss):
                raise DivergedError(evaluation.loss, history.updates, history.epoch, history.largest_norm)
            counts = history.updates, history.tokens, seconds
            point = CurvePoint(*counts, history.mean_loss, evaluation.loss, history.epoch)
            self.last_good.keep(history.updates)
            self._callbacks.on_evaluation(point, self._session)
        return point

    def _measured(self) -> Evaluation:
        return self._worker.evaluation(lambda: self._evaluator(self._session))

    def _report(self) -> None:
        self._callbacks.on_progress(self.watch.report(*self._last))
