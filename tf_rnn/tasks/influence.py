"""Influence balancing: where a longer truncation is worse than a shorter one, until it is not."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tf_rnn.options import require_choice, require_whole
from tf_rnn.tasks.base import Defaults, Task
from tf_rnn.tasks.stream import Stream


class Influence(Task):
    """Bring the first unit of a fixed chain to 1 with the one parameter that there is.

    There are no inputs and no randomness: the target is 1 at every step, and only the cell
    "influence" (`tf_rnn.cells.InfluenceCell`) makes a task of it. Its parameter acts on the first
    unit at once in one direction, and later, from afar, more strongly in the other:

        unit      1  2  3  ...  10 | 11  ...  23
        theta     +  +  +        + |  -        -
        acts on unit 1 after       0  2  4  ...         steps

    A gradient truncated after less than 41 steps has the wrong sign, and training diverges.

    The loss stands at the last step of a block alone, so that a block of n steps truncates after
    exactly n.

    Args:
        length: Steps in an epoch of the split "train".
        valid_length: Steps in the split "valid", more than `warm_up`.

    Raises:
        OptionError: A value is not allowed.

    Source: Tallec & Ollivier 2017, section 5.
    """

    name: ClassVar[str] = "influence"
    input_kind: ClassVar[str] = "none"
    loss: ClassVar[str] = "squared_error"
    loss_steps: ClassVar[str] = "last"
    unit: ClassVar[str] = "squared error"
    readout: ClassVar[str] = "none"
    warm_up: ClassVar[int] = 200
    defaults: ClassVar[Defaults] = Defaults(
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
        self.length = require_whole("length", length)
        self.valid_length = require_whole("valid_length", valid_length, at_least=self.warm_up + 1)
        self.input_size = 0
        self.num_classes = 1

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns no inputs, float32 [length, 0], and ones, float32 [length, 1]."""
        number = self.splits.index(require_choice("split", split, self.splits))
        require_whole("epoch", epoch, at_least=0)
        length = (self.length, self.valid_length)[number]
        return Stream(np.zeros((length, 0), np.float32), np.ones((length, 1), np.float32))

    def baselines(self) -> dict[str, float]:
        """Returns the loss of a parameter that is 0: the first unit stays at 0, and misses 1 by 1."""
        return {"theta 0": 1.0}

    def optimum(self) -> float:
        """Returns 0: the parameter -1/6 brings the first unit to 1."""
        return 0.0

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {"length": self.length, "valid_length": self.valid_length}
