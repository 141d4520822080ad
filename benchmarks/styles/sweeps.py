"""A sweep of each style, with everything else the same, and what the two make together."""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from typing import TYPE_CHECKING, Any, Self

import tf_rnn
from tf_rnn.comparison.ranking import mean_difference
from tf_rnn.comparison.sentences import signed_loss
from tf_rnn.reporting import Table, number
from tf_rnn.text import perplexity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.comparison import Summary, Sweep

STYLES = ("block", "sliding")
TITLES = {"block": "blocks", "sliding": "sliding windows"}
COLUMNS = ("style", "num_steps", "learning_rate", "seed", "loss", "standard_error", "train_loss", "updates",
           "tokens", "parameters", "error")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Styles:
    """Sweeps of both styles over the same widths, seeds and learning rates, with the same words read.

    Attributes:
        sweeps: A sweep for each of `STYLES`.
    """

    sweeps: dict[str, Sweep]

    @classmethod
    def trained(
        cls,
        *,
        data: str | None,
        num_steps: Sequence[int],
        learning_rate: Sequence[float],
        seeds: int,
        tokens: float,
        workers: int | None,
        out: Path,
        stride: int,
        **network: Any,
    ) -> Self:
        """Trains both sweeps; finished runs in the folder `out` are not repeated.

        Raises:
            OptionError: If an option is not allowed.
        """
        sweeps = {}
        for style in STYLES:
            own: dict[str, Any] = {"stride": stride} if style == "sliding" else {}
            own |= {} if data is None else {"data": data}
            experiment = tf_rnn.Experiment("words", style=style, **own, **network)
            sweeps[style] = experiment.compare(
                num_steps,
                state=("carry",),
                learning_rate=learning_rate,
                seeds=seeds,
                amount=tokens,
                workers=workers,
                out=out / style,
            )
        return cls(sweeps)

    @functools.cached_property
    def pairs(self) -> list[tuple[Summary, Summary]]:
        """Blocks and sliding windows of each width, each at its best learning rate."""
        return list(zip(*(self.sweeps[style].summaries for style in STYLES), strict=True))

    def words_read(self, style: str, summary: Summary) -> float:
        """How many words a run has read to learn from each once: what it costs, on any machine."""
        stride = self.sweeps[style].comparison.setup.stride
        return summary.tokens * (summary.num_steps / stride if style == "sliding" else 1)

    def table(self) -> Table:
        """What each style learns at each width, and what it costs."""
        columns: dict[str, list[str]] = {"width": [str(block.num_steps) for block, _ in self.pairs]}
        for style, summaries in zip(STYLES, zip(*self.pairs, strict=True), strict=True):
            columns |= {
                f"{style}:\nloss ± seeds": [_loss(each) for each in summaries],
                f"{style}:\nperplexity": [number(perplexity(each.loss), ".1f") for each in summaries],
                f"{style}:\nrate": [f"{each.learning_rate:g}" for each in summaries],
                f"{style}:\nupdates": [f"{each.updates:,.0f}" for each in summaries],
                f"{style}:\nwords read": [f"{self.words_read(style, each):,.0f}" for each in summaries],
            }
        columns["sliding\n- block"] = [_difference(sliding, block) for block, sliding in self.pairs]
        return Table.of_columns("Sliding windows against blocks", columns)

    def runs(self) -> Table:
        """A row for each run, numbers with all their digits."""
        records = [
            record | {"style": style} for style, sweep in self.sweeps.items() for record in sweep.records
        ]
        return Table.of_records("Runs", records, COLUMNS)

    @property
    def sentence(self) -> str:
        """The best width of each style in words."""
        found = [
            f"{TITLES[style]} of {best.num_steps} steps with a perplexity of {perplexity(best.loss):.1f} and "
            f"{self.words_read(style, best):,.0f} words read"
            for style, summaries in zip(STYLES, zip(*self.pairs, strict=True), strict=True)
            for best in [min(summaries, key=lambda each: each.loss)]
        ]
        return f"Of the same words to learn from, the best make {found[0]}, and {found[1]}."


def _loss(summary: Summary) -> str:
    return f"{summary.loss:.3f} ± {number(summary.spread, '.3f')}"


def _difference(one: Summary, other: Summary) -> str:
    """The difference of two losses, over pairs of runs with the same seed, and its standard deviation."""
    pairs = [one.losses[seed] - other.losses[seed] for seed in one.losses if seed in other.losses]
    spread = statistics.stdev(pairs) if len(pairs) > 1 else math.nan
    return f"{signed_loss(mean_difference(one, other), 'nats')} ± {number(spread, '.4f')}"
