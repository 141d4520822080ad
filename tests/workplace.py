"""A place to run any command line in: its own folders, little work, and an eye on what is written."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from command_helpers import ended, little_data
from matplotlib import font_manager  # noqa: F401  (where it is loaded first it writes a cache)
from model_helpers import keep_run, made_up_text, write_splits

from tf_rnn.__main__ import OUT_OF_MEMORY
from tf_rnn.analysis import cost
from tf_rnn.cells import VanillaCell
from tf_rnn.comparison import comparing, planning, recommending
from tf_rnn.inference import export, load, sampling
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text, corpus
from tf_rnn.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from types import FrameType

# Far more than any line needs here; what takes longer hangs.
PATIENCE, MEMORY = 60, 12 << 30
# How errors begin.
OWN = ("tf_rnn ", "tf_rnn: ")
# What Keras and matplotlib remember in a home folder for the next time, once for all.
REMEMBERED = (".keras", ".cache/matplotlib", ".config/matplotlib")
KEPT, EXPORTED, OUT = "kept", "exported", "out"
TEXTS = ("text.txt", "bytes.txt", "empty.txt", "splits", "pipe", KEPT)


class OutOfTime(BaseException):
    """A line takes too long: nothing that a command could take for an error of its own."""


class Ended(NamedTuple):
    """How a command line ended."""

    status: int
    shown: str
    errors: list[str]


class ReachedError(Exception):
    """A line was good enough for the long work to begin."""


def furnish(folder: Path) -> Path:
    """Makes what command lines may name: texts, bytes, a run, an exported model."""
    (folder / "text.txt").write_text(made_up_text(600), encoding="utf-8")
    (folder / "bytes.txt").write_bytes(bytes(range(256)))
    (folder / "empty.txt").touch()
    write_splits(folder / "splits")
    os.mkfifo(folder / "pipe")
    keep_run(folder / KEPT, Text(folder / "text.txt", 0.2, 0.2), VanillaCell(3))
    export(load(folder / KEPT), folder / EXPORTED)
    return folder


@contextlib.contextmanager
def little_work() -> Iterator[None]:
    """Training ends after two updates, a text after 99 tokens, costs are measured once.

    Nothing is downloaded, no process started.
    """
    drawn = sampling._draw

    def reached(*_: object) -> None:
        raise ReachedError

    def no_network(name: str) -> tuple[Path, ...]:
        raise OptionError("data", f"could not be fetched for {name!r}")

    with pytest.MonkeyPatch.context() as patch, little_data():
        patch.setattr(Stopwatch, "is_spent", property(lambda watch: watch._history.updates >= 2))
        patch.setattr(sampling, "_draw", lambda *how: itertools.islice(drawn(*how), 99))
        for name, value in {"BUILDS": 1, "ROUNDS": 1, "TRACES": 1, "SECONDS_PER_ROUND": 0.0}.items():
            patch.setattr(cost, name, value)
        patch.setattr(comparing, "run_comparison", reached)
        patch.setattr(recommending.Race, "run", reached)
        patch.setattr(planning, "measured_costs", reached)
        patch.setattr(corpus, "fetch", no_network)
        yield


@contextlib.contextmanager
def copied(furnished: Path) -> Iterator[Path]:
    """A copy of a furnished folder as the current one, and away with it.

    Beside it are a home, a folder for what is temporary, and somebody else's file, all watched.
    """
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        around = Path(folder).resolve()
        place = around / "place"
        for name, variable in {"home": "HOME", "tmp": "TMPDIR"}.items():
            (around / name).mkdir()
            patch.setenv(variable, str(around / name))
        patch.setattr(tempfile, "tempdir", str(around / "tmp"))
        (around / "outside.txt").write_text("somebody else's", encoding="utf-8")
        shutil.copytree(furnished, place, symlinks=True, ignore=lambda *_: {"pipe"})
        os.mkfifo(place / "pipe")
        with contextlib.chdir(place):
            yield place


def address_space() -> int:
    """What this process has taken already, in bytes: the stacks of the threads that earlier tests left."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def patience(seconds: int = PATIENCE) -> Iterator[None]:
    """Ends what takes longer than so many seconds, or more memory on top than any line needs here."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + MEMORY, hard))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def listing(folder: Path) -> dict[str, Any]:
    """All that is in a folder and below, with what tells whether it was touched; links are not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        is_file = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(folder))] = (
            (facts.st_mode, facts.st_size, facts.st_mtime_ns) if is_file else facts.st_mode
        )
    return found


def is_remembered(path: Path) -> bool:
    """Whether it is what Keras and matplotlib remember in a home folder, or leads there."""
    places = [Path("home") / name for name in REMEMBERED]
    return any(path.is_relative_to(place) or place.is_relative_to(path) for place in places)


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is new, gone or other."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def run_line(words: Sequence[str]) -> Ended:
    """The command in this process; whatever it raises comes out."""
    shown, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors), patience():
        try:
            status = ended(words)
        except ReachedError:
            status = 0
    return Ended(status, shown.getvalue(), errors.getvalue().splitlines())


def assert_well_ended(words: Sequence[str], place: Path, may_write: Collection[str]) -> Ended:
    """A line ends as it should, whatever it is: done, or told in one line, and nothing written elsewhere.

    Args:
        words: The command line.
        place: The current folder, what it names is in it.
        may_write: Names in it that it may make or change if it is good.
    """
    before = listing(place.parent)
    done = run_line(words)
    assert done.status in (0, 1, 2), f"{done.status} of {words}"
    changed = touched(before, listing(place.parent))
    if done.status:
        assert done.errors, f"nothing is told about {words}"
        assert done.errors[-1].startswith(OWN), f"{done.errors} of {words}"
        assert ": error: " in done.errors[-1], done.errors
        assert done.shown == "", done.shown
        assert OUT_OF_MEMORY not in done.errors[-1], words
    if done.status == 2:
        assert sum(line.startswith(OWN) for line in done.errors) == 1, done.errors
    allowed = [f"{place.name}/{name}" for name in may_write]
    elsewhere = [name for name in changed if not any(Path(name).is_relative_to(path) for path in allowed)]
    strange = [name for name in elsewhere if not is_remembered(Path(name))]
    assert strange == [], f"{words} wrote {strange}"
    return done
