"""Numbers that depend on earlier numbers at known lags, with the lowest loss of every width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.effects import require_lags, require_numbers
from tf_rnn.tasks.generated import Generated
from tf_rnn.tasks.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONGEST_LAG = 1_000  # the start of a series is drawn with as many predictors
BLOCK = 512  # steps that are drawn together


class Autoregression(Generated):
    """A series of numbers, each of which depends on those at some lags; the target is the next number.

        x_t = sum_i effects_i x_{t - lags_i} + s e_t,      e_t normal with variance 1

    s is such that x_t has the variance 1. With lags 3 and 8, and effects 0.4 and 0.5:

        time      t-8   t-7   t-6   t-5   t-4   t-3   t-2   t-1
        inputs    0.9  -0.3   1.2   0.1  -0.8   0.7   0.2  -1.1
                   |                             |
                   | 0.5                         | 0.4
                   +-----------------------------+---------------> target at t-1: x_t

    The series is stationary from its first number on, and differs for every seed, split and epoch. Losses are
    squared errors.

    Args:
        lags: From 1 to 12 distinct whole numbers from 1 to 1,000.
        effects: The weight of the number at each lag; not 0, and such that the series does not grow.
        seed: The seed of all data, at least 0.
        length: Tokens in an epoch of the split "train".
        valid_length: Tokens in the split "valid".

    Raises:
        OptionError: A value is not allowed.

    Source: Durbin 1960, The fitting of time-series models, for the errors of the best linear predictors.
    """

    name = "autoregression"
    defaults = Defaults(
        batch_size=100, optimizer="adam", learning_rate=0.003, tokens=2_000_000, clip_norm=5.0
    )
    input_kind = "real"
    loss = "squared_error"
    unit = "squared error"

    def __init__(
        self,
        lags: Sequence[int] = (3, 8),
        effects: Sequence[float] = (0.4, 0.5),
        seed: int = 0,
        length: int = 1_000_000,
        valid_length: int = 200_000,
    ) -> None:
        known = require_lags(lags, LONGEST_LAG)
        self._effects = dict(zip(known, require_numbers(effects, known), strict=True))
        self._predictors = _predictors(self._effects)
        last = np.array([weights[-1] for weights in self._predictors])
        self._errors = np.cumprod([1.0, *(1 - last**2)])
        self.max_lag = max(known) - 1
        self.input_size = self.num_classes = 1
        super().__init__(seed, length, valid_length)

    def error(self, known: int) -> float:
        """Returns the expected loss of the best predictor that knows the last `known` numbers.

        With phi_{k,k} the partial autocorrelation at lag k, v_k = prod_{j <= k} (1 - phi_{j,j}^2). The
        numbers are normal, so that no other predictor is better than the linear one.
        """
        return float(self._errors[min(known, len(self._predictors))])

    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws numbers and those that follow them, both float32 `[length, 1]`."""
        longest = len(self._predictors)
        series = rng.standard_normal(longest + length + 1)
        for k in range(longest):  # as x_k is given the k numbers before it
            weights = self._predictors[k - 1] if k else np.zeros(0)
            series[k] = weights @ series[:k][::-1] + np.sqrt(self._errors[k]) * series[k]
        series[longest:] *= np.sqrt(self._errors[longest])
        response = self._response(min(BLOCK, length + 1))
        for start in range(longest, len(series), BLOCK):
            block = series[start : start + BLOCK]
            for lag, effect in self._effects.items():  # what comes from before the block
                block[:lag] += effect * series[start - lag : start][: len(block)]
            block[:] = response[: len(block), : len(block)] @ block
        numbers = series[longest:, np.newaxis].astype(np.float32)
        return Stream(numbers[:-1], numbers[1:])

    def _response(self, steps: int) -> NDArray[np.float64]:
        """The part of x_t that noise at s makes, from 0 on, [t, s]."""
        response = np.zeros((steps, steps))
        for t in range(steps):
            response[t, t] = 1.0
            for lag, effect in self._effects.items():
                if lag <= t:
                    response[t] += effect * response[t - lag]
        return response

    def baselines(self) -> dict[str, float]:
        """Returns the losses knowing nothing, and knowing all numbers up to each lag; the highest first."""
        known = {f"the last {lag} numbers": self.error(lag) for lag in sorted(self._effects)}
        return {"predicting 0": self.error(0)} | known

    def optimum(self) -> float:
        """Returns s^2, the expected loss of the predictor that knows the numbers at all lags."""
        return self.error(len(self._predictors))

    def floor(self, num_steps: int) -> float:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        At step j of a block, from 0, the network has seen the last j + 1 numbers. The floor is

            F(n) = (1 / n) sum_{j < n} v_{j+1}

        Args:
            num_steps: The width n of a block.

        Returns:
            The loss per token; it falls to the optimum as `num_steps` grows.

        Raises:
            OptionError: `num_steps` is not a whole number above 0.
        """
        num_steps = require_whole("num_steps", num_steps)
        within = self._errors[1 : num_steps + 1]
        return float(within.sum() + (num_steps - len(within)) * self.optimum()) / num_steps

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {
            "lags": list(self._effects),
            "effects": list(self._effects.values()),
            **super().options(),
        }


def _predictors(effects: dict[int, float]) -> list[NDArray[np.float64]]:
    """The best linear predictors that know the last 1, 2, ... numbers: the weights of each, [k].

    From the last one, whose weights are the effects, downwards, by the recursion of Durbin and Levinson:

        phi_{k-1,j} = (phi_{k,j} + phi_{k,k} phi_{k,k-j}) / (1 - phi_{k,k}^2)

    Raises:
        OptionError: For `effects`, unless all |phi_{k,k}| are below 1: the series would grow without end.
    """
    weights = np.zeros(max(effects))
    weights[np.array(list(effects)) - 1] = list(effects.values())
    found = [weights]
    with np.errstate(all="ignore"):  # of effects that are refused
        while abs(weights[-1]) < 1 and len(weights) > 1:
            weights = (weights[:-1] + weights[-1] * weights[-2::-1]) / (1 - weights[-1] ** 2)
            found.append(weights)
    if not abs(weights[-1]) < 1:
        raise OptionError("effects", f"must give a series that does not grow, got {list(effects.values())}")
    return found[::-1]
