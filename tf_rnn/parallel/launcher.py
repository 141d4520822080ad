"""The workers of a cluster on this machine: started, watched, restarted together, ended together."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

from tf_rnn.console import Log, visible
from tf_rnn.parallel.cluster import VARIABLE as TF_CONFIG
from tf_rnn.parallel.parent_watch import VARIABLE as PARENT_PIPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOOPBACK = "127.0.0.1"
# How often the workers were started before; above 0 a worker resumes from the last checkpoint.
RESTART = "TF_RNN_RESTART"
POLL_SECONDS = 0.05
# The exit status after bad input, which is a cause of the failures of others rather than a consequence.
BAD_INPUT = 2
# Workers end without help when one of them has ended; after this time they are ended.
END_SECONDS = 15.0
# Worker 0 saves the run when it is interrupted; after this time it is ended.
SAVE_SECONDS = 60.0
CLEAR_LINE = "\r\x1b[K"


class WorkerProcess:
    """A worker as a process of this machine.

    Worker 0 writes to the streams of this process; lines of the others are prefixed with their name.

    Args:
        index: Which worker.
        command: The command line.
        environment: Variables in addition to those of this process.
        pipe: The file descriptor that `watch_parent` reads.
    """

    def __init__(self, index: int, command: Sequence[str], environment: dict[str, str], pipe: int) -> None:
        self.name = f"worker {index}"
        piped = subprocess.PIPE if index else None
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=piped,
            stderr=subprocess.STDOUT if index else None,
            text=True,
            errors="replace",
            env=os.environ | environment | {PARENT_PIPE: str(pipe)},
            pass_fds=[pipe],
            start_new_session=True,  # Ctrl-C at the terminal goes to the launcher alone
        )
        self._reader = threading.Thread(target=self._show_lines, daemon=True)
        self._reader.start()

    def _show_lines(self) -> None:
        for line in self._process.stdout or ():
            show(f"{self.name}: {line.rstrip()}")

    @property
    def status(self) -> int | None:
        """Its exit status, minus the number of the signal that killed it, or None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, if it still runs."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once, and waits until its last line has been shown."""
        self._process.kill()
        self._process.wait()
        self._reader.join(END_SECONDS)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()


class Launcher:
    """Runs a command in several workers that train together.

    While it is entered, a first SIGINT or SIGTERM is passed on to worker 0, which stops all workers and
    saves the run; a second one ends all workers at once.

    Args:
        workers: How many.
        command: The command line of every worker; each finds its place in the cluster in TF_CONFIG.
        restarts: How many times all workers are started again after one was killed.
    """

    def __init__(self, workers: int, command: Sequence[str], restarts: int) -> None:
        self._size, self._command, self._restarts = workers, tuple(command), restarts
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
        """Runs the workers until they have ended.

        Returns:
            Exit status 0 if worker 0 succeeded; that of worker 0 after an interrupt; otherwise that of the
            worker that ended first, 128 + N if signal N killed it.
        """
        for restarts in itertools.count():
            cause = self._run(restarts)
            again = cause.was_killed and not self._signals and restarts < self._restarts
            if not self._signals and (cause.was_killed or (cause.status and cause.index)):
                what = f"restart {restarts + 1} of {self._restarts} from the last checkpoint"
                show(f"worker {cause.index} {cause.how}; {what if again else 'the run has ended'}")
            if not again:
                break
        return cause.exit_status

    def _run(self, restarts: int) -> Ending:
        """Runs all workers once, and returns how the one ended that decides for all."""
        addresses = free_addresses(self._size)
        with _pipe() as pipe, contextlib.ExitStack() as stack:
            workers = []
            for index in range(self._size):
                config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                environment = {TF_CONFIG: json.dumps(config), RESTART: str(restarts)}
                workers.append(WorkerProcess(index, self._command, environment, pipe))
                stack.callback(workers[-1].kill)
            return self._decisive(self._endings(workers))

    def _endings(self, workers: list[WorkerProcess]) -> list[Ending]:
        """How the workers ended, in this order; once one has, the others have some seconds to follow."""
        passed_on = 0
        deadline = math.inf
        endings: list[Ending] = []
        while time.monotonic() < deadline and len(endings) < len(workers):
            for number in self._signals[passed_on:]:
                passed_on += 1
                if passed_on > 1:
                    return endings
                workers[0].send(number)
                deadline = time.monotonic() + SAVE_SECONDS
            known = {ending.index for ending in endings}
            statuses = [(index, worker.status) for index, worker in enumerate(workers) if index not in known]
            new = [Ending(index, status) for index, status in statuses if status is not None]
            endings += new
            if any(ending.status or ending.index == 0 for ending in endings):
                deadline = min(deadline, time.monotonic() + END_SECONDS)
            time.sleep(POLL_SECONDS)
        return endings

    def _decisive(self, endings: list[Ending]) -> Ending:
        """Worker 0 if it succeeded or was interrupted, else the first that was killed, refused or failed."""
        chief = [ending for ending in endings if ending.index == 0]
        if self._signals:
            return chief[0] if chief else Ending(0, -self._signals[0])
        if chief and chief[0].status == 0:
            return chief[0]
        killed = [ending for ending in endings if ending.was_killed]
        refused = [ending for ending in endings if ending.status == BAD_INPUT]
        failed = [ending for ending in endings if ending.status]
        return (killed or refused or failed)[0]


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a worker ended.

    Attributes:
        index: Which worker.
        status: Its exit status, or minus the number of the signal that killed it.
    """

    index: int
    status: int

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return self.status < 0

    @property
    def how(self) -> str:
        """The end of a sentence that begins with its name."""
        if self.was_killed:
            return f"was killed by {signal.Signals(-self.status).name}"
        return f"ended with status {self.status}"

    @property
    def exit_status(self) -> int:
        """The exit status as a shell gives it."""
        return 128 - self.status if self.was_killed else self.status


def free_addresses(count: int) -> list[str]:
    """Addresses on ports of the loopback interface that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:  # all are held until all have been found, so that no port is given twice
            one.bind((LOOPBACK, 0))
        return [f"{LOOPBACK}:{one.getsockname()[1]}" for one in sockets]


@contextlib.contextmanager
def _pipe() -> Iterator[int]:
    """The end of a pipe that workers read; the other is closed when this process ends."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def show(line: str) -> None:
    """Writes a line to standard error; at a terminal it replaces the progress line, which is drawn again."""
    log = Log()
    clear = CLEAR_LINE if log.isatty() else ""
    log.write(f"{clear}{visible(line)}\n")
    log.flush()
