"""What a person sees at 60, 80 and 120 columns, and what a file gets: compared with stored screens, exactly.

`RENEW_SCREENS=1 pytest tests/unit/reporting/test_screens.py` stores them anew, to be looked at.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tf_rnn.comparison import screen as screens
from tf_rnn.comparison.channel import Measurement
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.settings import RunKey
from tf_rnn.reporting import Table
from tf_rnn.reporting.terminal import print_line, print_table, print_written
from tf_rnn.training import CurvePoint, Progress, ProgressLine

SCREENS = Path(__file__).with_name("screens")
WIDTHS = (60, 80, 120)
REPORT = Progress(
    epoch=3, epochs=13, step=1200, steps=2323, updates=5846, fraction=0.25, loss=4.6124, unit="nats",
    gradient_norm=4.81, learning_rate=1.0, valid_loss=4.70001, tokens_per_second=19_020.0, seconds_left=83.4,
)  # fmt: skip
POINT = CurvePoint(5846, 4_878_300, 3723.4, train_loss=4.61239, valid_loss=4.70001, epoch=3)
TABLE = Table(
    "What each width learns, by state and learning rate: a title that is longer than the narrowest screen",
    ["width", "state", "loss ± seeds", "bits per\nstep", "above\noptimum", "lag 3\nlearnt", "reach", "steps"],
    [
        ["2", "carry", "0.6591 ± 0.0012", "0.951", "+0.2047", "0.04", "0%", "1,106,123"],
        ["2", "reset", "12.5591 ± 0.0112", "18.119", "+12.1047", "0.00", "0%", "1,106,123"],
        ["1000", "carry", "0.4591 ± 0.0003", "0.662", "+0.0047", "0.97", "100%", "106,123"],
    ],
)  # fmt: skip


def assert_is_stored(name: str, found: str) -> None:
    path = SCREENS / f"{name}.txt"
    if "RENEW_SCREENS" in os.environ:
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8"), f"{name} is now\n{found}"


def frame(live: Any, width: int) -> str:
    """What a live display shows now, without colours."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(live.get_renderable())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


@pytest.mark.parametrize("width", WIDTHS)
def test_tables(width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: no digit is lost, and no line too long."""
    monkeypatch.setenv("COLUMNS", str(width))
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "vt100")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(TABLE)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert all(len(line) <= width for line in shown.splitlines())
    for row in TABLE.rows:
        for cell in row:
            assert cell in shown
    assert "…" not in shown
    assert_is_stored(f"table-{width}", shown)


def test_a_table_narrower_than_its_cells_folds_them() -> None:
    """Even then no digit is lost."""
    console = Console(file=io.StringIO(), width=12, color_system=None)
    for part in TABLE.parts(12):
        console.print(part.rich())
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert all(len(line) <= 12 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ([["1", "a", "x"], ["2", "a", "x"]], 1),
        ([["1", "a", "x"], ["1", "b", "x"]], 2),
        ([["1", "a", "x"]] * 2, 1),
    ],
)
def test_parts_begin_with_the_columns_that_tell_rows_apart(rows: list[list[str]], keys: int) -> None:
    header = ["key", "kind", "number"]
    parts = Table("t", header, rows).parts(1)
    assert [list(part.header) for part in parts] == [[*header[:keys], name] for name in header[keys:]]
    assert [part.rows[0][-1] for part in parts] == rows[0][keys:]
    assert len(Table("t", header, rows).parts(100)) == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_the_line_of_a_run(width: int) -> None:
    line = ProgressLine(terminal(width))
    shown = frame(line.bars, width)
    line.on_progress(REPORT)
    shown += frame(line.bars, width)
    line.on_progress(REPORT._replace(unit="squared error", loss=1e-5, epochs=None, seconds_left=3723.0))
    shown += frame(line.bars, width)
    assert_is_stored(f"train-{width}", shown)


KEYS = [RunKey(width, state, 12, 0.002) for width in (2, 100) for state in ("carry", "reset")]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lines_of_a_comparison(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting; under way, after 20 seconds, when half of the work is done; with several rates."""
    now = [100.0]
    monkeypatch.setattr(screens, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    screen = Screen(terminal(width))
    screen.say_costs(3)
    screen.show_run(Measurement(), 2 / 3, "width 20, 2 of 3")
    shown = frame(screen.bars, width)
    screen.end_costs()
    screen.show_run(Measurement(), 1.0, "width 100, 3 of 3")  # which is late
    screen.start_runs(12, 8, dict.fromkeys(KEYS, 2.0))
    for key in KEYS[:2]:
        screen.begin_run(key)
    shown += frame(screen.bars, width)
    now[0] += 20.0
    screen.finish_run(KEYS[0], "loss 0.5000 after 3.0 s")
    screen.show_run(KEYS[1], 0.75, REPORT.note)
    screen.begin_run(KEYS[2])
    screen.show_run(KEYS[2], 0.25, REPORT.note)
    screen.begin_run(KEYS[3])
    shown += frame(screen.bars, width)
    both = [*KEYS, *(key._replace(learning_rate=0.01) for key in KEYS)]
    screen.start_runs(8, 0, dict.fromkeys(both, 1.0))
    now[0] += 4.0
    screen.show_run(both[-1], 0.5, REPORT.note)
    shown += frame(screen.bars, width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert_is_stored(f"compare-{width}", shown)


class Cell:
    """What is shown below the cell of a notebook."""

    def __init__(self) -> None:
        self.outputs: list[str] = []
        self.changes = 0

    def display(self, shown: dict[str, str], **how: Any) -> Any:
        assert how == {"raw": True, "display_id": True}
        self.outputs.append(shown["text/plain"])
        return types.SimpleNamespace(update=functools.partial(self.update, len(self.outputs) - 1))

    def update(self, number: int, shown: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.outputs[number] = shown["text/plain"]
        self.changes += 1


def test_a_notebook_gets_a_line_that_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And stays, as a summary; a comparison that was interrupted leaves its last line."""
    cell = Cell()
    shell = types.SimpleNamespace(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=cell.display))
    with ProgressLine(seconds=0.0) as line:
        line.on_progress(REPORT)
        line.on_evaluation(POINT, None)
    for error in (None, KeyboardInterrupt()):
        with contextlib.suppress(KeyboardInterrupt), Screen() as screen:
            screen.start_runs(4, 2, dict.fromkeys(KEYS[:2], 1.0))
            for key in KEYS[:2]:
                screen.begin_run(key)
                screen.finish_run(key, "loss 0.5000 after 3.0 s")
            if error:
                raise error
    assert cell.outputs == [
        "epoch 3/13 · 5846 updates so far · loss 4.6124 · validation 4.700 (109.9 ppl, 6.78 bits) · 1:02:03",
        "2 runs in 0:00",
        "[4/4] width 2, reset, rate 0.002, seed 12: loss 0.5000 after 3.0 s",
    ]
    assert cell.changes == 1 + 3 + 2
    assert capsys.readouterr() == ("", "")


def test_what_a_file_gets(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each event, however narrow the terminal was; nothing that moves."""
    monkeypatch.setenv("COLUMNS", "60")
    with ProgressLine(seconds=0.0) as line:
        line.on_progress(REPORT)
        line.on_evaluation(POINT, None)
    with Screen() as screen:
        screen.say_costs(3)
        screen.end_costs()
        screen.start_runs(4, 1, dict.fromkeys(KEYS[1:], 1.0))
        screen.begin_run(KEYS[1])
        screen.show_run(KEYS[1], 0.5, REPORT.note)
        screen.finish_run(KEYS[1], "loss 0.5000 after 3.0 s")
    errors = capsys.readouterr().err
    print_table(TABLE)
    print_line("Use num_steps 4 [with] the state carried: " + "held-out loss 0.6359 nats, the lowest. " * 4)
    print_written([Path("a/report.md"), Path("a b/loss.png")])
    print_written([Path("a/" + 30 * "long-name-" + ".md")])
    assert_is_stored("file", errors + capsys.readouterr().out)
