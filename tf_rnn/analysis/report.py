"""What `lags` and `recommend` leave behind: JSON, CSV, a page, a picture."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import shlex
from typing import TYPE_CHECKING, Any

from tf_rnn.analysis.plots import plot_advice, plot_lags
from tf_rnn.files import plain, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.analysis.advice import Advice
    from tf_rnn.analysis.lags import LagAnalysis
    from tf_rnn.analysis.study import LagStudy
    from tf_rnn.tasks import Task

SHOWN_LAGS = (0, 1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200)

LAG_NOTES = """\
**norm** is the mean over positions and examples of the norm of a loss's gradient with respect to the
state so many steps before it. **missing** is the part of the gradient of the recurrent weights that is
lost if every error is followed back over exactly so many steps, relative to the longest; **in blocks**
the same for blocks of that width, in which an error goes back to the start of its block, on average half
as far. The **bound** of a vanilla cell is the largest singular value of its recurrent weights: the norm
cannot grow faster on the way back (Pascanu et al. 2013)."""


def describe(name: str, analysis: LagAnalysis) -> str:
    """One sentence on where the gradient goes."""
    if math.isnan(analysis.decay):
        return f"{name}: no decay can be fitted, fewer than two of {len(analysis.lags)} lags have a gradient"
    changes = {
        "vanishes": f"halves every {analysis.half_life:.1f} steps",
        "explodes": f"doubles every {-analysis.half_life:.1f} steps",
        "holds": "changes by less than a factor of 2",
    }
    bound = "" if analysis.bound is None else f" (bound {analysis.bound:.3f})"
    return (
        f"{name}: the gradient {analysis.trend}; its norm {changes[analysis.trend]} over "
        f"{len(analysis.lags)} steps, a factor of {analysis.decay:.3f} a step{bound}"
    )


def lag_table(analysis: LagAnalysis) -> tuple[list[str], list[list[str]]]:
    """Header and cells of a table of some lags."""
    header = ["steps back", "norm", "missing after so many", "in blocks of so many", "cosine"]
    rows = []
    for lag in [lag for lag in SHOWN_LAGS if lag < len(analysis.lags)]:
        cells = [str(lag), f"{analysis.gradient_norm[lag]:.3g}"]
        if lag == 0:
            cells += ["–", "–", "–"]
        else:
            cells += [
                f"{analysis.relative_bias[lag - 1]:.1%}",
                f"{analysis.block_bias[lag - 1]:.1%}",
                f"{analysis.cosine[lag - 1]:.3f}",
            ]
        rows.append(cells)
    return header, rows


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_lags(
    folder: Path, study: LagStudy, identity: dict[str, Any], task: Task, line: str, words: Sequence[str]
) -> list[Path]:
    """Writes `lags.json`, `lags.csv`, `report.md` and `lags.png`.

    Args:
        folder: Where.
        study: What was measured.
        identity: The configuration.
        task: For the lags that it is known to have.
        line: The configuration in words.
        words: The command line after `python -m tf_rnn`.

    Returns:
        The files.
    """
    analyses = {"untrained": study.untrained} | ({"trained": study.trained} if study.trained else {})
    last = dataclasses.asdict(study.last)
    write_json(
        folder / "lags.json",
        plain(
            {"task": identity["task"], "cell": identity["cell"], "config": identity}
            | last
            | {
                "untrained": dataclasses.asdict(study.untrained),
                "loss": study.evaluation.loss if study.evaluation else None,
            }
        ),
    )
    write_text(folder / "lags.csv", _lags_csv(analyses))
    plot_lags(folder / "lags.png", analyses, task.lags, f"Where the gradient goes\n{line}")
    sections = [
        "# Where the error stops",
        "\n".join(f"- {describe(name, analysis)}." for name, analysis in analyses.items()),
        line + ".",
        f"```\npython -m tf_rnn {shlex.join(words)}\n```",
        *(
            f"## {name.capitalize()}\n\n{_markdown(*lag_table(analysis))}"
            for name, analysis in analyses.items()
        ),
        "![Gradient by lag and bias of truncation](lags.png)",
        "## How to read this",
        LAG_NOTES,
    ]
    write_text(folder / "report.md", "\n\n".join(sections) + "\n")
    return [folder / name for name in ("report.md", "lags.json", "lags.csv", "lags.png")]


def _lags_csv(analyses: dict[str, LagAnalysis]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["weights", "lag", "gradient_norm", "truncation", "relative_bias", "block_bias", "cosine"]
    )
    for name, analysis in analyses.items():
        for row in zip(
            analysis.lags,
            analysis.gradient_norm,
            analysis.truncations,
            analysis.relative_bias,
            analysis.block_bias,
            analysis.cosine,
            strict=True,
        ):
            writer.writerow([name, *row])
    return text.getvalue()


def write_advice(
    folder: Path,
    advice: Advice,
    studies: Sequence[LagStudy],
    identity: dict[str, Any],
    line: str,
    words: Sequence[str],
    verification: str | None,
) -> list[Path]:
    """Writes `recommendation.json`, `recommendation.csv`, `report.md` and `recommendation.png`.

    Args:
        folder: Where.
        advice: The advice.
        studies: One a seed.
        identity: The configuration.
        line: The configuration in words.
        words: The command line after `python -m tf_rnn`.
        verification: Whether the advice held, in words; None where that was not tried.

    Returns:
        The files.
    """
    write_json(
        folder / "recommendation.json",
        plain(
            dataclasses.asdict(advice)
            | {
                "task": identity["task"],
                "cell": identity["cell"],
                "config": identity,
                "verification": verification,
            }
        ),
    )
    biases = [study.last.relative_bias for study in studies]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["truncation", *(f"relative_bias_seed_{seed}" for seed in range(len(biases)))])
    writer.writerows([K, *values] for K, values in enumerate(zip(*biases, strict=True), start=1))
    write_text(folder / "recommendation.csv", text.getvalue())
    plot_advice(
        folder / "recommendation.png",
        biases,
        advice.tolerance,
        advice.num_steps,
        f"How much of the gradient a truncation misses\n{line}",
    )
    header = ["width", "step (ms)", "tokens/s", "build (s)", "first run (s)", "memory (MB)"]
    rows = [
        [
            str(cost["num_steps"]),
            f"{cost['step_milliseconds']:.3f}",
            f"{cost['tokens_per_second']:,.0f}",
            f"{cost['build_seconds']:.3f}",
            f"{cost['first_run_seconds']:.3f}",
            f"{cost['graph_bytes'] / 1e6:.3g}",
        ]
        for cost in advice.costs
    ]
    sections = [
        "# Which width to use",
        advice.reason,
        verification or "",
        line + ".",
        f"```\npython -m tf_rnn {shlex.join(words)}\n```",
        "![Bias of truncation](recommendation.png)",
        "## What it costs",
        _markdown(header, rows),
        "## How it was found",
        (
            f"One network for each of {len(studies)} seeds was trained at width {len(biases[0])}; then "
            "errors were followed back and each step's part of the recurrent weights' gradient summed up. "
            "The width is the smallest from which on what is missing stays below the tolerance, for the seed "
            "that asks for most."
        ),
    ]
    write_text(folder / "report.md", "\n\n".join(section for section in sections if section) + "\n")
    names = ("report.md", "recommendation.json", "recommendation.csv", "recommendation.png")
    return [folder / name for name in names]
