"""Pictures of a comparison: loss against width, cost against width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from tf_rnn.files import write_figure
from tf_rnn.reporting.style import COLOURS, MARKERS, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.comparison.summary import Summary
    from tf_rnn.tasks import Task

STYLES: dict[str, dict[str, Any]] = {
    "carry": {"color": COLOURS[0], "marker": MARKERS[0], "label": "state carried"},
    "reset": {"color": COLOURS[1], "marker": MARKERS[1], "label": "state reset at each block"},
}
# Losses that differ by more than this factor are drawn on a logarithmic axis.
LOG_FROM = 1000
WIDTH_LABEL = "width: num_steps in the graph"
REFERENCE: dict[str, Any] = {"color": "0.45", "linewidth": 0.9, "zorder": 1}


def plot_loss(path: Path, summaries: Sequence[Summary], task: Task, title: str) -> None:
    """Draws the held-out loss of each width, with reference losses as lines.

    Args:
        path: The PNG to write.
        summaries: What to draw; bars are one standard deviation over seeds.
        task: Whose baselines and floors to draw.
        title: Above the plot.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    widths = sorted({summary.num_steps for summary in summaries})
    _width_axis(axes, widths)
    for name, loss in task.baselines().items():
        axes.axhline(loss, linestyle="--", **REFERENCE)
        axes.annotate(
            f"{name}, {loss:.4f}",
            (1.01, loss),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            color="0.3",
        )
    for state, style in STYLES.items():
        drawn = [summary for summary in summaries if summary.state == state and summary.runs]
        if drawn:
            axes.errorbar(
                [summary.num_steps for summary in drawn],
                [summary.loss for summary in drawn],
                yerr=[0 if math.isnan(summary.spread) else summary.spread for summary in drawn],
                capsize=3,
                linewidth=1.6,
                zorder=3,
                **style,
            )
    if any(summary.state == "reset" for summary in summaries):
        _floors(axes, widths, task)
    losses = [summary.loss for summary in summaries if summary.runs]
    if losses and min(losses) > 0 and max(losses) > LOG_FROM * min(losses):
        axes.set_yscale("log")
    axes.set_ylabel(f"held-out loss ({task.unit} a {task.token})")
    axes.set_title(wrapped(title), loc="left", fontsize=11)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(edgecolor="none", framealpha=0.9)
    write_figure(path, figure)


def _floors(axes: Any, widths: Sequence[int], task: Task) -> None:
    steps = range(widths[0], widths[-1] + 1)
    floors = [task.floor(width) for width in steps]
    if all(floor is not None for floor in floors):
        axes.plot(
            steps,
            floors,
            linestyle=":",
            linewidth=1.6,
            color="black",
            zorder=2,
            label="lowest possible, state reset",
        )


def plot_cost(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Draws what each width costs: time, throughput, start, memory.

    Args:
        path: The PNG to write.
        summaries: Whose costs to draw.
        title: Above the plots.
    """
    costs = {summary.num_steps: summary.cost for summary in summaries if summary.cost}
    widths = sorted(costs)
    figure = Figure(figsize=(8, 6), layout="constrained")
    figure.suptitle(wrapped(title), x=0.01, ha="left", fontsize=11)
    panels = {
        "a training step (ms)": {"": ("step_milliseconds", 1.0)},
        "tokens a second (millions)": {"": ("tokens_per_second", 1e-6)},
        "start (s)": {"build": ("build_seconds", 1.0), "first run": ("first_run_seconds", 1.0)},
        "memory of a step (MB)": {"": ("graph_bytes", 1e-6)},
    }
    for axes, (label, lines) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        axes.set_xlabel(WIDTH_LABEL)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylabel(label)
        for (name, (key, factor)), style in zip(lines.items(), STYLES.values(), strict=False):
            values = [costs[width][key] * factor for width in widths]
            axes.plot(widths, values, color=style["color"], marker=style["marker"], label=name)
        axes.set_ylim(bottom=0)
        if len(lines) > 1:
            axes.legend(frameon=False)
    write_figure(path, figure)


def _width_axis(axes: Any, widths: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(widths)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(WIDTH_LABEL)
    axes.spines[["top", "right"]].set_visible(False)
