"""Plot of costs against graph width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from tf_rnn.files import write_figure
from tf_rnn.reporting.style import COLOURS, MARKERS, wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.side_by_side.widths import Growth

PANELS = {
    "build (s)": ("build_seconds", 1.0),
    "first run (s)": ("first_run_seconds", 1.0),
    "training step (ms)": ("step_milliseconds", 1.0),
    "memory (MB)": ("memory_bytes", 1e-6),
}


def plot_growth(path: Path, growth: Growth, title: str) -> None:
    """Plots four costs against width on logarithmic axes, where linear growth has slope 1.

    Args:
        path: PNG file to write.
        growth: The measurements.
        title: Title above the panels.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    figure.suptitle(wrapped(title), x=0.01, ha="left", fontsize=11)
    for axes, (label, (cost, factor)) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for series, colour, marker in zip(growth.series, COLOURS, MARKERS, strict=False):
            points = [(width, growth.point(series, width)) for width in growth.widths]
            known = [
                (width, factor * value)
                for width, point in points
                if point is not None and (value := getattr(point, cost))
            ]
            if known:
                axes.plot(*zip(*known, strict=True), color=colour, marker=marker, label=series)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(growth.widths)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("width: num_steps in the graph")
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(which="major", color="0.9", linewidth=0.8)
        axes.legend(frameon=False)
    write_figure(path, figure)
