"""What a person sees of a training run."""

from __future__ import annotations

import io
import math
import sys
from typing import Any, Self

import pytest
from rich.console import Console

from tf_rnn.text import loss_words, perplexity
from tf_rnn.training import Callback, CallbackList, CurvePoint, Progress, ProgressLine
from tf_rnn.training.callbacks import count_text, short_count
from tf_rnn.training.progress import clock

REPORT = Progress(
    epoch=3,
    epochs=13,
    step=1200,
    steps=2323,
    updates=5846,
    fraction=0.25,
    loss=4.6124,
    unit="nats",
    gradient_norm=4.81,
    learning_rate=1.0,
    valid_loss=4.70001,
    tokens_per_second=19_020.0,
    seconds_left=83.4,
)
LINE = "epoch 3/13 · step 1200/2323 · loss 4.612 (100.7 ppl, 6.65 bits) · |g| 4.8 · lr 1.0 · 19k tok/s"
END = REPORT._replace(step=2323, updates=6969, fraction=1.0, seconds_left=0.0)
END_LINE = LINE.replace("1200", "2323")
POINT = CurvePoint(
    updates=6969, tokens=4_878_300, seconds=3723.4, train_loss=4.61239, valid_loss=4.70001, epoch=3
)
POINT_LINE = (
    "epoch 3/13 · 6969 updates so far · loss 4.6124 · validation 4.700 (109.9 ppl, 6.78 bits) · 1:02:03"
)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, LINE),
        ({"epochs": None}, LINE.replace("3/13", "3")),
        ({"steps": None}, LINE.replace("1200/2323", "1200")),
        ({"unit": "squared error", "loss": 0.01234}, LINE.replace("4.612 (100.7 ppl, 6.65 bits)", "0.0123")),
        ({"unit": "squared error", "loss": 1e-5}, LINE.replace("4.612 (100.7 ppl, 6.65 bits)", "1e-05")),
        ({"loss": 0.0}, LINE.replace("4.612 (100.7 ppl, 6.65 bits)", "0.000 (1 ppl, 0.00 bits)")),
        ({"loss": 9.21034}, LINE.replace("4.612 (100.7 ppl, 6.65 bits)", "9.210 (10,000 ppl, 13.29 bits)")),
        (
            {"loss": 800.0},
            LINE.replace("4.612 (100.7 ppl, 6.65 bits)", "800.000 (inf ppl, 1154.16 bits)"),
        ),
        ({"gradient_norm": 0.0123}, LINE.replace("|g| 4.8", "|g| 0.012")),
        ({"gradient_norm": 12345.0}, LINE.replace("|g| 4.8", "|g| 1.2e+04")),
        ({"gradient_norm": math.inf}, LINE.replace("|g| 4.8", "|g| inf")),
        ({"learning_rate": 0.002}, LINE.replace("lr 1.0", "lr 0.002")),
        ({"learning_rate": 1 / 3}, LINE.replace("lr 1.0", "lr 0.333")),
        ({"learning_rate": 20.0}, LINE.replace("lr 1.0", "lr 20.0")),
        ({"learning_rate": 1.0 / 2**9}, LINE.replace("lr 1.0", "lr 0.00195")),
        ({"learning_rate": 1e-5}, LINE.replace("lr 1.0", "lr 1e-05")),
        ({"learning_rate": 0.0}, LINE.replace("lr 1.0", "lr 0.0")),
        ({"tokens_per_second": 5_320_000.0}, LINE.replace("19k", "5.32M")),
    ],
)
def test_line(changes: dict[str, Any], line: str) -> None:
    assert REPORT._replace(**changes).line == line


def run(console: Console, *reports: Progress, seconds: float = 5.0) -> None:
    with ProgressLine(console, seconds) as line:
        for report in reports:
            line.on_progress(report)


def test_without_a_terminal_there_is_the_last_line() -> None:
    shown = io.StringIO()
    run(Console(file=shown, width=40), REPORT, END)
    assert shown.getvalue() == END_LINE + "\n"


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    shown = io.StringIO()
    run(Console(file=shown, width=40), REPORT, END, seconds=0.0)
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
            line.on_progress(REPORT)
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
        line.on_progress(REPORT)
    assert capsys.readouterr() == ("", LINE + "\n")
    assert sys.stderr is not sys.stdout


def test_the_base_class_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Callback() as callback:
        callback.on_progress(REPORT)
        callback.on_evaluation(POINT, None)
    assert capsys.readouterr() == ("", "")


# --- evaluations ---------------------------------------------------------------------------------


def shown(*events: Progress | CurvePoint, terminal: bool = False) -> str:
    """What a line shows of reports and evaluations, in order."""
    text = io.StringIO()
    console = Console(file=text, width=40, force_terminal=terminal, color_system=None)
    with ProgressLine(console) as line:
        for event in events:
            if isinstance(event, CurvePoint):
                line.on_evaluation(event, None)
            else:
                line.on_progress(event)
    return text.getvalue()


def test_an_evaluation_leaves_a_line_and_the_end_does_not_say_it_again() -> None:
    assert shown(END, POINT).splitlines() == [POINT_LINE]


def test_what_came_after_the_last_evaluation_is_said_at_the_end() -> None:
    later = END._replace(epoch=4, step=1, updates=6970)
    expected = [POINT_LINE, LINE.replace("3/13", "4/13").replace("1200", "1")]
    assert shown(END, POINT, later).splitlines() == expected


def test_each_evaluation_has_its_line() -> None:
    second = POINT._replace(updates=9292, epoch=4, seconds=3723.4 + 60)
    lines = shown(END, POINT, END._replace(epoch=4, updates=9292), second).splitlines()
    other = POINT_LINE.replace("3/13", "4/13").replace("6969", "9292").replace("1:02:03", "1:03:03")
    assert lines == [POINT_LINE, other]


def test_on_a_terminal_the_lines_of_evaluations_stay() -> None:
    text = shown(REPORT, POINT, END, terminal=True)
    assert POINT_LINE + "\n" in text


def test_the_evaluation_before_any_update_says_nothing() -> None:
    start = CurvePoint(0, 0, 0.0, math.nan, 5.0, 0)
    assert shown(start) == ""
    assert shown(start, REPORT, start) == LINE + "\n"


def test_an_evaluation_in_other_units_has_no_perplexity() -> None:
    report = END._replace(unit="squared error")
    point = POINT._replace(train_loss=0.5, valid_loss=1e-7)
    expected = "epoch 3/13 · 6969 updates so far · loss 0.5000 · validation 1e-07 · 1:02:03\n"
    assert shown(report, point) == expected


# --- several callbacks ---------------------------------------------------------------------------


class Diary(Callback):
    """Writes down what it is told, with its name, in a list that it shares with others."""

    def __init__(self, name: str, entries: list[Any], fails: str = "") -> None:
        self._name, self._entries, self._fails = name, entries, fails

    def _write(self, *what: Any) -> None:
        self._entries.append((self._name, *what))
        if what[0] == self._fails:
            raise OSError(f"{self._name} cannot {self._fails}")

    def __enter__(self) -> Self:
        self._write("enter")
        return self

    def on_progress(self, progress: Progress) -> None:
        self._write("report", progress)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        self._write("evaluated", point, session)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._write("exit", kind)


def test_several_callbacks_are_told_all_in_order_and_left_in_reverse() -> None:
    entries: list[Any] = []
    callback = CallbackList(Diary("a", entries), Diary("b", entries))
    with callback as entered:
        assert entered is callback
        entered.on_progress(REPORT)
        entered.on_evaluation(POINT, "session")
    told = [("enter",), ("report", REPORT), ("evaluated", POINT, "session")]
    expected = [(name, *what) for what in told for name in "ab"]
    assert entries == [*expected, ("b", "exit", None), ("a", "exit", None)]


def test_several_callbacks_are_left_after_an_error() -> None:
    entries: list[Any] = []
    with pytest.raises(KeyboardInterrupt), CallbackList(Diary("a", entries), Diary("b", entries)):
        raise KeyboardInterrupt
    assert entries[2:] == [("b", "exit", KeyboardInterrupt), ("a", "exit", KeyboardInterrupt)]


def test_a_callback_that_cannot_be_entered_leaves_none_open() -> None:
    entries: list[Any] = []
    made = CallbackList(Diary("a", entries), Diary("b", entries, fails="enter"), Diary("c", entries))
    with pytest.raises(OSError, match=r"^b cannot enter$"), made:
        pass
    assert entries == [("a", "enter"), ("b", "enter"), ("a", "exit", OSError)]


def test_a_callback_that_fails_at_its_end_does_not_keep_others_open() -> None:
    entries: list[Any] = []
    with (
        pytest.raises(OSError, match=r"^b cannot exit$"),
        CallbackList(Diary("a", entries), Diary("b", entries, fails="exit")),
    ):
        pass
    assert entries[-1] == ("a", "exit", OSError)


def test_no_callbacks_are_a_callback() -> None:
    with CallbackList() as callback:
        callback.on_progress(REPORT)
        callback.on_evaluation(POINT, None)


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (0.0, 1.0),
        (math.log(2), 2.0),
        (-1.0, 1 / math.e),
        (709.0, math.exp(709.0)),
        (710.0, math.inf),
        (1e300, math.inf),
        (math.inf, math.inf),
        (-math.inf, 0.0),
    ],
)
def test_perplexity(loss: float, expected: float) -> None:
    assert perplexity(loss) == pytest.approx(expected, rel=1e-15)


def test_the_perplexity_of_what_is_no_number_is_none() -> None:
    assert math.isnan(perplexity(math.nan))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (4.6124, "4.612 (100.7 ppl, 6.65 bits)"),
        (math.log(2), "0.693 (2 ppl, 1.00 bits)"),
        (0.0, "0.000 (1 ppl, 0.00 bits)"),
        (1.23456, "1.235 (3.437 ppl, 1.78 bits)"),
        (6.907, "6.907 (999.2 ppl, 9.96 bits)"),
        (6.908, "6.908 (1,000 ppl, 9.97 bits)"),
        (10.0, "10.000 (22,026 ppl, 14.43 bits)"),
        (20.7, "20.700 (977,002,726 ppl, 29.86 bits)"),
        (20.8, "20.800 (1.08e+09 ppl, 30.01 bits)"),
        (710.0, "710.000 (inf ppl, 1024.31 bits)"),
        (math.inf, "inf (inf ppl, inf bits)"),
        (math.nan, "nan (nan ppl, nan bits)"),
    ],
)
def test_a_loss_in_words(loss: float, words: str) -> None:
    assert loss_words(loss) == words


def test_a_squared_error_has_no_perplexity_and_no_bits() -> None:
    assert [loss_words(loss, "squared error") for loss in (0.5, 1e-7, 710.0)] == [
        "0.5000",
        "1e-07",
        "710.0000",
    ]


@pytest.mark.parametrize(
    ("number", "total", "text"), [(3, 13, "epoch 3/13"), (1, 1, "epoch 1/1"), (7, None, "epoch 7")]
)
def test_count_text(number: int, total: int | None, text: str) -> None:
    assert count_text("epoch", number, total) == text


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
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (9, "0:09"),
        (59.6, "1:00"),
        (83.4, "1:23"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (3600, "1:00:00"),
        (3723, "1:02:03"),
        (360_000, "100:00:00"),
    ],
)
def test_clock(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected
