"""The report that a comparison leaves behind: tables, verdict and pictures in one page."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tf_rnn.comparison.slopes import cost_slopes, slope_sentence
from tf_rnn.comparison.tables import as_csv, as_markdown, cost_table, learning_table
from tf_rnn.comparison.verdict import failure_sentence
from tf_rnn.files import write_text
from tf_rnn.setup import setup_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.settings import Comparison
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.comparison.verdict import Verdict
    from tf_rnn.tasks import Task

NO_VERDICT = "No run ended with a finite loss: limit the gradient with --clip-norm, or lower --learning-rate."

NOTES = """\
**loss** is held out, in {unit}, the mean over seeds (initial weights) ± its standard deviation over
them; **bits** is the same in bits. With the state carried, the evaluation carries it too and does
not depend on the width; with the state reset, it resets it at every block, as in training. **over
optimum** is the distance from the lowest loss that any predictor can have, **over floor** from the
lowest that one can have whose state is reset. **lag learnt** is the effect of that lag's input on
the predictions, divided by the true effect: 1 is learnt, 0 is not. **reach** is the share of the
errors that flow back that far, in blocks of n steps (n - lag) / n. All widths share one learning rate;
**updates** says how often each could use it.

Costs are medians of interleaved runs with nothing else running: **build** makes the graph, **first
run** is the first training step, **step** every further one; **memory** is the most that one training
step holds at a time."""


def configuration_line(comparison: Comparison) -> str:
    """The options that all runs of a comparison share, in one line."""
    seeds = f"{comparison.seeds} seed{'s' if comparison.seeds > 1 else ''}"
    return setup_line(comparison, f"{comparison.amount:,.10g} {comparison.budget} a run, {seeds}")


def slope_line(summaries: Sequence[Summary]) -> str:
    """What one further step of width costs, in words."""
    costs = {summary.num_steps: summary.cost for summary in summaries if summary.cost}
    return slope_sentence(cost_slopes([costs[width] for width in sorted(costs)]))


def answer(summaries: Sequence[Summary], verdict: Verdict | None) -> str:
    """The verdict in words, or why there is none."""
    if verdict:
        return verdict.sentence
    diverged = any(summary.diverged for summary in summaries)
    return (NO_VERDICT if diverged else "No run was finished.") + failure_sentence(summaries)


def write_report(
    comparison: Comparison,
    results: Results,
    summaries: Sequence[Summary],
    verdict: Verdict | None,
    task: Task,
    arguments: Sequence[str],
) -> list[Path]:
    """Writes `results.csv`, `report.md` and two PNG plots beside `results.json`.

    Args:
        comparison: What was compared.
        results: Every run.
        summaries: What to show.
        verdict: The answer.
        task: The comparison's task.
        arguments: The command line that made it, after `python -m tf_rnn`.

    Returns:
        The files.
    """
    # Drawing takes a second to load, which is not needed before there is something to draw.
    from tf_rnn.comparison.plots import plot_cost, plot_loss  # noqa: PLC0415

    folder = results.folder
    line = configuration_line(comparison)
    plot_loss(folder / "loss.png", summaries, task, f"What each width learns\n{line}")
    plot_cost(folder / "cost.png", summaries, f"What each width costs\n{line}")
    failed = {key: key._asdict() | {"error": error} for key, error in results.failures.items()}
    runs = [run | results.costs[key.num_steps] for key, run in sorted((results.runs | failed).items())]
    write_text(folder / "results.csv", as_csv(runs, task.lags))
    baselines = "".join(f"- {name}: {loss:.4f} {task.unit}\n" for name, loss in task.baselines().items())
    sections = [
        "# How wide should the graph be?",
        answer(summaries, verdict),
        line + ".",
        f"```\npython -m tf_rnn {shlex.join(arguments)}\n```",
        "## What each width learns",
        as_markdown(learning_table(summaries, task)),
        f"Losses to compare with:\n\n{baselines}" if baselines else "",
        "![Held-out loss against width](loss.png)",
        "## What each width costs",
        as_markdown(cost_table(summaries)),
        slope_line(summaries),
        "![Cost against width](cost.png)",
        "## How to read this",
        NOTES.format(unit=task.unit),
    ]
    write_text(folder / "report.md", "\n\n".join(section.rstrip() for section in sections if section) + "\n")
    return [folder / name for name in ("report.md", "results.json", "results.csv", "loss.png", "cost.png")]
