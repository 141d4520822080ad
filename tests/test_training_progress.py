"""What a person sees of a training run."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from tf_rnn.training import Progress, ProgressLine, Silence, progress
from tf_rnn.training.progress import clock, short_count

REPORT = Progress(
    epoch=2,
    updates=1234,
    fraction=0.25,
    loss=0.56789,
    valid_loss=0.54321,
    tokens_per_second=5_320_000.0,
    seconds_left=83.4,
)
LINE = "epoch 2 · update 1234 · loss 0.5679 · held out 0.5432 · 5.32M tokens/s"
END = REPORT._replace(updates=5000, fraction=1.0, seconds_left=0.0)
END_LINE = LINE.replace("1234", "5000")


def test_line() -> None:
    assert REPORT.line == LINE


def run(console: Console, *reports: Progress) -> None:
    with ProgressLine(console) as line:
        for report in reports:
            line(report)


def test_without_a_terminal_there_is_the_last_line() -> None:
    shown = io.StringIO()
    run(Console(file=shown, width=40), REPORT, END)
    assert shown.getvalue() == END_LINE + "\n"


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    shown = io.StringIO()
    run(Console(file=shown, width=40), REPORT, END)
    expected = [f"{LINE} · 1:23 left", f"{END_LINE} · 0:00 left", END_LINE]
    assert shown.getvalue().splitlines() == expected


def test_on_a_terminal_the_line_lives_and_the_last_one_stays() -> None:
    shown = io.StringIO()
    run(Console(file=shown, width=120, force_terminal=True, color_system=None), REPORT, END)
    text = shown.getvalue()
    assert text.endswith(END_LINE + "\n")
    assert "━" in text, "no bar was drawn"
    assert "\x1b[?25l" in text, "the cursor was not hidden"
    assert text.count("\x1b[?25h") == 1, "the cursor was not shown again"


def test_the_last_line_is_shown_after_an_error_too() -> None:
    shown = io.StringIO()

    def run_into_an_error() -> None:
        with ProgressLine(Console(file=shown, width=40)) as line:
            line(REPORT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_into_an_error()
    assert shown.getvalue() == LINE + "\n"


def test_a_run_without_reports_says_nothing() -> None:
    shown = io.StringIO()
    run(Console(file=shown, width=40))
    assert shown.getvalue() == ""


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine() as line:
        line(REPORT)
    assert capsys.readouterr() == ("", LINE + "\n")
    assert sys.stderr is not sys.stdout


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence() as listener:
        listener(REPORT)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, "0"),
        (0.5, "0.5"),
        (7.256, "7.26"),
        (999.4, "999"),
        (999.5, "1k"),
        (1000, "1k"),
        (1234, "1.23k"),
        (45_600, "45.6k"),
        (999_400, "999k"),
        (999_600, "1M"),
        (5_320_000, "5.32M"),
        (999_900_000, "1G"),
        (12_340_000_000, "12.3G"),
    ],
)
def test_short_count(number: float, expected: str) -> None:
    assert short_count(number) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (0.4, "0:00"), (9, "0:09"), (59.6, "1:00"), (83.4, "1:23"), (3600, "60:00")],
)
def test_clock(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected
