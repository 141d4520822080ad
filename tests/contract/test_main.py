"""The program around the commands: standard streams, and ends that no command foresees."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from command_helpers import command, run_main

from tf_rnn import __main__ as program
from tf_rnn._tensorflow import tf
from tf_rnn.console import settle
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from pathlib import Path

ENDS: dict[str, tuple[Exception, str]] = {
    "memory": (MemoryError(), "there is not enough memory; use smaller sizes or fewer steps"),
    "TensorFlow's": (
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\n\t [[{{node a}}]]"),
        "there is not enough memory; use smaller sizes or fewer steps",
    ),
    "a disk": (OSError(28, "No space left on device"), "No space left on device"),
    "a file": (PermissionError(13, "Permission denied", "a/b"), "Permission denied ('a/b')"),
}


@pytest.mark.parametrize("name", program.COMMANDS)
def test_headings_of_help_fit_a_narrow_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And usage; lists of choices, which cannot be wrapped, are longer."""
    monkeypatch.setenv("COLUMNS", "60")
    _, shown, _ = run_main([name, "--help"], capsys)
    assert [line for line in shown.splitlines() if len(line) > 60 and not line.startswith("  -")] == []


@pytest.mark.parametrize("case", ENDS)
def test_what_the_machine_has_not_got_is_one_line(
    case: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error, line = ENDS[case]

    def fail(*_: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(program.COMMANDS["lags"], "run", fail)
    assert run_main(["lags"], capsys) == (1, "", f"tf_rnn lags: error: {line}\n")


def test_options_are_named_alike_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But words of English, and what the user has typed, stay as they are."""
    problem = "must be left out where style is full and num_steps 3 with the state reset, got 'num_steps'"

    def fail(*_: Any) -> NoReturn:
        raise OptionError("decay_after and epochs", problem)

    monkeypatch.setattr(program.COMMANDS["lags"], "run", fail)
    line = (
        "tf_rnn lags: error: --decay-after and --epochs must be left out where --style is full and "
        "--num-steps 3 with the state reset, got 'num_steps'\n"
    )
    assert run_main(["lags"], capsys) == (2, "", line)


def test_other_errors_are_ours_and_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(program.COMMANDS["lags"], "run", fail)
    with pytest.raises(ZeroDivisionError):
        run_main(["lags"], capsys)


def test_a_full_disk_under_standard_output_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.COMMANDS["lags"], "run", lambda *_: print("loss"))
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    monkeypatch.setattr(sys, "stdout", full)
    status = program.main(["lags"])
    with contextlib.suppress(OSError):  # what could not be written is still in it
        full.close()
    assert (status, capsys.readouterr().err) == (1, "tf_rnn lags: error: No space left on device\n")


@pytest.mark.parametrize(
    ("words", "status"),
    [(["lags", "--seed", "-1"], 2), (["lags", "--help"], 0)],
)
def test_a_program_without_standard_streams(words: list[str], status: int, tmp_path: Path) -> None:
    """As `<&- >&- 2>&-` starts it: the files that it opens must not become its standard error."""
    shell = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *command(words)]
    assert subprocess.run(shell, cwd=tmp_path, check=False).returncode == status
    assert list(tmp_path.iterdir()) == []


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What libraries write to standard error would end up in it."""
    script = (
        "import contextlib; from tf_rnn.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(['lags', '--seed', '-1'])\n"
        "with open('found', 'x') as file: print(file.fileno(), file=file)"
    )
    shell = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", sys.executable, "-c", script]
    subprocess.run(shell, cwd=tmp_path, check=True)
    assert int((tmp_path / "found").read_text(encoding="utf-8")) > 2


@pytest.mark.slow
def test_a_run_without_standard_streams(tmp_path: Path) -> None:
    words = ["train", "--task", "memory", "--state-size", "3", "--updates", "2", "--out", "run"]
    shell = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *command(words)]
    assert subprocess.run(shell, cwd=tmp_path, check=False).returncode == 0
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints",
        "config.json",
        "curve.csv",
        "curve.png",
        "metrics.jsonl",
        "report.html",
        "report.md",
        "run.toml",
        "summaries",
    ]


def test_what_a_full_disk_keeps_from_standard_error_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is buffered, too: at the end Python would fail to write it, and change the exit status."""
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    full.write("epoch 1")
    monkeypatch.setattr(sys, "stderr", full)
    with pytest.raises(OSError, match="No space left"):
        full.flush()
    settle()
    full.close()
