"""Processes of tests: a Dask scheduler and workers on this machine, and work for processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_helpers import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

# Work of a test is found by its name: by the scheduler, through which it passes, and by workers.
PATHS = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(__file__).parent / "integration")])


class Cluster:
    """A running scheduler, and workers by name, none at first.

    Args:
        folder: For what they write.
        allowed_failures: How many workers may die with a piece of work before it is given up.
        **environment: Of the scheduler.
    """

    def __init__(self, folder: Path, allowed_failures: int = 1, **environment: str) -> None:
        self.folder = folder
        self._file = folder / "scheduler.json"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        failures = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        words = ["--host", "127.0.0.1", "--port", "0"]
        self.scheduler = self._start("scheduler", *words, **(failures | environment))
        wait_for(lambda: self._file.exists() and self._file.read_text().endswith("}"), "a scheduler")
        self.address = str(json.loads(self._file.read_text(encoding="utf-8"))["address"])

    def _start(self, kind: str, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self._file), "--no-dashboard"]
        log = (self.folder / f"{kind}-{len(self.workers)}.log").open("wb")
        with log:
            return subprocess.Popen(
                [*command, *words],
                env=os.environ | {"PYTHONPATH": PATHS} | environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def add(self, name: str, **environment: str) -> None:
        """Starts a worker of one thread; where it dies nobody starts it again."""
        words = ["--no-nanny", "--nthreads", "1", "--name", name, "--local-directory", str(self.folder)]
        self.workers[name] = self._start("worker", *words, **environment)

    def close(self) -> None:
        for process in [*self.workers.values(), self.scheduler]:
            process.kill()
            process.wait()


@contextlib.contextmanager
def cluster(folder: Path, *names: str, **options: Any) -> Iterator[Cluster]:
    """A scheduler with workers of these names, all of them connected."""
    made = Cluster(folder, **options)
    try:
        for name in names:
            made.add(name)
        if names:
            wait_for_workers(made.address, len(names))
        yield made
    finally:
        made.close()


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client  # noqa: PLC0415

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=DEADLINE)


def wait_for(condition: Any, what: str) -> None:
    """Waits until a condition holds; the test fails if it never does."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not after {DEADLINE} s: {what}"
        time.sleep(0.02)


# --- work, which processes find by its name -----------------------------------------------------------


def process_id(folder: str, name: str) -> int:
    """Leaves a file for each time it is called."""
    (Path(folder) / f"{name}-{time.monotonic_ns()}").touch()
    return os.getpid()


def deadly(folder: str, name: str, deaths: int) -> int:
    """Kills its process the first times it is called."""
    done = process_id(folder, name)
    if calls(Path(folder), name) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def calls(folder: Path, name: str) -> int:
    """How often work of this name was begun."""
    return len(list(folder.glob(f"{name}-*")))
