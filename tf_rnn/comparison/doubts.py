"""Why a comparison has no answer yet, and what would give one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.comparison.curves import FALLING
from tf_rnn.comparison.ranking import CLEARLY, MARGIN, mean_difference
from tf_rnn.text import counted, loss_text

if TYPE_CHECKING:
    from tf_rnn.comparison.ranking import Question, Ranking
    from tf_rnn.comparison.summary import Summary


def doubt(chosen: Summary, ranking: Ranking, question: Question) -> str | None:
    """The first reason not to name a width, in words; None without one.

    Args:
        chosen: The width that would be named.
        ranking: All widths.
        question: What is asked.
    """
    return (
        _nothing_learnt(ranking, question)
        or _rival_is_falling(chosen, ranking, question)
        or _dropped_would_overtake(chosen, ranking, question)
        or _all_are_falling(chosen, ranking, question)
        or _seeds_disagree(chosen, ranking)
    )


def _nothing_learnt(ranking: Ranking, question: Question) -> str | None:
    best, nothing = ranking.best, question.knowing_nothing
    if best.loss < nothing - CLEARLY * ranking.noise:
        return None
    if nothing == 0:
        return (
            "Cannot tell which width to use: a constant prediction has no held-out loss, since all held-out "
            "targets are equal, or there is only one."
        )
    why, remedy = "nothing was learnt yet", f"{question.longer} or another learning rate"
    if best.loss < nothing - CLEARLY * best.spread_error:  # clearly, but for the data it is measured on
        why = "the held-out data are too few to tell whether anything was learnt"
        remedy = f"hold out more data, or {question.longer}"
    return (
        f"Cannot tell which width to use: {why}. The best loss is {loss_text(best.loss, best.unit)} "
        f"{best.unit}, at num_steps {best.num_steps} after {counted(best.updates, 'update', ',.0f')}; a "
        f"constant prediction has {loss_text(nothing, best.unit)}, and differences up to "
        f"{loss_text(CLEARLY * ranking.noise, best.unit)} may be chance. To tell, {remedy}."
    )


def _rival_is_falling(chosen: Summary, ranking: Ranking, question: Question) -> str | None:
    """A width that is worse now, but whose loss falls so fast that more training would make it better."""
    end = min(ranking.reading(each).after(1) for each in ranking.equal)
    for rival in sorted(ranking.candidates, key=lambda summary: summary.loss):
        reading = ranking.reading(rival)
        if rival in ranking.equal or reading.trend != FALLING or reading.after(1) >= end - ranking.margin:
            continue
        return (
            f"Cannot tell yet which width to use: num_steps {chosen.num_steps} leads with "
            f"{loss_text(chosen.loss, chosen.unit)} {chosen.unit} after {question.budget}, but "
            f"num_steps {rival.num_steps}, now at {loss_text(rival.loss, rival.unit)} after "
            f"{counted(rival.updates, 'update', ',.0f')}, still falls by "
            f"{loss_text(reading.pace, rival.unit)} with each doubling of the training and would overtake "
            f"it. To tell, {question.longer}, or give several learning rates."
        )
    return None


def _dropped_would_overtake(chosen: Summary, ranking: Ranking, question: Question) -> str | None:
    """A width that was dropped for the budget, but with twice as much would be better."""
    end = min(ranking.reading(each).after(1) for each in ranking.equal)
    for summary, later in sorted(question.rivals, key=lambda rival: rival.later):
        if later < end - ranking.margin:
            return (
                f"Cannot tell yet which width to use: num_steps {chosen.num_steps} leads with "
                f"{loss_text(chosen.loss, chosen.unit)} {chosen.unit} after {question.budget}, but "
                f"num_steps {summary.num_steps}, dropped at {loss_text(summary.loss, summary.unit)} after "
                f"{summary.fraction:.0%} of that training, would overtake it with twice as much. To tell, "
                f"{question.longer}, or give several learning rates."
            )
    return None


def _all_are_falling(chosen: Summary, ranking: Ranking, question: Question) -> str | None:
    """A width that leads while its loss still falls fast: the narrower a graph, the more updates it had."""
    reading = ranking.reading(chosen)
    wider = [width for width in question.widths if width > chosen.num_steps]
    if not wider or reading.trend != FALLING or chosen.loss - reading.after(1) <= ranking.ripe:
        return None
    return (
        f"Cannot tell yet which width to use: num_steps {chosen.num_steps} leads with "
        f"{loss_text(chosen.loss, chosen.unit)} {chosen.unit} after {question.budget}, but its loss still "
        f"falls by {loss_text(reading.pace, chosen.unit)} with each doubling of the training, and wider "
        f"graphs had fewer updates so far. To tell, {question.longer}, or give several "
        "learning rates."
    )


def _seeds_disagree(chosen: Summary, ranking: Ranking) -> str | None:
    difference = mean_difference(chosen, ranking.best)
    if difference <= 2 * MARGIN * ranking.scale:
        return None
    best = ranking.best
    remedy = "train more seeds"
    if best.resolution > best.spread_error:
        remedy = "hold out more data"
    return (
        f"Cannot tell which width to use: num_steps {best.num_steps} has the lowest loss, "
        f"{loss_text(best.loss, best.unit)} {best.unit}, and num_steps {chosen.num_steps}, which is cheaper, "
        f"{loss_text(chosen.loss, best.unit)}, but differences up to {loss_text(ranking.noise, best.unit)} "
        f"may be chance. To tell, {remedy}."
    )
