"""A log that cannot be written, since its reader has ended or its disk is full, stops nothing."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_helpers import DEADLINE, command, ended, files, workers_here
from model_helpers import made_up_text, metrics

from tf_rnn.console import log_console, print_log, say, settle
from tf_rnn.training import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SMALL = ["--task", "echo", "--state-size", "3", "--batch-size", "20", "--num-steps", "2"]
TRAIN = ["train", *SMALL, "--updates", "30", "--evaluations", "3"]
COMMANDS = {
    "train": TRAIN,
    "lags": ["lags", *SMALL, "--tokens", "80"],
    "recommend": ["recommend", *SMALL, "--seeds", "1", "--amount", "80"],
}


class Broken(io.StringIO):
    """A stream whose reader has ended, or whose disk is full."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number, self.attempts = number, 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EAGAIN])
def test_what_a_log_does_not_take_is_dropped(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is printed afterwards is printed once."""
    monkeypatch.setattr(sys, "stderr", broken := Broken(number))
    console, line = log_console(), ProgressLine()
    with line:
        print_log(console, "lost")
        say("lost")
        monkeypatch.setattr(sys, "stderr", caught := io.StringIO())
        print_log(console, "first")
        say("second")
    assert broken.attempts >= 2
    assert caught.getvalue() == "first\nsecond\n"


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_log_that_is_closed_takes_nothing(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    say("lost")
    print_log(log_console(), "lost")
    settle()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_done_though_its_log_is_broken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", broken := Broken(errno.EPIPE))
    with workers_here():
        status = ended([*COMMANDS[name], "--out", str(tmp_path / "out")])
    assert status == 0
    assert broken.attempts, "it had nothing to print"
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1:] == [] if name == "train" else "written:" in shown
    assert {"config.json"} < set(files(tmp_path / "out"))


def run(words: Sequence[str], stderr: int, stdout: int | None = None) -> int:
    done = subprocess.run(command(words), check=False, timeout=DEADLINE, stdout=stdout, stderr=stderr)
    return done.returncode


@pytest.mark.parametrize("log", [pytest.param("no reader", marks=pytest.mark.slow), "full disk"])
def test_training_ends_as_it_would_without_a_log(log: str, tmp_path: Path) -> None:
    """Also the exit status, which the interpreter changes if it cannot flush a stream at its end.

    One training is enough: at their ends both streams are alike.
    """
    out, status = tmp_path / "out", 0
    if log == "no reader":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    try:
        if log == "no reader":
            (tmp_path / "text.txt").write_text(made_up_text(600), encoding="utf-8")
            words = [*TRAIN, "--task", "text", "--data", str(tmp_path / "text.txt"), "--out", str(out)]
            status = run(words, stdout=writing, stderr=writing)
            assert [line["step"] for line in metrics(out)] == [10, 20, 30]
        refused = run(["train", "--resume", str(tmp_path / "none")], stderr=writing)
    finally:
        os.close(writing)
    assert (status, refused) == (0, 2)
