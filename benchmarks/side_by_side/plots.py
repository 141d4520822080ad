"""Bar charts of step times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from benchmarks.side_by_side.peers import OWN
from benchmarks.side_by_side.tables import bests_of, floors_of, milliseconds
from tf_rnn.files import write_figure
from tf_rnn.reporting.style import COLOURS, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.side_by_side.results import Measurement

# One colour per library.
FAMILY_COLOURS = {
    OWN: COLOURS[0],
    "naive": COLOURS[1],
    "static_rnn": COLOURS[1],
    "dynamic_rnn": COLOURS[1],
    "keras": COLOURS[2],
    "torch": COLOURS[3],
    "jax": COLOURS[4],
}
COLUMNS = 2
PANEL_HEIGHT = 2.7
ROOM = 1.18  # factor of the x axis, leaves room for the number beside the longest bar


def plot_steps(path: Path, measurements: Sequence[Measurement], title: str) -> None:
    """Plots step times as bars, one panel per configuration, with the floor as a line.

    Args:
        path: PNG file to write.
        measurements: At least one measurement.
        title: Title above the panels.
    """
    columns = min(COLUMNS, len(measurements))
    rows = math.ceil(len(measurements) / columns)
    figure = Figure(figsize=(5.2 * columns, 0.6 + PANEL_HEIGHT * rows), layout="constrained")
    figure.suptitle(wrapped(title), x=0.01, ha="left", fontsize=11)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, measurement in zip(panels, measurements, strict=False):
        _draw(axes, measurement)
    for axes in panels[len(measurements) :]:
        axes.set_axis_off()
    write_figure(path, figure)


def _draw(axes: Any, measurement: Measurement) -> None:
    best = list(bests_of(measurement).items())
    names = [name for name, _ in best]
    times = [one.milliseconds or 0.0 for _, one in best]
    spreads = [[time - min(one.turns) for time, (_, one) in zip(times, best, strict=True)]]
    spreads.append([max(one.turns) - time for time, (_, one) in zip(times, best, strict=True)])
    axes.barh(
        names,
        times,
        color=[FAMILY_COLOURS[one.peer.family] for _, one in best],
        xerr=spreads,
        error_kw={"elinewidth": 0.8, "ecolor": "0.35", "capsize": 2},
    )
    ends = [max(one.turns) for _, one in best]
    for name, time, end in zip(names, times, ends, strict=True):
        axes.annotate(
            milliseconds(time),
            (end, name),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    floors = floors_of(measurement)
    for floor in floors.values():
        axes.axvline(floor, color="black", linestyle=":", linewidth=1.4)
    axes.set_xlim(0, ROOM * max([*floors.values(), *ends]))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    dotted = ", ".join(f"{name} {milliseconds(floor)}" for name, floor in floors.items())
    axes.set_xlabel(f"ms per training step (dotted: {dotted})", fontsize=9)
    configuration = measurement.configuration
    axes.set_title(f"{configuration.name}: {_sizes(measurement)}", loc="left", fontsize=9)
    axes.tick_params(labelsize=9)


def _sizes(measurement: Measurement) -> str:
    one = measurement.configuration
    return (
        f"{one.cell} {one.num_layers}x{one.state_size}, {one.num_classes:,} classes, "
        f"batch {one.batch_size}, n = {one.num_steps}"
    )
