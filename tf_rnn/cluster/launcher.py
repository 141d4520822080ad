"""The processes of a cluster that is all on this machine: started, watched, started again, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tf_rnn.cluster.lifeline import VARIABLE
from tf_rnn.cluster.spec import Cluster, Member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MODULE = "tf_rnn"
LOOPBACK = "127.0.0.1"
LOOK_SECONDS = 0.05
# Once training is done the workers end by themselves; this is for those that do not.
END_SECONDS = 15.0
# A chief that is to end saves the run first.
SAVE_SECONDS = 60.0
# How often a process that was killed is started again.
RESTARTS = 3
CLEAR_LINE = "\r\x1b[K"


class Process:
    """A member of a cluster as a process of this machine, which does not outlive the launcher.

    Its output is this process's own where it is the chief; the lines of the others have its name
    before them.

    Args:
        member: Which.
        words: The command line after `python -m tf_rnn`.
        lifeline: A file descriptor; see `tf_rnn.cluster.lifeline`.
        show: Given each line of a member that is not the chief.
    """

    def __init__(
        self, member: Member, words: Sequence[str], lifeline: int, show: Callable[[str], None]
    ) -> None:
        self.member, self._words, self._lifeline, self._show = member, words, lifeline, show
        self.restarts = 0
        self.start()

    @property
    def name(self) -> str:
        """What it is called on the screen."""
        return f"{self.member.job} {self.member.index}"

    @property
    def status(self) -> int | None:
        """Its exit status, minus the number of the signal that has killed it, or None while it runs."""
        return self._process.poll()

    @property
    def was_killed(self) -> bool:
        """Whether a signal has ended it."""
        return (self.status or 0) < 0

    def start(self) -> None:
        """Starts it, for the first time or again."""
        apart = not self.member.is_chief
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *self._words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if apart else None,
            stderr=subprocess.STDOUT if apart else None,
            text=True,
            errors="replace",
            env=os.environ | {VARIABLE: str(self._lifeline)},
            pass_fds=[self._lifeline],
            start_new_session=True,  # an interrupt at the terminal goes to the launcher alone
        )
        if apart:
            threading.Thread(target=self._show_lines, args=(self._process,), daemon=True).start()

    def _show_lines(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._show(f"{self.name}: {line.rstrip()}")

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, if it is still there."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Waits until it has ended, at most so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def end(self, seconds: float) -> None:
        """Waits so long for its end, and then ends it."""
        self.wait(seconds)
        self.send(signal.SIGTERM)
        self.wait(END_SECONDS)
        self.send(signal.SIGKILL)
        self._process.wait()


class Launcher:
    """Runs a command on every member of a cluster on this machine.

    While it is entered, an interrupt or SIGTERM is passed on to the chief, which then saves the run; a
    second one ends everything at once.

    Args:
        workers: How many workers.
        ps: How many parameter servers.
        words: The command line after `python -m tf_rnn`, but for what tells the members apart.
    """

    def __init__(self, workers: int, ps: int, words: Sequence[str]) -> None:
        self._sizes, self._words = (ps, workers), tuple(words)
        self._signals: list[signal.Signals] = []

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self._signals.append(signal.Signals(number))

    def __call__(self) -> int:
        """Runs the cluster until the chief has ended.

        Returns:
            The chief's exit status, 128 + N if signal N has killed it; or that of another member that has
            ended with an error, which ends the run.
        """
        with tempfile.TemporaryDirectory() as folder, _pipe() as lifeline:
            cluster = free_cluster(*self._sizes)
            path = Path(folder) / "cluster.json"
            path.write_text(json.dumps(cluster.to_json()), encoding="utf-8")
            members = [Member(cluster, "worker", index) for index in range(len(cluster.worker))]
            members += [Member(cluster, "ps", index) for index in range(len(cluster.ps))]
            processes: list[Process] = []
            try:
                for member in members:
                    process = Process(member, self._of(member, path), lifeline, _show)
                    processes.append(process)
                return self._watch(processes)
            finally:
                for process in processes:
                    process.end(0.0)

    def _of(self, member: Member, path: Path) -> list[str]:
        return [
            *self._words, "--cluster", str(path), "--job", member.job, "--index", str(member.index)
        ]  # fmt: skip

    def _watch(self, processes: list[Process]) -> int:
        chief, *others = processes
        passed_on = 0
        while chief.status is None or self._is_restarted(chief):
            for number in self._signals[passed_on:]:
                passed_on += 1
                chief.send(number if passed_on == 1 else signal.SIGKILL)
            for other in others:
                if other.status is not None and not self._is_restarted(other):
                    if other.status == 0 and other.member.job == "worker":
                        continue
                    _show(f"{other.name} has ended ({_ending(other.status)}); so does the run")
                    chief.send(signal.SIGTERM)
                    chief.wait(SAVE_SECONDS)
                    return _exit_status(other.status) or 1
            time.sleep(LOOK_SECONDS)
        status = _exit_status(chief.status)
        for other in others:
            if status == 0 and other.member.job == "worker":
                other.wait(END_SECONDS)
        return status

    def _is_restarted(self, process: Process) -> bool:
        """Starts a process again that was killed, but not by this launcher's will, nor too often."""
        if not process.was_killed or self._signals or process.restarts >= RESTARTS:
            return False
        process.restarts += 1
        _show(f"{process.name} has ended ({_ending(process.status)}); it is started again")
        process.start()
        return True


def free_cluster(ps: int, workers: int) -> Cluster:
    """A cluster on ports of the loopback address that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(ps + workers)]
        for one in sockets:  # all are held until all have been found, so that no port is given twice
            one.bind((LOOPBACK, 0))
        addresses = [f"{LOOPBACK}:{one.getsockname()[1]}" for one in sockets]
    return Cluster(tuple(addresses[:ps]), tuple(addresses[ps:]))


@contextlib.contextmanager
def _pipe() -> Iterator[int]:
    """The end of a pipe that is to be watched; the other is closed when this process ends."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def _show(line: str) -> None:
    """A line on standard error; at a terminal in place of the chief's living line, which comes anew."""
    clear = CLEAR_LINE if sys.stderr.isatty() else ""
    sys.stderr.write(f"{clear}{line}\n")
    sys.stderr.flush()


def _ending(status: int | None) -> str:
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def _exit_status(status: int | None) -> int:
    """As a shell gives it."""
    status = status or 0
    return 128 - status if status < 0 else status
