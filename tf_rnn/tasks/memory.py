"""Recall of one symbol after a number of steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.options import LARGEST_SIZE, require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.effects import require_predictions
from tf_rnn.tasks.generated import Generated
from tf_rnn.tasks.stream import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Memory(Generated):
    """Examples of one symbol and `lag` distractors; the target at the end is the symbol.

    The symbol is one of V = `num_symbols`, each with equal probability. The distractors are drawn from
    V further classes, V to 2V - 1: they carry no information, but a network has to protect the symbol
    from them. Only the last step of an example has a target. Examples follow one another in the stream.
    With V = 8 and a lag of 4:

        time      0   1   2   3   4  |  5   6   7   8   9
        inputs    5  11   8  14  11  |  3   9  15  12   8
                  |               |     |               |
                  +----- lag -----+     +----- lag -----+
                                  v                     v
        targets                   5                     3

    The loss is the mean over the steps that have a target.

    Args:
        lag: The number of steps from the symbol to the target, at least 1.
        num_symbols: The number of symbols V, at least 2; they are the classes 0 to V - 1.
        seed: The seed of all data, at least 0.
        length: Tokens in an epoch of the split "train", at least `lag` + 1; rounded down to whole
            examples.
        valid_length: Tokens in the split "valid", likewise.

    Raises:
        OptionError: A value is not allowed.

    Source: the latch problem of Bengio, Simard & Frasconi 1994, section II, with symbols instead of signs
    and distractors instead of noise.
    """

    name = "memory"
    loss_steps = "marked"
    defaults = Defaults(
        batch_size=50,
        optimizer="adam",
        learning_rate=0.005,
        tokens=5_000_000,
        cell="lstm",
        state_size=32,
        cell_options={"forget_bias": 4.0},
        clip_norm=1.0,
        num_steps=(5, 10, 21, 42),
        longest=21,
    )
    period_option: ClassVar[str] = "lag"

    def __init__(
        self,
        lag: int = 20,
        num_symbols: int = 8,
        seed: int = 0,
        length: int = 1_000_000,
        valid_length: int = 200_000,
    ) -> None:
        self.lag = require_whole("lag", lag)
        self.num_symbols = require_whole("num_symbols", num_symbols, at_least=2, at_most=LARGEST_SIZE // 2)
        self.lags = (self.lag,)
        self.max_lag = self.lag
        self.input_size = 2 * self.num_symbols
        self.num_classes = self.num_symbols
        super().__init__(seed, length, valid_length, period=self.lag + 1)

    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws examples, both int32 `[length]`; targets are -1 except at the end of an example."""
        count = length // self.period
        symbols = rng.integers(0, self.num_symbols, size=count, dtype=np.int32)
        shape = (count, self.period)
        inputs = rng.integers(self.num_symbols, self.input_size, size=shape, dtype=np.int32)
        targets = np.full(shape, -1, np.int32)
        inputs[:, 0] = targets[:, -1] = symbols
        return Stream(inputs.ravel(), targets.ravel())

    def baselines(self) -> dict[str, float]:
        """Returns the loss of predicting 1 / V for every symbol, remembering nothing: ln V nats."""
        return {"memoryless": math.log(self.num_symbols)}

    def optimum(self) -> float:
        """Returns 0: the symbol determines the target."""
        return 0.0

    def floor(self, num_steps: int) -> float:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        The symbol of example i, which begins at step i (lag + 1) of a row, is known at the example's
        end if no block begins in between; otherwise the loss is ln V:

            F(n) = ln V * fraction of i for which (i (lag + 1) mod n) + lag >= n

        The pattern repeats after n examples.

        Args:
            num_steps: The width n of a block; rows begin with an example and a block.

        Returns:
            The loss in nats per step that has a target.

        Raises:
            OptionError: `num_steps` is not a whole number above 0.
        """
        num_steps = require_whole("num_steps", num_steps)
        starts = np.arange(num_steps, dtype=np.int64) * (self.period % num_steps) % num_steps
        return math.log(self.num_symbols) * float(np.mean(starts + self.lag >= num_steps))

    def dependency_scores(
        self,
        inputs: NDArray[np.int32],
        predictions: NDArray[np.floating[Any]],
    ) -> dict[int, float]:
        """Returns how much more probable symbol 1 is predicted to be where it was the symbol to remember.

        The score is the difference of the mean predictions P(Y_t = 1) at the ends of examples with
        symbol 1 and with another symbol; for the true probabilities it is 1. Only symbol 1 is examined.

        Args:
            inputs: The inputs, `[batch_size, length]`, rows beginning with an example.
            predictions: The predicted probabilities of symbol 1, P(Y_t = 1), `[batch_size, length]`.

        Returns:
            The score by lag: 1 learnt, 0 not at all. Empty if there is no whole example of symbol 1,
            or none of another symbol.

        Raises:
            OptionError: `inputs` is not two-dimensional, or `predictions` has another shape.
        """
        require_predictions(inputs, predictions)
        recalled = predictions[:, self.lag :: self.period].astype(np.float64)
        is_one = inputs[:, :: self.period][:, : recalled.shape[1]] == 1
        if is_one.all() or not is_one.any():
            return {}
        return {self.lag: float(recalled[is_one].mean() - recalled[~is_one].mean())}

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {"lag": self.lag, "num_symbols": self.num_symbols, **super().options()}
