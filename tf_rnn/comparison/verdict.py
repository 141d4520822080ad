"""The answer of a comparison: the cheapest width among those as good as the best, once that is known."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.doubts import doubt
from tf_rnn.comparison.ranking import MARGIN, Question, Ranking, cheapest, lasting, rank
from tf_rnn.comparison.sentences import choice_sentence, contender_sentence, failure_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.summary import Summary


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The answer of a comparison.

    Attributes:
        num_steps: The width to use; None if that cannot be told.
        state: What happens to the state between blocks, "carry" or "reset"; None without an answer.
        learning_rate: The learning rate at which the width is best; None without an answer.
        loss: Its mean held-out loss, nats; without an answer, that of the width with the lowest loss.
        seconds: The price: time of its training steps for the whole budget; None without an answer.
        noise: Largest difference of losses that may be chance, nats.
        margin: Largest difference of losses that counts as equal, nats; at least the noise.
        equal: Widths as good as the best with the same state, the one to use among them.
        agreement: Number of seeds for which the width to use is as good as the best of that seed.
        seeds: Number of seeds.
        sentence: The answer in words, or why there is none and what would give one.
        rows: The next narrower width, the chosen one and the next wider one; a dictionary each.
    """

    num_steps: int | None
    state: str | None
    learning_rate: float | None
    loss: float
    seconds: float | None
    noise: float
    margin: float
    equal: list[int]
    agreement: int
    seeds: int
    sentence: str
    rows: list[dict[str, Any]] = dataclasses.field(repr=False)

    @property
    def choice(self) -> tuple[int, str] | None:
        """The width to use and what happens to the state; None if that cannot be told."""
        return None if self.num_steps is None or self.state is None else (self.num_steps, self.state)


def decide(summaries: Sequence[Summary], question: Question) -> Verdict | None:
    """Picks the cheapest width among those as good as the best; of equally cheap ones, the narrowest.

    The price is the time of the training steps for the whole budget: a cheaper step alone does not count.
    No width is named before it can be: where nothing was learnt yet, where another width still falls and
    would overtake, or where seeds disagree by too much.

    Returns:
        The verdict, or None if no run ended with a finite loss.
    """
    ranking = rank([summary for summary in summaries if summary.cost], question)
    if ranking is None:
        return None
    chosen = cheapest(lasting(ranking))
    reason = doubt(chosen, ranking, question)
    agreement = _agreement(chosen, ranking)
    remarks = contender_sentence(ranking.best, question) + failure_sentence(summaries)
    seeds = max(len(summary.losses) for summary in ranking.candidates)
    common: dict[str, Any] = {"noise": ranking.noise, "margin": ranking.margin, "seeds": seeds}
    if reason is not None:
        sentence = f"{reason}{remarks}"
        best = ranking.best.loss
        return Verdict(
            None, None, None, best, None, equal=[], agreement=0, sentence=sentence, rows=[], **common
        )
    return Verdict(
        chosen.num_steps,
        chosen.state,
        chosen.learning_rate,
        chosen.loss,
        chosen.seconds,
        equal=[each.num_steps for each in ranking.equal if each.state == chosen.state],
        agreement=agreement,
        sentence=choice_sentence(chosen, ranking, question, agreement, seeds) + remarks,
        rows=_rows(chosen, ranking),
        **common,
    )


def _agreement(chosen: Summary, ranking: Ranking) -> int:
    """For how many seeds the chosen width is as good as the best of that seed."""
    lowest = {
        seed: min(each.losses[seed] for each in ranking.candidates if seed in each.losses)
        for seed in chosen.losses
    }
    margin = max(MARGIN * ranking.scale, ranking.best.resolution)
    return sum(loss - lowest[seed] <= margin for seed, loss in chosen.losses.items())


def _rows(chosen: Summary, ranking: Ranking) -> list[dict[str, Any]]:
    """The next narrower width, the chosen one, the next wider one: losses and prices."""
    peers = [each for each in ranking.finished if each.state == chosen.state]
    narrower = [each for each in peers if each.num_steps < chosen.num_steps]
    wider = [each for each in peers if each.num_steps > chosen.num_steps]
    rows = {"chosen": chosen}
    if narrower:
        rows = {"narrower": max(narrower, key=lambda each: each.num_steps)} | rows
    if wider:
        rows["wider"] = min(wider, key=lambda each: each.num_steps)
    return [
        {
            "which": which,
            "num_steps": each.num_steps,
            "loss": each.loss,
            "difference": each.loss - chosen.loss,
            "seconds": each.seconds,
            "step_milliseconds": each.cost["step_milliseconds"],
            "graph_bytes": each.cost["graph_bytes"],
        }
        for which, each in rows.items()
    ]
