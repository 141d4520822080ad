"""Copy memory: recalling a few symbols in order after a delay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.options import LARGEST_SIZE, require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.generated import Generated
from tf_rnn.tasks.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence


class Copy(Generated):
    """Examples in which symbols are to be recalled in order after a delay.

    With the delay T and K symbols to recall, each drawn from V with equal probability, an example has
    T + 2 K steps. The inputs are the K symbols, T - 1 blanks, a delimiter and K blanks; the targets are
    T + K blanks and the K symbols. For T = 4 and K = 3 (a dot is the blank, > the delimiter):

        time     0  1  2  3  4  5  6  7  8  9
        inputs   5  0  3  .  .  .  >  .  .  .
                 |                    |
                 +------- T + K ------+
                                      v
        targets  .  .  .  .  .  .  .  5  0  3

    Examples follow one another in the stream. In inputs and targets the symbols are the classes 0 to
    V - 1 and the blank is V; in inputs the delimiter is V + 1. There are V + 2 input classes and V + 1
    target classes.

    Args:
        delay: T, at least 1.
        num_symbols: V, at least 2.
        num_recalled: K, at least 1.
        seed: The seed of all data, at least 0.
        length: Tokens in an epoch of the split "train", at least T + 2 K; rounded down to whole
            examples.
        valid_length: Tokens in the split "valid", likewise.

    Attributes:
        blank: The class V.
        delimiter: The input class V + 1.

    Raises:
        OptionError: A value is not allowed.

    Source: Arjovsky, Shah & Bengio 2016, section 5.1, where K = 10 and V = 8; after Hochreiter &
    Schmidhuber 1997.
    """

    name = "copy"
    defaults = Defaults(
        batch_size=20,
        optimizer="adam",
        learning_rate=0.005,
        tokens=8_000_000,
        cell="lstm",
        state_size=64,
        cell_options={"forget_bias": 4.0},
        clip_norm=1.0,
        num_steps=(10, 25, 50),
        longest=50,
    )

    max_lag: int
    period_option: ClassVar[str] = "delay"

    def __init__(
        self,
        delay: int = 30,
        num_symbols: int = 8,
        num_recalled: int = 10,
        seed: int = 0,
        length: int = 1_000_000,
        valid_length: int = 200_000,
    ) -> None:
        self.delay = require_whole("delay", delay)
        self.num_symbols = require_whole("num_symbols", num_symbols, at_least=2, at_most=LARGEST_SIZE // 2)
        self.num_recalled = require_whole("num_recalled", num_recalled)
        self.blank = self.num_symbols
        self.delimiter = self.num_symbols + 1
        self.max_lag = self.delay + self.num_recalled
        self.input_size = self.num_symbols + 2
        self.num_classes = self.num_symbols + 1
        super().__init__(seed, length, valid_length, period=self.delay + 2 * self.num_recalled)

    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws examples; inputs and targets int32 `[length]`."""
        shape = (length // self.period, self.period)
        symbols = rng.integers(0, self.num_symbols, size=(shape[0], self.num_recalled), dtype=np.int32)
        inputs = np.full(shape, self.blank, np.int32)
        inputs[:, : self.num_recalled] = symbols
        inputs[:, self.max_lag - 1] = self.delimiter
        targets = np.full(shape, self.blank, np.int32)
        targets[:, self.max_lag :] = symbols
        return Stream(inputs.ravel(), targets.ravel())

    def baselines(self) -> dict[str, float]:
        """Returns the loss of a predictor that knows its position in the example, but no symbol.

        It is certain of the T + K blanks and gives each symbol 1 / V at the K steps of recall:
        K ln V / (T + 2 K) nats.
        """
        return {"memoryless": self.num_recalled * math.log(self.num_symbols) / self.period}

    def optimum(self) -> float:
        """Returns 0: the symbols and the delimiter determine all targets."""
        return 0.0

    def floor(self, num_steps: int) -> float:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        Rows begin with an example, so block i begins at step i n mod P of an example, P = T + 2 K: as i
        grows, equally often at every multiple of gcd(n, P). Two things can then be unknown:

        - a symbol, ln V nats, at a step of recall that is fewer than T + K steps into its block;
        - whether a step belongs to the recall, while a block has contained nothing but blanks. Of the
          positions at which blocks begin, let R_j be those from which the steps 0 to j are all blanks
          of the recall, and D_j those from which they are all blanks of the delay. The loss in these
          blocks is H(q) nats with q = R_j / (R_j + D_j), H(q) = -q ln q - (1 - q) ln(1 - q).

        The predictor of `baselines` knows its position; one that cannot know it may do worse.

        Args:
            num_steps: The width n of a block.

        Returns:
            The loss in nats per token, the mean over all blocks of long rows.

        Raises:
            OptionError: `num_steps` is not a whole number above 0.
        """
        num_steps = require_whole("num_steps", num_steps)
        starts = range(0, self.period, math.gcd(num_steps, self.period))
        unsure = sum(
            (start + j) % self.period >= self.max_lag
            for start in starts
            for j in range(min(num_steps, self.max_lag))
        )
        total = unsure * math.log(self.num_symbols)
        for j in range(min(num_steps, self.period)):
            delaying = _count_inside(starts, self.num_recalled, self.max_lag - 1 - j)
            recalling = _count_inside(starts, self.max_lag, self.period - j)
            total += _uncertainty(delaying, recalling)
        return total / (num_steps * len(starts))

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {
            "delay": self.delay,
            "num_symbols": self.num_symbols,
            "num_recalled": self.num_recalled,
            **super().options(),
        }


def _count_inside(positions: Sequence[int], first: int, end: int) -> int:
    """Returns how many positions are at least `first` and below `end`."""
    return sum(first <= position < end for position in positions)


def _uncertainty(a: int, b: int) -> float:
    """Returns (a + b) H(a / (a + b)) in nats, for a + b cases of two kinds."""
    if 0 in {a, b}:
        return 0.0
    return (a + b) * math.log(a + b) - a * math.log(a) - b * math.log(b)
