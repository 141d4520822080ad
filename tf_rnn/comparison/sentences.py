"""The answer of a comparison in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.comparison.curves import FALLING
from tf_rnn.comparison.ranking import SAME_PRICE
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.ranking import Question, Ranking
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.comparison.verdict import Verdict

NO_VERDICT = "No run ended with a finite loss: limit the gradient with --clip-norm, or lower --learning-rate."
STATE_WORDS = {"carry": "the state carried", "reset": "the state reset"}


def choice_sentence(chosen: Summary, ranking: Ranking, question: Question, agreement: int, seeds: int) -> str:
    """The choice of a width in words: loss, price, others as good, how certain, and under which condition.

    Args:
        chosen: The width to use.
        ranking: All widths.
        question: What was asked.
        agreement: For how many seeds the width is as good as the best.
        seeds: Number of seeds.
    """
    rate = f", learning rate {chosen.learning_rate:g}" if len(question.learning_rates) > 1 else ""
    loss = f"{loss_text(chosen.loss, chosen.unit)} {chosen.unit}{_unfinished(chosen)}"
    memory = megabytes(chosen.cost["graph_bytes"])
    choice = f"Use num_steps {chosen.num_steps} with {STATE_WORDS[chosen.state]}{rate}: held-out loss {loss}"
    time = f"The training steps for {question.budget} take {duration(chosen.seconds)}, with {memory}"
    compared = [f"{_certainty(agreement, seeds)}, {_condition(question)}."]
    if len(question.widths) == 1:
        compared = ["No other width was compared."]
    standing = f", {_standing(chosen, ranking)}" if len(ranking.finished) > 1 else ""
    parts = [
        f"{choice}{standing}.",
        f"{time}{_others(chosen, ranking)}.",
        *compared,
        *_remarks(chosen, ranking, question),
    ]
    return " ".join(parts)


def _standing(chosen: Summary, ranking: Ranking) -> str:
    best, lowest = ranking.best, min(summary.loss for summary in ranking.finished)
    if chosen is not best:
        return (
            f"as good as the lowest, {loss_text(best.loss, best.unit)} at num_steps {best.num_steps} with "
            f"{STATE_WORDS[best.state]} (differences up to "
            f"{loss_text(ranking.margin, best.unit)} count as equal)"
        )
    if best.loss == lowest:
        return "the lowest of all"
    return f"the lowest among widths none of whose runs {endings(ranking.finished)}"


def _others(chosen: Summary, ranking: Ranking) -> str:
    """The other widths that are as good, in words."""
    others = [each for each in ranking.equal if each is not chosen and each.state == chosen.state]
    if not others:
        return ""
    widths = [f"{each.num_steps} ({_more(each.seconds / chosen.seconds)})" for each in others]
    return f"; as good: num_steps {', '.join(widths)}"


def _more(ratio: float) -> str:
    """A ratio of prices in words: 1.5 is `50% more`; differences too small to measure are `the same`."""
    if abs(ratio - 1) <= SAME_PRICE:
        return "the same time"
    return f"{abs(ratio - 1):.0%} {'more' if ratio > 1 else 'less'} time"


def _certainty(agreement: int, seeds: int) -> str:
    if seeds == 1:
        return "This is one seed only: train several to see how certain it is"
    return f"{agreement} of {seeds} seeds agree{'s' if agreement == 1 else ''}"


def _condition(question: Question) -> str:
    rates = question.learning_rates
    if len(rates) == 1:
        return f"all widths at the learning rate {rates[0]:g}"
    return f"each width at the best of its learning rates {', '.join(f'{rate:g}' for rate in rates)}"


def _remarks(chosen: Summary, ranking: Ranking, question: Question) -> list[str]:
    """What a reader should know before relying on the answer."""
    remarks = []
    reading = ranking.reading(chosen)
    if reading.trend == FALLING:
        fall = loss_text(reading.pace, chosen.unit)
        remarks.append(f"Its loss still falls, by {fall} with each doubling of the training.")
    if chosen.last_loss - chosen.loss > ranking.margin:
        at_end = loss_text(chosen.last_loss, chosen.unit)
        remarks.append(
            f"That is the loss of its best checkpoint, after {chosen.best_at:.0%} of the training; at the "
            f"end it is {at_end}: train for less time, with a lower learning rate, or regularise."
        )
    if len(question.widths) > 1 and chosen.num_steps == question.widths[-1]:
        remarks.append("It is the widest compared; a wider graph may be better still.")
    rates = question.learning_rates
    if len(rates) > 1 and chosen.learning_rate in (rates[0], rates[-1]):
        remarks.append("Its learning rate is at the edge of those tried.")
    return remarks


def answer_sentence(summaries: Sequence[Summary], verdict: Verdict | None) -> str:
    """The verdict in words, or why there is none."""
    if verdict:
        return verdict.sentence
    diverged = any(summary.diverged for summary in summaries)
    return (NO_VERDICT if diverged else "No run finished.") + failure_sentence(summaries)


def failure_sentence(summaries: Sequence[Summary]) -> str:
    """Lists the runs that failed, to follow another sentence; empty if none did."""
    failed = [summary for summary in summaries if summary.failed]
    if not failed:
        return ""
    count = sum(summary.failed for summary in failed)
    total = sum(summary.total for summary in summaries)
    where = "; ".join(f"{each.failed} at num_steps {each.num_steps}, {each.state}" for each in failed)
    return (
        f" {count} of {total} runs failed, since their worker process died every time, and are left out "
        f"({where}); the same command tries them again."
    )


def endings(summaries: Sequence[Summary]) -> str:
    """How runs without a finite loss ended: `diverged`, `failed`, `diverged or failed`."""
    return " or ".join(word for word in ("diverged", "failed") if any(getattr(s, word) for s in summaries))


def _unfinished(summary: Summary) -> str:
    words = summary.unfinished.replace(" ", f" of {summary.total} runs ", 1)
    return f" ({words})" if words else ""


def signed_loss(difference: float, unit: str) -> str:
    """A difference of losses with its sign; see `loss_text`."""
    text = loss_text(difference, unit)
    return text if text.startswith("-") else f"+{text}"


def megabytes(number: float) -> str:
    """Bytes for people to read: 1414656 is `1.41 MB`."""
    return f"{number / 1e6:.3g} MB"


def duration(seconds: float) -> str:
    """A time for people to read: `0.0413 s`, `12.3 s`, `75 min`."""
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


def contender_sentence(best: Summary, question: Question) -> str:
    """Says that a predictor without a network is better than the best width; empty if none is."""
    better = {name: loss for name, loss in question.contenders.items() if loss < best.loss}
    if not better:
        return ""
    name = min(better, key=lambda each: better[each])
    return (
        f" Without a network, the {name} has {loss_text(better[name], best.unit)}, less than the "
        f"{loss_text(best.loss, best.unit)} of the best width."
    )
