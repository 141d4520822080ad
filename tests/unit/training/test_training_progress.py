"""What a person sees of a training run."""

from __future__ import annotations

import io
import math
from typing import Any, Self

import pytest
from rich.console import Console

from tf_rnn.text import clock, loss_words, perplexity
from tf_rnn.training import Callback, CallbackList, CurvePoint, Progress, ProgressLine
from tf_rnn.training.callbacks import count_text, short_count

REPORT = Progress(
    epoch=3, epochs=13, step=1200, steps=2323, updates=5846, fraction=0.25, loss=4.6124, unit="nats",
    gradient_norm=4.81, learning_rate=1.0, valid_loss=4.70001, tokens_per_second=19_020.0, seconds_left=83.4,
)  # fmt: skip
LINE = "epoch 3/13 · step 1200/2323 · loss 4.612 (100.7 ppl, 6.65 bits) · |g| 4.8 · lr 1.0 · 19k tok/s"
END = REPORT._replace(step=2323, updates=6969, fraction=1.0, seconds_left=0.0)
END_LINE = LINE.replace("1200", "2323")
POINT = CurvePoint(6969, 4_878_300, 3723.4, train_loss=4.61239, valid_loss=4.70001, epoch=3)
POINT_LINE = (
    "epoch 3/13 · 6969 updates so far · loss 4.6124 · validation 4.700 (109.9 ppl, 6.78 bits) · 1:02:03"
)


@pytest.mark.parametrize(
    ("changes", "was", "now"),
    [
        ({}, "", ""),
        ({"epochs": None}, "3/13", "3"),
        ({"steps": None}, "1200/2323", "1200"),
        ({"unit": "squared error", "loss": 1e-5}, "4.612 (100.7 ppl, 6.65 bits)", "1e-05"),
        ({"gradient_norm": 12345.0}, "|g| 4.8", "|g| 1.2e+04"),
        ({"gradient_norm": math.inf}, "|g| 4.8", "|g| inf"),
        ({"learning_rate": 1 / 3}, "lr 1.0", "lr 0.333"),
        ({"learning_rate": 1.0 / 2**9}, "lr 1.0", "lr 0.00195"),
        ({"tokens_per_second": 5_320_000.0}, "19k", "5.32M"),
    ],
)
def test_line(changes: dict[str, Any], was: str, now: str) -> None:
    assert REPORT._replace(**changes).line == LINE.replace(was, now)


def shown(
    *events: Progress | CurvePoint | BaseException, seconds: float = 5.0, terminal: bool = False
) -> str:
    """What a line shows of reports, evaluations and an error, in order."""
    text = io.StringIO()
    console = Console(file=text, width=120 if terminal else 40, force_terminal=terminal, color_system=None)
    try:
        with ProgressLine(console, seconds) as line:
            for event in events:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, CurvePoint):
                    line.on_evaluation(event, None)
                else:
                    line.on_progress(event)
    except KeyboardInterrupt:
        assert isinstance(events[-1], KeyboardInterrupt)
    return text.getvalue()


LATER = END._replace(epoch=4, step=1, updates=6970)
FOURTH = END._replace(epoch=4, updates=9292), POINT._replace(updates=9292, epoch=4, seconds=3723.4 + 60)
FOURTH_LINE = POINT_LINE.replace("3/13", "4/13").replace("6969", "9292").replace("1:02:03", "1:03:03")
BEFORE_ANY = CurvePoint(0, 0, 0.0, math.nan, 5.0, 0)
SQUARED = END._replace(unit="squared error"), POINT._replace(train_loss=0.5, valid_loss=1e-7)
SQUARED_LINE = "epoch 3/13 · 6969 updates so far · loss 0.5000 · validation 1e-07 · 1:02:03"


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ((), []),
        ((REPORT, END), [END_LINE]),
        ((REPORT, KeyboardInterrupt()), [LINE]),
        ((END, POINT), [POINT_LINE]),  # the end does not repeat it
        ((END, POINT, LATER), [POINT_LINE, LINE.replace("3/13", "4/13").replace("1200", "1")]),
        ((END, POINT, *FOURTH), [POINT_LINE, FOURTH_LINE]),
        ((BEFORE_ANY,), []),
        ((BEFORE_ANY, REPORT, BEFORE_ANY), [LINE]),
        (SQUARED, [SQUARED_LINE]),
    ],
)
def test_without_a_terminal_evaluations_and_the_end_leave_a_line(events: Any, lines: list[str]) -> None:
    assert shown(*events).splitlines() == lines


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    expected = [f"{LINE} · 1:23 left", f"{END_LINE} · 0:00 left", END_LINE]
    assert shown(REPORT, END, seconds=0.0).splitlines() == expected


def test_on_a_terminal_the_line_lives_and_evaluations_and_the_last_one_stay() -> None:
    text = shown(REPORT, POINT, END._replace(updates=7000), terminal=True)
    assert POINT_LINE + "\n" in text
    assert text.endswith(END_LINE + "\n")
    assert "━" in text, "no bar was drawn"
    assert "\x1b[?25l" in text, "the cursor was not hidden"
    assert text.count("\x1b[?25h") == 1, "the cursor was not shown again"


def test_progress_goes_to_standard_error_and_the_base_does_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for callback, text in ((ProgressLine(), LINE + "\n"), (Callback(), ""), (CallbackList(), "")):
        with callback:
            callback.on_evaluation(BEFORE_ANY, None)
            callback.on_progress(REPORT)
        assert capsys.readouterr() == ("", text)


class Diary(Callback):
    """Records its calls, with its name, in a list that it shares with others."""

    def __init__(self, name: str, entries: list[Any], fails: str = "") -> None:
        self._name, self._entries, self._fails = name, entries, fails

    def _write(self, *what: Any) -> Self:
        self._entries.append((self._name, *what))
        if what[0] == self._fails:
            raise OSError(f"{self._name} cannot {self._fails}")
        return self

    def __enter__(self) -> Self:
        return self._write("enter")

    def on_progress(self, progress: Progress) -> None:
        self._write("report", progress)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        self._write("evaluated", point, session)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._write("exit", kind)


def test_several_callbacks_are_called_in_order_and_left_in_reverse() -> None:
    entries: list[Any] = []
    callback = CallbackList(Diary("a", entries), Diary("b", entries))
    with callback as entered:
        assert entered is callback
        entered.on_progress(REPORT)
        entered.on_evaluation(POINT, "session")
    calls = [("enter",), ("report", REPORT), ("evaluated", POINT, "session")]
    expected = [(name, *what) for what in calls for name in "ab"]
    assert entries == [*expected, ("b", "exit", None), ("a", "exit", None)]


def test_several_callbacks_are_all_left_after_an_error() -> None:
    """In the run, while one is entered, or while one is left."""
    entries: list[Any] = []
    with pytest.raises(KeyboardInterrupt), CallbackList(Diary("a", entries), Diary("b", entries)):
        raise KeyboardInterrupt
    assert entries[2:] == [("b", "exit", KeyboardInterrupt), ("a", "exit", KeyboardInterrupt)]
    for fails, expected in [
        ("enter", [("a", "enter"), ("b", "enter"), ("a", "exit", OSError)]),
        ("exit", [("c", "exit", None), ("b", "exit", None), ("a", "exit", OSError)]),
    ]:
        entries = []
        made = CallbackList(Diary("a", entries), Diary("b", entries, fails), Diary("c", entries))
        with pytest.raises(OSError, match=f"^b cannot {fails}$"), made:
            pass
        assert entries[-3:] == expected


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(math.log(2), 2.0), (709.0, math.exp(709.0)), (710.0, math.inf), (math.nan, math.nan)],
)
def test_perplexity(loss: float, expected: float) -> None:
    assert perplexity(loss) == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (loss_words(math.log(2)), "0.693 (2 ppl, 1.00 bits)"),
        (loss_words(6.907), "6.907 (999.2 ppl, 9.96 bits)"),
        (loss_words(6.908), "6.908 (1,000 ppl, 9.97 bits)"),
        (loss_words(20.8), "20.800 (1.08e+09 ppl, 30.01 bits)"),
        (loss_words(710.0), "710.000 (inf ppl, 1024.31 bits)"),
        (loss_words(math.nan), "nan (nan ppl, nan bits)"),
        (loss_words(0.5, "squared error"), "0.5000"),
        (count_text("epoch", 3, 13), "epoch 3/13"),
        (count_text("epoch", 7, None), "epoch 7"),
        (" ".join(map(short_count, (0.0, 7.256, 999.4, 999.5, 1234, 45_600))), "0 7.26 999 1k 1.23k 45.6k"),
        (" ".join(map(short_count, (999_400, 999_600, 999_900_000, 12_340_000_000))), "999k 1M 1G 12.3G"),
        (" ".join(map(clock, (0.4, 59.6, 83.4, 3599.4, 3599.6))), "0:00 1:00 1:23 59:59 1:00:00"),
    ],
)
def test_numbers_in_words(words: str, expected: str) -> None:
    assert words == expected
