"""What truncation loses: of each gradient, and of the mean gradient.

Both come from inner products of the contributions c_k of the lags (`contributions`). Of each gradient they
are summed over positions, <c_i, c_j>; of the mean gradient the contributions are averaged first.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# The share of the gradient that may be lost where it is said how many steps the gradient needs.
LOST = 0.1
# The mean gradient is known if its squared norm is at least so many standard errors above 0.
CLEAR = 3.0
# The share of the gradient that may be older than all lags where it is said what wider blocks lose.
NEARLY_NOTHING = 0.01


@dataclasses.dataclass(frozen=True)
class Parts:
    """The contributions of the lags 0 to N - 1 to one gradient or to a mean, and that of all older steps.

    Attributes:
        known: [N, weights], or [N + 1, weights] where the older steps' contribution is known, too.
        along: Their components along m random directions, [N + 1, m]; with m = 0 that of the older steps
            counts as 0 unless it is known.
    """

    known: np.ndarray
    along: np.ndarray

    @classmethod
    def of_lags(cls, known: np.ndarray, older: np.ndarray | None = None) -> Self:
        """Contributions [N, weights], and the older steps' one where it is known, [weights]."""
        rows = known if older is None else np.concatenate([known, older[np.newaxis]])
        return cls(np.asarray(rows, np.float64), np.zeros((len(known) + 1, 0)))

    def __add__(self, other: Self) -> Parts:
        return Parts(self.known + other.known, self.along + other.along)

    def divided(self, number: int) -> Parts:
        """The mean of a sum of so many."""
        return Parts(self.known / number, self.along / number)

    def products(self, other: Parts) -> np.ndarray:
        """The inner products <c_i, c'_j>, [N + 1, N + 1].

        Those with a part of which only components along unit normal directions v are known are estimated,
        without bias, by the mean of (c_i . v) (c'_j . v).
        """
        found = self.along @ other.along.T / max(1, self.along.shape[1])
        rows = len(self.known)
        found[:rows, :rows] = self.known @ other.known.T
        return np.asarray(found)

    def whole(self) -> Parts:
        """The sum of the N lags, and the older steps' contribution, as two lags."""
        lags = len(self.along) - 1
        recent = self.known[:lags].sum(axis=0, keepdims=True)
        along = np.stack([self.along[:lags].sum(axis=0), self.along[lags]])
        return Parts(np.concatenate([recent, self.known[lags:]]), along)


class MeanLoss(NamedTuple):
    """What truncation loses of the mean gradient; see `LostGradient.of_mean`.

    Attributes:
        bias: For K = 1 to N; nan where the mean gradient is lost in its noise.
        block_bias: The same in blocks.
        signal: The squared norm of the mean gradient in standard errors; nan with fewer than 4 positions.
    """

    bias: list[float]
    block_bias: list[float]
    signal: float


class LostGradient:
    """What truncation loses, from the contributions at several positions in time.

    Args:
        num_steps: The number of lags N.
    """

    def __init__(self, num_steps: int) -> None:
        self._num_steps = num_steps
        self._products = np.zeros((num_steps + 1, num_steps + 1))
        self._sums: list[Parts] = []
        self._wholes: list[Parts] = []

    def add(self, parts: Parts) -> None:
        """Adds a position; its contributions are means over the examples of a batch."""
        self._products += parts.products(parts)
        if len(self._wholes) < 2:
            self._sums.append(parts)
        else:
            self._sums[len(self._wholes) % 2] += parts
        self._wholes.append(parts.whole())

    def of_each(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is lost of each position's gradient: `truncation_bias` of sums over positions.

            sqrt(sum_t ||g_K,t - g_t||^2 / sum_t ||g_t||^2)

        It needs no mean gradient, so it has a meaning at an optimum, too, where that vanishes. It contains
        the variance: like the gradients themselves it depends on the batch size.
        """
        n = self._num_steps
        bias, cosine, block_bias = truncation_bias(self._products)
        return bias[:n], cosine[:n], block_bias[:n]

    def of_mean(self) -> MeanLoss:
        """What is lost of the mean gradient over positions and examples, whatever the batch size.

        A squared norm of a mean contains its variance. Two halves of the positions, the even and the odd
        ones, have independent errors, so with their means D1, D2 of g_K - g and G1, G2 of g

            bias(K) = sqrt(max(0, <D1_K, D2_K>) / <G1, G2>)

        estimates ||E[g_K - g]|| / ||E[g]||. The standard error of <G1, G2> is that over positions of
        <g_t, G2> for even t and <g_t, G1> for odd t.

        Source: Aicher, Foti & Fox 2019, section 3, who bound the norm of the expected difference.
        """
        nothing = [math.nan] * self._num_steps
        count = len(self._wholes)
        if count < 4:
            return MeanLoss(nothing, nothing, math.nan)
        even, odd = (half.divided(len(range(at, count, 2))) for at, half in enumerate(self._sums))
        products = even.products(odd)
        signal = products.sum() / max(self._error(even.whole(), odd.whole()), np.finfo(float).tiny)
        if not signal >= CLEAR:
            return MeanLoss(nothing, nothing, float(signal))
        bias, _, block_bias = truncation_bias((products + products.T) / 2)
        n = self._num_steps
        return MeanLoss(bias[:n].tolist(), block_bias[:n].tolist(), float(signal))

    def _error(self, even: Parts, odd: Parts) -> float:
        """The standard error of <G1, G2>."""
        variance = 0.0
        for at, other in enumerate((odd, even)):
            found = [whole.products(other).sum() for whole in self._wholes[at::2]]
            variance += float(np.var(found, ddof=1)) / len(found)
        return math.sqrt(variance)


def truncation_bias(products: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bias and cosine of truncated gradients, from the inner products of the contributions of the lags.

    With c_k the contribution of lag k and g_K = c_0 + ... + c_{K-1},

        relative_bias(K) = ||g_K - g_N|| / ||g_N||,   cosine(K) = <g_K, g_N> / (||g_K|| ||g_N||)

    and for blocks of n steps the mean gradient (g_1 + ... + g_n) / n takes the place of g_K. All are nan
    if g_N is 0.

    Args:
        products: <c_i, c_j> as they are to count in <.,.>, symmetric, [N, N].

    Returns:
        Relative bias and cosine for K = 1 to N, and the relative bias of blocks for n = 1 to N.
    """
    n = len(products)
    kept = np.tril(np.ones((n, n)))  # row K - 1: lags below K
    blocks = np.cumsum(kept, axis=0) / np.arange(1, n + 1)[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 without a gradient
        relative = products / products.sum()  # the whole gradient's norm is 1
        return (
            _norms(kept - 1, relative),
            kept @ relative.sum(axis=1) / _norms(kept, relative),
            _norms(blocks - 1, relative),
        )


def _norms(weights: np.ndarray, products: np.ndarray) -> np.ndarray:
    """|| sum_k weights[r, k] c_k || for each row r."""
    squares = np.einsum("ri,ij,rj->r", weights, products, weights)
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def needed_block(bias: Sequence[float], block_bias: Sequence[float], lost: float = LOST) -> int | None:
    """The width of blocks that lose at most a fraction of the gradient, beyond the widest if need be.

    With all of the gradient within N lags, blocks of n >= N steps lose sum_k (k / n) c_k, so what is lost
    falls as 1 / n from block_bias(N) on. None where more than a hundredth is older than N steps.

    Args:
        bias: What truncation after 1 to N steps loses of the gradient over the whole past.
        block_bias: The same in blocks.
        lost: The fraction, between 0 and 1.
    """
    needed = needed_width(block_bias, lost)
    if needed is None and bias[-1] <= NEARLY_NOTHING:
        return math.ceil(len(block_bias) * block_bias[-1] / lost)
    return needed


def needed_width(bias: Sequence[float], lost: float = LOST) -> int | None:
    """The smallest width from which on truncation loses at most a fraction of the gradient; None if none.

    Args:
        bias: The relative bias at the widths 1, 2, ...
        lost: The fraction, between 0 and 1.
    """
    too_narrow = [width for width, value in enumerate(bias, start=1) if not value <= lost]
    needed = max(too_narrow, default=0) + 1
    return needed if needed <= len(bias) else None
