"""Which widths are as good as the best, and which of those is the cheapest."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.comparison.curves import Reading, read_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary

# Losses that differ by less than this fraction of the scale are equal for all practical purposes. The
# scale is the best loss or its distance from knowing nothing, whichever is larger.
MARGIN = 0.01
# Prices that differ by less than this fraction are equal: measurements of time are no better.
SAME_PRICE = 0.1
# How many standard errors the best loss must be below that of a constant prediction.
CLEARLY = 3.0


class Rival(NamedTuple):
    """A width that was not trained for the whole budget.

    Attributes:
        summary: Its runs so far.
        later: Its expected loss after twice the budget.
    """

    summary: Summary
    later: float


class Question(NamedTuple):
    """What a comparison asks.

    Attributes:
        budget: The training of each run in words, `5,000,000 tokens`.
        knowing_nothing: The held-out loss of the best constant prediction.
        learning_rates: Those compared, in increasing order.
        widths: All widths of the comparison, in increasing order.
        longer: What to do to train longer, in words.
        lowest: The lowest possible loss: that of the task where it is known, else 0.
        rivals: Widths that were dropped before the end of the training.
        contenders: Losses of predictors without a network, by name.
    """

    budget: str
    knowing_nothing: float
    learning_rates: tuple[float, ...]
    widths: tuple[int, ...]
    longer: str = "train longer with a larger amount"
    lowest: float = 0.0
    rivals: tuple[Rival, ...] = ()
    contenders: dict[str, float] = {}  # noqa: RUF012 -- of a named tuple, and not changed


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Which summaries are as good as the best, by the loss alone.

    Attributes:
        finished: All summaries with a finite loss.
        candidates: Those that may be chosen: if any has no run that diverged or failed, only such ones.
        best: The candidate with the lowest loss.
        scale: The best loss or its distance from knowing nothing, whichever is larger.
        noise: The standard error of the best loss, over seeds and of the held-out data.
        equal: The candidates that are as good as the best, which is one of them.
        lowest: The lowest possible loss.
    """

    finished: list[Summary]
    candidates: list[Summary]
    best: Summary
    scale: float
    noise: float
    equal: list[Summary]
    lowest: float

    @property
    def margin(self) -> float:
        """The largest difference that counts as equal."""
        return max(MARGIN * self.scale, self.noise)

    @property
    def ripe(self) -> float:
        """The largest fall expected from more training at which an answer counts as ripe, nats."""
        return 2 * MARGIN * self.scale

    def reading(self, summary: Summary) -> Reading:
        """What the learning curves of a summary say."""
        return read_curves(summary.curves, MARGIN / 2 * self.scale, self.lowest, summary.loss)


def rank(summaries: Sequence[Summary], question: Question) -> Ranking | None:
    """Finds the summaries that are as good as the best.

    Runs with the same seed share their initial weights and their data, so losses are compared in pairs: a
    width is as good as the best if the mean difference is at most MARGIN of the scale, or at most its
    standard error. That is the standard error of the paired differences over seeds, but not more than that
    of the best mean loss (seeds that disagree at another width do not excuse its loss), joined with the
    standard error of one held-out loss: the one-standard-error rule (Breiman et al. 1984, section 3.4.3).

    Args:
        summaries: One for each width and state.
        question: What is asked.

    Returns:
        None if no run ended with a finite loss.
    """
    finished = [summary for summary in summaries if summary.runs]
    if not finished:
        return None
    candidates = [summary for summary in finished if summary.steady] or finished
    best = min(candidates, key=lambda summary: summary.loss)
    scale = max(abs(best.loss), abs(question.knowing_nothing - best.loss))
    equal = [
        each
        for each in candidates
        if mean_difference(each, best) <= max(MARGIN * scale, _paired_error(each, best))
    ]
    noise = math.hypot(best.spread_error, best.resolution)
    return Ranking(finished, candidates, best, scale, noise, equal, question.lowest)


def _common(one: Summary, other: Summary) -> list[float]:
    """Differences of losses by pairs of runs with the same seed."""
    return [one.losses[seed] - other.losses[seed] for seed in one.losses if seed in other.losses]


def mean_difference(one: Summary, other: Summary) -> float:
    """The mean difference of two losses, over pairs of runs with the same seed if there are any."""
    pairs = _common(one, other)
    return statistics.fmean(pairs) if pairs else one.loss - other.loss


def _paired_error(one: Summary, best: Summary) -> float:
    pairs = _common(one, best)
    over_seeds = best.spread_error
    if len(pairs) > 1:
        over_seeds = min(over_seeds, statistics.stdev(pairs) / math.sqrt(len(pairs)))
    return math.hypot(over_seeds, best.resolution)


def lasting(ranking: Ranking) -> list[Summary]:
    """The equally good summaries that would still be so after twice the training."""
    ends = [ranking.reading(each).after(1) for each in ranking.equal]
    lowest = min(ends)
    return [each for each, end in zip(ranking.equal, ends, strict=True) if end - lowest <= ranking.margin]


def cheapest(equal: Sequence[Summary]) -> Summary:
    """The cheapest of equally good summaries; of equally cheap ones the narrowest, then the best."""
    least = min(summary.seconds for summary in equal)
    cheap = [each for each in equal if each.seconds <= (1 + SAME_PRICE) * least]
    return min(cheap, key=lambda summary: (summary.num_steps, summary.loss))
