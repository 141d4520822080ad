"""Waiting for others without becoming deaf: signals are heard, and somebody is told what is waited for."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from tf_rnn.training.crew import StoppedWaitingError

if TYPE_CHECKING:
    from collections.abc import Callable

    Calls = queue.SimpleQueue[tuple[concurrent.futures.Future[Any], Callable[[], Any]]]

# How often a wait is looked up from.
LOOK_SECONDS = 0.2
# After so long it is told, and then again after twice, four times, ... as long.
TELL_SECONDS = 5.0
# How long what has begun may take to end once the run has been told to stop.
STOP_SECONDS = 3.0


class Patient:
    """Runs what may wait for other machines in a thread of its own.

    A run of a TensorFlow graph cannot be interrupted from the thread that it is called in.

    Args:
        tell: Given a line for the user.
        is_stopped: Says whether the wait is to end; None for never.
    """

    def __init__(self, tell: Callable[[str], None], is_stopped: Callable[[], bool] | None = None) -> None:
        self._tell, self._is_stopped = tell, is_stopped or _never
        self._begin()

    def _begin(self) -> None:
        self._calls: Calls = queue.SimpleQueue()
        threading.Thread(target=_answer, args=(self._calls,), daemon=True).start()

    def __call__(self, function: Callable[[], Any], waiting_for: Callable[[], str]) -> Any:
        """Returns what a function returns, or raises what it raises.

        Args:
            function: What to run.
            waiting_for: What to tell if it takes long.

        Raises:
            StoppedWaitingError: If it takes long and the run has been told to stop.
        """
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._calls.put((answer, function))
        began, next_line, stopped = time.monotonic(), TELL_SECONDS, 0.0
        while True:
            try:
                result = answer.result(LOOK_SECONDS)
            except TimeoutError:
                if answer.done():  # its own error, not that of the wait
                    raise
            else:
                if next_line > TELL_SECONDS:
                    self._tell(f"going on after {time.monotonic() - began:.0f} s")
                return result
            waited = time.monotonic() - began
            if waited >= next_line:
                self._tell(f"{waiting_for()} ({waited:.0f} s)")
                next_line *= 2
            stopped += LOOK_SECONDS * self._is_stopped()
            if stopped >= STOP_SECONDS:
                self._begin()  # the thread is left to itself; there may be more to run
                raise StoppedWaitingError


def _answer(calls: Calls) -> None:
    while True:
        answer, function = calls.get()
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_exception(error)


def _never() -> bool:
    return False
