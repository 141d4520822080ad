"""Three workers with two rows each train what one process trains with all six; one of them is a process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
ALONE = ClusterTask(("127.0.0.1:1",))


@contextlib.contextmanager
def started(addresses: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """Worker 1 as a process, which runs `parallel_worker.py`; it ends with the block."""
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 1}}
    with subprocess.Popen(
        [sys.executable, parallel_worker.__file__],
        env=os.environ | {"TF_CONFIG": json.dumps(config)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome(name: str, worker: int) -> list[np.ndarray]:
    with np.load(f"{name}.{worker}.npz") as file:
        return [file[f"arr_{number}"] for number in range(len(file.files))]


def test_workers_with_a_part_of_the_rows_each_equal_one_process_stop_and_end_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One asks to stop, and all stop after the same update; it is killed, and the others end with a line."""
    monkeypatch.chdir(tmp_path)
    alone = {name: trained(case, ALONE) for name, case in CASES.items()}
    addresses, said = tuple(free_addresses(3)), dict[int, list[str]]()
    with ThreadPoolExecutor(2) as pool, started(addresses) as process:
        others = {
            index: pool.submit(work, ClusterTask(addresses, index), said.setdefault(index, []).append)
            for index in (0, 2)
        }
        assert process.stdout is not None
        said[1] = [process.stdout.readline().strip() for _ in range(5)]
        process.kill()
        for index, other in others.items():
            with pytest.raises(LostWorkerError, match=f"^another worker has ended; so does worker {index}$"):
                other.result(DEADLINE)
    assert [said[index][:5] for index in range(3)] == [["1", "2", "3", "4", "1"]] * 3
    for name, expected in alone.items():
        assert len({round(loss, 12) for loss in expected[0]}) >= 4, "the weights hardly change"
        first, *rest = (outcome(name, worker) for worker in range(3))
        assert_close(first, expected, 1e-12, name)
        for found in rest:
            assert_close(found, first, 0, f"{name}: bits of the workers")


def test_styles_whose_windows_depend_on_data_are_refused() -> None:
    place = ClusterTask(("a:1", "b:1"))
    place.check(6, "block")
    ALONE.check(5, "sliding")
    with pytest.raises(OptionError, match=r"^style must be block with several workers, got 'sliding'$"):
        place.check(6, "sliding")
    with pytest.raises(OptionError, match=r"^batch_size must be a multiple of the number of workers"):
        place.check(5, "block")
