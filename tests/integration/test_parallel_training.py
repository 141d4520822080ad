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
from parallel_worker import CASES, trained

from tf_rnn.options import OptionError
from tf_rnn.parallel import ClusterTask
from tf_rnn.parallel.launcher import free_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE = 240.0
WORKERS = 3
ALONE = ClusterTask(("127.0.0.1:1",))


@contextlib.contextmanager
def workers(folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that run `parallel_worker.py`; they end with the block."""
    addresses = free_addresses(WORKERS)
    with contextlib.ExitStack() as stack:
        processes = []
        for index in range(WORKERS):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            process = subprocess.Popen(
                [sys.executable, parallel_worker.__file__],
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


def assert_equal_one_process(folder: Path) -> None:
    for name, case in CASES.items():
        expected = trained(case, ALONE)
        assert len({round(loss, 12) for loss in expected.losses}) >= 4, "the weights hardly change"
        arrays = []
        for worker in range(WORKERS):
            losses, norms = json.loads((folder / f"{name}.{worker}.json").read_text(encoding="utf-8"))
            assert_close(losses, expected.losses, 1e-12, f"{name}: losses")
            assert_close(norms, expected.norms, 1e-12, f"{name}: norms")
            with np.load(folder / f"{name}.{worker}.npz") as file:
                arrays.append([file[f"arr_{number}"] for number in range(len(file.files))])
        assert_close(arrays[0], [*expected.state, *expected.weights], 1e-12, name)
        for others in arrays[1:]:
            assert_close(others, arrays[0], 0, f"{name}: bits of the workers")


def test_workers_with_a_part_of_the_rows_each_equal_one_process_stop_and_end_together(tmp_path: Path) -> None:
    """One asks to stop, and all stop after the same update; one is killed, and the others end with a line."""
    with workers(tmp_path) as processes:
        for process in processes:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(5)]
            assert lines == ["1", "2", "3", "4", "1"], f"{lines}: {process.poll()}"
        processes[1].kill()
        found = [(process.communicate(timeout=DEADLINE)[1], process.returncode) for process in processes]
    assert found == [
        ("worker 0: another worker has ended; so does worker 0\n", 1),
        ("", -signal.SIGKILL),
        ("worker 2: another worker has ended; so does worker 2\n", 1),
    ]
    assert_equal_one_process(tmp_path)


def test_styles_whose_windows_depend_on_data_are_refused() -> None:
    place = ClusterTask(("a:1", "b:1"))
    place.check(6, "block")
    ALONE.check(5, "sliding")
    with pytest.raises(OptionError, match=r"^style must be block with several workers, got 'sliding'$"):
        place.check(6, "sliding")
    with pytest.raises(OptionError, match=r"^batch_size must be a multiple of the number of workers"):
        place.check(5, "block")
