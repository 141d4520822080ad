"""The length of training, in the unit of the user's choice."""

from __future__ import annotations

import dataclasses
import math

from tf_rnn.options import BUDGETS, require_choice, require_positive

ROUNDING_DIGITS = 6  # 0.29 epochs of 100 updates are 29, not 28.999999999999996


@dataclasses.dataclass(frozen=True)
class Budget:
    """An amount of training.

    Attributes:
        kind: "epochs", "tokens" (rows times time steps), "updates" (training steps) or "seconds" (of
            training, without evaluations).
        amount: The number of these, above 0.

    Raises:
        OptionError: If an option is not allowed.
    """

    kind: str
    amount: float

    def __post_init__(self) -> None:
        require_choice("budget", self.kind, BUDGETS)
        object.__setattr__(self, "amount", require_positive(self.kind, self.amount))

    def updates(self, tokens_per_update: int, updates_per_epoch: int) -> float:
        """The number of updates, rounded down but at least 1; inf for "seconds"."""
        counts = {
            "epochs": self.amount * updates_per_epoch,
            "tokens": self.amount / tokens_per_update,
            "updates": self.amount,
            "seconds": math.inf,
        }
        count = counts[self.kind]
        return count if math.isinf(count) else max(1, math.floor(round(count, ROUNDING_DIGITS)))

    @property
    def seconds(self) -> float:
        """The number of seconds; inf for other kinds."""
        return self.amount if self.kind == "seconds" else math.inf
