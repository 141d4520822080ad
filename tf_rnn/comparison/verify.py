"""Whether an advice holds: the width it names, trained beside its half and its double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.comparison.verdict import endings, failure_sentence, noise
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary


def widths_to_verify(num_steps: int) -> tuple[int, ...]:
    """The width itself, its half and its double."""
    return tuple(sorted({max(1, num_steps // 2), num_steps, 2 * num_steps}))


def verification(summaries: Sequence[Summary], num_steps: int) -> str:
    """Says whether the loss at a width is within the noise of the best of those trained.

    Args:
        summaries: One for each width, one of them `num_steps`.
        num_steps: The width that was advised.
    """
    return _answer(summaries, num_steps) + failure_sentence(summaries)


def _answer(summaries: Sequence[Summary], num_steps: int) -> str:
    finished = [summary for summary in summaries if summary.runs]
    losses = ", ".join(f"{loss_text(s.loss, s.unit)} at {s.num_steps}" for s in finished) or "nowhere finite"
    advised = [summary for summary in finished if summary.num_steps == num_steps]
    if not advised:
        lost = endings([summary for summary in summaries if summary.num_steps == num_steps])
        return f"Verified: no. Every run at num_steps {num_steps} {lost}; held-out loss {losses}."
    best = min(finished, key=lambda summary: summary.loss)
    over = advised[0].loss - best.loss
    held = over <= noise(best)
    answer = "the advice held" if held else "the advice did not hold"
    return (
        f"Verified: {answer}. Held-out loss {losses} ({best.unit}); the width advised is "
        f"{loss_text(over, best.unit)} above the best, and {loss_text(noise(best), best.unit)} is noise."
    )
