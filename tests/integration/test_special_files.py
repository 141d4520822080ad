"""Pipes are read once or refused at once; a folder that may not be entered is refused with the reason."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_refused, ended, workers_here
from model_helpers import made_up_text

import tf_rnn
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.files import read_config, require_empty, require_new, require_own, require_run
from tf_rnn.inference import import_keras
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534
SMALL = ["--cell", "vanilla", "--state-size", "3", "--batch-size", "4", "--num-steps", "3"]


@contextlib.contextmanager
def piped(text: str) -> Iterator[str]:
    """The name of a pipe with a text, as `<(...)` makes it."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def test_compare_reads_a_pipe_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--task", "text", *SMALL, "--seeds", "1", "--budget", "updates", "--amount", "2"]
    with piped(made_up_text(600)) as data, workers_here():
        assert ended([*words, "--data", data, "--out", str(tmp_path / "out")]) == 0
    assert len(json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["runs"]) == 2


def test_a_worker_gets_what_came_through_a_pipe() -> None:
    with piped(made_up_text(600)) as data:
        task = Text(data)
    setup = Setup(task=task)
    found = Parcel.of(setup, task).open().task
    assert found.sha256 == task.sha256  # type: ignore[attr-defined]
    assert found.stream("valid").targets.tolist() == task.stream("valid").targets.tolist()


def test_launch_refuses_a_pipe_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with piped(made_up_text(600)) as data:
        words = ["launch", "--", "train", "--task", "text", *SMALL]
        words += ["--data", data, "--out", str(tmp_path / "out")]
        message = f"--data must be a file, which every worker can read, got {data!r}"
        assert_refused(words, message, capsys)
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def locked_out(folder: Path) -> Iterator[None]:
    """Without the permission to enter a folder."""
    folder.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(NOBODY)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_may_not_be_entered_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    checks: dict[str, Any] = {
        "folder": require_run,
        "resume": read_config,
        "out": lambda path: require_own("out", path),
        "exported": lambda path: import_keras(path, path / "new"),
    }
    reason = f"could not be read: Permission denied ({str(folder)!r})"
    with locked_out(folder):
        for option, check in checks.items():
            with pytest.raises(OptionError) as caught:
                check(folder)
            assert (caught.value.option, caught.value.problem) == (option, reason)
        for check in (require_new, require_empty):
            with pytest.raises(OptionError) as caught:
                check(folder)
            assert str(caught.value) == f"out {reason}"
        with pytest.raises(OptionError, match="Permission denied"):
            tf_rnn.load(folder)
        with pytest.raises(OptionError, match="Permission denied"):
            tf_rnn.resume(folder)
        with pytest.raises(OptionError) as caught:
            Text(folder)
        assert str(caught.value) == f"data could not be read from {str(folder)!r}: Permission denied"
        with pytest.raises(OptionError) as caught:
            Text(folder / "text.txt")
        assert (
            str(caught.value)
            == f"data could not be read from {str(folder / 'text.txt')!r}: Permission denied"
        )
