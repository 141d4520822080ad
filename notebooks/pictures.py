"""Plot style, diagrams and coloured text for the notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.patches import FancyBboxPatch, Rectangle

from tf_rnn.reporting.style import COLOURS, MARKERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

BLUE, VERMILLION, GREEN, PINK, ORANGE = COLOURS
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
GREY = "0.45"
SIGNED = "RdBu"  # for signed numbers, 0 in the middle; cividis for others

Point = tuple[float, float]


def use_style() -> None:
    """Sets the plot style; curves differ in marker and line style as well as in colour."""
    cycle = cycler(color=COLOURS) + cycler(marker=MARKERS) + cycler(linestyle=LINES)
    plt.rcParams.update(
        {
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycle,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "image.cmap": "cividis",
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.markersize": 4.5,
        }
    )


def box(axes: Axes, centre: Point, text: str, size: Point = (1.0, 0.56), **look: Any) -> None:
    """Draws a box with text inside.

    Args:
        axes: Axes to draw on.
        centre: Centre of the box, in data coordinates.
        text: Text inside the box.
        size: Width and height, in data coordinates.
        **look: Properties of the box: `facecolor`, `edgecolor`, `linestyle`.
    """
    (x, y), (width, height) = centre, size
    corner = (x - width / 2, y - height / 2)
    look = dict[str, Any](facecolor="white", edgecolor="black", linewidth=1.3) | look
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.12", **look))
    axes.text(x, y, text, ha="center", va="center", fontsize=11, zorder=3)


def arrow(axes: Axes, start: Point, end: Point, **look: Any) -> None:
    """Draws an arrow.

    Args:
        axes: Axes to draw on.
        start: Position of the tail, in data coordinates.
        end: Position of the head.
        **look: Properties of the arrow: `color`, `linestyle`, `connectionstyle` and so on.
    """
    look = {"arrowstyle": "-|>", "linewidth": 1.4, "color": "black", "mutation_scale": 11} | look
    axes.annotate("", end, start, arrowprops={"shrinkA": 0, "shrinkB": 0, **look})


def gradient(axes: Axes, start: Point, end: Point, **look: Any) -> None:
    """Draws an arrow along which an error flows back."""
    arrow(axes, start, end, **({"color": VERMILLION, "linestyle": (0, (3, 2)), "linewidth": 1.6} | look))


def canvas(width: float, height: float, x: Point, y: Point) -> Axes:
    """Creates a figure without visible axes, for diagrams.

    Args:
        width: Width of the figure in inches.
        height: Height of the figure in inches.
        x: Limits of the x axis.
        y: Limits of the y axis.
    """
    _, axes = plt.subplots(figsize=(width, height))
    axes.set(xlim=x, ylim=y)
    axes.axis("off")
    return axes


def draw_step() -> None:
    """Draws the single-step graph, whose state is fed back from outside."""
    axes = canvas(7.2, 2.6, (0, 8), (0, 3))
    axes.add_patch(FancyBboxPatch((2.05, 0.75), 3.9, 1.5, boxstyle="round,pad=0.1", fc="0.95", ec=GREY))
    axes.text(5.95, 0.78, "the graph", color=GREY, fontsize=9, ha="right")
    box(axes, (0.8, 1.9), "$X_t$", edgecolor=BLUE)
    box(axes, (0.8, 1.1), "$S_{t-1}$", edgecolor=BLUE)
    box(axes, (4, 1.5), "one step $G$", size=(2.1, 0.9))
    box(axes, (7.2, 1.9), "$P_t$", edgecolor=GREEN)
    box(axes, (7.2, 1.1), "$S_t$", edgecolor=GREEN)
    for y in (1.9, 1.1):
        arrow(axes, (1.3, y), (2.95, 1.5 + (y - 1.5) * 0.6))
        arrow(axes, (5.05, 1.5 + (y - 1.5) * 0.6), (6.7, y))
    axes.text(0.8, 2.35, "fed", ha="center", color=BLUE)
    axes.text(7.2, 2.35, "fetched", ha="center", color=GREEN)
    arrow(axes, (7.2, 0.8), (0.8, 0.8), connectionstyle="bar,fraction=-0.05", linestyle="--", color=GREY)
    axes.text(4, 0.3, "fed again as $S_{t-1}$ at the next step: plain numbers", ha="center", va="top")


def draw_unrolled(num_steps: int) -> None:
    """Draws an unrolled graph: shared weights, states from left to right, errors from right to left."""
    gap = 2.0
    end = gap * (num_steps - 1)
    axes = canvas(2.1 * num_steps + 2.4, 5.0, (-2.75, end + 2.2), (-1.55, 4.0))
    variables = (
        "one set of variables $W,\\ b_s,\\ U,\\ b_p$: every step reads it, every step adds to its gradient"
    )
    box(axes, (end / 2 - 0.4, -1.2), variables, size=(end + 2.4, 0.6), facecolor="0.92", edgecolor=GREY)
    box(axes, (-2.1, 1.2), "$S_{-1}$", edgecolor=BLUE, linestyle="--")
    axes.text(-2.1, 1.6, "fed: plain\nnumbers", ha="center", va="bottom", color=BLUE, fontsize=10)
    for t in range(num_steps):
        x, before = gap * t, gap * (t - 1) + 0.5
        box(axes, (x, 0), f"$X_{{{t}}}$", edgecolor=BLUE)
        box(axes, (x, 1.2), f"$S_{{{t}}}$")
        box(axes, (x, 2.4), f"$P_{{{t}}}$", edgecolor=GREEN)
        box(axes, (x, 3.6), f"$L_{{{t}}}$", edgecolor=VERMILLION)
        axes.text(x - 1, 3.6, f"$Y_{{{t}}}$", ha="center", va="center", fontsize=11, color=BLUE)
        arrow(axes, (x - 0.82, 3.6), (x - 0.5, 3.6), linewidth=1.1)
        for y in (0.92, 2.2):
            arrow(axes, (x - 0.8, -0.9), (x - 0.5, y), color="0.72", linewidth=1.1)
        for y in (0, 1.2, 2.4):
            arrow(axes, (x - 0.12, y + 0.28), (x - 0.12, y + 0.92))
        for y in (3.6, 2.4):
            gradient(axes, (x + 0.12, y - 0.28), (x + 0.12, y - 0.92))
        arrow(axes, (before if t else -1.6, 1.32), (x - 0.5, 1.32))
        gradient(axes, (x - 0.5, 1.06), (before if t else -1.2, 1.06))
    axes.plot([-1.22, -1.22], [0.75, 1.65], color=VERMILLION, linewidth=3.5, marker="", linestyle="-")
    axes.text(-1.25, 0.68, "the error\nstops here", ha="center", va="top", color=VERMILLION, fontsize=10)
    arrow(axes, (end + 0.5, 1.32), (end + 1.1, 1.32))
    axes.text(end + 1.18, 1.32, "fetched,\nfed to the\nnext run", va="center", fontsize=10)


def draw_window(axes: Axes, length: int, start: int, counted: int, stop: int) -> None:
    """Draws a window on a row of steps, and how far its errors flow back.

    Args:
        axes: Axes to draw on.
        length: Length of the row in steps.
        start: First step that the window reads.
        counted: First step whose loss the window counts.
        stop: End of the window, exclusive.
    """
    axes.set(xlim=(-0.7, length - 0.3), ylim=(-0.5, stop - start + 0.6))
    axes.axis("off")
    for t in range(length):
        is_read = start <= t < stop
        face, edge, ink = ("white", "black", "black") if is_read else ("0.9", "0.9", GREY)
        axes.add_patch(Rectangle((t - 0.4, -0.4), 0.8, 0.8, facecolor=face, edgecolor=edge))
        axes.text(t, 0, str(t), ha="center", va="center", fontsize=9, color=ink)
    for height, t in enumerate(range(counted, stop), start=1):
        axes.plot(t, height, "o", color=VERMILLION, markersize=5)
        gradient(axes, (t, height), (start - 0.35, height), linewidth=1.2, mutation_scale=8)
    cut = start - 0.47
    axes.plot([cut, cut], [-0.5, stop - start + 0.4], "-", color=VERMILLION, marker="", linewidth=2.5)


def draw_lstm() -> None:
    """Draws one step of an LSTM: what is kept, written and shown, and the direct path of the error."""
    axes = canvas(9.5, 4.4, (-0.8, 11.2), (-0.2, 5.2))
    axes.add_patch(FancyBboxPatch((0.75, 0.35), 8.8, 4.25, boxstyle="round,pad=0.1", fc="0.96", ec=GREY))
    ends = (("$C_{t-1}$", 0, 4, BLUE), ("$H_{t-1}$", 0, 1.2, BLUE), ("$X_t$", 0, 0.4, BLUE))
    for text, x, y, colour in (*ends, ("$C_t$", 10.5, 4, GREEN), ("$H_t$", 10.5, 2.9, GREEN)):
        box(axes, (x, y), text, size=(1.0, 0.6), edgecolor=colour)
    box(axes, (2, 0.8), "one layer:\n$W, b$", size=(1.3, 0.9))
    for y in (1.2, 0.4):
        arrow(axes, (0.5, y), (1.35, 0.8 + (y - 0.8) * 0.6))
    gates = (("sigmoid $f$", 3.4), ("sigmoid $i$", 4.9), ("tanh $g$", 6.3), ("sigmoid $o$", 8.5))
    for (text, x), role in zip(gates, ("forget", "input", "candidate", "output"), strict=True):
        box(axes, (x, 1.9), text, size=(1.25, 0.56), facecolor="0.9")
        axes.text(x + 0.1, 1.5, role, ha="left", va="center", fontsize=9, color=GREY)
        arrow(axes, (x, 0.8), (x, 1.62))
    axes.plot([2.65, 8.5], [0.8, 0.8], "-", color="black", marker="", linewidth=1.4)
    for text, x, y in (("×", 3.4, 4), ("+", 5.55, 4), ("×", 5.55, 2.9), ("×", 8.5, 2.9)):
        box(axes, (x, y), text, size=(0.5, 0.5))
    for start, end in ((0.5, 3.15), (3.65, 5.3), (5.8, 10)):
        arrow(axes, (start, 4.08), (end, 4.08))
        gradient(axes, (end, 3.88), (start, 3.88))
    box(axes, (7.2, 2.9), "tanh", size=(0.9, 0.5))
    arrow(axes, (7.2, 4.08), (7.2, 3.15))
    for x, bottom, top in ((3.4, 2.18, 3.75), (5.55, 3.15, 3.75), (8.5, 2.18, 2.65)):
        arrow(axes, (x, bottom), (x, top))
    for x, side in ((4.9, 5.4), (6.3, 5.7)):
        arrow(axes, (x, 2.18), (side, 2.65))
    arrow(axes, (7.65, 2.9), (8.25, 2.9))
    arrow(axes, (8.75, 2.9), (10, 2.9))
    for text, x, y in (("keep", 3.5, 3.45), ("write", 5.65, 3.45), ("show", 8.6, 2.42)):
        axes.text(x, y, text, ha="left", va="center", fontsize=9, color=GREY)
    direct = "direct path of the error: the forget gate is all it meets"
    axes.text(5, 4.95, direct, ha="center", color=VERMILLION)


def draw_signed(axes: Axes, values: Any, limit: float, dot: float = 3.0) -> AxesImage:
    """Draws a matrix of signed numbers: blue where positive, red where negative, white at 0.

    A dot marks what is clearly negative, so that the sign can be seen in grey.

    Args:
        axes: Axes to draw on.
        values: The matrix.
        limit: The absolute value at both ends of the colour map.
        dot: The size of a dot.

    Returns:
        The coloured image, for a colour bar.
    """
    rows, columns = np.nonzero(np.asarray(values) < -0.1 * limit)
    axes.plot(columns, rows, linestyle="", marker=".", color="black", markersize=dot)
    return axes.imshow(values, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto")


def draw_text(axes: Axes, text: str, values: Sequence[float], limit: float = 1.0) -> AxesImage:
    """Draws a text line by line, with a colour behind each character; bold where its number is positive.

    Args:
        axes: Axes to draw on.
        text: The text.
        values: A signed number for each character.
        limit: The absolute value at both ends of the colour map.

    Returns:
        The coloured image, for a colour bar.
    """
    lines = text.split("\n")
    colours = np.full((len(lines), max(map(len, lines)) + 1), np.nan)
    row = column = 0
    for character, value in zip(text, values, strict=True):
        colours[row, column] = value
        if character == "\n":
            row, column = row + 1, 0
            continue
        look: dict[str, Any] = {"ha": "center", "va": "center", "family": "monospace", "fontsize": 8}
        look["color"] = "white" if abs(value) > 0.7 * limit else "black"
        look["weight"] = "bold" if value > 0 else "normal"
        axes.text(column, row, character, parse_math=False, **look)
        column += 1
    axes.axis("off")
    return axes.imshow(colours, cmap=SIGNED, vmin=-limit, vmax=limit, aspect="auto")
