"""Figures of where the gradient goes and what truncation loses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tf_rnn.reporting.style import line_styles, make_figure, whole_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tf_rnn.analysis.lags import LagAnalysis

LAG_LABEL = "lag: steps back from the loss"
LOST = "fraction of the gradient that is lost"
THIN: dict[str, Any] = {"color": "0.7", "linewidth": 0.8, "zorder": 0}


def lag_figure(analyses: Mapping[str, LagAnalysis], lags: Sequence[int], title: str) -> Any:
    """Draws the gradient's norm by lag, and the bias of truncation.

    Args:
        analyses: By name.
        lags: Lags at which the task has a dependency, drawn as thin lines.
        title: Above the plots.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = make_figure(title, (10, 4.5), columns=2)
    norms, bias = axes.flat
    for (name, analysis), style in zip(analyses.items(), line_styles(), strict=False):
        norms.plot(analysis.lags, analysis.gradient_norm, label=f"{name}: {_decay(analysis)}", **style)
        bias.plot(analysis.truncations, analysis.relative_bias, label=f"{name}, truncated", **style)
        dotted = {"color": style["color"], "linestyle": ":"}
        bias.plot(analysis.truncations, analysis.block_bias, label=f"{name}, in blocks", **dotted)
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
    bias.set_ylabel(LOST)
    bias.set_xlabel("steps after which the gradient is truncated, or width of the blocks")
    whole_ticks(bias)
    bias.set_ylim(0, None)
    for lag in lags:
        norms.axvline(lag, **THIN)
        bias.axvline(lag + 1, **THIN)
    for each in (norms, bias):
        each.legend(edgecolor="none", fontsize=8)
    return figure


def _decay(analysis: LagAnalysis) -> str:
    if math.isnan(analysis.decay):
        return "no decay can be fitted"
    return f"{analysis.trend}, {analysis.decay:.2f} per step"
