"""Worker processes on this machine: the work of one that dies is done again, and no other work."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from cluster_helpers import calls, deadly, process_id
from command_helpers import DEADLINE
from rich.console import Console

from tf_rnn.comparison import RunKey, WorkerDiedError, Workers
from tf_rnn.comparison.channel import CancelledRunError
from tf_rnn.comparison.executors import completed
from tf_rnn.comparison.local import local_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator


KEYS = [RunKey(width, "carry", 0, 0.1) for width in (2, 3, 5, 7)]


# --- work, which processes import by its name ---------------------------------------------------------


def met(folder: str, name: str) -> int:
    """Waits until it is called a second time."""
    done = process_id(folder, name)
    end = time.monotonic() + DEADLINE
    while calls(Path(folder), "met") < 2 and time.monotonic() < end:
        time.sleep(0.01)
    return done


def refuse() -> None:
    raise OptionError("data", "must be there")


def until_cancelled(channel: Any) -> None:
    channel.send(KEYS[1], 0.25, "a quarter")
    while not channel.is_cancelled():
        time.sleep(0.01)
    raise CancelledRunError


# --- processes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with local_workers("local", 2, Screen(Console(file=io.StringIO()))) as workers:
        yield workers


def test_work_is_done_side_by_side_in_other_processes(two: Workers, tmp_path: Path) -> None:
    futures = [two.executor.submit(met, str(tmp_path), "met") for _ in range(2)]
    found = {future.result(DEADLINE) for future in futures}
    assert len(found) == 2
    assert os.getpid() not in found
    assert two.slots() == 2
    later = [two.executor.submit(process_id, str(tmp_path), "x").result(DEADLINE) for _ in range(3)]
    assert set(later) <= found, "a new process was started"


def test_work_whose_process_dies_is_done_again_and_no_other_work(two: Workers, tmp_path: Path) -> None:
    folder = str(tmp_path)
    other = two.executor.submit(met, folder, "met")
    dies = two.executor.submit(deadly, folder, "deadly", 1)
    dies.result(DEADLINE)
    assert calls(tmp_path, "deadly") == 2
    second = two.executor.submit(met, folder, "met")
    assert other.result(DEADLINE) != second.result(DEADLINE)
    assert calls(tmp_path, "met") == 2, "the other one's work was done again"


def test_work_that_kills_its_process_twice_is_given_up(two: Workers, tmp_path: Path) -> None:
    folder = str(tmp_path)
    dies = two.executor.submit(deadly, folder, "deadly", 9)
    others = [two.executor.submit(process_id, folder, f"other{number}") for number in range(3)]
    with pytest.raises(BrokenProcessPool):
        dies.result(DEADLINE)
    wait(others, DEADLINE)
    assert all(future.result(0) for future in others)
    assert calls(tmp_path, "deadly") == 2
    assert [calls(tmp_path, f"other{number}") for number in range(3)] == [1, 1, 1]
    assert issubclass(BrokenProcessPool, two.deaths)


def test_an_error_comes_back_and_its_process_stays(two: Workers, tmp_path: Path) -> None:
    before = two.executor.submit(process_id, str(tmp_path), "x").result(DEADLINE)
    with pytest.raises(OptionError, match=r"^data must be there$"):
        two.executor.submit(refuse).result(DEADLINE)
    assert two.executor.submit(process_id, str(tmp_path), "x").result(DEADLINE) == before


def test_progress_is_shown_and_after_an_error_work_is_cancelled() -> None:
    shown: list[Any] = []
    arrived = Event()

    class Watcher(Screen):
        def show_run(self, *given: Any) -> None:
            shown.append(given)
            arrived.set()

    def interrupted() -> None:
        with local_workers("local", 2, Watcher(Console(file=io.StringIO()))) as workers:
            under_way.append(workers.executor.submit(until_cancelled, workers.channel))
            assert arrived.wait(DEADLINE)
            raise KeyboardInterrupt

    under_way: list[Future[None]] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(under_way[0].exception(0), CancelledRunError)
    assert shown == [(KEYS[1], 0.25, "a quarter")]
    assert type(shown[0][0]) is RunKey


ORPHANS = """
import io, sys, time
from rich.console import Console
from tf_rnn.comparison.local import local_workers
from tf_rnn.comparison.screen import Screen
if __name__ == "__main__":
    with local_workers("local", 2, Screen(Console(file=io.StringIO()))) as workers:
        workers.executor.submit(time.time).result()
        workers.executor.submit(time.sleep, 600)
        idle_too = workers.executor.submit(time.time).result()
        print("ready", flush=True)
        time.sleep(600)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """Killed outright, it leaves none behind: its standard output, which they share, is closed."""
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS, encoding="utf-8")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, str(script)], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        shown, _ = process.communicate(timeout=30)
    assert shown == ""


# --- distributing work ---------------------------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def test_no_more_work_is_submitted_than_there_are_workers(threads: ThreadPoolExecutor) -> None:
    """The order is kept, and the next call is asked for only when there is room."""
    asked: list[int] = []
    begun: list[int] = []

    def all_calls() -> Iterator[tuple[RunKey, tuple[int]]]:
        for key in KEYS:
            asked.append(key.num_steps)
            yield key, (key.num_steps,)

    def work(width: int) -> int:
        begun.append(width)
        return 2 * width

    workers = Workers(threads, None, lambda: 1, ())
    found = []
    for key, outcome in completed(workers, work, all_calls()):
        found.append((key, outcome))
        assert len(begun) == len(found), f"{len(begun)} begun, {len(found)} done"
    assert found == [(key, 2 * key.num_steps) for key in KEYS]
    assert begun == asked == [2, 3, 5, 7]


def test_without_a_worker_one_piece_of_work_waits_for_one(threads: ThreadPoolExecutor) -> None:
    workers = Workers(threads, None, lambda: 0, ())
    assert list(completed(workers, abs, [(KEYS[0], (-3,))])) == [(KEYS[0], 3)]


def test_a_death_is_an_outcome_and_another_error_is_raised(threads: ThreadPoolExecutor) -> None:
    def work(width: int) -> int:
        if width == 3:
            raise BrokenProcessPool
        return width

    workers = Workers(threads, None, lambda: 2, (BrokenProcessPool,))
    outcomes = dict(completed(workers, work, [(key, (key.num_steps,)) for key in KEYS]))
    assert isinstance(outcomes[KEYS[1]], WorkerDiedError)
    assert {key: outcomes[key] for key in KEYS if key != KEYS[1]} == {KEYS[0]: 2, KEYS[2]: 5, KEYS[3]: 7}
    with pytest.raises(BrokenProcessPool):
        list(completed(workers._replace(deaths=()), work, [(KEYS[1], (3,))]))
