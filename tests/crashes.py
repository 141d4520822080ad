"""Crashes made on purpose: commands that are killed, that have no room, or that find damaged files.

`train` runs in processes that are forked from a server, which has loaded TensorFlow and done nothing with
it: from there on it is the command as a person types it, without the seconds that loading takes. What is
drawn at random comes from `new_seed`, which a test that fails has printed: with TF_RNN_CRASH_SEED set to it,
the same moments come again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import resource
import secrets
import signal
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.__main__ import main
from tf_rnn.training.checkpoints import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DEADLINE = 60.0
CONTEXT = multiprocessing.get_context("forkserver")
# TensorFlow takes seconds to load, and children are started by the dozen.
PRELOADED = ["tensorflow", "tf_rnn.inference.narrator", "tf_rnn.training_run", "tf_rnn.cli.train"]
CONTEXT.set_forkserver_preload(PRELOADED)
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def new_seed() -> int:
    """Another one each time, unless the environment names one."""
    seed = int(os.environ.get("TF_RNN_CRASH_SEED") or secrets.randbelow(10**6))
    print(f"to repeat: TF_RNN_CRASH_SEED={seed}")
    return seed


@dataclasses.dataclass(frozen=True)
class Crash:
    """What happens to a command.

    Attributes:
        before_change: Killed just before it changes something on the disk for this time, from 1.
        after_seconds: Killed after so many seconds.
        room: No file can become larger than so many bytes.
    """

    before_change: int | None = None
    after_seconds: float | None = None
    room: int | None = None


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: The exit status; below 0 the signal that ended it.
        errors: Lines on standard error.
        changes: What it changed on the disk in the folder watched, in order, as far as Python knows.
    """

    status: int
    errors: list[str]
    changes: list[str]

    @property
    def is_killed(self) -> bool:
        return self.status == -signal.SIGKILL


def ran(words: Sequence[str], folder: Path, crash: Crash | None = None) -> Ended:
    """Runs a command line in a process of its own.

    Args:
        words: The command line.
        folder: Where it writes.
        crash: What happens to it meanwhile.
    """
    crash = crash or Crash()
    said, changed = folder.with_name("said"), folder.with_name("changed")
    process = CONTEXT.Process(target=_child, args=(list(words), folder, crash, said, changed))
    process.start()
    process.join(crash.after_seconds if crash.after_seconds is not None else DEADLINE)
    if process.is_alive():
        assert crash.after_seconds is not None, f"{words} goes on after {DEADLINE} s"
        process.kill()
        process.join()
    assert process.exitcode is not None
    lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
    changes = changed.read_text(encoding="utf-8").splitlines() if changed.exists() else []
    for path in (said, changed):
        path.unlink(missing_ok=True)
    return Ended(process.exitcode, lines, changes)


def _child(words: list[str], folder: Path, crash: Crash, said: Path, changed: Path) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    changes = os.open(changed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if crash.room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (crash.room, crash.room))
    numbers, within = itertools.count(1), str(folder)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        is_opened = event == "open" and bool((arguments[2] or 0) & TO_WRITE)
        if not (is_opened or event in CHANGES) or within not in str(arguments[0]):
            return
        if next(numbers) == crash.before_change:
            os.kill(os.getpid(), signal.SIGKILL)
        with contextlib.suppress(OSError):  # where there is no room
            os.write(changes, f"{event} {arguments[0]}\n".encode())

    sys.addaudithook(watch)
    sys.exit(main(words))


# --- what is left ----------------------------------------------------------------------------------


def checkpoints(folder: Path) -> list[Path]:
    """Those that claim to be complete, the oldest first."""
    if not (folder / "checkpoints").is_dir():
        return []
    return sorted((folder / "checkpoints").glob("checkpoint-*.npz"))


def partials(folder: Path) -> list[Path]:
    """What was left by a process that was killed while it wrote a checkpoint."""
    return sorted((folder / "checkpoints").glob(".checkpoint-*.partial"))


def updates(folder: Path) -> int:
    """How many updates the newest checkpoint has; every complete one must be undamaged."""
    found = [read_checkpoint(path).history.updates for path in checkpoints(folder)]
    return max(found, default=0)


def without_seconds(value: Any) -> Any:
    """JSON without what is another each time."""
    if isinstance(value, dict):
        return {name: without_seconds(part) for name, part in value.items() if "seconds" not in name}
    return [without_seconds(part) for part in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """What a run came to, all that does not depend on the time: metrics, and its newest checkpoint's bits."""
    state = read_checkpoint(checkpoints(folder)[-1])
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    history = without_seconds(dataclasses.asdict(state.history))
    curve = [str(point._replace(seconds=0.0)) for point in history.pop("curve")]  # a nan is a nan
    return {
        "metrics": [without_seconds(json.loads(line)) for line in lines],
        "history": history,
        "curve": curve,
        "best": state.best and state.best.valid_loss,
        "position": (*state.position[:4], *[part.tobytes() for part in state.position.measured]),
        "carried": [part.tobytes() for part in state.carried or ()],
        "config": state.config,
        "variables": {name: value.tobytes() for name, value in state.variables.items()},
    }


def assert_same_outcome(folder: Path, expected: dict[str, Any], what: Any) -> None:
    found = outcome(folder)
    for name, value in expected.items():
        shown = "other bits" if name in ("variables", "carried") else f"{found[name]}, not {value}"
        assert found[name] == value, f"after {what}: {name}: {shown}"


# --- what is done to files -------------------------------------------------------------------------


def cut_short(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def bits_turned(path: Path, rng: np.random.Generator) -> None:
    """Some bits of an array, wherever it is; the archive's dates, say, may be what they like."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = rng.choice(np.array(archive.infolist(), object))
    begin = entry.header_offset + 30 + len(entry.filename)  # at least: more fields may come before the data
    for place in rng.choice(
        range(begin + 20, begin + entry.file_size), size=rng.integers(1, 4), replace=False
    ):
        content[place] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(content))


DAMAGES: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "cut short": cut_short,
    "bits turned": bits_turned,
}


def damaged(checkpoint: Path, rng: np.random.Generator) -> str:
    """Damages a checkpoint; how, in words."""
    name = list(DAMAGES)[rng.integers(len(DAMAGES))]
    DAMAGES[name](checkpoint, rng)
    return name
