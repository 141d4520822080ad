"""Which width to use: the cheapest within the noise of the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary


class Verdict(NamedTuple):
    """The answer of a comparison.

    Attributes:
        num_steps: The width to use.
        state: What becomes of the state at the border of a block, "carry" or "reset".
        loss: Its mean held-out loss, nats.
        noise: How far above the best its loss may be and still count as equal, nats.
        sentence: The answer in words, with what a narrower or wider graph would cost.
    """

    num_steps: int
    state: str
    loss: float
    noise: float
    sentence: str


def noise(best: Summary) -> float:
    """The standard error of the best mean loss, nats: over seeds, and of the held-out data.

    A width whose loss is higher by no more counts as equal: the one-standard-error rule (Breiman et
    al. 1984, section 3.4.3). A width is not forgiven a high loss because its own seeds disagree.
    """
    return math.hypot(best.spread_error, best.resolution)


def decide(summaries: list[Summary]) -> Verdict | None:
    """Picks the width whose training step is cheapest among those within the noise of the best.

    A cheap training step is one that takes little time; a wider graph needs fewer of them for the
    same tokens, and the sentence says what that comes to. Where states were both carried and reset,
    the choice is among all of them. A width of which a run diverged or failed is chosen only if there
    is no other.

    Returns:
        The verdict, or None where no run ended with a finite loss.
    """
    finished = [summary for summary in summaries if summary.runs and summary.cost]
    if not finished:
        return None
    steady = [summary for summary in finished if summary.steady] or finished
    best = min(steady, key=lambda summary: summary.loss)
    equal = [summary for summary in steady if summary.loss - best.loss <= noise(best)]
    chosen = min(equal, key=lambda summary: (summary.cost["step_milliseconds"], summary.loss))
    lowest = min(summary.loss for summary in finished)
    parts = [_choice(chosen, best, "of all" if best.loss == lowest else f"where no run {endings(finished)}")]
    peers = [summary for summary in finished if summary.state == chosen.state]
    narrower = [summary for summary in peers if summary.num_steps < chosen.num_steps]
    wider = [summary for summary in peers if summary.num_steps > chosen.num_steps]
    if narrower:
        next_narrower = max(narrower, key=lambda summary: summary.num_steps)
        parts.append(_neighbour("narrower", next_narrower, chosen, noise(best)))
    if wider:
        next_wider = min(wider, key=lambda summary: summary.num_steps)
        parts.append(_neighbour("wider", next_wider, chosen, noise(best)))
    sentence = "; ".join(parts) + "." + failure_sentence(summaries)
    return Verdict(chosen.num_steps, chosen.state, chosen.loss, noise(best), sentence)


def failure_sentence(summaries: Sequence[Summary]) -> str:
    """Says which runs failed, after another sentence; nothing where none did."""
    failed = [summary for summary in summaries if summary.failed]
    if not failed:
        return ""
    count = sum(summary.failed for summary in failed)
    total = sum(summary.total for summary in summaries)
    where = "; ".join(f"{each.failed} at num_steps {each.num_steps}, {each.state}" for each in failed)
    return (
        f" {count} of {total} runs failed, as their worker process died each time, and count for nothing "
        f"({where}); the same command tries them again."
    )


def endings(summaries: Sequence[Summary]) -> str:
    """How runs ended that gave no finite loss: `diverged`, `failed`, `diverged or failed`."""
    return " or ".join(word for word in ("diverged", "failed") if any(getattr(s, word) for s in summaries))


STATE_WORDS = {"carry": "the state carried", "reset": "the state reset"}


def _choice(chosen: Summary, best: Summary, among: str) -> str:
    rank = f"the lowest {among}"
    if chosen is not best:
        rank = (
            f"within the noise ({loss_text(noise(best), best.unit)}) of the best, "
            f"{loss_text(best.loss, best.unit)} at num_steps {best.num_steps} with {STATE_WORDS[best.state]}"
        )
    loss = f"{loss_text(chosen.loss, chosen.unit)} {chosen.unit}{_unfinished(chosen)}"
    return (
        f"Use num_steps {chosen.num_steps} with {STATE_WORDS[chosen.state]}: held-out loss {loss}, {rank}, "
        f"at {chosen.cost['step_milliseconds']:.3g} ms and {megabytes(chosen.cost['graph_bytes'])} a "
        "training step"
    )


def _neighbour(word: str, other: Summary, chosen: Summary, noise_of_best: float) -> str:
    step = other.cost["step_milliseconds"] / chosen.cost["step_milliseconds"]
    tokens = chosen.cost["tokens_per_second"] / other.cost["tokens_per_second"]
    difference = other.loss - chosen.loss
    comparison = (
        f"{loss_text(abs(difference), chosen.unit)} {chosen.unit} {'worse' if difference > 0 else 'better'}"
    )
    if abs(difference) <= noise_of_best:
        comparison = f"no different ({difference:+.4f} {chosen.unit})"
    return (
        f"{word}, num_steps {other.num_steps} takes {step:.2f} of the time a step, {tokens:.2f} of the "
        f"time for the same tokens, and is {comparison}{_unfinished(other)}"
    )


def _unfinished(summary: Summary) -> str:
    words = summary.unfinished.replace(" ", f" of {summary.total} runs ", 1)
    return f" ({words})" if words else ""


def megabytes(number: float) -> str:
    """Bytes for a person to read: 1414656 -> '1.41 MB'."""
    return f"{number / 1e6:.3g} MB"
