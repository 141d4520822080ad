"""Pictures of where the gradient goes and of what truncation cuts off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from tf_rnn.files import write_figure
from tf_rnn.reporting.style import COLOURS, MARKERS, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tf_rnn.analysis.lags import LagAnalysis

LAG_LABEL = "lag: steps back from the loss"


def plot_lags(path: Path, analyses: Mapping[str, LagAnalysis], lags: Sequence[int], title: str) -> None:
    """Draws the gradient's norm by lag, and the bias of truncation.

    Args:
        path: The PNG to write.
        analyses: By what to call them, "untrained" and "trained" say.
        lags: Lags at which the task is known to have a dependency, as thin lines.
        title: Above the plots.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    figure.suptitle(wrapped(title), x=0.01, ha="left", fontsize=11)
    norms, bias = figure.subplots(1, 2)
    for (name, analysis), style in zip(analyses.items(), _styles(), strict=False):
        norms.plot(analysis.lags, analysis.gradient_norm, label=f"{name}: {_decay(analysis)}", **style)
        bias.plot(analysis.truncations, analysis.relative_bias, label=f"{name}, truncated", **style)
        bias.plot(
            analysis.truncations,
            analysis.block_bias,
            color=style["color"],
            linestyle=":",
            label=f"{name}, in blocks",
        )
        if analysis.bound is not None:
            first = analysis.gradient_norm[0]
            norms.plot(
                analysis.lags,
                [first * analysis.bound**lag for lag in analysis.lags],
                color=style["color"],
                linestyle="--",
                linewidth=0.9,
                label=f"{name}: upper bound, {analysis.bound:.2f} a step",
            )
    norms.set_ylabel("norm of the gradient with respect to the state")
    positive = [norm for analysis in analyses.values() for norm in analysis.gradient_norm if norm]
    if positive:  # a logarithm of nothing but zeros has no place on an axis
        norms.set_yscale("log", nonpositive="mask")
        norms.set_ylim(min(positive) / 3, max(positive) * 30)
    norms.set_xlabel(LAG_LABEL)
    bias.set_ylabel("part of the gradient that is missing")
    bias.set_xlabel("truncated after so many steps, or width of the blocks")
    bias.set_ylim(0, None)
    for lag in lags:
        norms.axvline(lag, **_THIN)
        bias.axvline(lag + 1, **_THIN)
    for axes in (norms, bias):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(edgecolor="none", fontsize=8)
    write_figure(path, figure)


_THIN: dict[str, Any] = {"color": "0.7", "linewidth": 0.8, "zorder": 0}


def _styles() -> list[dict[str, Any]]:
    return [
        {"color": color, "marker": marker, "markersize": 3.5, "linewidth": 1.3}
        for color, marker in zip(COLOURS, MARKERS, strict=True)
    ]


def _decay(analysis: LagAnalysis) -> str:
    if math.isnan(analysis.decay):
        return "no decay can be fitted"
    return f"{analysis.trend}, {analysis.decay:.2f} a step"


def plot_advice(
    path: Path, biases: Sequence[Sequence[float]], tolerance: float, num_steps: int, title: str
) -> None:
    """Draws the bias of truncation of each seed, and where it falls below the tolerance.

    Args:
        path: The PNG to write.
        biases: For each seed the relative bias after K = 1 to N steps.
        tolerance: What may be missing.
        num_steps: The width that is recommended.
        title: Above the plot.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for seed, (bias, style) in enumerate(zip(biases, _styles() * len(biases), strict=False)):
        axes.plot(range(1, len(bias) + 1), bias, label=f"seed {seed}", **style)
    axes.axhline(tolerance, color="0.3", linestyle="--", linewidth=0.9)
    axes.annotate(
        f"tolerance {tolerance:g}", (len(biases[0]), tolerance), ha="right", va="bottom", fontsize=9
    )
    axes.axvline(num_steps, color="black", linewidth=1)
    axes.annotate(f" num_steps {num_steps}", (num_steps, 0.97), xycoords=("data", "axes fraction"), va="top")
    axes.set_xlabel("error followed back over so many steps")
    axes.set_ylabel("part of the gradient that is missing")
    axes.set_ylim(0, None)
    axes.set_title(wrapped(title), loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(edgecolor="none", fontsize=9)
    write_figure(path, figure)
