"""Two workers with half of the rows each train what one process trains with all rows; real processes."""

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
from parallel_worker import CASES, trained

from tf_rnn.options import OptionError
from tf_rnn.parallel import ClusterTask
from tf_rnn.parallel.launcher import free_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 240.0
ALONE = ClusterTask(("127.0.0.1:1",))


@contextlib.contextmanager
def workers(what: str, folder: Path, count: int = 2) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that run `parallel_worker.py`; they end with the block."""
    addresses = free_addresses(count)
    with contextlib.ExitStack() as stack:
        processes = []
        for index in range(count):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            process = subprocess.Popen(
                [sys.executable, parallel_worker.__file__, *what.split()],
                cwd=folder,
                env=os.environ | {"TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def outcomes(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit status, standard output and standard error of each."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=DEADLINE)
        found.append((process.returncode, out, err))
    return found


def test_two_workers_with_half_of_the_rows_equal_one_process(tmp_path: Path) -> None:
    with workers("cases", tmp_path) as processes:
        found = outcomes(processes)
    assert [status for status, _, _ in found] == [0, 0], found
    for name, case in CASES.items():
        expected = trained(case, ALONE)
        assert len({round(loss, 12) for loss in expected.losses}) >= 4, "the weights hardly change"
        arrays = []
        for worker in range(2):
            losses, norms = json.loads((tmp_path / f"{name}.{worker}.json").read_text(encoding="utf-8"))
            assert_close(losses, expected.losses, 1e-12, f"{name}: losses")
            assert_close(norms, expected.norms, 1e-12, f"{name}: norms")
            with np.load(tmp_path / f"{name}.{worker}.npz") as file:
                arrays.append([file[f"arr_{number}"] for number in range(len(file.files))])
        assert_close(arrays[0], [*expected.state, *expected.weights], 1e-12, name)
        assert_close(arrays[1], arrays[0], 0, f"{name}: bits of the workers")


def test_a_worker_that_asks_to_stop_stops_all_after_the_same_update(tmp_path: Path) -> None:
    with workers("forever stop", tmp_path) as processes:
        found = outcomes(processes)
    assert [(status, out.split()) for status, out, _ in found] == [(0, ["1", "2", "3", "4"])] * 2, found


def test_when_a_worker_is_killed_all_others_end_with_one_line_each(tmp_path: Path) -> None:
    with workers("forever", tmp_path, 3) as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "1\n"
        processes[1].kill()
        found = outcomes(processes)
    lines = [f"worker {index}: another worker has ended; so does worker {index}\n" for index in (0, 2)]
    assert [(status, err) for status, _, err in found] == [
        (1, lines[0]),
        (-signal.SIGKILL, ""),
        (1, lines[1]),
    ]


def test_styles_whose_windows_depend_on_data_are_refused() -> None:
    place = ClusterTask(("a:1", "b:1"))
    place.check(6, "block")
    ALONE.check(5, "sliding")
    with pytest.raises(OptionError, match=r"^style must be block with several workers, got 'sliding'$"):
        place.check(6, "sliding")
    with pytest.raises(OptionError, match=r"^batch_size must be a multiple of the number of workers"):
        place.check(5, "block")
