"""Processes that are watched from outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 300.0


def until(happens: Callable[[], bool], what: str) -> None:
    """Waits for an event that can be seen."""
    end = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < end, f"{what} did not happen in {DEADLINE:.0f} s"
        time.sleep(0.05)


def runs(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked for its status does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
