"""Worker processes on this machine, each mended by itself where it dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.executors import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from tf_rnn.comparison.screen import Screen
    from tf_rnn.comparison.settings import RunKey

# The child of a fork would have TensorFlow's locks, but not the threads that open them.
CONTEXT = multiprocessing.get_context("spawn")

_lines: list[Connection] = []  # one, in a worker process


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LineContact:
    """The end of the line that a worker process holds: its reports go out, one word to stop comes in."""

    seconds = 0.2

    def tell(self, key: RunKey, fraction: float, line: str) -> None:
        """Passes a run's progress on."""
        for end in _lines:
            end.send((key, fraction, line))

    def is_stopped(self) -> bool:
        """Whether the other end has said so, or is gone."""
        return any(end.poll() for end in _lines)


def _connect(line: Connection) -> None:
    """Readies a worker process.

    An interrupt from the keyboard reaches every process; the one that hands out the work answers.
    """
    _lines.append(line)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Lane:
    """A pool of one process, and the line to it."""

    def __init__(self, show: Callable[[RunKey, float, str], None]) -> None:
        self._line, self._far_end = CONTEXT.Pipe()
        self._pool = ProcessPoolExecutor(1, CONTEXT, _connect, (self._far_end,))
        Thread(target=_listen, args=(self._line, show), daemon=True).start()

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        future = self._pool.submit(work, *arguments)  # which starts the process, if it is the first
        self._far_end.close()  # the process has its own; now the line ends where the process does
        return future.result()

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # it has died
            self._line.send("stop")

    def close(self) -> None:
        self._far_end.close()
        self._pool.shutdown()


def _listen(line: Connection, show: Callable[[RunKey, float, str], None]) -> None:
    with line, contextlib.suppress(EOFError, OSError):
        while True:
            show(*line.recv())


class LocalExecutor(Executor):
    """Processes side by side on this machine; work whose process dies is done once more.

    A `ProcessPoolExecutor` breaks as a whole when one process dies, and cannot tell whose work it was.
    So each process here is a pool of its own, which its death breaks alone; threads hand out the work.

    Args:
        count: How many processes; they are started when there is work for them.
        show: Told of progress.
    """

    def __init__(self, count: int, show: Callable[[RunKey, float, str], None]) -> None:
        self._show = show
        self._threads = ThreadPoolExecutor(count, initializer=_hold_interrupts)
        self._lanes: list[_Lane] = []
        self._idle: SimpleQueue[_Lane] = SimpleQueue()
        self._is_stopping = False

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Future[Any]:  # type: ignore[override]
        """Has work done in a process.

        Returns:
            Its future, which raises `BrokenProcessPool` where the process died twice.
        """
        return self._threads.submit(self._call, work, *arguments)

    def _call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with self._lane() as lane:
                return lane.call(work, *arguments)
        except BrokenProcessPool:
            if self._is_stopping:
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

    def stop(self) -> None:
        """Has runs give up soon that are under way."""
        self._is_stopping = True
        for lane in list(self._lanes):
            lane.stop()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes, when they have done what they are at."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for lane in self._lanes:
            lane.close()


def _hold_interrupts() -> None:
    """Keeps Ctrl-C from this thread, and from all processes that it starts.

    A worker sets its own handling of it, but only once it has loaded the function that does.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextlib.contextmanager
def local_workers(_name: str, count: int | None, screen: Screen) -> Iterator[Workers]:
    """Opens worker processes on this machine.

    Args:
        _name: "local".
        count: How many; None for one a core.
        screen: Where progress is shown.

    Yields:
        The workers. After an error they give up their runs soon.
    """
    count = count or available_cores()
    executor = LocalExecutor(count, screen.show_run)
    try:
        yield Workers(executor, LineContact(), lambda: count, (BrokenProcessPool,))
    except BaseException:
        executor.stop()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
