"""The adding problem: the sum of two marked numbers out of many."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tf_rnn.options import require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.generated import Generated
from tf_rnn.tasks.stream import Stream

VARIANCE = 1 / 3 - (1 / 2) ** 2  # of a number x uniform in [0, 1]: E[x^2] - E[x]^2


class Adding(Generated):
    """Examples whose only target, at the last step, is the sum of two marked inputs.

    An example has T = `span` steps. The input of a step is a number, uniform in [0, 1], and a mark,
    which is 1 at two steps and 0 at all others: one step of the first T // 2 and one of the rest, each
    with equal probability. Examples follow one another in the stream. For T = 8:

        time      0    1    2    3    4    5    6    7
        numbers  0.9  0.2  0.5  0.1  0.6  0.8  0.3  0.4
        marks     0    1    0    0    0    0    1    0
                       |                        |
                       +------------------------+---> 0.5
        targets  nan  nan  nan  nan  nan  nan  nan  0.5

    The loss is the squared error, the mean over the steps that have a target.

    Args:
        span: T, at least 2.
        seed: The seed of all data, at least 0.
        length: Tokens in an epoch of the split "train", at least T; rounded down to whole examples.
        valid_length: Tokens in the split "valid", likewise.

    Raises:
        OptionError: A value is not allowed.

    Source: Hochreiter & Schmidhuber 1997, experiment 4, in the form of Le, Jaitly & Hinton 2015, with a
    mark in each half as in Arjovsky, Shah & Bengio 2016, section 5.2.
    """

    name = "adding"
    defaults = Defaults(
        batch_size=50,
        optimizer="adam",
        learning_rate=0.005,
        tokens=5_000_000,
        cell="lstm",
        state_size=64,
        clip_norm=5.0,
        num_steps=(10, 25, 50),
        longest=50,
    )
    input_kind = "real"
    loss = "squared_error"
    loss_steps = "marked"
    unit = "squared error"
    period_option: ClassVar[str] = "span"

    def __init__(
        self,
        span: int = 50,
        seed: int = 0,
        length: int = 1_000_000,
        valid_length: int = 200_000,
    ) -> None:
        self.span = require_whole("span", span, at_least=2)
        self.max_lag = self.span - 1
        self.input_size = 2
        self.num_classes = 1
        super().__init__(seed, length, valid_length, period=self.span)

    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws examples; inputs float32 `[length, 2]`, targets float32 `[length, 1]`."""
        count = length // self.span
        half = self.span // 2
        inputs = np.zeros((count, self.span, 2), np.float32)
        inputs[..., 0] = rng.random((count, self.span), dtype=np.float32)
        examples = np.arange(count)
        targets = np.full((count, self.span), np.nan, np.float32)
        targets[:, -1] = 0.0
        for first, end in ((0, half), (half, self.span)):
            marked = rng.integers(first, end, size=count)
            inputs[examples, marked, 1] = 1.0
            targets[:, -1] += inputs[examples, marked, 0]
        return Stream(inputs.reshape(length, 2), targets.reshape(length, 1))

    def baselines(self) -> dict[str, float]:
        """Returns the loss of always predicting 1, the mean: the variance of the sum, 2 / 12."""
        return {"predicting 1": 2 * VARIANCE}

    def optimum(self) -> float:
        """Returns 0: the marked numbers determine the sum."""
        return 0.0

    def floor(self, num_steps: int) -> float:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        Rows begin with an example, so block i begins at step i n mod T of an example: as i grows,
        equally often at every multiple of gcd(n, T). If a block that begins at step s of an example
        contains the example's end, s of its steps are not seen. Each of the two marks may be among them;
        the best guess of a number that was not seen is 1/2, with an expected loss of its variance, 1/12.
        The step of the block at which the target stands gives s, so nothing else is uncertain, and an
        example that is seen as a whole has a loss of 0:

            F(n) = (1/12) mean over examples of
                   min(s, h) / h + max(0, s - h) / (T - h),    h = T // 2

        Args:
            num_steps: The width n of a block.

        Returns:
            The mean squared error of the steps that have a target, in all blocks of long rows.

        Raises:
            OptionError: `num_steps` is not a whole number above 0.
        """
        num_steps = require_whole("num_steps", num_steps)
        step = math.gcd(num_steps, self.span)
        half = self.span // 2
        unseen = 0.0
        for start in range(step, self.span, step):
            if self.span - start <= num_steps:
                unseen += min(start, half) / half + max(0, start - half) / (self.span - half)
        examples = num_steps // step  # that end in a block, summed over the steps at which blocks begin
        return VARIANCE * unseen / examples

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {"span": self.span, **super().options()}
