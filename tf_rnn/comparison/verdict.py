"""The answer of a comparison: the cheapest width within the noise of the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary

NO_VERDICT = "No run ended with a finite loss: limit the gradient with --clip-norm, or lower --learning-rate."
STATE_WORDS = {"carry": "the state carried", "reset": "the state reset"}


class Verdict(NamedTuple):
    """The answer of a comparison.

    Attributes:
        num_steps: The width to use.
        state: What happens to the state between blocks, "carry" or "reset".
        loss: Its mean held-out loss, nats.
        noise: Largest distance from the best loss that counts as equal, nats.
        sentence: The answer in words, with the costs and losses of the next narrower and wider graph.
    """

    num_steps: int
    state: str
    loss: float
    noise: float
    sentence: str


class Ranking(NamedTuple):
    """Which summaries are as good as the best.

    Attributes:
        best: The one with the lowest loss.
        noise: Largest distance from the best loss that counts as equal, nats.
        equal: All within the noise of the best, which is one of them.
    """

    best: Summary
    noise: float
    equal: list[Summary]


def rank(summaries: Sequence[Summary]) -> Ranking | None:
    """The decision rule: a loss within the noise of the best counts as equal to it.

    The noise is the standard error of the best mean loss, over seeds and of the held-out data: the
    one-standard-error rule (Breiman et al. 1984, section 3.4.3). Seeds that disagree at another width
    do not excuse its loss. If any summary is without diverged or failed runs, only such ones count.

    Returns:
        None if no run ended with a finite loss.
    """
    finished = [summary for summary in summaries if summary.runs]
    if not finished:
        return None
    candidates = [summary for summary in finished if summary.steady] or finished
    best = min(candidates, key=lambda summary: summary.loss)
    noise = math.hypot(best.spread_error, best.resolution)
    return Ranking(best, noise, [each for each in candidates if each.loss - best.loss <= noise])


def decide(summaries: Sequence[Summary]) -> Verdict | None:
    """Picks the width with the fastest training step among those as good as the best; see `rank`.

    A wider graph needs fewer training steps for the same tokens, and the sentence states both times.
    If states were both carried and reset, the choice is among all of them.

    Returns:
        The verdict, or None if no run ended with a finite loss.
    """
    finished = [summary for summary in summaries if summary.runs and summary.cost]
    ranking = rank(finished)
    if ranking is None:
        return None
    chosen = min(ranking.equal, key=lambda summary: (summary.cost["step_milliseconds"], summary.loss))
    lowest = min(summary.loss for summary in finished)
    among = (
        "of all" if ranking.best.loss == lowest else f"among widths none of whose runs {endings(finished)}"
    )
    parts = [_choice(chosen, ranking, among)]
    peers = [summary for summary in finished if summary.state == chosen.state]
    narrower = [summary for summary in peers if summary.num_steps < chosen.num_steps]
    wider = [summary for summary in peers if summary.num_steps > chosen.num_steps]
    if narrower:
        next_narrower = max(narrower, key=lambda summary: summary.num_steps)
        parts.append(_neighbour("Narrower", next_narrower, chosen, ranking.noise))
    if wider:
        next_wider = min(wider, key=lambda summary: summary.num_steps)
        parts.append(_neighbour("Wider", next_wider, chosen, ranking.noise))
    sentence = " ".join(parts) + failure_sentence(summaries)
    return Verdict(chosen.num_steps, chosen.state, chosen.loss, ranking.noise, sentence)


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


def _choice(chosen: Summary, ranking: Ranking, among: str) -> str:
    best, noise = ranking.best, ranking.noise
    rank_words = f"the lowest {among}"
    if chosen is not best:
        rank_words = (
            f"within the noise ({loss_text(noise, best.unit)}) of the best, "
            f"{loss_text(best.loss, best.unit)} at num_steps {best.num_steps} with {STATE_WORDS[best.state]}"
        )
    loss = f"{loss_text(chosen.loss, chosen.unit)} {chosen.unit}{_unfinished(chosen)}"
    return (
        f"Use num_steps {chosen.num_steps} with {STATE_WORDS[chosen.state]}: held-out loss {loss}, "
        f"{rank_words}; a training step takes {chosen.cost['step_milliseconds']:.3g} ms and "
        f"{megabytes(chosen.cost['graph_bytes'])}."
    )


def _neighbour(word: str, other: Summary, chosen: Summary, noise: float) -> str:
    step = other.cost["step_milliseconds"] / chosen.cost["step_milliseconds"]
    token = chosen.cost["tokens_per_second"] / other.cost["tokens_per_second"]
    conjunction = "but" if (step < 1) != (token < 1) else "and"
    difference = other.loss - chosen.loss
    comparison = (
        f"{loss_text(abs(difference), chosen.unit)} {chosen.unit} {'worse' if difference > 0 else 'better'}"
    )
    if abs(difference) <= noise:
        comparison = f"no different ({signed_loss(difference, chosen.unit)} {chosen.unit})"
    return (
        f"{word}, num_steps {other.num_steps} is {_speed(step)} per step {conjunction} {_speed(token)} per "
        f"token, and {comparison}{_unfinished(other)}."
    )


def _speed(time: float) -> str:
    """A ratio of times in words: 0.75 is `25% faster`, 1.5 is `50% slower`."""
    return f"{abs(1 - time):.0%} {'faster' if time < 1 else 'slower'}"


def _unfinished(summary: Summary) -> str:
    words = summary.unfinished.replace(" ", f" of {summary.total} runs ", 1)
    return f" ({words})" if words else ""


def signed_loss(difference: float, unit: str) -> str:
    """A difference of losses with its sign; see `loss_text`."""
    return f"{'+' if difference >= 0 else ''}{loss_text(difference, unit)}"


def megabytes(number: float) -> str:
    """Bytes for people to read: 1414656 is `1.41 MB`."""
    return f"{number / 1e6:.3g} MB"
