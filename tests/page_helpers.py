"""What every HTML page promises, as far as that can be seen without a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1_000_000


def parsed(page: str) -> ET.Element:
    """A page, which is well-formed XML, too."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def text_of(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def assert_page(path: Path) -> None:
    """It needs nothing beside it, is small, has the numbers of `report.md`, and can be heard and seen."""
    page = path.read_text(encoding="utf-8")
    root = parsed(page)
    assert page.startswith("<!DOCTYPE html>\n")
    assert len(page.encode()) < LARGEST
    assert root.get("lang") == "en"
    assert "default-src 'none'" in page
    assert not re.findall(r"https?:|@import|\bsrc=", page), "something would be loaded"
    for rule in ("@media screen and (prefers-color-scheme: dark)", "@media print", ":focus-visible"):
        assert rule in page
    assert_order(root)
    assert_references(root)
    for table in root.iter("table"):
        assert_table(table)
    for figure in root.iter("figure"):
        assert_figure(figure)
    markdown = path.with_suffix(".md")
    if markdown.exists():
        assert tables(root) == markdown_tables(markdown.read_text(encoding="utf-8"))


def assert_order(root: ET.Element) -> None:
    """One heading and the answer in the header, then the rest."""
    header, main, *_ = (root.findall(f"./body/{tag}")[0] for tag in ("header", "main"))
    headings = [each for each in root.iter() if re.fullmatch(r"h\d", each.tag)]
    assert [each.tag for each in headings] == ["h1"] + ["h2"] * (len(headings) - 1)
    assert text_of(root.findall("./head/title")[0]) == text_of(header.findall("h1")[0])
    assert text_of(header.findall("./div[@class='answer']/p")[0])
    assert main.findall(".//table")


def assert_references(root: ET.Element) -> None:
    """Ids are unique, and what refers to one finds it."""
    ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert len(ids) == len({*ids}), sorted(ids)
    attributes = [(key, value) for each in root.iter() for key, value in each.attrib.items()]
    named = {name for key, value in attributes if key == "aria-labelledby" for name in value.split()}
    linked = {value for key, value in attributes if key == "href"}
    drawn = {name for _, value in attributes for name in re.findall(r"url\(#([^)]*)\)", value)}
    assert {link[:1] for link in linked} <= {"#"}
    assert named | {link[1:] for link in linked} | drawn <= {*ids}


def assert_table(table: ET.Element) -> None:
    """It has a caption, and every head says whose it is."""
    assert text_of(table.findall("caption")[0])
    heads, rows = table.findall("./thead/tr"), table.findall("./tbody/tr")
    for scope, found in (("col", heads), ("row", rows)):
        assert {head.get("scope") for row in found for head in row.findall("th")} <= {scope}
    assert len({len(row) for row in (*heads, *rows)}) == 1


def assert_figure(figure: ET.Element) -> None:
    """It has a caption, a name and a description, as large as its place, and its points have names."""
    assert text_of(figure.findall("figcaption")[0])
    (svg,) = figure.iter("svg")
    assert re.fullmatch(r"0 0 [\d.]+ [\d.]+", svg.get("viewBox", ""))
    assert (svg.get("role"), svg.get("width"), svg.get("height")) == ("img", None, None)
    assert [text_of(svg.findall(tag)[0]) != "" for tag in ("title", "desc")] == [True, True]
    assert not svg.findall(".//style")
    assert not re.findall(r"#[0-9a-f]{6}", ET.tostring(svg, encoding="unicode")), "a colour that stays"
    (points,) = svg.findall("./g[@class='points']")
    assert all(text_of(point.findall("title")[0]) for point in points)


def tables(root: ET.Element) -> list[list[list[str]]]:
    """The rows of cells of all tables, the head first."""
    return [[[text_of(cell) for cell in row] for row in table.iter("tr")] for table in root.iter("table")]


def markdown_tables(page: str) -> list[list[list[str]]]:
    """The same of Markdown."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        head, _, *rows = block.splitlines()
        found.append([[" ".join(cell.split()) for cell in row[1:-1].split("|")] for row in (head, *rows)])
    return found
