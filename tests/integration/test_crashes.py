"""Whatever happens to a command, what was saved is whole, and resuming gives the undisturbed result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import DEADLINE, finished, started
from crashes import (
    Crash,
    Ended,
    assert_same_outcome,
    checkpoints,
    damaged,
    new_seed,
    outcome,
    partials,
    ran,
    updates,
    without_seconds,
)
from model_helpers import made_up_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# 17 blocks an epoch, after each of which the run is evaluated and saved.
MODEL = ["--task", "text", "--cell", "gru", "--state-size", "3", "--batch-size", "4", "--num-steps", "3"]
EPOCHS = 3
# So many times in a row a run is killed before another one is begun.
IN_A_ROW = 4


class Whole:
    """The undisturbed run.

    Attributes:
        words: Its command line, but for the folder.
        ended: How it ended.
        seconds: How long it took.
        outcome: What it came to.
    """

    def __init__(self, place: Path) -> None:
        text, folder = place / "text.txt", place / "whole"
        text.write_text(made_up_text(240), encoding="utf-8")
        self.words = ["train", *MODEL, "--data", str(text), "--epochs", str(EPOCHS), "--threads", "1"]
        self.words += ["--dropout", "0.2"]
        ran(["--help"], place / "first")  # the server is started
        began = time.monotonic()
        self.ended: Ended = ran([*self.words, "--out", str(folder)], folder)
        self.seconds = time.monotonic() - began
        assert self.ended.status == 0, self.ended.errors
        self.outcome, self.folder = outcome(folder), folder
        assert len(self.outcome["metrics"]) == EPOCHS

    def resumed(self, folder: Path) -> list[str]:
        """The command line that starts the run in a folder, or resumes it."""
        option = "--resume" if (folder / "config.json").exists() else "--out"
        return [*self.words, option, str(folder)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("whole"))


def moments(whole: Whole, rng: np.random.Generator) -> Iterator[Crash]:
    """First in the writing of a checkpoint that is not the first one; then by turns at any time and between
    two changes on the disk, also such as nothing is left to do at.
    """
    changes = whole.ended.changes
    written = [
        n for n, change in enumerate(changes, 1) if change.startswith("os.rename") and ".npz" in change
    ]
    yield Crash(before_change=int(rng.choice(written[1:])))
    while True:
        yield Crash(after_seconds=float(rng.uniform(0, whole.seconds)))
        yield Crash(before_change=int(rng.integers(1, len(changes) + 1)))


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_any_moment_comes_to_the_same_end(
    kills: int, whole: Whole, tmp_path: Path
) -> None:
    """After each kill a copy is resumed to the end, and the run itself to be killed again."""
    rng = np.random.default_rng(new_seed())
    done, while_writing, saved, folder = 0, 0, 0, tmp_path / "run-0"
    for number, crash in enumerate(moments(whole, rng)):
        ended = ran(whole.resumed(folder), folder, crash)
        if number == 0:
            assert ended.is_killed, f"{crash}: {ended}"
            assert partials(folder), f"after {crash} there is {checkpoints(folder)} alone"
            assert checkpoints(folder), crash
        if ended.is_killed:
            done += 1
            while_writing += bool(partials(folder))
            assert updates(folder) >= saved, f"after {crash} {updates(folder)} updates are left of {saved}"
            saved = updates(folder)
            copy = tmp_path / f"copy-{number}"
            if folder.exists():
                shutil.copytree(folder, copy)
            last = ran(whole.resumed(copy), copy)
            assert last.status == 0, f"after {crash}: {last.errors}"
            assert not [line for line in last.errors if "damaged" in line], last.errors
            assert_same_outcome(copy, whole.outcome, crash)
            shutil.rmtree(copy)
        else:
            assert ended.status == 0, f"{crash}: {ended.errors}"
            assert_same_outcome(folder, whole.outcome, crash)
        if done == kills:
            break
        if not ended.is_killed or done % IN_A_ROW == 0:
            folder, saved = tmp_path / f"run-{number + 1}", 0
    print(f"{kills} kills, {while_writing} of them while a checkpoint was being written")


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_run_without_room_says_so_and_goes_on_when_there_is_some(
    times: int, whole: Whole, tmp_path: Path
) -> None:
    """Whichever file it is that does not fit."""
    rng = np.random.default_rng(new_seed())
    largest = max(path.stat().st_size for path in whole.folder.rglob("*") if path.is_file())
    for number in range(times):
        folder, crash = tmp_path / f"run-{number}", Crash(room=int(rng.integers(1200, largest)))
        ended = ran(whole.resumed(folder), folder, crash)
        last = ended.errors[-1]
        assert ended.status == 2, f"{crash}: {ended}"
        assert last.startswith("tf_rnn train: error: --out could not be written: "), f"{crash}: {last}"
        assert "File too large" in last, f"{crash}: {last}"
        assert not [line for line in ended.errors if "Traceback" in line], ended.errors
        updates(folder)
        again = ran(whole.resumed(folder), folder)
        assert again.status == 0, f"{crash}: {again.errors}"
        assert_same_outcome(folder, whole.outcome, crash)


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(
    times: int, whole: Whole, tmp_path: Path
) -> None:
    """Whichever file, wherever, cut short or with bits turned; said in one line."""
    rng = np.random.default_rng(new_seed())
    for number in range(times):
        folder = shutil.copytree(whole.folder, tmp_path / f"run-{number}")
        newest = checkpoints(folder)[-1]
        damage = damaged(newest, rng)
        ended = ran([*whole.words, "--resume", str(folder)], folder)
        assert ended.status == 0, f"{damage}: {ended.errors}"
        told = [line for line in ended.errors if line.startswith(f"{newest.name} is damaged (")]
        assert len(told) == 1, f"{damage}: {ended.errors}"
        assert told[0].endswith("); the one before it is used"), told
        assert newest not in checkpoints(folder), "it is still in the way"
        assert_same_outcome(folder, whole.outcome, damage)


# --- compare ---------------------------------------------------------------------------------------

SWEEP = ["compare", "--num-steps", "2", "3", "--state", "carry", "--seeds", "2", "--amount", "4000"]
SWEEP += ["--batch-size", "20", "--state-size", "3", "--workers", "1"]
TIMES = ("build_seconds", "first_run_seconds", "step_milliseconds", "tokens_per_second", "graph_bytes")


def runs(folder: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """Each finished run by width and seed, without what depends on the time."""
    path = folder / "results.json"
    found = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    return {
        (run["num_steps"], run["seed"]): {
            name: without_seconds(value) for name, value in run.items() if name not in (*TIMES, "seconds")
        }
        for run in found
    }


def trained(found: dict[tuple[int, int], dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """What runs have learnt, without what is measured of the answer's networks at the end."""
    looked = {"by_position", "gradient"}
    return {
        key: {name: value for name, value in run.items() if name not in looked} for key, run in found.items()
    }


def assert_same_comparison(folder: Path, sweep: Sweep, after: str) -> None:
    """All runs have learnt the same, and the networks of the answer were looked at.

    Which of two equally good widths is the answer depends on the time that their steps take.
    """
    found = runs(folder)
    assert trained(found) == trained(sweep.runs), after
    verdict = json.loads((folder / "results.json").read_text(encoding="utf-8"))["verdict"]
    looked = {width for (width, _), run in found.items() if run.get("by_position")}
    assert looked == {verdict["num_steps"]}, (after, verdict)


class Sweep:
    """The comparison that nothing happens to."""

    def __init__(self, place: Path) -> None:
        began = time.monotonic()
        finished([*SWEEP, "--out", str(place / "whole")], place)
        self.seconds = time.monotonic() - began
        self.runs = runs(place / "whole")
        assert len(self.runs) == 4


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep(tmp_path_factory.mktemp("sweep"))


def wait_for_the_others(group: int) -> None:
    """Until no process is left of those that a killed one has started."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("a worker lives on")


@pytest.mark.slow
def test_a_comparison_that_is_killed_at_any_moment_comes_to_the_same_end(
    sweep: Sweep, tmp_path: Path
) -> None:
    """Finished runs are kept, the others made, and no worker outlives whoever started it."""
    rng = np.random.default_rng(new_seed())
    for number in range(2):  # early and late
        folder, seconds = tmp_path / f"out-{number}", (number + rng.uniform()) / 2 * sweep.seconds
        words = [*SWEEP, "--out", str(folder)]
        with started(words) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                wait_for_the_others(process.pid)
        kept = runs(folder)
        assert trained(kept) == trained({key: sweep.runs[key] for key in kept}), f"after {seconds} s"
        done = finished(words, tmp_path)
        assert sum("seed" in line for line in done.stderr.splitlines()) == 4 - len(kept), done.stderr
        assert_same_comparison(folder, sweep, f"after {seconds} s")


FULL = """
import resource, sys
from tf_rnn.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_comparison_without_room_says_so_and_goes_on_when_there_is_some(
    sweep: Sweep, tmp_path: Path
) -> None:
    """There is room for the costs and the first run or two."""
    folder, script = tmp_path / "out", tmp_path / "full.py"
    script.write_text(FULL, encoding="utf-8")
    words = [*SWEEP, "--out", str(folder)]
    done = subprocess.run(
        [sys.executable, str(script), "6000", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    path = folder / "results.json"
    message = f"tf_rnn compare: error: --out could not be written: File too large ({str(path)!r})"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, message), done.stderr
    assert "Traceback" not in done.stderr
    kept = runs(folder)
    assert 0 < len(kept) < 4
    assert trained(kept) == trained({key: sweep.runs[key] for key in kept})
    finished(words, tmp_path)
    assert_same_comparison(folder, sweep, message)


# --- in the first moments --------------------------------------------------------------------------

INTERRUPTED_WHILE_LOADING = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "tf_rnn.cli.lags":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["tf_rnn", "--help"]
runpy.run_module("tf_rnn", run_name="__main__", alter_sys=True)
"""


def test_an_interrupt_while_python_loads_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADING], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "tf_rnn: interrupted\n")
