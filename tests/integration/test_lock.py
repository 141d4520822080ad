"""Two commands never write to one folder at once; locks are released when their process dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_helpers import DEADLINE, assert_fails, captured, files, run_main, started
from model_helpers import keep_run, write_splits

from tf_rnn import lock
from tf_rnn.cells import VanillaCell
from tf_rnn.inference.load import find_checkpoint
from tf_rnn.lock import LOCK, held, made_and_held
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from tf_rnn.lock import held

with held("out", Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a folder until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def refusal(folder: Path, process: int) -> str:
    return (
        f"must be a folder that no other command is writing to, got {str(folder)!r} "
        f"(process {process} on {socket.gethostname()} is)"
    )


def test_the_holder_is_named_and_its_lock_released_when_it_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        for _ in range(2):  # the first attempt must not change what the file says
            with pytest.raises(OptionError) as caught, held("out", tmp_path):
                pass
            assert str(caught.value) == f"out {refusal(tmp_path, process.pid)}"
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        with held("out", tmp_path):
            text = (tmp_path / LOCK).read_text(encoding="utf-8")
            assert text == f"process {os.getpid()} on {socket.gethostname()}"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_locked_within_a_process_too(tmp_path: Path) -> None:
    with held("out", tmp_path):
        with pytest.raises(OptionError, match=re.escape(refusal(tmp_path, os.getpid()))):
            held("resume", tmp_path).__enter__()
        assert (tmp_path / LOCK).exists(), "the loser has deleted it"
    with held("out", tmp_path):
        pass


COUNT = """
import sys, time
from pathlib import Path
from tf_rnn.options import OptionError
from tf_rnn.lock import held

folder, times = Path(sys.argv[1]), int(sys.argv[2])
while times:
    try:
        with held("out", folder):
            count = int((folder / "count").read_text())
            time.sleep(0.0005)
            (folder / "count").write_text(str(count + 1))
        times -= 1
    except OptionError:
        time.sleep(0.0002)
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    """The lock file is deleted each time, just when the others try to lock it."""
    (tmp_path / "count").write_text("0", encoding="utf-8")
    words = [sys.executable, "-c", COUNT, str(tmp_path), "100"]
    processes = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=DEADLINE)[1] for process in processes]
    assert errors == [""] * 3
    assert (tmp_path / "count").read_text(encoding="utf-8") == "300"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_there_are_no_locks_a_warning_is_printed(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    with held("out", tmp_path):
        (tmp_path / "results").write_text("mine", encoding="utf-8")
    reason = os.strerror(number)
    line = f"no locks in {str(tmp_path)!r} ({reason}): make sure that nothing else writes there\n"
    assert capsys.readouterr() == ("", line)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    """With those above it that were made for it, and no others."""
    (tmp_path / "there").mkdir()
    folder = tmp_path / "there" / "a" / "b"
    with made_and_held("out", folder):
        assert [path.name for path in folder.iterdir()] == [LOCK]
    assert list((tmp_path / "there").iterdir()) == []
    with contextlib.suppress(KeyError), made_and_held("out", folder):
        (folder.parent / "mine").write_text("", encoding="utf-8")
        raise KeyError
    assert [path.name for path in (tmp_path / "there").rglob("*")] == ["a", "mine"]
    (folder.parent / "mine").unlink()
    folder.parent.rmdir()
    with made_and_held("out", tmp_path / "there"):
        pass
    assert (tmp_path / "there").is_dir()


# --- commands --------------------------------------------------------------------------------------

SMALL = ["--batch-size", "5", "--state-size", "3", "--tokens", "200", "--num-steps", "4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("locked")
    return keep_run(place / "run", Text(write_splits(place / "texts")), VanillaCell(4))


WRITING: dict[str, tuple[list[str], str]] = {
    "train": (["train", *SMALL, "--out", "OUT"], "--out"),
    "train --resume": (["train", "--resume", "RUN"], "--resume"),
    "compare": (["compare", "--num-steps", "2", "--out", "OUT"], "--out"),
    "lags": (["lags", *SMALL, "--out", "OUT"], "--out"),
    "recommend": (["recommend", "--num-steps", "2", "--out", "OUT"], "--out"),
    "export": (["export", "RUN", "OUT"], "OUT"),
    "import": (["import", "EXPORTED", "OUT"], "DIR"),
}


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    folder = run.parent / "exported"
    captured(["export", str(run), str(folder)])
    return folder


@pytest.mark.parametrize("name", WRITING)
def test_a_command_does_not_write_where_another_one_does(
    name: str, run: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, status 2, and not a file is touched."""
    words, option = WRITING[name]
    out = run if "RUN" in words and "OUT" not in words else tmp_path / "out"
    places = {"RUN": str(run), "OUT": str(out), "EXPORTED": str(exported)}
    out.mkdir(exist_ok=True)
    path = out.with_name(f".{out.name}{LOCK}") if option in {"OUT", "DIR"} else out / LOCK
    with lock.locked("out", path, out):
        before = files(run), files(tmp_path)
        status, _, errors = run_main([places.get(word, word) for word in words], capsys)
        assert (files(run), files(tmp_path)) == before
    last = errors.splitlines()[-1]
    assert (status, last) == (2, f"tf_rnn {words[0]}: error: {option} {refusal(out, os.getpid())}")
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_run_under_way_is_read_but_not_written_by_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epochs of a few milliseconds, a checkpoint after each: whoever reads finds one that is whole.

    The run itself takes no notice.
    """
    text, folder = write_splits(tmp_path / "texts"), tmp_path / "run"
    words = ["train", "--task", "text", "--data", str(text), "--cell", "vanilla", "--state-size", "4"]
    words += ["--num-steps", "5", "--batch-size", "4", "--epochs", "100000", "--out", str(folder)]
    with started(words) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 3"):
                break
        for reading in (["evaluate", str(folder), "--json"], ["sample", str(folder), "--length", "9"]):
            assert run_main([*reading, "--checkpoint", "last"], capsys)[::2] == (0, "")
        for _ in range(50):
            find_checkpoint(folder, "last")
        assert capsys.readouterr() == ("", ""), "a checkpoint was damaged"
        last = assert_fails(["train", "--resume", str(folder)], 2, capsys, after=3)
        assert last.endswith(f"error: --resume {refusal(folder, process.pid)}")
        assert process.poll() is None, "it was over before anybody looked"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, errors
    assert f"resume with: python -m tf_rnn train --resume {folder}" in errors.splitlines()[-1]
