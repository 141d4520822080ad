"""Bits that depend on earlier bits at known lags, with reference losses in closed form."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.effects import fit_effects, require_effects, require_lags, require_predictions
from tf_rnn.tasks.generated import Generated
from tf_rnn.tasks.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class Echo(Generated):
    """Targets whose probability depends only on the inputs at some lags.

    The inputs X_t are independent fair bits. The targets Y_t are bits with

        P(Y_t = 1 | X) = 0.5 + sum_i effects_i X_{t - lags_i}

    With lags 3 and 8, and effects 0.5 and -0.25:

        time    t-8  t-7  t-6  t-5  t-4  t-3  t-2  t-1   t
        inputs   1    0    1    1    0    1    0    0    1
                 |                        |
                 | -0.25                  | +0.5
                 +------------------------+---------> Y_t, here 1 with P = 0.5 + 0.5 - 0.25

    A stream is preceded by `max(lags)` hidden bits, so that the first targets follow the definition, too.
    The data differ for every seed, split and epoch.

    Args:
        lags: From 1 to 12 distinct whole numbers of at least 1.
        effects: The change in probability that a bit of 1 at each lag makes; not 0, and no combination
            of bits may give a probability outside [0, 1].
        seed: The seed of all data, at least 0.
        length: Tokens in an epoch of the split "train".
        valid_length: Tokens in the split "valid".

    Raises:
        OptionError: A value is not allowed.
    """

    name = "echo"
    defaults = Defaults(batch_size=200, optimizer="adagrad", learning_rate=0.1, tokens=5_000_000)

    def __init__(
        self,
        lags: Sequence[int] = (3, 8),
        effects: Sequence[float] = (0.5, -0.25),
        seed: int = 0,
        length: int = 1_000_000,
        valid_length: int = 200_000,
    ) -> None:
        self.lags = require_lags(lags)
        self.effects = require_effects(effects, self.lags)
        self.max_lag = max(self.lags)
        self.input_size = 2
        self.num_classes = 2
        super().__init__(seed, length, valid_length)

    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws bits and their targets, both int32 `[length]`."""
        history = max(self.lags)
        bits = rng.integers(0, 2, size=history + length, dtype=np.int32)
        probabilities = np.full(length, 0.5)
        for lag, effect in zip(self.lags, self.effects, strict=True):
            probabilities += effect * bits[history - lag : history - lag + length]
        return Stream(bits[history:], (rng.random(length) < probabilities).astype(np.int32))

    def expected_entropy(self, known_lags: Iterable[int]) -> float:
        """Returns the expected loss of the best predictor that knows the bits at some lags.

        With K the known bits, q(K) = E[P(Y_t = 1 | X) | K] is the best prediction, and the loss is
        E[H(q(K))], H(q) = -q ln q - (1 - q) ln(1 - q), over all combinations of the bits.

        Args:
            known_lags: Lags whose bits are known. Lags other than the task's make no difference.

        Returns:
            The loss in nats per token.
        """
        known = frozenset(known_lags)
        unknown = tuple(axis for axis, lag in enumerate(self.lags) if lag not in known)
        q = np.clip(self._probability_table().mean(axis=unknown), 0.0, 1.0)
        return float(np.mean(_entropy(q)))

    def baselines(self) -> dict[str, float]:
        """Returns the losses knowing no lag, each lag alone and all lags; the highest first."""
        losses = {"no dependency": self.expected_entropy(())}
        losses |= {f"lag {lag} alone": self.expected_entropy((lag,)) for lag in self.lags}
        if len(self.lags) > 1:
            losses["all lags"] = self.optimum()
        return dict(sorted(losses.items(), key=lambda item: -item[1]))

    def optimum(self) -> float:
        """Returns the expected loss, in nats, of the predictor that knows the bits at all lags."""
        return self.expected_entropy(self.lags)

    def floor(self, num_steps: int) -> float:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        At step j of a block, from 0, the network has seen X at the lags 0 to j. The floor is

            F(n) = (1 / n) sum_{j < n} expected_entropy(lags <= j)

        Args:
            num_steps: The width n of a block.

        Returns:
            The loss in nats per token; it falls to the optimum as `num_steps` grows.

        Raises:
            OptionError: `num_steps` is not a whole number above 0.
        """
        num_steps = require_whole("num_steps", num_steps)
        seen = sorted(lag for lag in self.lags if lag < num_steps)
        borders = [0, *seen, num_steps]
        total = 0.0
        for i, (start, end) in enumerate(itertools.pairwise(borders)):
            total += (end - start) * self.expected_entropy(seen[:i])
        return total / num_steps

    def dependency_scores(
        self, inputs: NDArray[np.int32], predictions: NDArray[np.floating[Any]]
    ) -> dict[int, float]:
        """Returns the effect of each lag's bit on the predictions, divided by the true effect.

        The effects e_i are fitted to the predictions P_t by least squares, all lags together,
        P_t = c + sum_i e_i X_{t - lags_i}; see `fit_effects`. The true probabilities score 1 at
        every lag, those of a predictor that knows some of the lags score 1 at these and 0 at the
        rest, and a constant scores 0, all without sampling error.

        Args:
            inputs: The input bits, `[batch_size, length]`, rows being contiguous in time.
            predictions: The predicted probabilities of class 1, P(Y_t = 1), `[batch_size, length]`.

        Returns:
            A score by lag: 1 learnt, 0 not at all. Lags of `length` or more are left out, and the
            result is empty if the rows are too short to determine the effects of the rest.

        Raises:
            OptionError: `inputs` is not two-dimensional, or `predictions` has another shape.
        """
        require_predictions(inputs, predictions)
        shown = fit_effects(inputs, predictions, self.lags)
        true = dict(zip(self.lags, self.effects, strict=True))
        return {lag: effect / true[lag] for lag, effect in shown.items()}

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON."""
        return {
            "lags": list(self.lags),
            "effects": list(self.effects),
            **super().options(),
        }

    def _probability_table(self) -> NDArray[np.float64]:
        """Returns P(Y_t = 1 | bits), with an axis of size 2 for the bit at each of the lags."""
        bits = np.indices((2,) * len(self.lags))
        return 0.5 + np.tensordot(np.asarray(self.effects), bits, axes=1)


def _entropy(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns -q ln q - (1 - q) ln(1 - q), in nats, elementwise; 0 where q is 0 or 1."""
    both = np.stack([q, 1.0 - q])
    logs = np.log(both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(-(both * logs).sum(axis=0))
