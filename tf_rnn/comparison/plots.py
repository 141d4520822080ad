"""Figures of a comparison: loss against width, cost against width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.reporting.style import (
    COLOURS,
    MARKERS,
    colour_of,
    draw_baselines,
    label_ends,
    literal,
    make_figure,
    whole_ticks,
    width_axis,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tf_rnn.comparison.summary import Summary
    from tf_rnn.tasks import Task

STYLES: dict[str, dict[str, Any]] = {
    "carry": {"color": COLOURS[0], "marker": MARKERS[0], "label": "state carried"},
    "reset": {"color": COLOURS[1], "marker": MARKERS[1], "label": "state reset at each block"},
}
# Losses that differ by a larger factor are drawn on a logarithmic axis.
LOG_FROM = 1000
WIDTH_LABEL = "width: num_steps in the graph"


def loss_figure(summaries: Sequence[Summary], task: Task, title: str) -> Any:
    """Draws the held-out loss of each width, with reference losses as lines.

    Args:
        summaries: What to draw; bars are one standard deviation over seeds.
        task: Provides baselines and floors.
        title: Above the plot.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = make_figure(title, (8, 5))
    widths = sorted({summary.num_steps for summary in summaries})
    width_axis(axes, widths, WIDTH_LABEL)
    losses = [summary.loss for summary in summaries if summary.runs]
    draw_baselines(axes, task.baselines(), losses)
    for state, style in STYLES.items():
        drawn = [summary for summary in summaries if summary.state == state and summary.runs]
        if drawn:
            axes.errorbar(
                [summary.num_steps for summary in drawn],
                [summary.loss for summary in drawn],
                yerr=[0 if math.isnan(summary.spread) else summary.spread for summary in drawn],
                capsize=3,
                linewidth=1.6,
                linestyle="none" if state == "reset" and _runs_below(drawn, task) else "-",
                zorder=3,
                **style,
            )
    if any(summary.state == "reset" for summary in summaries):
        _draw_floors(axes, widths, task)
    _draw_references(axes, widths, task)
    if losses and min(losses) > 0 and max(losses) > LOG_FROM * min(losses):
        axes.set_yscale("log")
    axes.set_ylabel(literal(f"held-out loss ({task.unit} per {task.token})"))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(edgecolor="none", framealpha=0.9)
    return figure


def _runs_below(drawn: Sequence[Summary], task: Task) -> bool:
    """Whether a line through the losses of networks whose state is reset would run below what is possible."""
    known = [summary.num_steps for summary in drawn]
    between = [width for width in range(known[0], known[-1]) if width not in known]
    line = np.interp(np.log(between), np.log(known), [summary.loss for summary in drawn])
    floors = [task.floor(width) for width in between]
    return any(floor is not None and loss < floor for loss, floor in zip(line, floors, strict=True))


def curve_figure(
    summaries: Sequence[Summary], task: Task, title: str, chosen: tuple[int, str] | None = None
) -> Any:
    """Draws the held-out loss of each width against its training: the mean over seeds.

    Args:
        summaries: What to draw, narrow widths first; a panel for each state.
        task: Provides unit and token.
        title: Above the plots.
        chosen: The width and state to draw in black; None for none.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    states = [state for state in STYLES if any(one.state == state and one.runs for one in summaries)]
    figure, grid = make_figure(title, (8, 5 if len(states) < 2 else 4.5), columns=max(1, len(states)))
    for axes, state in zip(np.ravel(grid), states, strict=False):
        _draw_curves(axes, [one for one in summaries if one.state == state and one.runs], chosen)
        axes.set_title(STYLES[state]["label"], fontsize=10)
    np.ravel(grid)[0].set_ylabel(literal(f"held-out loss ({task.unit} per {task.token})"))
    return figure


def _draw_curves(axes: Any, summaries: Sequence[Summary], chosen: tuple[int, str] | None) -> None:
    ends = []
    for number, summary in enumerate(summaries):
        fractions, losses = _mean_curve(summary)
        is_chosen = (summary.num_steps, summary.state) == chosen
        look = {"color": "black" if is_chosen else colour_of(number, len(summaries))}
        name = f"width {summary.num_steps}"
        axes.plot(fractions, losses, label=name, linewidth=2.4 if is_chosen else 1.3, **look)
        axes.plot(fractions[-1:], losses[-1:], "o" if summary.fraction == 1 else "x", markersize=5, **look)
        ends.append((fractions[-1], losses[-1], name, look))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.set_xlabel("part of the training")
    label_ends(axes, ends)


def _mean_curve(summary: Summary) -> tuple[list[float], list[float]]:
    """Fractions of the budget and mean losses over seeds, at the points after training began."""
    points = [group for group in zip(*summary.curves, strict=False) if group[0]["updates"]]
    ends = [curve[-1]["updates"] / summary.fraction for curve in summary.curves]
    return (
        [
            float(np.mean([point["updates"] / end for point, end in zip(group, ends, strict=True)]))
            for group in points
        ],
        [float(np.mean([point["valid_loss"] for point in group])) for group in points],
    )


def _draw_floors(axes: Any, widths: Sequence[int], task: Task) -> None:
    steps = range(widths[0], widths[-1] + 1)
    floors = [task.floor(width) for width in steps]
    if all(floor is not None for floor in floors):
        style = {"linestyle": ":", "linewidth": 1.6, "color": "black", "zorder": 2}
        axes.plot(steps, floors, label="lowest possible, state reset", **style)


def _draw_references(axes: Any, widths: Sequence[int], task: Task) -> None:
    found = [(width, loss) for width in widths if (loss := task.reference(width)) is not None]
    if found:
        style = {"linestyle": "-.", "linewidth": 1.4, "color": "0.4", "marker": ".", "zorder": 2}
        axes.plot(*zip(*found, strict=True), label="linear predictor that reads as many rows", **style)


def cost_figure(costs: Sequence[Mapping[str, Any]], title: str) -> Any:
    """Draws what each width costs: time, throughput, start, memory.

    Args:
        costs: A record for each width, narrow widths first, as in `tf_rnn.analysis.Cost`.
        title: Above the plots.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    widths = [cost["num_steps"] for cost in costs]
    panels = {
        "training step (ms)": {"": ("step_milliseconds", 1.0)},
        "tokens per second (millions)": {"": ("tokens_per_second", 1e-6)},
        "start (s)": {"build": ("build_seconds", 1.0), "first run": ("first_run_seconds", 1.0)},
        "memory of a training step (MB)": {"": ("graph_bytes", 1e-6)},
    }
    figure, grid = make_figure(title, (8, 6), columns=2, rows=2)
    for axes, (label, lines) in zip(grid.flat, panels.items(), strict=True):
        axes.set_xlabel(WIDTH_LABEL)
        axes.set_ylabel(label)
        for (name, (key, factor)), style in zip(lines.items(), STYLES.values(), strict=False):
            values = [cost[key] * factor for cost in costs]
            look = {"color": style["color"], "marker": style["marker"], "clip_on": False}
            axes.plot(widths, values, label=name or label, **look)
        axes.set_ylim(bottom=0)
        whole_ticks(axes)
        if len(lines) > 1:
            axes.legend(frameon=False)
    return figure
