"""Pictures within an HTML page: SVG that takes its colours from the page and names every point."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

from tf_rnn.console import visible
from tf_rnn.reporting.style import svg_text

if TYPE_CHECKING:
    from collections.abc import Iterator

# Units of the drawing per letter of the page, where the window is narrow and where it is wide.
SMALLEST, LARGEST = 17, 12
# How far from a point its tooltip is shown.
NEAR = 6
# Of more points of a picture only some have names, of more of a curve only some have markers, evenly spread.
MOST_NAMED, MOST_MARKED = 1500, 500
_NAMESPACE = re.compile(r"\{.*\}")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
# The page has its own font; the rest is the default.
_DEFAULT_STYLE = re.compile(r"font-family:[^;]*;? ?|stroke-dashoffset: 0;? ?")
_WHOLE = re.compile(r"^(\d+)\.0+$")
_COLOUR = re.compile(r"#([0-9a-f]{6})\b")
_REFERENCE = re.compile(r"^(url\(#|#)([\w-]+)")


class Named(NamedTuple):
    """A point or a bar of a picture.

    Attributes:
        x: Its left end.
        y: Its upper end.
        width: To its right end.
        height: To its lower end.
        text: What it is.
    """

    x: float
    y: float
    width: float
    height: float
    text: str


def inline_svg(figure: Any, name: str, title: str) -> str:
    """A figure as SVG that can be put into a page.

    The title above the axes is left out, colours are variables of the page, see `document.in_dark_mode`, and
    every point and bar has a title of its own, which browsers show as a tooltip.

    Args:
        figure: A `matplotlib.figure.Figure`.
        name: Begins all ids; no other picture of the page has it.
        title: What the picture shows.
    """
    above = figure.get_suptitle()
    figure.suptitle("")
    root = ET.fromstring(svg_text(figure))
    points = list(named_points(figure))
    figure.suptitle(above)
    _clean(root, name)
    box = root.attrib["viewBox"]
    width = float(box.split()[2])
    size = f"min-width: {width / SMALLEST:.4g}rem; max-width: {width / LARGEST:.4g}rem"
    root.attrib = {"viewBox": box, "style": size, "role": "img"}
    root.attrib["aria-labelledby"] = f"{name}-title {name}-desc"
    for number, (tag, text) in enumerate({"title": title, "desc": describe(figure)}.items()):
        element = ET.Element(tag, id=f"{name}-{tag}")
        element.text = visible(text)
        root.insert(number, element)
    root.append(_overlay(points))
    return ET.tostring(root, encoding="unicode")


def describe(figure: Any) -> str:
    """What is drawn against what, in words."""
    found = []
    for axes in figure.axes:
        if axes.get_ylabel():
            against = f" against {axes.get_xlabel()}" if axes.get_xlabel() else ""
            where = f"{axes.get_title()}: " if axes.get_title() else ""
            labels = dict.fromkeys(label for label, *_ in _named(axes) if label)
            curves = f": {', '.join(labels)}" if labels else ""
            found.append(f"{where}{axes.get_ylabel()}{against}{curves}.")
    return " ".join(dict.fromkeys(found))


def named_points(figure: Any) -> Iterator[Named]:
    """Every point of the curves with labels, and every bar, of a figure that has been drawn.

    What lies outside of the axes is left out.
    """
    scale = 72 / figure.dpi  # an SVG of matplotlib has 72 units per inch
    top = figure.bbox.height
    for axes in figure.axes:
        for label, x, y, box in _named(axes):
            left, lower, right, upper = box
            if axes.bbox.padded(1).contains((left + right) / 2, (lower + upper) / 2):
                text = "\n".join(filter(None, (label, _shown(axes.xaxis, x), _shown(axes.yaxis, y))))
                size = ((right - left) * scale, (upper - lower) * scale)
                yield Named(left * scale, (top - upper) * scale, *size, visible(text, keep="\n"))


def _named(axes: Any) -> Iterator[tuple[str, float, float, tuple[float, float, float, float]]]:
    """Labels, values, and where on the figure they are drawn: left, lower, right and upper end."""
    curves = [(line.get_label(), line) for line in axes.get_lines()]
    for container in axes.containers:
        for bar in getattr(container, "patches", ()):
            yield "", bar.get_x() + bar.get_width() / 2, bar.get_height(), bar.get_window_extent().extents
        if hasattr(container, "lines"):  # points with error bars
            curves.append((container.get_label(), container.lines[0]))
    for label, line in curves:
        if not label.startswith("_"):
            name, values = "" if label == axes.get_ylabel() else label, line.get_xydata()
            for (x, y), (right, up) in zip(values, axes.transData.transform(values), strict=True):
                yield name, x, y, (right - NEAR, up - NEAR, right + NEAR, up + NEAR)


def _shown(axis: Any, value: float) -> str:
    """A value as precise as it is drawn, after the label of its axis."""
    text = axis.get_major_formatter().format_data_short(value).strip()
    text = _WHOLE.sub(r"\1", text) if text else f"{value:g}"
    return " = ".join(filter(None, (axis.get_label_text(), text)))


def _overlay(points: list[Named]) -> ET.Element:
    """Areas that are not seen, over the points, with titles."""
    group = ET.Element("g", {"class": "points"})
    for each in points[:: 1 + len(points) // MOST_NAMED]:
        sides = {name: f"{value:.1f}" for name, value in each._asdict().items() if name != "text"}
        ET.SubElement(ET.SubElement(group, "rect", sides), "title").text = each.text
    return group


def _clean(root: ET.Element, name: str) -> None:
    """Leaves what a page needs: short ids of its own, short numbers, colours that are variables."""
    _thin_out(root)
    elements = list(root.iter())
    new: dict[str, str] = {}
    for element in elements:
        element.tag = _NAMESPACE.sub("", element.tag)
        element.attrib = {_NAMESPACE.sub("", key): _short(value) for key, value in element.attrib.items()}
        element.tail = None
        element.text = element.text if element.tag in ("text", "tspan") else None
        for reference in filter(None, map(_REFERENCE.match, element.attrib.values())):
            new.setdefault(reference[2], f"{name}-{len(new)}")
    for element in elements:
        own = new.get(element.attrib.pop("id", ""))
        element.attrib |= {"id": own} if own else {}
        for key, value in element.attrib.items():
            element.attrib[key] = _REFERENCE.sub(lambda found: f"{found[1]}{new[found[2]]}", value)
        if "style" in element.attrib:
            element.attrib["style"] = _COLOUR.sub(r"var(--c\1)", element.attrib["style"])


def _thin_out(root: ET.Element) -> None:
    """Removes what a page has no use for, and markers that lie on each other."""
    for parent in list(root.iter()):
        tags = [_NAMESPACE.sub("", child.tag) for child in parent]
        every = 1 + tags.count("use") // MOST_MARKED
        for number, (child, tag) in enumerate(zip(list(parent), tags, strict=True)):
            if tag in ("metadata", "style") or (tag == "use" and number % every):
                parent.remove(child)


def _short(value: str) -> str:
    """A value of an attribute without blanks, digits and defaults that make no difference."""
    value = _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
    return " ".join(_DEFAULT_STYLE.sub("", value).split())
