"""The look of figures."""

from __future__ import annotations

import io
import itertools
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

from tf_rnn.console import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Colours that differ in grey and to colour-blind eyes (Okabe & Ito 2008), with markers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v")
TITLE_WIDTH = 80
# Characters of a title that fit an inch, and the height of a line of small text as a part of that of axes.
PER_INCH, LINE_HEIGHT = 12, 0.04
# Names of curves that end closer than this part of the width of the axes would lie on each other.
NAME_WIDTH = 0.08
# Thin lines in the background: losses to compare with, lags to look at.
REFERENCE: dict[str, Any] = {"color": "0.45", "linewidth": 0.9, "zorder": 1}
# A baseline is far away if it lies further above the highest loss than so many times the losses' range.
FAR = 3.0


def make_figure(title: str, size: tuple[float, float], columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """Makes a figure with a title and axes.

    Args:
        title: Above the axes; long lines are wrapped.
        size: Width and height in inches.
        columns: Axes beside each other.
        rows: Axes below each other.

    Returns:
        The `matplotlib.figure.Figure`, and its axes: one, or an array of them.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 (takes half a second to load)

    figure = Figure(figsize=size, layout="constrained")
    lines = wrapped(visible(title, keep="\n"), round(PER_INCH * size[0]))
    figure.suptitle(literal(lines), x=0.01, ha="left", fontsize=11, wrap=True)
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes[0, 0] if axes.size == 1 else axes


def svg_text(figure: Any) -> str:
    """A figure as SVG without a background: texts as texts, and nothing that differs between two runs."""
    from matplotlib import rc_context  # noqa: PLC0415 (takes half a second to load)

    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tf_rnn"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # browsers have more fonts
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue()


def literal(text: str) -> str:
    """A text for a figure without formulas: a dollar sign is one."""
    return visible(text, keep="\n").replace("$", r"\$")


def width_axis(axes: Any, widths: Sequence[int], label: str) -> None:
    """Makes the x-axis logarithmic with a tick at each width."""
    from matplotlib.ticker import NullLocator, ScalarFormatter  # noqa: PLC0415

    axes.set_xscale("log")
    axes.set_xticks(widths)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)


def whole_ticks(axes: Any) -> None:
    """Puts the ticks of the x-axis, numbers of steps, at whole numbers."""
    axes.xaxis.get_major_locator().set_params(integer=True)


def short_ticks(axes: Any) -> None:
    """Writes large numbers at the x-axis as 200k and 5M."""
    from matplotlib.ticker import EngFormatter  # noqa: PLC0415

    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def line_styles() -> list[dict[str, Any]]:
    """A colour and a marker for each of several curves."""
    return [
        {"color": color, "marker": marker, "markersize": 3.5, "linewidth": 1.3}
        for color, marker in zip(COLOURS, MARKERS, strict=True)
    ]


def colour_of(number: int, count: int) -> Any:
    """The colour of one of several ordered curves, from dark to light.

    Args:
        number: Which one, from 0.
        count: How many there are.
    """
    from matplotlib import colormaps  # noqa: PLC0415 (takes half a second to load)

    return colormaps["viridis"](0.9 * number / max(1, count - 1))


def draw_baselines(axes: Any, baselines: Mapping[str, float], losses: Sequence[float]) -> None:
    """Draws a line for each baseline; of those far above all losses, only writes the names.

    Args:
        axes: What is drawn on.
        baselines: Losses by name.
        losses: What is drawn besides.
    """
    highest = max(losses, default=math.inf) + FAR * (max(losses, default=0) - min(losses, default=0))
    far = {name: loss for name, loss in baselines.items() if loss > highest}
    look = {"va": "center", "fontsize": 9, "color": "0.3"}
    for name, loss in baselines.items():
        if name not in far:
            axes.axhline(loss, linestyle="--", **REFERENCE)
            place = {"xycoords": ("axes fraction", "data")}
            axes.annotate(literal(f"{name}, {loss:.4f}"), (1.01, loss), **place, **look)
    if far:
        above = "\n".join(f"{name}, {loss:.4f}" for name, loss in far.items())
        axes.annotate(
            literal(f"above:\n{above}"), (1.01, 1.02), xycoords="axes fraction", **look | {"va": "bottom"}
        )


def label_ends(axes: Any, ends: Sequence[tuple[float, float, str, dict[str, Any]]]) -> None:
    """Writes a name beside the end of each curve; of those that end together, no two on each other.

    Args:
        axes: Where everything else is drawn already.
        ends: Position, name, and look of the text.
    """
    if not ends:
        return
    places = (axes.transData + axes.transAxes.inverted()).transform([end[:2] for end in ends])
    for group in _beside_each_other(places[:, 0]):
        group.sort(key=lambda number: places[number][1])
        heights = apart([places[number][1] for number in group], LINE_HEIGHT)
        lift = max(0.0, LINE_HEIGHT / 2 - heights[0])  # not below the axes
        for number, height in zip(group, heights, strict=True):
            x, y, name, look = ends[number]
            where = {"textcoords": ("offset points", "axes fraction"), "va": "center", "fontsize": 8}
            axes.annotate(name, (x, y), (6, height + lift), **where, **look)


def _beside_each_other(positions: Sequence[float]) -> list[list[int]]:
    """Numbers of positions in groups, from left to right, within which names would lie on each other."""
    groups: list[list[int]] = []
    for number in sorted(range(len(positions)), key=lambda each: positions[each]):
        if not groups or positions[number] - positions[groups[-1][0]] > NAME_WIDTH:
            groups.append([])
        groups[-1].append(number)
    return groups


def apart(heights: Sequence[float], least: float) -> list[float]:
    """Moves ascending heights apart, up and down alike, until neighbours have at least a distance."""
    up = itertools.accumulate(heights, lambda below, height: max(height, below + least))
    down = itertools.accumulate(reversed(heights), lambda above, height: min(height, above - least))
    return [(high + low) / 2 for high, low in zip(up, reversed(list(down)), strict=True)]


def wrapped(title: str, width: int = TITLE_WIDTH) -> str:
    """Breaks the lines of a title that are too long: after a comma if there is one, else between words."""
    return "\n".join(short for line in title.splitlines() for short in _short_lines(line, width))


def _short_lines(line: str, width: int) -> list[str]:
    *phrases, last = line.split(", ")
    lines: list[str] = []
    for phrase in (*(f"{phrase}," for phrase in phrases), last):
        if lines and len(lines[-1]) + 1 + len(phrase) <= width:
            lines[-1] += f" {phrase}"
        else:
            lines += textwrap.wrap(phrase, width)
    return lines
