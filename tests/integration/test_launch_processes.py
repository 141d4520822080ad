"""Workers of one machine start, fail, restart and end together; none outlives its launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from parallel_helpers import DEADLINE, runs, until

if TYPE_CHECKING:
    from pathlib import Path

# A worker that leaves its process number, does what the test says, and ends as soon as another has.
WORKER = """
import os, signal, sys, time
from tf_rnn.parallel import Ring, cluster_task
from tf_rnn.parallel.parent_watch import watch_parent
watch_parent()
task, restart = cluster_task(), int(os.environ["TF_RNN_RESTART"])
index = task.index
try:
    ring = Ring(task)
    open(f"{restart}.{index}.{os.getpid()}", "w").close()
    exec(sys.argv[1])
    ring.gather([])
    while True:
        time.sleep(0.01)
        ring.gather([])
except ConnectionError as error:
    sys.exit(f"{error}")
"""

LAUNCH = """
import sys
from tf_rnn.parallel import launcher
with launcher.Launcher(2, [sys.executable, "-c", sys.argv[1], sys.argv[2]], int(sys.argv[3])) as launch:
    sys.exit(launch())
"""


def launched(folder: Path, what: str = "", restarts: int = 3) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, WORKER, what, str(restarts)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, list[str]]:
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err.splitlines()


def processes(folder: Path, left: int | str = 0) -> list[int]:
    """The workers that left this name, the number of their start if not another, once both have."""
    until(lambda: len(list(folder.glob(f"{left}.*"))) == 2, f"{left} of both workers")
    return [int(path.suffix[1:]) for path in sorted(folder.glob(f"{left}.*"))]


def assert_all_ended(folder: Path) -> None:
    numbers = [int(path.suffix[1:]) for path in folder.iterdir()]
    until(lambda: not any(map(runs, numbers)), f"the end of {numbers}")


def test_when_a_worker_is_killed_all_start_again_until_they_succeed(tmp_path: Path) -> None:
    """Here it is worker 0, in the next test worker 1.

    What worker 0 prints is the launcher's output; lines of others have their name.
    """
    what = """
if restart == 1:
    print("out", index, flush=True)
    sys.stderr.write(f"err {index}\\n")  # at once: the launcher writes there, too
    sys.exit()
"""
    process = launched(tmp_path, what)
    os.kill(processes(tmp_path)[0], signal.SIGKILL)
    status, out, lines = finish(process)
    assert (status, out) == (0, "out 0\n"), lines
    assert "worker 0 was killed by SIGKILL; restart 1 of 3 from the last checkpoint" in lines
    printed = sorted(line for line in lines if line.endswith(("out 0", "out 1", "err 0", "err 1")))
    assert printed == ["err 0", "worker 1: err 1", "worker 1: out 1"], lines
    processes(tmp_path, 1)
    assert_all_ended(tmp_path)


def test_after_its_last_restart_a_run_that_is_killed_again_has_ended(tmp_path: Path) -> None:
    status, _, lines = finish(
        launched(tmp_path, "if index: os.kill(os.getpid(), signal.SIGKILL)", restarts=1)
    )
    own = [line for line in lines if line.startswith("worker 1 ")]
    assert status == 128 + signal.SIGKILL
    assert own == [
        "worker 1 was killed by SIGKILL; restart 1 of 1 from the last checkpoint",
        "worker 1 was killed by SIGKILL; the run has ended",
    ]
    assert_all_ended(tmp_path)


def test_a_worker_that_fails_ends_the_run_with_its_status_and_no_restart(tmp_path: Path) -> None:
    status, _, lines = finish(launched(tmp_path, "if index: print('bad input', flush=True); sys.exit(2)"))
    assert status == 2
    assert {"worker 1: bad input", "worker 1 ended with status 2; the run has ended"} < set(lines)
    assert not list(tmp_path.glob("1.*"))
    assert_all_ended(tmp_path)


def test_an_interrupt_goes_to_worker_0_alone_which_may_take_its_time(tmp_path: Path) -> None:
    what = """
noted = []
signal.signal(signal.SIGINT, lambda *_: noted.append(index))
open(f"ready.{index}.{os.getpid()}", "w").close()
while not noted:
    ring.gather([])
    time.sleep(0.01)
assert index == 0
time.sleep(0.5)
print("saved", flush=True)
sys.exit(130)
"""
    process = launched(tmp_path, what)
    processes(tmp_path, "ready")
    process.send_signal(signal.SIGINT)
    status, out, lines = finish(process)
    assert (status, out) == (130, "saved\n"), lines
    assert_all_ended(tmp_path)


def test_a_second_interrupt_ends_all_at_once(tmp_path: Path) -> None:
    what = """
signal.signal(signal.SIGINT, lambda *_: open(f"noted.{index}.{os.getpid()}", "w").close())
open(f"ready.{index}.{os.getpid()}", "w").close()
"""
    process = launched(tmp_path, what)
    processes(tmp_path, "ready")
    process.send_signal(signal.SIGINT)
    until(lambda: bool(list(tmp_path.glob("noted.*"))), "the first interrupt in worker 0")
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert [path.stem for path in tmp_path.glob("noted.*")] == ["noted.0"]
    assert_all_ended(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_launcher_that_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    process = launched(tmp_path)
    processes(tmp_path)
    process.send_signal(number)
    finish(process)
    assert_all_ended(tmp_path)
