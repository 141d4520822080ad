"""Counts what a training run has used and says when it is time for what."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

from tf_rnn.options import require_whole
from tf_rnn.training.budget import ROUNDING_DIGITS
from tf_rnn.training.divergence import DivergedError
from tf_rnn.training.progress import Progress
from tf_rnn.training.record import Average, CurvePoint, Record
from tf_rnn.training.schedules import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.training.budget import Budget
    from tf_rnn.training.evaluation import Evaluation, Evaluator
    from tf_rnn.training.session_loop import Update

REPORT_SECONDS = 0.1


class Meter:
    """The clock and the counts of one call of `train`.

    Args:
        budget: How long.
        tokens_per_update: Examples times steps of an update, as a rule.
        per_epoch: Updates in an epoch, as a rule.
        evaluations: How many, evenly spread over the budget, at most one an update; None for one at
            the end of each epoch, and one at the very end.
        record: What has been done before; None for nothing.
        unit: What losses are counted in.

    Attributes:
        record: What has been done so far.
        curve: The evaluations; those of the record, and perhaps a last one out of turn.

    Raises:
        OptionError: If `evaluations` is no whole number of at least 1.
    """

    def __init__(
        self,
        budget: Budget,
        tokens_per_update: int,
        per_epoch: int,
        evaluations: int | None,
        record: Record | None = None,
        unit: str = "nats",
    ) -> None:
        self.record = record or Record()
        self.curve = list(self.record.curve)
        self._unit = unit
        self._total = budget.updates(tokens_per_update, per_epoch)
        self._kind, self._limit = budget.kind, budget.seconds
        self._per_epoch = per_epoch
        self._epoch_tokens = per_epoch * tokens_per_update
        self._total_tokens = self._total * tokens_per_update
        self._evaluations = None if evaluations is None else require_whole("evaluations", evaluations)
        self._next_evaluation = 1
        self._norm = math.nan
        self._since_report = Average()
        self._seconds_before = self.record.seconds
        self._started = self._reported = time.perf_counter()
        self._paused = 0.0
        self._reported_seconds, self._reported_tokens = self.seconds, self.record.tokens
        self._fraction_before = self.fraction
        self._epochs = self._epochs_in_all()
        self._pass_evaluations()

    @property
    def seconds(self) -> float:
        """Of training so far, evaluation not counted."""
        return self._seconds_before + time.perf_counter() - self._started - self._paused

    @property
    def fraction(self) -> float:
        """The part of the budget that is used up, 0 to 1."""
        record = self.record
        used = {
            "epochs": (record.epochs * self._epoch_tokens + record.epoch_tokens) / self._total_tokens,
            "tokens": record.tokens / self._total_tokens,
            "updates": record.updates / self._total,
            "seconds": record.seconds / self._limit,
        }
        return min(1.0, used[self._kind])

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up; whole epochs are when the last of them has ended."""
        if self._kind == "epochs" and self._total % self._per_epoch == 0:
            return self.record.epochs >= self._total // self._per_epoch
        return self.fraction >= 1

    @property
    def evaluation_is_due(self) -> bool:
        """Whether the next of the evenly spread evaluations has been reached; the last is at the very end."""
        if self._evaluations is None:
            return False
        is_last = self._next_evaluation == self._evaluations
        return self.is_spent if is_last else self.fraction >= self._next_evaluation / self._evaluations

    @property
    def evaluates_epochs(self) -> bool:
        """Whether there is an evaluation at the end of each epoch."""
        return self._evaluations is None

    @property
    def is_evaluated(self) -> bool:
        """Whether the last point of the curve is of the present weights."""
        return bool(self.curve) and self.curve[-1].updates == self.record.updates

    @property
    def has_news(self) -> bool:
        """Whether there were updates since the last report."""
        return self._since_report.count > 0

    @property
    def report_is_due(self) -> bool:
        """Whether the last report is a while ago, or the end is reached."""
        return time.perf_counter() - self._reported >= REPORT_SECONDS or self.is_spent

    @property
    def moment(self) -> Moment:
        """What the next learning rate depends on."""
        losses = [point.valid_loss for point in self.record.curve[1:]]
        return Moment(self.record.epochs + 1, self.fraction, losses)

    @property
    def since_lowest(self) -> int:
        """How many evaluations ago the held-out loss was at its lowest."""
        losses = [point.valid_loss for point in self.record.curve[1:]]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def count(self, update: Update) -> None:
        """Counts an update in, and sees which part of the budget is used up now.

        Raises:
            DivergedError: If its loss or its gradient is not finite.
        """
        record = self.record
        record.updates += update.updates
        record.tokens += update.tokens
        record.epoch_updates += update.updates
        record.epoch_tokens += update.tokens
        record.seconds = self.seconds
        record.largest_norm = max(record.largest_norm, update.gradient_norm)  # a nan does not replace it
        if not (math.isfinite(update.loss) and math.isfinite(update.gradient_norm)):
            raise DivergedError(
                update.loss, record.updates, update.epoch, record.largest_norm, update.gradient_norm
            )
        self._norm = update.gradient_norm
        record.since_point.add(update.loss)
        self._since_report.add(update.loss)

    def end_epoch(self) -> None:
        """Counts an epoch as ended."""
        self.record.epochs += 1
        self.record.epoch_updates = self.record.epoch_tokens = 0

    def evaluate(self, evaluator: Evaluator, session: Any) -> Evaluation:
        """Evaluates with the clock stopped, and adds a point to the curve.

        Raises:
            DivergedError: If the held-out loss is not finite.
        """
        evaluation = self._measure(evaluator, session)
        self.record.curve.append(self.curve[-1])
        self.record.since_point.restart()
        self._pass_evaluations()
        return evaluation

    def evaluate_out_of_turn(self, evaluator: Evaluator, session: Any) -> Evaluation:
        """The same for a run that ends between two evaluations: a longer run would not have this one.

        It is in the curve, but not in the record that a longer run goes on from.
        """
        return self._measure(evaluator, session)

    def _measure(self, evaluator: Evaluator, session: Any) -> Evaluation:
        seconds, record = self.seconds, self.record
        epoch = record.epochs + (record.epoch_updates > 0)
        with self.paused():
            evaluation = evaluator(session)
        if not math.isfinite(evaluation.loss):
            raise DivergedError(evaluation.loss, record.updates, epoch, record.largest_norm)
        train_loss = record.since_point.mean
        counts = (record.updates, record.tokens, seconds)
        self.curve = [*record.curve, CurvePoint(*counts, train_loss, evaluation.loss, epoch)]
        return evaluation

    def _epochs_in_all(self) -> int | None:
        """How many epochs there will have been: those before may have had another number of updates."""
        if math.isinf(self._total):
            return None
        of_this = self.record.epoch_updates + self._total * (1 - self.fraction)
        return self.record.epochs + math.ceil(round(of_this / self._per_epoch, ROUNDING_DIGITS))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the clock for as long as something else than training is done."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._paused += time.perf_counter() - began

    def _pass_evaluations(self) -> None:
        while self.evaluation_is_due:
            self._next_evaluation += 1

    def report(self, learning_rate: float) -> Progress:
        """What has happened since the last report."""
        record, seconds = self.record, self.seconds
        gained = self.fraction - self._fraction_before
        progress = Progress(
            epoch=record.epochs + (record.epoch_updates > 0),
            epochs=self._epochs,
            step=record.epoch_updates or self._per_epoch,
            steps=self._per_epoch,
            updates=record.updates,
            fraction=self.fraction,
            loss=self._since_report.mean,
            unit=self._unit,
            gradient_norm=self._norm,
            learning_rate=learning_rate,
            valid_loss=self.curve[-1].valid_loss,
            tokens_per_second=(record.tokens - self._reported_tokens)
            / max(seconds - self._reported_seconds, 1e-9),
            seconds_left=(seconds - self._seconds_before) * (1 - self.fraction) / max(gained, 1e-9),
        )
        self._since_report.restart()
        self._reported = time.perf_counter()
        self._reported_seconds, self._reported_tokens = seconds, record.tokens
        return progress
