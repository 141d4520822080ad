"""Figures of where the gradient goes and what truncation loses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.reporting.style import COLOURS, line_styles, literal, make_figure, whole_ticks
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tf_rnn.analysis.at import InputGradients
    from tf_rnn.analysis.lags import LagAnalysis
    from tf_rnn.analysis.positions import ByPosition

LAG_LABEL = "lag: steps back from the loss"
LOST = "fraction of the gradient that is lost"
LOST_OF_PAST = "fraction of the whole gradient that is lost"
# Of the inputs to one prediction: how many in a row, rows, and characters that do not fit under a bar.
PER_ROW, MOST_ROWS, LONG = 64, 8, 3
THIN: dict[str, Any] = {"color": "0.7", "linewidth": 0.8, "zorder": 0}
MARK: dict[str, Any] = {"color": "0.2", "linestyle": "--", "linewidth": 1, "zorder": 0}


def lag_figure(
    analyses: Mapping[str, LagAnalysis],
    lags: Sequence[int],
    title: str,
    context: ByPosition | None = None,
    unit: str = "nats",
    window: int | None = None,
) -> Any:
    """Draws the gradient's norm by lag, the bias of truncation, and the loss by context if it is known.

    Args:
        analyses: By name.
        lags: Lags at which the task has a dependency, drawn as thin lines.
        title: Above the plots.
        context: The loss by context.
        unit: Its unit.
        window: A width to be marked.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = make_figure(
        title, (10 if context is None else 14, 4.5), columns=2 if context is None else 3
    )
    norms, bias, *rest = axes.flat
    for (name, analysis), style in zip(analyses.items(), line_styles(), strict=False):
        norms.plot(analysis.lags, analysis.gradient_norm, label=f"{name}: {_decay(analysis)}", **style)
        bias.plot(analysis.truncations, analysis.relative_bias, label=f"{name}, truncated", **style)
        dotted = {"color": style["color"], "linestyle": ":"}
        bias.plot(analysis.truncations, analysis.block_bias, label=f"{name}, in blocks", **dotted)
        if analysis.mean_is_clear:
            dashed = {"color": style["color"], "linestyle": "--"}
            bias.plot(analysis.truncations, analysis.mean_bias, label=f"{name}, truncated, mean", **dashed)
        if analysis.bound is not None:
            bound = [analysis.gradient_norm[0] * analysis.bound**lag for lag in analysis.lags]
            label = f"{name}: upper bound, {analysis.bound:.2f} per step"
            dashed = {"color": style["color"], "linestyle": "--", "linewidth": 0.9}
            norms.plot(analysis.lags, bound, label=label, **dashed)
    norms.set_ylabel("norm of the gradient with respect to the state")
    positive = [norm for analysis in analyses.values() for norm in analysis.gradient_norm if norm]
    if positive:  # zeros have no place on a logarithmic axis
        norms.set_yscale("log", nonpositive="mask")
        norms.set_ylim(min(positive) / 3, max(positive) * 30)
    norms.set_xlabel(LAG_LABEL)
    whole_ticks(norms)
    is_whole = all(analysis.reference == "infinite" for analysis in analyses.values())
    bias.set_ylabel(LOST_OF_PAST if is_whole else LOST)
    bias.set_xlabel("steps until the gradient is truncated, or width of blocks")
    whole_ticks(bias)
    bias.set_ylim(0, None)
    for text in [f"{name}: no width suffices" for name, each in analyses.items() if each.grows]:
        bias.plot([], [], " ", label=text)
    for lag in lags:
        norms.axvline(lag, **THIN)
        bias.axvline(lag + 1, **THIN)
    if context is not None:
        _draw_context(rest[0], context, unit)
    for each, shift in zip(axes.flat, (-1, 0, 0), strict=False):
        if window is not None:
            each.axvline(window + shift, **MARK, label=f"window of {window}")
        each.legend(edgecolor="none", fontsize=9)
    return figure


def _draw_context(axes: Any, context: ByPosition, unit: str) -> None:
    """The loss after so many steps from a fresh state, beside that of a state carried on."""
    steps = np.arange(1, len(context.fresh) + 1)
    fresh, carried = np.array(context.fresh, float), np.array(context.carried, float)
    axes.plot(steps, fresh, label="so many steps of context", color=COLOURS[0])
    axes.plot(steps, carried, label="all of the past, same predictions", color="0.35", linestyle=":")
    axes.set_xlabel("steps of context")
    axes.set_ylabel(f"loss ({unit})")
    whole_ticks(axes)


def at_figure(found: InputGradients, title: str) -> Any:
    """Draws the gradient of one loss at each input over the inputs themselves, in the order of time.

    Args:
        found: What was measured; the latest inputs are drawn, as many as can be read.
        title: Above the plot.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    shown = min(len(found.norms), PER_ROW * MOST_ROWS)
    rows = math.ceil(shown / PER_ROW)
    per_row = math.ceil(shown / rows)
    loss = f"{loss_text(found.loss, found.unit)} {found.unit}"
    title = f"{title}\nprediction of {found.target!r} at {found.position}: loss {loss}"
    figure, grid = make_figure(title, (11, 1.6 + 1.6 * rows), rows=rows)
    for number, axes in enumerate(np.ravel(grid)):
        latest = max(0, shown - (number + 1) * per_row)
        lags = range(shown - number * per_row - 1, latest - 1, -1)
        colors = [COLOURS[0] if lag < found.num_steps else COLOURS[1] for lag in lags]
        axes.bar(lags, [found.norms[lag] for lag in lags], color=colors)
        axes.set_xlim(lags[0] + 0.6, lags[0] - per_row + 0.4)
        axes.set_ylim(0, 1.05 * max(found.norms) or 1)
        axes.set_ylabel("norm")
        _label(axes, found, lags)
        if found.num_steps in lags:
            axes.axvline(found.num_steps - 0.5, color="0.2", linestyle="--", linewidth=1)
            place = {"xycoords": ("data", "axes fraction"), "ha": "right", "va": "top", "fontsize": 8}
            border = f"training at width {found.num_steps} cuts errors off here  "
            axes.annotate(border, (found.num_steps - 0.5, 0.99), **place)
    np.ravel(grid)[-1].set_xlabel(f"inputs, and how many steps before the prediction at {found.position}")
    return figure


def _label(axes: Any, found: InputGradients, lags: Sequence[int]) -> None:
    """Writes the inputs under their bars, and every tenth lag; real values are a line over the bars."""
    shown = ["" if found.values else found.inputs[lag] for lag in lags]
    texts = [literal("␣" if text == " " else text) for text in shown]
    ends = [
        f"\n{lag if lag % 10 == 0 else ' '}" if len(text) < LONG else ""
        for lag, text in zip(lags, texts, strict=True)
    ]
    labels = [f"{text or ' '}{end}" for text, end in zip(texts, ends, strict=True)]
    axes.set_xticks(list(lags), labels, fontsize=8, family="monospace")
    for label, text in zip(axes.get_xticklabels(), texts, strict=True):
        label.set_rotation(90 if len(text) >= LONG else 0)
    axes.tick_params(axis="x", length=0)
    if found.values:
        beside = axes.twinx()
        beside.plot(list(lags), [found.values[lag] for lag in lags], color="0.4", linewidth=1, label="value")
        beside.set_ylabel("value", color="0.4")
        beside.spines["top"].set_visible(False)


def _decay(analysis: LagAnalysis) -> str:
    if math.isnan(analysis.decay):
        return "no decay can be fitted"
    return f"{analysis.trend}, {analysis.decay:.2f} per step"
