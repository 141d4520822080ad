"""Influence balancing: up to some width, longer truncation is worse than shorter."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_rnn.options import require_choice, require_whole
from tf_rnn.tasks.base import Defaults, Task
from tf_rnn.tasks.stream import Stream


class Influence(Task):
    """Bring the first unit of a fixed chain to 1 with a single parameter.

    There are no inputs and no randomness: the target is 1 at every step, and the dynamics are those of
    the cell "influence" (`tf_rnn.cells.InfluenceCell`), the only one that suits the task. Its parameter
    acts on the first unit at once in one direction, and later, from further along the chain, more
    strongly in the other:

        unit      1  2  3  ...  10 | 11  ...  23
        theta     +  +  +        + |  -        -
        acts on unit 1 after       0  2  4  ...         steps

    A gradient truncated after fewer than 41 steps has the wrong sign, and training diverges.

    Only the last step of a block has a loss, so that a block of n steps truncates after exactly n.

    Args:
        length: Steps in an epoch of the split "train".
        valid_length: Steps in the split "valid", more than `warm_up`.

    Raises:
        OptionError: A value is not allowed.

    Source: Tallec & Ollivier 2017, section 5.
    """

    name = "influence"
    input_kind = "none"
    loss = "squared_error"
    loss_steps = "last"
    unit = "squared error"
    readout = "none"
    warm_up = 200
    defaults = Defaults(
        batch_size=1,
        optimizer="sgd",
        learning_rate=0.001,
        tokens=100_000,
        cell="influence",
        state_size=23,
        num_steps=(10, 20, 40, 41, 45, 50, 80),
        longest=80,
    )

    def __init__(self, length: int = 100_000, valid_length: int = 1_000) -> None:
        self._lengths = {
            "train": require_whole("length", length),
            "valid": require_whole("valid_length", valid_length, at_least=self.warm_up + 1),
        }
        self.input_size = 0
        self.num_classes = 1

    def length(self, split: str = "train") -> int:
        """Returns the number of steps in an epoch of a split."""
        return self._lengths[require_choice("split", split, self.splits)]

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns empty inputs, float32 [length, 0], and ones, float32 [length, 1]."""
        length = self.length(split)
        require_whole("epoch", epoch, at_least=0)
        return Stream(np.zeros((length, 0), np.float32), np.ones((length, 1), np.float32))

    def baselines(self) -> dict[str, float]:
        """Returns the loss of the parameter 0: the first unit stays at 0, an error of 1."""
        return {"theta 0": 1.0}

    def optimum(self) -> float:
        """Returns 0: the parameter -1/6 brings the first unit to 1."""
        return 0.0

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {"length": self.length("train"), "valid_length": self.length("valid")}
