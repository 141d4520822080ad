"""Names of files and texts are shown as they stand, whatever they are: nothing in them is carried out."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from command_helpers import little_data, run_main
from hypothesis import given, settings
from hypothesis import strategies as st
from page_helpers import parsed
from rich.console import Console

from tf_rnn.cli import sample
from tf_rnn.cli.parser import command
from tf_rnn.comparison.plots import loss_figure
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.settings import RunKey
from tf_rnn.console import Log, log_console, print_log, say, shell_word, visible
from tf_rnn.files import write_figure
from tf_rnn.parallel.launcher import show
from tf_rnn.reporting import Page, Plain, Table
from tf_rnn.reporting.page import command_code
from tf_rnn.reporting.style import make_figure
from tf_rnn.reporting.terminal import print_line, print_table, print_written
from tf_rnn.tasks import Echo
from tf_rnn.tasks.vocabulary import CharacterVocabulary
from tf_rnn.training import ProgressLine
from tf_rnn.training.callbacks import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What some formatter reads as more than itself.
PIECES = (
    *("[lr=0.1]", "[/a]", "[bold]", "\\[x]", ":100:", ":smile:", "%s", "%(prog)s", "{}", "{0.x}", "{task}"),
    *("$x$", r"$\frac$", "\x1b[31m", "\x1b]0;title\x07", "\r", "\n", "\t", "\x9b2J", "\u202e", "\u2028"),
    *("<b>", "&amp;", "`", "*", "_", "|", "#", "'", '"', "\\"),
    *("é", "中", "👩\u200d🚀", "\udcff", " ", "-", "a"),
)
NAMES = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_characters="\0"), max_size=3)).map(
    "".join
)
# What a terminal may get: no other control characters than ends of lines.
SHOWABLE = re.compile("[^\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]*")


@contextlib.contextmanager
def streams() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """Standard output and error that take UTF-8 alone."""
    with (
        io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") as out,
        io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        yield out, err


def content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def progress(unit: str) -> Progress:
    return Progress(1, 2, 3, 4, 5, 0.5, 0.25, unit, 1.0, 0.1, 0.2, 100.0, 9.0)


def shown_by_screen(name: str) -> None:
    with Screen() as screen:
        screen.start_runs(1, 0, {})
        screen.show_run(RunKey(1, "carry", 0, 0.1), 0.5, name)
        screen.finish_run(RunKey(1, "carry", 0, 0.1), name)


SHOWN: dict[str, Callable[[str], None]] = {
    "say": say,
    "log": lambda name: print_log(log_console(), name),
    "launcher": show,
    "line": lambda name: print_line(name.replace("\n", "")),
    "written": lambda name: print_written([Path(f"{name}a")]),
    "table": lambda name: print_table(Table(name, [name.replace("\n", "")], [[name]])),
    "screen": shown_by_screen,
}


@pytest.mark.parametrize("how", SHOWN)
@given(name=NAMES)
def test_a_line_has_the_name_and_nothing_is_carried_out(how: str, name: str) -> None:
    with streams() as (out, err):
        SHOWN[how](name)
        found = content(out) + content(err)
    assert SHOWABLE.fullmatch(found), repr(found)
    if how != "table":  # which wraps its cells
        assert visible(name.replace("\n", "") if how == "line" else name).rstrip() in found


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@given(name=NAMES)
@settings(max_examples=10)
def test_progress_bars_show_names_on_a_terminal(name: str) -> None:
    """Their own escape sequences aside, there are none."""
    file = Terminal()
    console = Console(file=file, force_terminal=True, width=5000)
    line = ProgressLine(console)
    with line:
        line.on_progress(progress(name))
    with Screen(console) as screen:
        screen.start_runs(1, 0, {})
        screen.show_run(RunKey(1, "carry", 0, 0.1), 0.5, name)
    found = OURS.sub("", file.getvalue())
    assert SHOWABLE.fullmatch(found), repr(found)
    assert visible(name).strip() in found


@given(names=st.lists(NAMES, min_size=1, max_size=20))
def test_a_printed_command_names_the_same_folder_in_a_shell(names: list[str]) -> None:

    words = [word for word in names if _can_be_a_file_name(word)]
    line = " ".join(["printf", r"'%s\0'", *map(shell_word, words)])
    assert SHOWABLE.fullmatch(line)
    assert "\n" not in line
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert [os.fsdecode(part) for part in done.stdout.split(b"\0")[: len(words)]] == words


def _can_be_a_file_name(word: str) -> bool:
    try:
        return os.fsdecode(os.fsencode(word)) == word
    except UnicodeEncodeError:
        return False


def test_a_folder_that_begins_with_a_dash_is_no_option() -> None:
    assert command("train --resume", Path("-x")) == "python -m tf_rnn train --resume ./-x"


@given(name=NAMES)
def test_a_report_has_the_name_as_text_alone(name: str) -> None:
    page = Page("Title", Plain(name), command_code(["lags", "--out", name]), Table("", ["a"], [[name]]))
    *_, code, table = parts = page.markdown().split("\n\n")
    assert len(parts) == (4 if visible(name).strip() else 3) or not name
    assert SHOWABLE.fullmatch(page.markdown())
    assert len(code.splitlines()) == 3
    assert len(table.splitlines()) == 3
    assert re.findall(r"(?<!\\)(?:\\\\)*\|", table.splitlines()[2]) != []
    found = parsed(page.html())
    texts = ["".join(element.itertext()) for tag in ("p", "code", "td", "th") for element in found.iter(tag)]
    assert visible(name, keep="\n") in texts, texts
    plain = Plain(name).markdown()
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>`*\[\]|&$]", plain), plain
    assert re.sub(r"\\([^\w\s]|_)", r"\1", plain) == visible(name)


class Named(Echo):
    """A task whose words are somebody's."""

    text: ClassVar[str] = ""

    def baselines(self) -> dict[str, float]:
        return {self.text: 0.5}


@pytest.mark.parametrize("name", [r"$\frac$ x", "$x$ $y", "$_{ <b> 中", "_a\x1b[31m\r:100:[/a]", "a$b%s{}"])
def test_a_figure_shows_the_name_without_formulas(name: str, tmp_path: Path) -> None:
    figure, _ = make_figure(name, (4, 3))
    write_figure(tmp_path / "a.png", figure)
    task = Named()
    Named.text = task.unit = name
    write_figure(tmp_path / "b.png", loss_figure([], task, name))
    assert (tmp_path / "b.png").stat().st_size > 1000


NASTY = ["x[lr=0.1] lr:100:x $y$ %s {}", "x[/a]\x1b[31mred\ny", "-dash", 'a\'b "c" é中']


@pytest.mark.parametrize("name", NASTY)
def test_commands_print_the_folder_that_they_write(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--state-size", "2", "--batch-size", "2", "--num-steps", "2"]
    with little_data():
        status, out, _ = run_main(["lags", *small, "--tokens", "0", f"--out={name}"], capsys)
    assert status == 0
    assert f"\nwritten:\n  {visible(name)}/report.md\n  {visible(name)}/" in out
    assert (tmp_path / name / "report.md").is_file()
    status, out, err = run_main(["train", f"--resume={name}"], capsys)
    assert (status, out) == (2, "")
    assert SHOWABLE.fullmatch(err)
    assert len(err.splitlines()) == 1


def test_an_error_is_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["evaluate", "a\n\x1b[31mb"], ["lags", "x\n\x1b[31my"], ["--\x1b"], ["\x1b"]):
        status, _, err = run_main(words, capsys)
        assert status == 2
        assert SHOWABLE.fullmatch(err), repr(err)
        assert len(err.splitlines()) == 1, err


def test_the_log_is_standard_error_at_each_moment() -> None:
    log = Log()
    with contextlib.redirect_stderr(io.StringIO()) as caught:
        log.write("a")
        assert (log.isatty(), caught.getvalue()) == (False, "a")
    with contextlib.redirect_stderr(Terminal()):
        assert log.isatty()


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_sample_is_written_unchanged_except_to_a_terminal(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a\x1b[31mb\r\n\tc"

    class Model:
        """One that was trained on escape sequences."""

        tokens = tuple(text)
        vocabulary = CharacterVocabulary(dict.fromkeys(text))

        def sample(self, **_: Any) -> Iterator[str]:
            return iter(text)

    monkeypatch.setattr("tf_rnn.load", lambda *_: Model())
    monkeypatch.setattr(sample, "require_run", lambda _: None)
    file = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    sample.run({"folder": "x"}, [])
    assert file.getvalue() == ("a\\x1b[31mb\\r\n\tc\n" if is_terminal else f"{text}\n")
