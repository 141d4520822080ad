"""The decisions of a race over widths: who is trained further, who drops out, when it is over.

Successive halving (Jamieson & Talwalkar 2016) with learning curves: after each stage the widths are
compared at equal training, by pairs of seeds (Maron & Moore 1994). A width is dropped if even at its
present pace it could not reach what another has already; of the rest at most half go on, the leader and
the best so far first, then those that are expected to be as good, the cheapest of them before the others.
Where all that are left are equally good, and none is expected to change by much, the race is over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.comparison.curves import FALLING, LEVEL
from tf_rnn.comparison.ranking import CLEARLY, cheapest, rank
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.curves import Reading
    from tf_rnn.comparison.ranking import Question, Ranking
    from tf_rnn.comparison.summary import Summary

# After these fractions of the budget the widths are compared; the first stage has one seed.
STAGES = (1 / 8, 1 / 4, 1 / 2, 1.0)
# So many widths stay in the race at least, until the last stage.
FEWEST = 2


class Standing(NamedTuple):
    """Where a width stands after a stage.

    Attributes:
        summary: Its runs so far.
        expected: Its expected loss after the whole budget.
        at_best: Its loss after the whole budget if it falls on at its present pace.
        fate: Why it was dropped; empty if it stays in the race.
        later: Its expected loss after twice the budget.
    """

    summary: Summary
    expected: float
    at_best: float
    fate: str
    later: float = math.nan


class Round(NamedTuple):
    """A stage of a race and what was decided after it.

    Attributes:
        fraction: The fraction of the budget.
        standings: The widths that were in it, narrow ones first.
        leader: The width with the lowest expected loss (of several, the best so far); None if all diverged.
        among_best: The widths that are expected to be as good as the leader; none while nothing is learnt.
        is_over: Whether nothing is left to find out.
    """

    fraction: float
    standings: list[Standing]
    leader: int | None
    among_best: list[int]
    is_over: bool

    @property
    def kept(self) -> list[int]:
        """The widths that stay in the race."""
        return [each.summary.num_steps for each in self.standings if not each.fate]

    @property
    def lines(self) -> list[str]:
        """The stage in words, for the screen."""
        lines = []
        for each in self.standings:
            summary = each.summary
            loss = "–" if not summary.runs else loss_text(summary.loss, summary.unit)
            note = each.fate or f"expected {loss_text(each.expected, summary.unit)} in the end"
            mark = " (leads)" if summary.num_steps == self.leader else ""
            lines.append(f"width {summary.num_steps}: loss {loss}, {note}{mark}")
        return lines


def judge(summaries: Sequence[Summary], question: Question, *, is_last: bool) -> Round:
    """Decides after a stage which widths stay in the race.

    Nothing is dropped but widths that diverged while nothing has been learnt by any: then all losses are
    those of a constant prediction, and their order is chance.

    Args:
        summaries: Of each width in the race, after equal training.
        question: What is asked.
        is_last: Whether the budget is used up.
    """
    fraction = summaries[0].fraction
    ranking = rank(summaries, question)
    if ranking is None:
        standings = [Standing(each, math.nan, math.nan, _lost(each)) for each in summaries]
        return Round(fraction, standings, None, [], is_over=True)
    doublings = -math.log2(fraction)
    readings = {each.num_steps: ranking.reading(each) for each in ranking.finished}
    expected = {width: reading.after(doublings) for width, reading in readings.items()}
    steady = [each.num_steps for each in ranking.candidates]
    leader = min((expected[each.num_steps], each.loss, each.num_steps) for each in ranking.candidates)[-1]
    fates = {each.num_steps: _lost(each) for each in summaries if each not in ranking.candidates}
    is_learnt = ranking.best.loss < question.knowing_nothing - CLEARLY * ranking.noise
    if is_learnt:
        best = ranking.best
        for width in steady:
            if readings[width].at_best(doublings) > best.loss + ranking.margin:
                has = loss_text(best.loss, best.unit)
                reach = loss_text(readings[width].at_best(doublings), best.unit)
                fates[width] = f"dropped: {reach} at best, num_steps {best.num_steps} has {has} already"
        if not is_last:
            running = [each for each in ranking.candidates if each.num_steps not in fates]
            order = _order(running, expected, [leader, ranking.best.num_steps], ranking.margin)
            for width in order[max(FEWEST, math.ceil(len(summaries) / 2)) :]:
                ahead = loss_text(expected[leader], best.unit)
                own = loss_text(expected[width], best.unit)
                why = f"{own} expected, num_steps {leader} {ahead}"
                if expected[width] <= expected[leader] + ranking.margin:
                    why = "others are as good and cheaper"
                fates[width] = f"dropped: {why}"
    standings = [
        Standing(
            each,
            expected.get(each.num_steps, math.nan),
            readings[each.num_steps].at_best(doublings) if each.num_steps in readings else math.nan,
            fates.get(each.num_steps, ""),
            readings[each.num_steps].after(doublings + 1) if each.num_steps in readings else math.nan,
        )
        for each in sorted(summaries, key=lambda summary: summary.num_steps)
    ]
    kept = [each for each in standings if not each.fate]
    among_best = [
        each.summary.num_steps
        for each in kept
        if is_learnt and each.expected <= expected[leader] + ranking.margin
    ]
    is_over = is_last or (
        min(each.summary.runs for each in kept) > 1
        and all(_is_known(readings[each.summary.num_steps], ranking) for each in kept)
        and all(each.summary.loss - each.expected <= ranking.ripe for each in kept)
        and len(among_best) == len(kept)
    )
    return Round(fraction, standings, leader, among_best, is_over)


def _is_known(reading: Reading, ranking: Ranking) -> bool:
    """Whether it is known that a loss does not rise, and by how much it falls."""
    return reading.trend in (LEVEL, FALLING) and 2 * reading.error <= ranking.ripe


def _lost(summary: Summary) -> str:
    return f"dropped: {summary.unfinished or 'no run'}"


def _order(
    running: Sequence[Summary], expected: dict[int, float], leaders: list[int], margin: float
) -> list[int]:
    """Widths in the order in which they stay: the leaders, those as good (cheap ones first), then the rest.

    Args:
        running: The widths.
        expected: Their expected losses.
        leaders: The width with the lowest expected loss, and the one with the lowest loss so far.
        margin: The largest difference that counts as equal.
    """
    order = list(dict.fromkeys(leaders))
    as_good = [each for each in running if expected[each.num_steps] <= expected[leaders[0]] + margin]
    while others := [each for each in as_good if each.num_steps not in order]:
        order.append(cheapest(others).num_steps)
    rest = [each.num_steps for each in running if each.num_steps not in order]
    return order + sorted(rest, key=lambda width: expected[width])
