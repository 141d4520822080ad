"""`train` in several processes: what they learn together is what one process learns from all rows.

Whatever happens to them meanwhile: a worker killed, an interrupt, another number of workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from command_helpers import captured
from model_helpers import checkpoints, made_up_text, metrics
from parallel_helpers import DEADLINE, runs, until

from tf_rnn.parallel.launcher import free_addresses
from tf_rnn.training.checkpoints import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

UPDATES = 600
AMOUNT = f"--updates {UPDATES} --evaluations 20 --threads 1 --batch-size 6"
TEXT = "--task text --data text.txt --cell lstm --state-size 16 --num-steps 5"
ADDING = "--task adding --span 7 --state-size 5 --num-steps 5"
CASES = {
    "text": f"{TEXT} --optimizer sgd --learning-rate 0.5 --clip-norm 0.1 {AMOUNT}".split(),
    "adding": f"{ADDING} --optimizer momentum --learning-rate 0.01 {AMOUNT}".split(),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a text and, as they are needed, the runs of one process, which is the current one."""
    folder = tmp_path_factory.mktemp("place")
    with contextlib.chdir(folder):
        Path("text.txt").write_text(made_up_text(8_000), encoding="utf-8")
        yield folder


def of_one_process(case: str) -> Any:
    """What one process comes to."""
    if not Path(case).exists():
        captured(["train", *CASES[case], "--out", case])
    return read_checkpoint(checkpoints(Path(case))[-1])


class Launched:
    """A `launch` command in a process of its own.

    Args:
        words: The words after `launch`.
    """

    def __init__(self, *words: str) -> None:
        self.process = start("launch", *words)
        self.known: set[int] = set()

    def workers(self) -> dict[int, int]:
        """The process numbers of the workers that run now, by their index."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for number in map(int, path.read_text(encoding="ascii").split()):
            with contextlib.suppress(OSError):
                variables = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
                configs = [value for value in variables if value.startswith(b"TF_CONFIG=")]
                if configs:
                    found[json.loads(configs[0].partition(b"=")[2])["task"]["index"]] = number
        self.known |= set(found.values())
        return found

    def until_started(self, number: int) -> None:
        """Waits until so many workers have run, over all starts."""
        until(lambda: len(self.known | {*self.workers().values()}) == number, f"a start of worker {number}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()  # the workers end with it
        self.process.communicate()

    def end(self) -> tuple[int, list[str]]:
        """Exit status and lines of standard error; no worker may be left."""
        _, errors = self.process.communicate(timeout=DEADLINE)
        until(lambda: not any(map(runs, self.known)), f"the end of {self.known}")
        return self.process.returncode, errors.splitlines()


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tf_rnn", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until_evaluated(folder: Path, times: int) -> None:
    """Waits until a run has been evaluated and saved so many times."""
    until(lambda: (folder / "metrics.jsonl").exists() and len(metrics(folder)) >= times, "a checkpoint")


def assert_same_run(out: Path, case: str) -> None:
    """A run has learnt what one process learns, to float error, and can be resumed in its place."""
    found, expected = read_checkpoint(checkpoints(out)[-1]), of_one_process(case)
    assert found.config == expected.config
    assert found.position == expected.position
    assert found.history.updates == expected.history.updates == UPDATES
    assert found.history.tokens == expected.history.tokens
    assert [point.updates for point in found.history.curve] == [
        point.updates for point in expected.history.curve
    ]
    assert expected.carried is not None
    assert found.carried is not None
    for part, expected_part in zip(found.carried, expected.carried, strict=True):
        np.testing.assert_allclose(part, expected_part, rtol=1e-5, atol=1e-6)
    assert found.variables.keys() == expected.variables.keys()
    for name, values in expected.variables.items():
        np.testing.assert_allclose(found.variables[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    one, other = ([point.valid_loss for point in state.history.curve] for state in (found, expected))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert max(one) - min(one) > 0.01, "nothing is learnt"


@pytest.mark.slow
def test_after_a_worker_was_killed_all_resume_from_the_last_checkpoint(place: Path, tmp_path: Path) -> None:
    """First worker 0 is killed, then worker 1."""
    out = tmp_path / "run"
    with Launched("--", "train", *CASES["text"], "--out", str(out)) as launched:
        for victim in (0, 1):
            until_evaluated(out, 3 + 4 * victim)
            os.kill(launched.workers()[victim], signal.SIGKILL)
            launched.until_started(4 + 2 * victim)
        status, lines = launched.end()
    assert status == 0, lines
    for victim, other in ((0, "worker 1: "), (1, "")):
        error = f"{other}tf_rnn train: error: another worker has ended; so does worker {1 - victim}"
        assert error in lines, lines
        restart = f"restart {1 + victim} of 3 from the last checkpoint"
        assert f"worker {victim} was killed by SIGKILL; {restart}" in lines, lines
    assert_same_run(out, "text")


@pytest.mark.slow
def test_an_interrupted_run_is_saved_and_resumed_by_one_process(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with Launched("--", "train", *CASES["text"], "--out", str(out)) as launched:
        until_evaluated(out, 3)
        assert sorted(launched.workers()) == [0, 1]
        launched.process.send_signal(signal.SIGINT)
        status, lines = launched.end()
    assert status == 130, lines
    how = f"python -m tf_rnn launch --workers 2 -- train --resume {out}"
    assert f"tf_rnn train: interrupted; the run is saved, resume with: {how}" in lines, lines
    assert "worker 1: tf_rnn train: interrupted; worker 0 has saved the run" in lines, lines
    assert read_checkpoint(checkpoints(out)[-1]).history.updates < UPDATES
    captured(["train", "--resume", str(out), "--threads", "1"])
    assert_same_run(out, "text")


@pytest.mark.slow
def test_a_run_of_one_process_is_resumed_by_three(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    amount = ["--updates", str(UPDATES // 2 - 7)]
    captured(["train", *CASES["text"], *amount, "--evaluations", "9", "--out", str(out)])
    words = ["--resume", str(out), "--updates", str(UPDATES), "--threads", "1"]
    with Launched("--workers", "3", "--", "train", *words) as launched:
        status, lines = launched.end()
    assert status == 0, lines
    assert lines[-1].startswith((f"saved in {out}: lowest validation loss", "to sample from it"))
    assert not [line for line in lines if line.startswith("worker")]
    found, expected = read_checkpoint(checkpoints(out)[-1]), of_one_process("text")
    for name, values in expected.variables.items():
        np.testing.assert_allclose(found.variables[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_workers_that_are_started_by_hand_need_one_folder_and_the_same_options(
    place: Path, tmp_path: Path
) -> None:
    """Here targets are marked; the other tests have text."""
    cluster = ["--cluster", json.dumps({"worker": free_addresses(2)}), "--task-type", "worker"]
    out, words = tmp_path / "run", ["train", *CASES["adding"], *cluster]
    with (
        start(*words, "--task-index", "0", "--out", str(out)) as one,
        start(*words, "--task-index", "1", "--out", str(tmp_path / "none")) as other,
    ):
        found = [process.communicate(timeout=DEADLINE)[1] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), found
    assert found[1] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert_same_run(out, "adding")
    with (
        start(*words, "--task-index", "0", "--out", str(tmp_path / "new")) as one,
        start(*words, "--task-index", "1", "--clip-norm", "0.2") as other,
    ):
        found = [process.communicate(timeout=DEADLINE)[1] for process in (one, other)]
    assert 2 in (one.returncode, other.returncode)
    assert all(text.startswith("tf_rnn train: error: ") for text in found), found
    assert all(len(text.splitlines()) == 1 for text in found), found
    assert "must have workers with the same options, data and version" in "".join(found)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
