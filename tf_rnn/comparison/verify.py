"""The verification of a recommended width: training at it, at its half and at its double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.comparison.verdict import endings, failure_sentence, rank
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary


def widths_to_verify(num_steps: int, at_least: int = 1) -> tuple[int, ...]:
    """The width itself, its half and its double.

    Args:
        num_steps: The recommended width.
        at_least: The smallest width that the truncation style allows.
    """
    return tuple(sorted({max(at_least, num_steps // 2), num_steps, 2 * num_steps}))


def verification(summaries: Sequence[Summary], num_steps: int) -> str:
    """States whether a width is as good as the best of those trained; see `rank`.

    Args:
        summaries: One for each width, `num_steps` among them.
        num_steps: The recommended width.
    """
    return _answer(summaries, num_steps) + failure_sentence(summaries)


def _answer(summaries: Sequence[Summary], num_steps: int) -> str:
    finished = [summary for summary in summaries if summary.runs]
    losses = ", ".join(f"{loss_text(s.loss, s.unit)} at {s.num_steps}" for s in finished) or "nowhere finite"
    ranking = rank(finished)
    advised = [summary for summary in finished if summary.num_steps == num_steps]
    if not advised or ranking is None:
        lost = endings([summary for summary in summaries if summary.num_steps == num_steps])
        return f"Verified: no. Every run at num_steps {num_steps} {lost}; held-out loss {losses}."
    (chosen,), best = advised, ranking.best
    start = f"Held-out loss {losses} ({best.unit}); the advised width"
    difference = loss_text(chosen.loss - best.loss, best.unit)
    noise = loss_text(ranking.noise, best.unit)
    if chosen in ranking.equal:
        return (
            f"Verified: the advice held. {start} matches the best (difference {difference}, noise {noise})."
        )
    if not chosen.steady:
        return f"Verified: the advice did not hold. {start} has runs that {endings([chosen])}."
    return f"Verified: the advice did not hold. {start} is {difference} worse than the best (noise {noise})."
