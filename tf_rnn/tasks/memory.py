"""The symbol seen a number of steps ago: how far back does a network remember?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.config import require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.effects import fit_effects, require_predictions
from tf_rnn.tasks.generated import Generated
from tf_rnn.tasks.stream import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Memory(Generated):
    """Every target is the input `lag` steps before it.

    The inputs X_t are symbols, each of V = `num_symbols` as likely as the others, independent of one
    another. The targets are Y_t = X_{t - lag}. With a lag of 4:

        time     0  1  2  3  4  5  6  7
        inputs   5  0  3  3  7  1  0  2
                 |           |
                 +-----------+ lag
                             v
        targets  4  6  1  2  5  0  3  3

    `lag` further symbols precede a stream and are not shown; the first targets are those. Unlike
    one symbol among blanks, the symbols that come in between have to be held too, all `lag` of them.

    Args:
        lag: The distance in time, at least 1.
        num_symbols: The number of symbols V, at least 2; they are the classes 0 to V - 1.
        seed: The number from which all data follow, at least 0.
        length: Tokens in an epoch of the split "train".
        valid_length: Tokens in the split "valid".

    Raises:
        OptionError: A value is not allowed.
    """

    name: ClassVar[str] = "memory"
    defaults: ClassVar[Defaults] = Defaults(
        batch_size=100,
        optimizer="adam",
        learning_rate=0.005,
        tokens=5_000_000,
        cell="lstm",
        state_size=64,
        clip_norm=5.0,
        num_steps=(2, 5, 11, 20, 30),
        longest=30,
    )

    def __init__(
        self,
        lag: int = 10,
        num_symbols: int = 8,
        seed: int = 0,
        length: int = 1_000_000,
        valid_length: int = 200_000,
    ) -> None:
        self.lag = require_whole("lag", lag)
        self.num_symbols = require_whole("num_symbols", num_symbols, at_least=2)
        self.lags = (self.lag,)
        self.distance = self.lag
        self.input_size = self.num_symbols
        self.num_classes = self.num_symbols
        super().__init__(seed, length, valid_length)

    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws symbols, and the same symbols `lag` steps later, int32 `[length]` both."""
        symbols = rng.integers(0, self.num_symbols, size=self.lag + length, dtype=np.int32)
        return Stream(symbols[self.lag :], symbols[:length])

    def baselines(self) -> dict[str, float]:
        """Returns the loss, ln V nats, of 1 / V for every symbol: nothing is remembered."""
        return {"memoryless": math.log(self.num_symbols)}

    def optimum(self) -> float:
        """Returns 0: who remembers the symbol can be sure."""
        return 0.0

    def floor(self, num_steps: int) -> float:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        Of the n steps of a block the first min(lag, n) have their symbol before it, which leaves
        ln V; of the others the symbol has been seen:

            F(n) = ln V min(lag, n) / n

        Args:
            num_steps: The width n of a block.

        Returns:
            Nats per token.

        Raises:
            OptionError: `num_steps` is no whole number above 0.
        """
        num_steps = require_whole("num_steps", num_steps)
        return math.log(self.num_symbols) * min(self.lag, num_steps) / num_steps

    def dependency_scores(
        self,
        inputs: NDArray[np.int32],
        predictions: NDArray[np.floating[Any]],
    ) -> dict[int, float]:
        """Returns by how much the probability of symbol 1 rises if it was seen `lag` steps before.

        The rise is the least-squares effect of [X_{t - lag} = 1] on P(Y_t = 1) (see `fit_effects`);
        in the task it is 1. Symbol 1 stands for all of them.

        Args:
            inputs: The symbols that were fed, `[batch_size, length]`.
            predictions: The predicted probabilities of symbol 1, P(Y_t = 1), `[batch_size, length]`.

        Returns:
            The score by lag: 1 learnt, 0 not at all. Empty if `length` is not above the lag, or if
            of symbol 1 and the others not both stand early enough in a row.

        Raises:
            OptionError: `inputs` is not two-dimensional, or `predictions` has another shape.
        """
        require_predictions(inputs, predictions)
        return fit_effects((inputs == 1).astype(np.int32), predictions, self.lags)

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {"lag": self.lag, "num_symbols": self.num_symbols, **super().options()}
