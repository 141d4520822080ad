"""The page of a comparison: answer, tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.comparison.elsewhere import elsewhere
from tf_rnn.comparison.ranking import MARGIN, SAME_PRICE
from tf_rnn.reporting import Heading, Image, Page, Plain
from tf_rnn.reporting.page import baseline_sections, command_code
from tf_rnn.setup import setup_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.settings import Comparison
    from tf_rnn.comparison.sweep import Sweep

NOTES = """\
**loss** is measured on held-out data in {unit}: the lowest of a run's evaluations, as `train` keeps its
best checkpoint; the mean over seeds (initial weights) ± its standard deviation over them. **bits** is the
same loss in bits. With the state carried, the evaluation carries it, too, and does not depend on the width;
with the state reset, the evaluation resets it at every block, as training does. **above optimum** is the
distance to the lowest loss that any predictor can reach, **above floor** to the lowest that one can reach
whose state is reset; both are expectations, and on held-out data a loss can come out a little lower.
**lag learnt** is the effect of the input at that lag on the predictions at the end, divided by its true
effect: 1 is learnt, 0 is not. **reach** is the fraction of the errors that flow back that far, (n - lag) / n
in blocks of n steps. **updates** is the number of training steps: for the same tokens a narrower graph has
more.

The width to use is the cheapest among those as good as the best; of equally cheap ones (within {price:.0%})
the narrowest. As good means: the mean difference to the best, paired by seed, is at most {margin:.0%} of the
best loss (or of its distance from a constant prediction, where that is larger), or at most its standard
error. **time for the same training** is the time of all training steps of a run, at the speed below.

Costs are medians of interleaved runs with nothing else running. **build** is the time to make the graph,
**first run** that of the first training step, **step** that of every later one; **memory** is the peak of
one training step."""


def comparison_line(comparison: Comparison) -> str:
    """The settings that all runs of a comparison share, in one line."""
    seeds = f"{comparison.seeds} seed{'s' if comparison.seeds > 1 else ''}"
    amount = f"{comparison.budget_words} per run"
    return f"{setup_line(comparison.setup, amount, comparison.learning_rate)}, {seeds}"


def comparison_page(sweep: Sweep, command: Sequence[str]) -> Page:
    """The report of a comparison.

    Args:
        sweep: The results.
        command: The command line to show; see `command_code`.
    """
    task = sweep.task
    compared = task.baselines() | task.contenders(sweep.comparison.widths)
    return Page(
        "How wide should the graph be?",
        sweep.sentence,
        sweep.answer_table(),
        elsewhere(sweep.answer.num_steps, task) if sweep.answer and sweep.answer.num_steps else None,
        Plain(f"{sweep.line}."),
        command_code(command),
        *(sweep.widths.sections if sweep.widths else ()),
        Heading("What each width learns"),
        sweep.table(),
        *baseline_sections(compared, task.unit),
        Image("Held-out loss against width", "loss.png", sweep.figure),
        Heading("How each width learns"),
        Image("Held-out loss against training", "curves.png", sweep.curve_figure),
        Heading("What each width costs"),
        sweep.cost_table(),
        sweep.cost_sentence,
        Image("Cost against width", "cost.png", sweep.cost_figure),
        Heading("How to read this"),
        NOTES.format(unit=task.unit, price=SAME_PRICE, margin=MARGIN),
    )
