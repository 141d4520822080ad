"""Interrupts that wait until the present update is done."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self


class SavedInterrupt(KeyboardInterrupt):
    """An interrupt after which the run has been saved."""


class Interrupts:
    """Holds back the first SIGINT or SIGTERM while it is entered; a second one raises KeyboardInterrupt.

    Attributes:
        is_requested: Whether there was a first one.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *error: object) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _request(self, number: int, frame: Any) -> None:
        if self.is_requested:
            raise KeyboardInterrupt
        self.is_requested = True
