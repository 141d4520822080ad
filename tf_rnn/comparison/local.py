"""Worker processes on this machine; one that dies is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.executors import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from tf_rnn.comparison.channel import Measurement
    from tf_rnn.comparison.screen import Screen
    from tf_rnn.comparison.settings import RunKey

_starting = Lock()
_pipes: list[Connection] = []  # one, in a worker process


class _Process(SpawnProcess):
    """A new process that does not run the main script again.

    All that workers need of a script travels by value. So scripts need no `if __name__ == "__main__"`,
    and their own work is not repeated in each worker.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 (multiprocessing's name)
        with _starting:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)  # noqa: SLF001
            finally:
                sys.modules["__main__"] = main


class _Context(SpawnContext):
    """Starts new processes: a fork would copy TensorFlow's locks without the threads that open them."""

    Process = _Process


CONTEXT = _Context()


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class PipeChannel:
    """The worker's end of a pipe: reports go out, a message that comes in cancels the run."""

    seconds = 0.2

    def send(self, key: RunKey | Measurement, fraction: float, line: str) -> None:
        """Sends the progress of a run."""
        for pipe in _pipes:
            pipe.send((key, fraction, line))

    def is_cancelled(self) -> bool:
        """Whether there is a message, or nobody at the other end."""
        return any(pipe.poll() for pipe in _pipes)


def _initialise(pipe: Connection) -> None:
    """Initialises a worker process.

    A keyboard interrupt reaches every process; only the one that distributes the work reacts to it.
    """
    _pipes.append(pipe)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Lane:
    """A pool of one process, and the pipe to it."""

    def __init__(self, show: Callable[[RunKey, float, str], None]) -> None:
        self._pipe, self._far_end = CONTEXT.Pipe()
        self._pool = ProcessPoolExecutor(1, CONTEXT, _initialise, (self._far_end,))
        Thread(target=_receive, args=(self._pipe, show), daemon=True).start()

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        future = self._pool.submit(work, *arguments)  # the first call starts the process
        self._far_end.close()  # the process has its own copy; the pipe now ends when the process does
        return future.result()

    def cancel(self) -> None:
        with contextlib.suppress(OSError):  # the process has died
            self._pipe.send("cancel")

    def close(self) -> None:
        self._far_end.close()
        self._pool.shutdown()


def _receive(pipe: Connection, show: Callable[[RunKey, float, str], None]) -> None:
    with pipe, contextlib.suppress(EOFError, OSError):
        while True:
            show(*pipe.recv())


class LocalExecutor(Executor):
    """Parallel processes on this machine; work whose process dies is tried a second time.

    A `ProcessPoolExecutor` breaks as a whole when one process dies, and does not say whose work that
    process was doing. So each process is a pool of its own, and threads distribute the work.

    Args:
        count: Number of processes; they start when there is work for them.
        show: Called with the progress of runs.
    """

    def __init__(self, count: int, show: Callable[[RunKey, float, str], None]) -> None:
        self._show = show
        self._threads = ThreadPoolExecutor(count, initializer=_block_interrupts)
        self._lanes: list[_Lane] = []
        self._idle: SimpleQueue[_Lane] = SimpleQueue()
        self._is_cancelled = False

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Future[Any]:  # type: ignore[override]
        """Runs work in a process.

        Returns:
            Its future, which raises `BrokenProcessPool` if the process died twice.
        """
        return self._threads.submit(self._call, work, *arguments)

    def _call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with self._lane() as lane:
                return lane.call(work, *arguments)
        except BrokenProcessPool:
            if self._is_cancelled:
                raise
        with self._lane() as lane:
            return lane.call(work, *arguments)

    @contextlib.contextmanager
    def _lane(self) -> Iterator[_Lane]:
        """An idle lane, or a new one; it is idle again afterwards, unless its process has died."""
        try:
            lane = self._idle.get_nowait()
        except Empty:
            lane = _Lane(self._show)
            self._lanes.append(lane)
        try:
            yield lane
        except BrokenProcessPool:
            self._lanes.remove(lane)
            lane.close()
            raise
        finally:
            if lane in self._lanes:
                self._idle.put(lane)

    def cancel(self) -> None:
        """Makes the running work give up soon."""
        self._is_cancelled = True
        for lane in list(self._lanes):
            lane.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes once they have finished their work."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for lane in self._lanes:
            lane.close()


def _block_interrupts() -> None:
    """Blocks Ctrl-C for this thread and for all processes that it starts.

    A worker handles it, too, but only once it has loaded the function that does.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def local_workers(_name: str, count: int | None, screen: Screen) -> Iterator[Workers]:
    """Opens worker processes on this machine.

    Args:
        _name: "local".
        count: How many; None for one per core.
        screen: Where to show progress.

    Yields:
        The workers. After an error their runs are given up soon.
    """
    count = count or available_cores()
    executor = LocalExecutor(count, screen.show_run)
    try:
        yield Workers(executor, PipeChannel(), lambda: count, (BrokenProcessPool,), available_cores())
    except BaseException:
        executor.cancel()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
