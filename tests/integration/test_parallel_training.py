"""Three workers with two rows each train what one process trains with all six; real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import parallel_worker
import pytest
from helpers import assert_close
from parallel_worker import CASES, trained, work

from tf_rnn.options import OptionError
from tf_rnn.parallel import ClusterTask, LostWorkerError
from tf_rnn.parallel.launcher import free_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 240.0
WORKERS = 3
ALONE = ClusterTask(("127.0.0.1:1",))


@contextlib.contextmanager
def others(addresses: list[str]) -> Iterator[list[subprocess.Popen[str]]]:
    """All workers but the first, as processes that run `parallel_worker.py`; they end with the block."""
    with contextlib.ExitStack() as stack:
        processes = []
        for index in range(1, WORKERS):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            process = subprocess.Popen(
                [sys.executable, parallel_worker.__file__],
                env=os.environ | {"TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def outcome(name: str, worker: int) -> list[np.ndarray]:
    with np.load(f"{name}.{worker}.npz") as file:
        return [file[f"arr_{number}"] for number in range(len(file.files))]


def assert_equal_one_process() -> None:
    for name, case in CASES.items():
        expected = trained(case, ALONE)
        assert len({round(loss, 12) for loss in expected[0]}) >= 4, "the weights hardly change"
        first, *rest = (outcome(name, worker) for worker in range(WORKERS))
        assert_close(first, expected, 1e-12, name)
        for found in rest:
            assert_close(found, first, 0, f"{name}: bits of the workers")


def test_workers_with_a_part_of_the_rows_each_equal_one_process_stop_and_end_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One asks to stop, and all stop after the same update; one is killed, and the others end with a line.

    Worker 0 is this process.
    """
    monkeypatch.chdir(tmp_path)
    addresses, said, expected = free_addresses(WORKERS), [], ["1", "2", "3", "4", "1"]

    def say(line: str) -> None:
        said.append(line)
        if len(said) == len(expected):
            assert said == expected
            for process in processes:
                assert process.stdout is not None
                lines = [process.stdout.readline().strip() for _ in expected]
                assert lines == expected, f"{lines}: {process.poll()}"
            processes[0].kill()

    with others(addresses) as processes:
        with pytest.raises(LostWorkerError, match=r"^another worker has ended; so does worker 0$"):
            work(ClusterTask(tuple(addresses)), say)
        found = [(process.communicate(timeout=DEADLINE)[1], process.returncode) for process in processes]
    assert found == [
        ("", -signal.SIGKILL),
        ("worker 2: another worker has ended; so does worker 2\n", 1),
    ]
    assert_equal_one_process()


def test_styles_whose_windows_depend_on_data_are_refused() -> None:
    place = ClusterTask(("a:1", "b:1"))
    place.check(6, "block")
    ALONE.check(5, "sliding")
    with pytest.raises(OptionError, match=r"^style must be block with several workers, got 'sliding'$"):
        place.check(6, "sliding")
    with pytest.raises(OptionError, match=r"^batch_size must be a multiple of the number of workers"):
        place.check(5, "block")
