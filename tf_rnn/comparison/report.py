"""The page of a comparison: answer, tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.reporting import Heading, Image, Page, Plain
from tf_rnn.reporting.page import bullets, command_code
from tf_rnn.setup import setup_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.settings import Comparison
    from tf_rnn.comparison.sweep import Sweep

NOTES = """\
**loss** is measured on held-out data in {unit}: the mean over seeds (initial weights) ± its standard
deviation over them. **bits** is the same loss in bits. With the state carried, the evaluation carries it,
too, and does not depend on the width; with the state reset, the evaluation resets it at every block, as
training does. **above optimum** is the distance to the lowest loss that any predictor can reach, **above
floor** to the lowest that one can reach whose state is reset. **lag learnt** is the effect of the input at
that lag on the predictions, divided by its true effect: 1 is learnt, 0 is not. **reach** is the fraction of
the errors that flow back that far, (n - lag) / n in blocks of n steps. All widths share one learning rate;
**updates** is how often each applied it.

Costs are medians of interleaved runs with nothing else running. **build** is the time to make the graph,
**first run** that of the first training step, **step** that of every later one; **memory** is the peak of
one training step."""


def comparison_line(comparison: Comparison) -> str:
    """The settings that all runs of a comparison share, in one line."""
    seeds = f"{comparison.seeds} seed{'s' if comparison.seeds > 1 else ''}"
    amount = f"{comparison.amount:,.10g} {comparison.budget} per run"
    return f"{setup_line(comparison.setup, amount)}, {seeds}"


def comparison_page(sweep: Sweep, command: Sequence[str]) -> Page:
    """The report of a comparison.

    Args:
        sweep: The results.
        command: The command line to show; see `command_code`.
    """
    task = sweep.task
    baselines = bullets(*(f"{name}: {loss:.4f} {task.unit}" for name, loss in task.baselines().items()))
    return Page(
        "How wide should the graph be?",
        sweep.sentence,
        Plain(f"{sweep.line}."),
        command_code(command),
        Heading("What each width learns"),
        sweep.table(),
        f"Losses to compare with:\n\n{baselines}" if baselines else None,
        Image("Held-out loss against width", "loss.png"),
        Heading("What each width costs"),
        sweep.cost_table(),
        sweep.cost_sentence,
        Image("Cost against width", "cost.png"),
        Heading("How to read this"),
        NOTES.format(unit=task.unit),
    )
