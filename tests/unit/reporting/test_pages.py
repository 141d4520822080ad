"""HTML pages: the same content as in Markdown, pictures that take part in the page, names as text alone."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from page_helpers import assert_page, parsed, tables, text_of

from tf_rnn.reporting import Bullets, Code, Heading, Image, Page, Plain, Table
from tf_rnn.reporting.document import in_dark_mode
from tf_rnn.reporting.style import COLOURS, line_styles, make_figure
from tf_rnn.reporting.svg import MOST_NAMED, inline_svg
from tf_rnn.reporting.table import MOST_ROWS

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree import ElementTree as ET

TABLE = Table("Two rows", ["width", "step\n(ms)", ""], [["4", "0.500", "a"], ["16", None, "b"]])
STRANGE = '<b>&amp; "x"\' </table><script>alert(1)</script> $x$ **y** `z` 中\x1b[31m'


def drawn() -> Any:
    """Two curves, the second on a logarithmic axis, and bars."""
    figure, grid = make_figure("Above", (8, 3), columns=3)
    left, middle, right = grid.flat
    one, other, *_ = line_styles()
    left.plot([1, 3, 7], [0.5, 0.25, np.nan], label="one", **one)
    left.axhline(0.3, color="0.45")
    left.set_xlabel("width")
    left.set_ylabel("loss")
    middle.errorbar([1, 3, 7], [1e-3, 1e-4, 1e-5], yerr=[0, 0, 0], label="other", **other)
    middle.set_yscale("log")
    right.bar([1, 2], [3, 0], color="black")
    right.set_xlabel("lag")
    right.set_ylabel("norm")
    return figure


def small() -> Any:
    figure, axes = make_figure("Above", (3, 2))
    axes.plot([1, 3], [0.5, 0.25], label="one", marker="o")
    axes.set_xlabel("a$b<i>")
    axes.set_ylabel("loss")
    return figure


@functools.cache
def picture() -> ET.Element:
    return parsed(inline_svg(drawn(), "loss", "What is seen"))


def titles(svg: ET.Element) -> list[str]:
    return [str(title.text) for title in svg.iter("title")][1:]


def page(name: str = "x", *images: Image) -> Page:
    """A page with one of everything, and these pictures."""
    return Page(
        f"How wide {name}?",
        f"Use 4: it is cheapest {name}. All agree.",
        TABLE,
        f"A **strong\nword** and `code` {name}.\n\nAnother paragraph.",
        Heading(f"Part {name}"),
        Plain(name),
        Bullets([name, "two"]),
        Code(name),
        Table(f"Part {name}", [name], [[name]]),
        *images,
    )


@pytest.mark.parametrize("name", [STRANGE, "a\n\nb"])
def test_a_page_has_everything_whatever_its_names(name: str, tmp_path: Path) -> None:
    images = [Image(name, "a b.png", small), Image("again", "c.png", small)]
    page(name, *images).write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a b.png", "c.png", "report.html", "report.md"}
    (tmp_path / "report.md").unlink()  # tables differ in how they escape
    assert_page(tmp_path / "report.html")
    found = parsed((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(list(found.iter("script"))) == 1
    assert len(list(found.iter("table"))) == len(list(found.iter("svg"))) == 2
    assert page(name, *images).html() == (tmp_path / "report.html").read_text(encoding="utf-8"), (
        "not the same again"
    )


def test_the_answer_comes_first_and_its_beginning_is_set_apart() -> None:
    answers = {
        "Use 4: it is cheapest. All agree.": ["Use 4", "It is cheapest. All agree."],
        "No run ended. Try again: now.": ["No run ended.", "Try again: now."],
        "Validation loss: 4.61 (6.65 bits).": ["Validation loss: 4.61 (6.65 bits)."],
    }
    for answer, expected in answers.items():
        header = parsed(Page("Title", answer, TABLE).html()).findall("./body/header")[0]
        assert [text_of(part) for part in header.iter("p")] == expected


def test_prose_has_paragraphs_strong_words_and_code() -> None:
    main = parsed(page().html()).findall("./body/main")[0]
    assert [text_of(each) for each in main.iter("p")] == [
        "A strong word and code x.",
        "Another paragraph.",
        "x",
    ]
    assert [text_of(main.findall(f".//p/{tag}")[0]) for tag in ("strong", "code")] == ["strong word", "code"]


def test_tables_have_the_same_cells_and_numbers_to_the_right() -> None:
    found = parsed(Page("Title", "Answer.", TABLE).html())
    assert tables(found) == [[["width", "step (ms)", ""], ["4", "0.500", "a"], ["16", "", "b"]]]
    looks = [cell.get("class") for cell in found.findall(".//thead/tr/*")]
    assert looks == ["number", "number", "short"]
    assert [cell.tag for cell in found.findall(".//tr/*")] == ["th", "th", "td"] + ["th", "td", "td"] * 2
    columns = {
        "2013-12-30 01:00:00": "short", "0.423 s": "number", "–": "number", "-0.1 ± 0.2": "number",
        "what the gradient needs": None, "a long cell that is to have enough room": "wide", "2,000": "number",
    }  # fmt: skip
    table = parsed(Table("", list(columns), [list(columns)]).html())
    assert [cell.get("class") for cell in table.findall(".//tbody/tr/*")] == list(columns.values())


def test_a_caption_that_repeats_the_heading_is_for_the_ear_alone() -> None:
    found = parsed(page().html())
    shown = [(text_of(caption), caption.get("class")) for caption in found.iter("caption")]
    assert shown == [("Two rows", None), ("Part x", "hidden")]


def test_long_tables_and_pictures_stay_small(tmp_path: Path) -> None:
    """A page is below 1 MB, however long the training."""

    def long() -> Any:
        figure, axes = make_figure("", (8, 5))
        axes.plot(np.arange(5_000), np.sin(np.arange(5_000)), label="loss", marker=".")
        return figure

    rows = [[str(number), f"{number / 7:.4f}"] for number in range(2_000)]
    made = Page("Title", "Answer.", Table("Curve", ["a", "b"], rows), Image("Curve", "a.png", long))
    text = made.html()
    assert len(text.encode()) < 1_000_000, len(text)
    found = parsed(text)
    assert len(found.findall(".//tbody/tr")) == MOST_ROWS
    assert text_of(next(found.iter("caption"))) == "Curve (the first 500 of 2,000 rows)"
    assert MOST_NAMED / 2 < len(titles(next(found.iter("svg")))) <= MOST_NAMED


def test_every_point_and_bar_has_a_name() -> None:
    """In the order in which they are drawn; without those that are not seen."""
    assert titles(picture()) == [
        "one\nwidth = 1\nloss = 0.500",
        "one\nwidth = 3\nloss = 0.250",
        "other\n1\n0.001",
        "other\n3\n0.0001",
        "other\n7\n1e-05",
        "lag = 1\nnorm = 3",
        "lag = 2\nnorm = 0",
    ]


def test_a_name_lies_over_its_point() -> None:
    """In units of 1/72 inch from the upper left corner, as all that matplotlib draws."""
    svg = picture()
    marks = [mark.attrib for mark in svg.iter("use") if "fill: var(--c0072b2)" in mark.get("style", "")]
    places = [[float(mark[side]) for side in "xy"] for mark in marks]
    areas = [
        [float(area[side]) + float(area[size]) / 2 for side, size in (("x", "width"), ("y", "height"))]
        for area in (each.attrib for each in svg.findall("./g[@class='points']/rect"))
    ]
    assert len(places) == 2
    np.testing.assert_allclose(areas[:2], places, atol=0.11)


def test_ids_begin_with_the_name_of_the_picture_and_are_short() -> None:
    ids = [each.get("id", "") for each in picture().iter() if each.get("id")]
    assert ids[:2] == ["loss-title", "loss-desc"]
    assert {re.sub(r"\d+", "0", name) for name in ids[2:]} == {"loss-0"}


def test_a_picture_is_described_in_words() -> None:
    (description,) = picture().iter("desc")
    assert description.text == "loss against width: one. norm against lag."


def test_dark_pages_reverse_greys_and_keep_colours_apart() -> None:
    assert [in_dark_mode(grey) for grey in ("000000", "ffffff")] == ["e6e6e6", "161616"]
    dark = [in_dark_mode(colour[1:].lower()) for colour in COLOURS]
    assert len({*dark}) == len(COLOURS)
    for colour in dark:
        assert contrast(colour, "161616") > 4.5, colour


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2)."""
    lights = []
    for colour in (one, other):
        channels = np.array([*bytes.fromhex(colour)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_text_has_enough_contrast_light_and_dark() -> None:
    style = parsed(page().html()).findall("./head/style")[0].text or ""
    modes = [dict(re.findall(r"--(\w+): #(\w+);", part)) for part in style.split("prefers-color-scheme")[:2]]
    for mode in modes:
        for name in ("ink", "quiet", "accent"):
            for ground in ("paper", "wash"):
                assert contrast(mode[name], mode[ground]) > 4.5, (name, ground, mode)
