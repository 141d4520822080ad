"""Draws the pictures of the documentation into figures/, as SVG: `python docs/draw.py`.

The unrolled graph is drawn from scratch. The windows of the truncation styles are those that the package
makes for a row of data.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the checkout, whether or not tf_rnn is installed

import tf_rnn  # noqa: E402

FIGURES = Path(__file__).resolve().parent / "figures"
BLUE, GREEN, VERMILLION, GREY, INK = "#0072b2", "#009e73", "#d55e00", "#8a8a8a", "#222222"  # Okabe & Ito 2008
NUM_STEPS, LENGTH, WIDEST = 6, 18, 12
DECAY = 0.6 ** np.arange(WIDEST)  # the gradient's norm by lag, for the adaptive style
STYLES: dict[str, tuple[int, dict[str, Any]]] = {
    "block": (NUM_STEPS, {}),
    "sliding": (NUM_STEPS, {"stride": 2}),
    "random": (NUM_STEPS, {"seed": 8}),
    "adaptive": (WIDEST, {"tolerance": 0.2}),
    "full": (NUM_STEPS, {}),
}


def text(x: float, y: float, words: str, colour: str = INK, anchor: str = "middle", size: int = 15) -> str:
    """Words at a point."""
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}" font-size="{size}">{words}</text>'
    )


def box(x: float, y: float, words: str, colour: str = INK) -> str:
    """Words in a box around a point."""
    return (
        f'<rect x="{x - 27:g}" y="{y - 16:g}" width="54" height="32" rx="5" fill="white" stroke="{colour}"'
        f' stroke-width="1.5"/>{text(x, y + 5, words, colour)}'
    )


def arrow(start: tuple[float, float], end: tuple[float, float], colour: str = INK, dashes: str = "") -> str:
    """An arrow from a point to another."""
    (x, y), (to_x, to_y) = start, end
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{colour}" stroke-width="1.5"'
        f'{dashed} marker-end="url(#{colour[1:]})"/>'
    )


def sub(letter: str, index: str) -> str:
    """A letter with an index."""
    return f'{letter}<tspan dy="4" font-size="11">{index}</tspan>'


def svg(width: float, height: float, title: str, parts: list[str]) -> str:
    """The file of a picture, on a white ground."""
    heads = "".join(
        f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        f' orient="auto"><path d="M0 0.5 L7.5 4 L0 7.5 z" fill="{colour}"/></marker>'
        for colour in (INK, VERMILLION)
    )
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
                f' width="{width:g}"'
                f' height="{height:g}" font-family="sans-serif" role="img">'
            ),
            f"<title>{title}</title>",
            f'<rect width="100%" height="100%" fill="white"/><defs>{heads}</defs>',
            *parts,
            "</svg>\n",
        ]
    )


def unrolled() -> str:
    """Two blocks of three steps: the state crosses the border between them, the error does not."""
    gap, top = 112.0, {"loss": 40.0, "prediction": 105.0, "state": 175.0, "input": 245.0}
    xs = [70 + gap * t + 70 * (t >= 3) for t in range(6)]
    border = (xs[2] + xs[3]) / 2
    parts = []
    for t, x in enumerate(xs):
        parts += [
            box(x, top["input"], sub("X", str(t)), BLUE),
            box(x, top["state"], sub("S", str(t))),
            box(x, top["prediction"], sub("P", str(t)), GREEN),
            box(x, top["loss"], sub("L", str(t)), VERMILLION),
        ]
        for lower, upper in (("input", "state"), ("state", "prediction"), ("prediction", "loss")):
            parts.append(arrow((x - 7, top[lower] - 17), (x - 7, top[upper] + 17)))
        for upper, lower in (("loss", "prediction"), ("prediction", "state")):
            parts.append(arrow((x + 7, top[upper] + 17), (x + 7, top[lower] - 17), VERMILLION, "4 3"))
        if t:
            before = xs[t - 1]
            parts.append(arrow((before + 28, top["state"] - 7), (x - 28, top["state"] - 7)))
            end = border + 4 if t == 3 else before + 28
            parts.append(arrow((x - 28, top["state"] + 7), (end, top["state"] + 7), VERMILLION, "4 3"))
    parts += [
        (
            f'<line x1="{border:g}" y1="22" x2="{border:g}" y2="{top["state"] - 16:g}" stroke="{GREY}"'
            ' stroke-dasharray="2 4"/>'
        ),
        (
            f'<line x1="{border:g}" y1="{top["state"] - 1:g}" x2="{border:g}" y2="{top["state"] + 17:g}"'
            f' stroke="{VERMILLION}" stroke-width="5"/>'
        ),
        text(border, top["state"] + 38, "the error", VERMILLION, size=13),
        text(border, top["state"] + 54, "stops here", VERMILLION, size=13),
        text(border, top["state"] - 38, "the state", size=13),
        text(border, top["state"] - 22, "is carried", size=13),
        text(xs[1], 285, "a graph of num_steps = 3", GREY, size=13),
        text(xs[4], 285, "the same graph, run again", GREY, size=13),
    ]
    title = (
        "An unrolled graph, run on two blocks: the state is carried over the border, the error stops there"
    )
    return svg(xs[-1] + 50, 300, title, parts)


def windows(style: str) -> list[Any]:
    """The windows that the package makes of a row."""
    width, options = STYLES[style]
    graph = tf_rnn.UnrolledGraph(tf_rnn.cells.VanillaCell(1), width, 1, 2, 2)
    return list(tf_rnn.Truncation(style, **options).of(graph, LENGTH).windows(0, lambda _: DECAY))


def styles(style: str) -> str:
    """The windows of a style, from top to bottom: steps that are read, and those whose errors count."""
    made, cell, left = windows(style), 30.0, 20.0
    parts = [text(left + (t + 0.5) * cell, 22, str(t), GREY, size=12) for t in range(LENGTH)]
    for number, window in enumerate(made):
        y = 36 + 26.0 * number
        stop = window.start + (window.new_steps if window.more else window.graph.num_steps)
        for t in range(window.start, stop):
            colour = BLUE if t >= stop - window.new_steps else "#d9d9d9"
            parts.append(
                f'<rect x="{left + t * cell + 1:g}" y="{y:g}" width="{cell - 2:g}" height="18" rx="3"'
                f' fill="{colour}"/>'
            )
        cut = left + window.start * cell
        parts.append(
            f'<line x1="{cut:g}" y1="{y - 3:g}" x2="{cut:g}" y2="{y + 21:g}" stroke="{VERMILLION}"'
            ' stroke-width="4"/>'
        )
    title = f"Windows of the style {style} on a row of {LENGTH} steps"
    return svg(2 * left + LENGTH * cell, 44 + 26 * len(made), title, parts)


def pictures() -> dict[str, str]:
    """All pictures, by the names of their files."""
    return {"unrolled.svg": unrolled()} | {f"{style}.svg": styles(style) for style in STYLES}


if __name__ == "__main__":
    for name, picture in pictures().items():
        (FIGURES / name).write_text(picture, encoding="utf-8")
