"""Schedules of the learning rate."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.options import require_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WAIT = {"step": 4, "plateau": 1}


class Moment(NamedTuple):
    """What a learning rate may depend on; a resumed run has the same.

    Attributes:
        epoch: Number of the epoch, from 1.
        fraction: The part of the budget that is used, 0 to 1.
        valid_losses: The validation losses so far, in order.
        updates: Number of training steps so far.
    """

    epoch: int
    fraction: float
    valid_losses: Sequence[float]
    updates: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The factor by which the learning rate is multiplied.

        constant    1
        step        decay ** max(0, epoch - decay_after)           Zaremba et al. 2014, section 4.1
        cosine      (1 + cos(pi * fraction of the budget)) / 2     Loshchilov & Hutter 2017, eq. 5
        plateau     decay ** (number of times that the validation loss did not improve for decay_after
                    evaluations in a row)

    times min(1, (updates + 1) / warm_up_updates) where there is a warm-up, a line from near 0 at the first
    update to 1. Epochs and budget are counted from the first update on.

    Attributes:
        name: One of these.
        decay: The factor, above 0 and below 1.
        decay_after: "step": epochs at the full rate; "plateau": evaluations to wait. None for 4 and 1.
        warm_up_updates: Training steps until the factor is that of the schedule; 0 for no warm-up.

    Raises:
        OptionError: If an option is not allowed, or has no effect on the schedule.
    """

    name: str = "constant"
    decay: float = 0.5
    decay_after: int | None = None
    warm_up_updates: int = 0

    def __post_init__(self) -> None:
        require_schedule(self.name, self.decay, self.decay_after, self.warm_up_updates)
        object.__setattr__(self, "decay", float(self.decay))

    @property
    def is_constant(self) -> bool:
        """Whether the factor is 1 at every moment."""
        return self.name == "constant" and self.warm_up_updates <= 1

    @property
    def wait(self) -> int:
        """`decay_after` or its default."""
        return WAIT[self.name] if self.decay_after is None else self.decay_after

    def factor(self, moment: Moment) -> float:
        """The factor at a moment."""
        scheduled = SCHEDULES[self.name](self, moment)
        return scheduled * min(1.0, (moment.updates + 1) / max(1, self.warm_up_updates))


def constant(schedule: Schedule, moment: Moment) -> float:  # noqa: ARG001
    """Always 1."""
    return 1.0


def step(schedule: Schedule, moment: Moment) -> float:
    """1 for some epochs, then smaller by a factor with each epoch."""
    return float(schedule.decay ** max(0, moment.epoch - schedule.wait))


def cosine(schedule: Schedule, moment: Moment) -> float:  # noqa: ARG001
    """Half a cosine wave from 1 to 0 over the whole budget."""
    return (1 + math.cos(math.pi * min(1.0, moment.fraction))) / 2


def plateau(schedule: Schedule, moment: Moment) -> float:
    """Smaller by a factor whenever the validation loss has stopped improving."""
    lowest, waited, decays = math.inf, 0, 0
    for loss in moment.valid_losses:
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited == schedule.wait:
            waited, decays = 0, decays + 1
    return float(schedule.decay**decays)


SCHEDULES: dict[str, Callable[[Schedule, Moment], float]] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "plateau": plateau,
}
