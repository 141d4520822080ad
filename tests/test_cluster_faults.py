"""Members of a cluster are killed, each a real process: the run comes to the end that it would have had.

Every wait is for something that can be seen from outside (a line on the screen, a line of the metrics, an
exit status), and has an end.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from command_helpers import command, finished
from model_helpers import checkpoints, made_up_text, metrics

from tf_rnn.cluster.launcher import free_cluster
from tf_rnn.inference import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 90.0
EPOCHS = 60
# float32, and a sum of two in another order, over some thousand updates.
TOLERANCE = 1e-3
MODEL = [
    *("--task", "text", "--cell", "lstm", "--state-size", "6", "--num-layers", "2", "--embedding-size", "5"),
    *("--batch-size", "6", "--num-steps", "5", "--optimizer", "sgd", "--learning-rate", "0.1"),
    *("--clip-norm", "0.5", "--seed", "4", "--threads", "1"),
]


class Run:
    """A cluster whose members are started and killed by hand, as on several machines.

    Args:
        folder: Where the run, the specification and what members say are.
        words: The command line of all.
        workers: How many.
    """

    def __init__(self, folder: Path, words: list[str], workers: int = 2) -> None:
        self.out, self._folder = folder / "run", folder
        self._file = folder / "cluster.json"
        self._file.write_text(json.dumps(free_cluster(1, workers).to_json()), encoding="utf-8")
        self._words = ["train", *words, "--out", str(self.out), "--cluster", str(self._file)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._members = ["ps 0", *(f"worker {index}" for index in range(workers))]

    def __enter__(self) -> Self:
        for name in self._members:
            self.start(name)
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def start(self, name: str) -> None:
        job, index = name.split()
        with self._log(name).open("ab") as log:
            words = command([*self._words, "--job", job, "--index", index])
            self._processes[name] = subprocess.Popen(words, stdout=log, stderr=log)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def said(self, name: str) -> str:
        return self._log(name).read_text(encoding="utf-8")

    def send(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        self._processes[name].send_signal(number)
        self._processes[name].wait(DEADLINE)

    def until(self, happens: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + DEADLINE
        while not happens():
            told = {name: self.said(name)[-1500:] for name in self._members}
            assert time.monotonic() < end, f"{what} did not happen: {told}"
            time.sleep(0.05)

    def until_says(self, name: str, words: str, times: int = 1) -> None:
        self.until(lambda: len(re.findall(words, self.said(name))) >= times, f"{name}: {words!r}")

    def until_trained(self, epochs: int) -> None:
        """Waits until there are so many more lines of metrics."""
        wanted = len(self.metrics) + epochs
        self.until(lambda: len(self.metrics) >= wanted, f"epoch {wanted}")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return metrics(self.out) if (self.out / "metrics.jsonl").exists() else []

    def end(self, name: str) -> int:
        """The exit status of a member that ends by itself."""
        return self._processes[name].wait(3 * DEADLINE)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(made_up_text(2000), encoding="utf-8")
    return [*MODEL, "--data", str(path)]


@pytest.fixture(scope="module")
def undisturbed(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process that was left in peace."""
    folder = tmp_path_factory.mktemp("alone")
    finished(["train", *words, "--epochs", str(EPOCHS), "--out", "run"], folder)
    return folder / "run"


def assert_same_end(found: Path, expected: Path) -> None:
    """Weights, state, and every evaluation: nothing was left out, nothing was done twice."""
    weights, wanted = (load(folder, checkpoint="last").weights for folder in (found, expected))
    for name, value in wanted.items():
        worst = np.abs(weights[name] - value).max()
        assert worst <= TOLERANCE, f"{name} differs by {worst}"
    lines, others = metrics(found), metrics(expected)
    assert [(line["epoch"], line["step"], line["tokens"]) for line in lines] == [
        (line["epoch"], line["step"], line["tokens"]) for line in others
    ]
    for line, other in zip(lines, others, strict=True):
        for key in ("train_loss", "valid_loss"):
            assert abs(line[key] - other[key]) <= TOLERANCE, f"{key}: {line}, not {other}"
    for name in ("state_0", "state_1", "final_0"):
        states = [np.load(checkpoints(folder)[-1] / "arrays.npz") for folder in (found, expected)]
        if name in states[1]:
            assert np.abs(states[0][name] - states[1][name]).max() <= TOLERANCE, name


@pytest.mark.slow
def test_synchronous_workers_that_are_killed_lose_and_repeat_nothing(
    words: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    """A worker, the parameter server, the chief, one after the other, then all are left in peace."""
    with Run(tmp_path, [*words, "--epochs", str(EPOCHS)]) as run:
        run.until_trained(2)

        run.send("worker 1")
        run.until_says(
            "worker 0", "standing still: synchronous updates need every worker, worker 1 must come"
        )
        run.start("worker 1")
        run.until_says("worker 0", "going on after")
        run.until_trained(2)
        assert run.said("worker 0").count("baselines") == 1, "the chief was not started again"

        run.send("ps 0")
        run.until_says("worker 0", "a parameter server is gone")
        run.start("ps 0")
        run.until_trained(2)

        run.send("worker 0")
        run.until_says("worker 1", "standing still: synchronous updates need every worker")
        run.start("worker 0")
        run.until_trained(2)

        assert (run.end("worker 0"), run.end("worker 1")) == (0, 0), run.said("worker 1")
        assert_same_end(run.out, undisturbed)


@pytest.mark.slow
def test_asynchronous_workers_go_on_without_one_that_is_killed(words: list[str], tmp_path: Path) -> None:
    with Run(tmp_path, [*words, "--exchange", "async", "--epochs", "100"]) as run:
        run.until_trained(2)

        run.send("worker 1")
        run.until_trained(3)
        assert "standing still" not in run.said("worker 0")
        run.start("worker 1")
        run.until_says("worker 1", "joined in epoch", times=2)
        places = re.findall(r"joined in epoch (\d+) at block (\d+)", run.said("worker 1"))
        assert int(places[1][0]) > 1, f"{places}: it joins at its place, not at the beginning"
        run.until_trained(2)

        run.send("ps 0")
        run.until_says("worker 0", "a parameter server is gone")
        run.start("ps 0")
        run.until_trained(2)

        run.send("worker 0")
        run.start("worker 0")
        run.until_trained(2)

        assert (run.end("worker 0"), run.end("worker 1")) == (0, 0), run.said("worker 1")
        losses = [line["valid_loss"] for line in run.metrics]
        assert min(losses) < losses[0]
        assert [line["epoch"] for line in run.metrics] == list(range(1, 101))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_chief_that_stands_still_can_be_interrupted_and_saves(
    number: signal.Signals, words: list[str], undisturbed: Path, tmp_path: Path
) -> None:
    with Run(tmp_path, [*words, "--epochs", str(EPOCHS)]) as run:
        run.until_trained(2)
        run.send("worker 1")
        run.until_says("worker 0", "standing still")
        run.send("worker 0", number)
        assert run.end("worker 0") == 130
        assert "interrupted; the run is saved, go on with: the same command" in run.said("worker 0")
        before = len(run.metrics)
        run.send("ps 0", signal.SIGTERM)
    assert 2 <= before < EPOCHS
    finished(["train", "--resume", str(run.out), "--threads", "1"], tmp_path)
    assert_same_end(run.out, undisturbed)


@pytest.fixture
def launched(words: list[str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(["launch", "--", "train", *words, "--epochs", "500", "--out", str(tmp_path / "run")]),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + DEADLINE
        while not (tmp_path / "run" / "metrics.jsonl").exists():
            assert time.monotonic() < end, "nothing was trained"
            time.sleep(0.05)
        yield process
    finally:
        with process:  # closes its pipe and waits
            process.kill()


@pytest.mark.slow
def test_a_launch_that_is_interrupted_saves_and_leaves_nobody(
    launched: subprocess.Popen[str], tmp_path: Path
) -> None:
    launched.send_signal(signal.SIGINT)
    _, errors = launched.communicate(timeout=DEADLINE)
    assert launched.returncode == 130, errors
    assert "interrupted; the run is saved" in errors
    assert "Traceback" not in errors
    assert_nobody_trains(tmp_path)


@pytest.mark.slow
def test_a_launch_that_is_killed_leaves_nobody_and_a_run_that_goes_on(
    launched: subprocess.Popen[str], words: list[str], tmp_path: Path
) -> None:
    launched.kill()
    launched.wait(DEADLINE)
    assert_nobody_trains(tmp_path)
    done = len(metrics(tmp_path / "run"))
    more = ["launch", "--", "train", *words, "--epochs", str(done + 2), "--out", str(tmp_path / "run")]
    finished(more, tmp_path)
    assert [line["epoch"] for line in metrics(tmp_path / "run")] == list(range(1, done + 3))


def assert_nobody_trains(folder: Path) -> None:
    """No process has the run's folder on its command line any more."""
    end = time.monotonic() + DEADLINE
    while found := [path.name for path in Path("/proc").glob("[0-9]*") if _trains(path, str(folder))]:
        assert time.monotonic() < end, f"processes {found} are still there"
        time.sleep(0.05)


def _trains(process: Path, folder: str) -> bool:
    with contextlib.suppress(OSError):
        return folder in (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    return False
