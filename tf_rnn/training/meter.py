"""Counts what a training run has used and says when it is time for what."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.config import require_whole
from tf_rnn.training.progress import Progress

if TYPE_CHECKING:
    from tf_rnn.training.budget import Budget
    from tf_rnn.training.evaluation import Evaluation, Evaluator

REPORT_SECONDS = 0.1


class DivergedError(FloatingPointError):
    """The loss is no longer a finite number.

    Attributes:
        loss: What it is.
        update: The update, counted from 1, whose loss was not finite.
        epoch: Its epoch.
        largest_norm: The largest norm of the gradient, before clipping, up to then.
    """

    def __init__(self, loss: float, update: int, epoch: int, largest_norm: float) -> None:
        super().__init__(loss, update, epoch, largest_norm)
        self.loss, self.update, self.epoch, self.largest_norm = loss, update, epoch, largest_norm

    def __str__(self) -> str:
        when = f"at update {self.update} (epoch {self.epoch})" if self.update else "before any update"
        norms = (
            f", after gradients that grew to a norm of {self.largest_norm:.3g}" if self.largest_norm else ""
        )
        return (
            f"the loss is {self.loss} {when}{norms}; "
            "limit the gradient's norm with clip_norm, or lower learning_rate"
        )


class Update(NamedTuple):
    """One run of the training step.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: The mean loss of a step, before the update.
        gradient_norm: The norm of the gradient, before clipping.
        final_state: The state that goes on to the next run.
        tokens: Examples times steps whose errors were counted for the first time.
    """

    epoch: int
    loss: float
    gradient_norm: float
    final_state: Any
    tokens: int


class CurvePoint(NamedTuple):
    """One evaluation during training.

    Attributes:
        updates: Runs of the training step so far.
        tokens: Examples times steps so far.
        seconds: Of training so far, evaluation not counted.
        train_loss: Mean training loss per step since the point before; nan at the start.
        valid_loss: Loss on held-out data.
    """

    updates: int
    tokens: int
    seconds: float
    train_loss: float
    valid_loss: float


class Average:
    """A running mean that can be started anew."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forgets everything."""
        self._sum, self.count = 0.0, 0

    def add(self, value: float) -> None:
        """Counts a value in."""
        self._sum += value
        self.count += 1

    @property
    def mean(self) -> float:
        """The mean; nan of nothing."""
        return self._sum / self.count if self.count else math.nan


class Meter:
    """The clock and the counts of one call of `train`.

    Args:
        budget: How long.
        tokens_per_update: Examples times steps of an update, as a rule.
        per_epoch: Updates in an epoch.
        evaluations: How many, evenly spread over the budget, at most one an update; None for one
            an epoch.

    Raises:
        OptionError: If `evaluations` is no whole number of at least 1.
    """

    def __init__(
        self, budget: Budget, tokens_per_update: int, per_epoch: int, evaluations: int | None
    ) -> None:
        self._total = budget.updates(tokens_per_update, per_epoch)
        self._counts_updates = budget.kind == "updates"
        self._total_tokens = self._total * tokens_per_update
        self._limit = budget.seconds
        if evaluations is None:
            evaluations = 1 if math.isinf(self._total) else math.ceil(self._total / per_epoch)
        self._evaluations = require_whole("evaluations", evaluations)
        self._next_evaluation = 1
        self.updates, self.tokens, self.epoch = 0, 0, 1
        self.fraction = self._largest_norm = 0.0
        self.curve: list[CurvePoint] = []
        self._since_curve, self._since_report = Average(), Average()
        self._started = self._reported = time.perf_counter()
        self._paused = self._reported_seconds = 0.0
        self._reported_tokens = 0

    @property
    def seconds(self) -> float:
        """Of training so far, evaluation not counted."""
        return time.perf_counter() - self._started - self._paused

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up."""
        return self.fraction >= 1

    @property
    def evaluation_is_due(self) -> bool:
        """Whether the next of the evenly spread evaluations has been reached."""
        return self.fraction >= self._next_evaluation / self._evaluations

    @property
    def report_is_due(self) -> bool:
        """Whether the last report is a while ago, or the end is reached."""
        return time.perf_counter() - self._reported >= REPORT_SECONDS or self.is_spent

    def count(self, update: Update) -> None:
        """Counts an update in, and sees which part of the budget is used up now.

        Raises:
            DivergedError: If its loss is not finite.
        """
        self.updates += 1
        self.tokens += update.tokens
        self.epoch = update.epoch
        self._largest_norm = max(self._largest_norm, update.gradient_norm)  # a nan does not replace it
        counted = self.updates / self._total if self._counts_updates else self.tokens / self._total_tokens
        self.fraction = min(1.0, max(counted, self.seconds / self._limit))
        if not math.isfinite(update.loss):
            raise DivergedError(update.loss, self.updates, update.epoch, self._largest_norm)
        self._since_curve.add(update.loss)
        self._since_report.add(update.loss)

    def evaluate(self, evaluator: Evaluator, session: Any) -> Evaluation:
        """Evaluates with the clock stopped, and adds a point to the curve.

        Raises:
            DivergedError: If the held-out loss is not finite.
        """
        while self.evaluation_is_due:
            self._next_evaluation += 1
        seconds = self.seconds
        paused = time.perf_counter()
        evaluation = evaluator(session)
        if not math.isfinite(evaluation.loss):
            raise DivergedError(evaluation.loss, self.updates, self.epoch, self._largest_norm)
        self.curve.append(
            CurvePoint(self.updates, self.tokens, seconds, self._since_curve.mean, evaluation.loss)
        )
        self._since_curve.restart()
        self._paused += time.perf_counter() - paused
        return evaluation

    def report(self) -> Progress:
        """What has happened since the last report."""
        seconds = self.seconds
        tokens = self.tokens - self._reported_tokens
        progress = Progress(
            epoch=self.epoch,
            updates=self.updates,
            fraction=self.fraction,
            loss=self._since_report.mean,
            valid_loss=self.curve[-1].valid_loss,
            tokens_per_second=tokens / (seconds - self._reported_seconds),
            seconds_left=seconds * (1 / self.fraction - 1),
        )
        self._since_report.restart()
        self._reported = time.perf_counter()
        self._reported_seconds, self._reported_tokens = seconds, self.tokens
        return progress
