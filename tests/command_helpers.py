"""What the tests of commands share: running them, in this process or another, and bad input."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tf_rnn.__main__ import main
from tf_rnn.analysis import cost
from tf_rnn.comparison import Workers, comparing, scheduler
from tf_rnn.tasks import Adding, Autoregression, Copy, Echo, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

DEADLINE = 120.0
HEAVY = ("tensorflow", "keras", "matplotlib", "distributed")
# Tokens to train on, and held out, of tasks that are given no length.
LENGTHS = (40_000, 4_000)


def command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "tf_rnn", *words]


def finished(words: Sequence[str], folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, run in a folder; it must succeed.

    Args:
        words: The command line.
        folder: Where it is run.
        **options: Those of `subprocess.run`.
    """
    done = subprocess.run(
        command(words), capture_output=True, text=True, check=False, timeout=DEADLINE, cwd=folder, **options
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), f"{done.returncode}: {done.stderr}"
    return done


@contextlib.contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, in which an interrupt means what it does at a terminal.

    Args:
        words: The command line.
        **options: Those of `subprocess.Popen`.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command(words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with process:  # closes its pipes and waits
            pass


def ended(words: Sequence[str]) -> int:
    """The command in this process: its exit status."""
    try:
        return main(words)
    except SystemExit as stop:
        return int(stop.code or 0)


def run_main(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The command in this process: exit status, standard output, standard error."""
    capsys.readouterr()  # what was there before it
    status = ended(words)
    out, err = capsys.readouterr()
    return status, out, err


def captured(words: Sequence[str]) -> list[str]:
    """The command in this process, where there is no `capsys`; it must succeed: lines of standard error."""
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        status = ended(words)
    assert status == 0, f"status {status}, not 0: {errors.getvalue()}"
    return errors.getvalue().splitlines()


def printed(words: Sequence[str]) -> list[str]:
    """The same: lines of standard output."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        captured(words)
    return shown.getvalue().splitlines()


def succeeds(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    """The command in this process, which must succeed: standard output, lines of standard error."""
    status, out, err = run_main(words, capsys)
    assert status == 0, f"status {status}, not 0: {err}"
    return out, err.splitlines()


class Here(Executor):
    """Does work in this process, at once."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def little_data() -> Iterator[None]:
    """Tasks that are given no length have little data, so that evaluations take no time."""
    kinds: list[Any] = [Adding, Autoregression, Copy, Echo, Memory]
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            defaults = kind.__init__.__defaults__
            patch.setattr(kind.__init__, "__defaults__", (*defaults[:-2], *LENGTHS))
        yield


@contextlib.contextmanager
def workers_here() -> Iterator[None]:
    """`compare` and `recommend` start no processes, and measure costs once; there are little data."""

    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[Workers]:
        yield Workers(Here(), None, lambda: 1, ())

    with pytest.MonkeyPatch.context() as patch, little_data():
        patch.setitem(scheduler.SCHEDULERS, "local", opened)
        patch.setattr(comparing, "local_workers", opened)
        for name, value in {"BUILDS": 1, "ROUNDS": 1, "TRACES": 1, "SECONDS_PER_ROUND": 0.0}.items():
            patch.setattr(cost, name, value)
        yield


def files(folder: Path) -> dict[str, bytes]:
    """The content of all files in a folder and those below it, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_fails(
    words: Sequence[str], status: int, capsys: pytest.CaptureFixture[str], *, after: int = 0
) -> str:
    """The command ends with a status, nothing on standard output, and one line of its own, which comes back.

    Args:
        words: The command line.
        status: The status wanted.
        capsys: Pytest's.
        after: How many lines about other things come before it.
    """
    found, shown, errors = run_main(words, capsys)
    lines = errors.splitlines()
    assert (found, shown) == (status, ""), f"status {found}, not {status}: {shown!r}, {errors!r}"
    assert len(lines) == after + 1, f"{len(lines)} lines, not {after + 1}: {errors}"
    assert lines[-1].startswith("tf_rnn"), lines[-1]
    return lines[-1]


def assert_refused(
    words: Sequence[str], message: str, capsys: pytest.CaptureFixture[str], *, after: int = 0
) -> str:
    """The command is bad input, and its one line says so in these words, or begins to."""
    line = assert_fails(words, 2, capsys, after=after)
    beginning = line.partition(": error: ")[2][: len(message)]
    assert beginning == message, f"{line!r}, not {message!r}"
    return line


class Said(NamedTuple):
    """What a command prints."""

    shown: str
    errors: list[str]


def said(verb: str, folder: Path, *words: str) -> Said:
    """Runs a command that writes to a folder, in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        errors = captured([verb, *words, "--out", str(folder)])
    return Said(shown.getvalue(), errors)


def assert_light(cases: Mapping[int, Sequence[Sequence[str]]], folder: Path) -> None:
    """In a fresh interpreter command lines end with their status, and load no heavy package.

    Args:
        cases: The command lines, by the status that they end with.
        folder: Where they are run.
    """
    expected = [(status, list(words)) for status, lines in cases.items() for words in lines]
    code = (
        "import sys\n"
        "from tf_rnn.__main__ import main\n"
        f"for _, words in {expected!r}:\n"
        "    try:\n"
        "        status = main(words)\n"
        "    except SystemExit as stop:\n"
        "        status = stop.code or 0\n"
        f"    loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    print('light', [status, loaded, words])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=DEADLINE,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("light")]
    wanted = [f"light {[status, [], words]}" for status, words in expected]
    assert found == wanted, f"{found}, not {wanted}: {done.stderr}"
