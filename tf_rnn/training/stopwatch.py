"""Training time, the part of the budget that is used, and what is due when."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from tf_rnn.training.budget import ROUNDING_DIGITS
from tf_rnn.training.callbacks import Progress
from tf_rnn.training.schedules import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tf_rnn.training.epoch import Epoch
    from tf_rnn.training.plan import Plan
    from tf_rnn.training.state import History


class Stopwatch:
    """Measures one call of `train` against its plan.

    Args:
        plan: Budget, evaluations and patience.
        tokens_per_update: Rows times time steps of an update, as a rule.
        updates_per_epoch: Updates in an epoch, as a rule.
        history: What has been done; it grows while the run is trained.
        unit: The unit of losses.
        report_seconds: Seconds between two progress reports.
        until: The part of the budget after which to stop, 1 for all of it.
    """

    def __init__(
        self,
        plan: Plan,
        tokens_per_update: int,
        updates_per_epoch: int,
        history: History,
        unit: str = "nats",
        report_seconds: float = 0.1,
        until: float = 1.0,
    ) -> None:
        self._plan, self._history, self._unit, self._until = plan, history, unit, until
        self._kind = plan.budget.kind
        self._total = plan.budget.updates(tokens_per_update, updates_per_epoch)
        self._per_epoch = updates_per_epoch
        self._epoch_tokens = updates_per_epoch * tokens_per_update
        self._total_tokens = self._total * tokens_per_update
        used_of: dict[str, Callable[[], float]] = {  # one of them is asked for, several times at every update
            "epochs": lambda: (
                (history.epochs * self._epoch_tokens + history.epoch_tokens) / self._total_tokens
            ),
            "tokens": lambda: history.tokens / self._total_tokens,
            "updates": lambda: history.updates / self._total,
            "seconds": lambda: history.seconds / plan.budget.seconds,
        }
        self._used = used_of[self._kind]
        self._next_evaluation = 1
        self._paused = 0.0
        self._seconds_before = history.seconds
        self._started = time.perf_counter()
        self._fraction_before = self.fraction
        self.pass_evaluations()
        self._report_seconds = report_seconds
        self._reported, self._reported_seconds = self._started, self.seconds
        self._reported_updates, self._reported_tokens = history.updates, history.tokens
        self._loss_sum = 0.0
        self._steps: int | None = None
        self._epochs: int | None = None

    # --- time ------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Training time so far, without evaluations."""
        return self._seconds_before + time.perf_counter() - self._started - self._paused

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the clock while something other than training is done."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._paused += time.perf_counter() - began

    # --- the budget --------------------------------------------------------------------------------

    @property
    def fraction(self) -> float:
        """The part of the budget that is used, 0 to 1."""
        return min(1.0, self._used())

    @property
    def is_spent(self) -> bool:
        """Whether the budget is used up; whole epochs are when the last of them has ended."""
        if self._counts_epochs:
            return self._history.epochs >= self._total // self._per_epoch
        return self.fraction >= 1

    @property
    def is_over(self) -> bool:
        """Whether the budget is used up, the part of it that is wanted, or patience."""
        if self.is_spent or (self._until < 1 and self.fraction >= self._until):
            return True
        patience = self._plan.patience
        return patience is not None and self._history.evaluations_since_best >= patience

    def learning_rate(self, rate: float) -> float:
        """The learning rate of the next update.

        Args:
            rate: The graph's rate, to which the schedule applies.
        """
        if self._plan.schedule.is_constant:
            return rate
        done = self._history
        moment = Moment(done.epochs + 1, self.fraction, done.valid_losses, done.updates)
        return rate * self._plan.schedule.factor(moment)

    # --- evaluations -------------------------------------------------------------------------------

    def evaluation_is_due(self, *, at_epoch_end: bool) -> bool:
        """Whether to evaluate now: at the start, at an epoch's end, or where the plan says.

        Args:
            at_epoch_end: Whether an epoch has just ended.
        """
        if not self._history.curve:
            return True
        return at_epoch_end if self._plan.evaluations is None else self._planned_evaluation_is_due

    @property
    def _planned_evaluation_is_due(self) -> bool:
        """Whether the next of the planned evaluations has been reached; the last is at the very end."""
        fraction = self._plan.evaluated_at(self._next_evaluation)
        return self.is_spent if fraction == 1 else self.fraction >= fraction

    def pass_evaluations(self) -> None:
        """Goes to the first of the planned evaluations that is still to come."""
        count = self._plan.num_evaluations
        if count is not None:  # there may be more of them than updates
            self._next_evaluation = max(self._next_evaluation, int(self.fraction * count))
        while self._planned_evaluation_is_due:
            self._next_evaluation += 1

    # --- reports -----------------------------------------------------------------------------------

    def begin_epoch(self, epoch: Epoch) -> None:
        """Takes from an epoch how many updates it has, and how many epochs there will be."""
        self._steps = None
        if epoch.updates_left is not None:
            self._steps = self._history.epoch_updates + int(min(epoch.updates_left, self._updates_left))
        self._epochs = self._count_epochs(epoch)

    @property
    def _updates_left(self) -> float:
        """The updates that are left of the budget, as a rule; inf for seconds and for whole epochs."""
        left = (self._until - self.fraction) * self._total
        if math.isinf(left) or (self._counts_epochs and self._until == 1):
            return math.inf
        return max(0, math.ceil(round(left, ROUNDING_DIGITS)))

    @property
    def _counts_epochs(self) -> bool:
        """Whether the budget is whole epochs, however many updates each has."""
        return self._kind == "epochs" and self._total % self._per_epoch == 0

    def _count_epochs(self, epoch: Epoch) -> int | None:
        """The number of epochs in the whole run; earlier ones may have had another number of updates."""
        if math.isinf(self._total):
            return None
        if self._kind == "epochs":
            return math.ceil(round(self._total / self._per_epoch, ROUNDING_DIGITS))
        done = self._history.updates if self._kind == "updates" else self._history.tokens
        total = self._total if self._kind == "updates" else self._total_tokens
        here = epoch.updates_left if self._kind == "updates" else epoch.tokens_left
        whole = epoch.updates if self._kind == "updates" else epoch.tokens
        if here is None or not whole or math.isinf(total):
            return None
        return self._history.epochs + 1 + max(0, math.ceil((total - done - here) / whole))

    @property
    def has_news(self) -> bool:
        """Whether there were updates since the last report."""
        return self._history.updates > self._reported_updates

    @property
    def report_is_due(self) -> bool:
        """Whether there is news and the last report is some time ago, or the budget is used up."""
        if not self.has_news:
            return False
        return time.perf_counter() - self._reported >= self._report_seconds or self.is_spent

    def add_loss(self, loss: float) -> None:
        """Adds a training loss to the mean that the next report shows."""
        self._loss_sum += loss

    def report(self, step: int, gradient_norm: float, learning_rate: float) -> Progress:
        """Progress since the last report.

        Args:
            step: Number of the last update in its epoch, from 1.
            gradient_norm: Of the last update, before clipping.
            learning_rate: Of the last update.
        """
        history, seconds = self._history, self.seconds
        gained = self.fraction - self._fraction_before
        progress = Progress(
            epoch=history.epoch,
            epochs=self._epochs,
            step=step,
            steps=self._steps,
            updates=history.updates,
            fraction=self.fraction,
            loss=self._loss_sum / (history.updates - self._reported_updates),
            unit=self._unit,
            gradient_norm=gradient_norm,
            learning_rate=learning_rate,
            valid_loss=history.curve[-1].valid_loss,
            tokens_per_second=(history.tokens - self._reported_tokens)
            / max(seconds - self._reported_seconds, 1e-9),
            seconds_left=(seconds - self._seconds_before) * (self._until - self.fraction) / max(gained, 1e-9),
        )
        self._loss_sum = 0.0
        self._reported, self._reported_seconds = time.perf_counter(), seconds
        self._reported_updates, self._reported_tokens = history.updates, history.tokens
        return progress
