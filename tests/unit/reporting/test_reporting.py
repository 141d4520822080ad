"""Tables, pages, titles and lines, shown anywhere."""

from __future__ import annotations

import csv
import io
import itertools
import math
from pathlib import Path

import pytest

from tf_rnn.comparison.sentences import signed_loss
from tf_rnn.reporting import Bullets, Code, Heading, Image, Page, Table, number
from tf_rnn.reporting.page import command_code
from tf_rnn.reporting.style import apart, label_ends, make_figure, wrapped
from tf_rnn.reporting.terminal import print_line, print_table, print_written
from tf_rnn.text import counted, loss_in_units, loss_text

TABLE = Table("Two rows", ["width", "step\n(ms)"], [["4", "0.500"], ["16", None]])


def test_markdown() -> None:
    assert TABLE.markdown() == "| width | step (ms) |\n| ---: | ---: |\n| 4 | 0.500 |\n| 16 |  |"


def test_csv_numbers_keep_all_digits_and_text_its_commas() -> None:
    table = Table("", ["a", "b"], [[1 / 3, "x, y"], [None, 7]])
    assert list(csv.reader(io.StringIO(table.csv()))) == [["a", "b"], [repr(1 / 3), "x, y"], ["", "7"]]
    assert table.csv().count("\n") == 3


def test_square_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """As markup of rich "[old]" would vanish, and "[/b]" is an error."""
    print_table(Table("a[/b]", ["[old]", "b"], [["x[/b]", "0.500"]]))
    print_line("use [bold]this[/b]")
    print_line("word " * 99)
    print_written([Path("x[/b]") / "a.json", Path("[old]")])
    shown = capsys.readouterr().out
    lines = ("use [bold]this[/b]\n", "word " * 99, "written:\n  x[/b]/a.json\n  [old]\n")
    for text in ("a[/b]", "[old]", "x[/b]", "0.500", *lines):
        assert text in shown, text


def test_what_is_not_known_is_a_dash_an_empty_field_or_no_column() -> None:
    values = (0.12345, 0, None, math.nan, math.inf)
    assert [number(value, ".3f") for value in values] == ["0.123", "0.000", "–", "–", "–"]
    table = Table.of_columns("t", {"a": ["1", "–"], "b": ["–", "–"], "c": ["–", "2"]})
    assert (table.header, table.rows) == (["a", "c"], [["1", "–"], ["–", "2"]])
    assert Table.of_records("t", [{"a": 1, "b": 2}, {"b": 3}], ["b", "a"]).rows == [[2, 1], [3, None]]


def test_a_page_has_its_sections_in_order_without_empty_ones(tmp_path: Path) -> None:
    page = Page(
        "Title",
        "Some text.",
        None,
        "",
        command_code(()),
        command_code(["lags", "--out", "my results"]),
        Heading("Part"),
        TABLE,
        Bullets(["one", "two"]),
        Image("A curve", "curve.png", lambda: make_figure("A curve", (3, 2))[0]),
        Code("x"),
    )
    page.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"curve.png", "report.html", "report.md"}
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == (
        "# Title\n\nSome text.\n\n```\npython -m tf_rnn lags --out 'my results'\n```\n\n## Part\n\n"
        f"{TABLE.markdown()}\n\n- one\n- two\n\n![A curve](curve.png)\n\n```\nx\n```\n"
    )


def test_titles_are_broken_after_commas() -> None:
    line = "Task echo, cell vanilla 16, batch 200, adagrad 0.1, 5,000,000 tokens per run, 3 seeds"
    first, second, third = wrapped(f"What each width learns\n{line}", 80).splitlines()
    assert first == "What each width learns"
    assert (second, third) == (line.removesuffix(" 3 seeds"), "3 seeds")
    assert wrapped(line, 30).splitlines() == [
        "Task echo, cell vanilla 16,",
        "batch 200, adagrad 0.1,",
        "5,000,000 tokens per run,",
        "3 seeds",
    ]
    words = ("three " * 30).strip()
    lines = wrapped(words).splitlines()
    assert [len(line) for line in lines] == [77, 77, 23], "a title without commas breaks between words"
    assert " ".join(lines) == words


def test_a_title_fits_its_figure() -> None:
    """Lines are as long as the figure is wide; letters that are wider than most are wrapped when drawn."""
    line = "Task echo, cell vanilla 16, batch 200, adagrad 0.1, 5,000,000 tokens per run, 3 seeds"
    for width, title, count in ((8, line, 1), (4, line, 2), (4, "W" * 20 + " " + "W" * 20, 2), (11, line, 1)):
        figure, _ = make_figure(title, (width, 3))
        text = figure._suptitle
        box = text.get_window_extent()
        assert box.x1 <= figure.bbox.width, (width, box.x1, figure.bbox.width)
        assert len(text._get_wrapped_text().splitlines()) == count, title


def test_labels_are_moved_apart_no_further_than_needed() -> None:
    assert apart([0.0, 1.0, 2.0], 0.5) == [0, 1, 2]
    assert apart([1.0, 1.0, 1.0], 0.5) == [0.5, 1.0, 1.5]
    moved = apart([0.0, 0.25, 0.25, 0.875], 0.25)
    assert all(upper - lower >= 0.25 for lower, upper in itertools.pairwise(moved)), moved
    assert moved[-1] == 0.875


def test_names_of_curves_that_end_beside_each_other_do_not_overlap() -> None:
    """Ends at the very same place, a rounding error away, a little to the left; and one far from them."""
    figure, axes = make_figure("", (8, 5))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    ends = [(0.5, 0.25), (0.5 + 1e-12, 0.25), (0.47, 0.26), (0.5, 0.24), (0.2, 0.25)]
    label_ends(axes, [(x, y, f"width {number}", {}) for number, (x, y) in enumerate(ends)])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other), (one, other)
    (alone,) = (text for text in axes.texts if text.get_text() == "width 4")
    assert alone.xyann == (6, pytest.approx(0.25)), "a name that is in nobody's way was moved"


def test_losses_with_their_unit_and_what_else_they_mean() -> None:
    assert loss_in_units(4.61, "nats") == "4.610 nats (100.5 ppl, 6.65 bits)"
    assert loss_in_units(0.25, "share of the variance") == "0.2500 share of the variance"


def test_numbers_for_people() -> None:
    """A zero has no sign, whichever number it was rounded from; one thing is no plural."""
    assert [loss_text(loss) for loss in (-0.00004, -0.0, -0.00006)] == ["0.0000", "0.0000", "-0.0001"]
    assert [signed_loss(loss, "nats") for loss in (-0.00004, 0.25, -0.25)] == [
        "+0.0000",
        "+0.2500",
        "-0.2500",
    ]
    assert [number(value, ".2f") for value in (-0.004, -0.04, None)] == ["0.00", "-0.04", "–"]
    assert [counted(count, "step", ",") for count in (0, 1, 1000)] == ["0 steps", "1 step", "1,000 steps"]
