"""Handles for measuring processes, used by the process that controls them."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.side_by_side.results import FAILED, SKIPPED
from benchmarks.side_by_side.worker import Failed, Missing

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_NOTE = 200


class PeerError(Exception):
    """Raised if a peer cannot be measured; the message gives the reason in one line."""

    status = FAILED


class MissingError(PeerError):
    """Raised if a peer's package is not installed."""

    status = SKIPPED


class Process:
    """A child process that answers one request at a time.

    Args:
        target: Function to run in it; see `worker`.
        *arguments: Arguments of `target` after its connection and its stderr file.
        limit: Time limit for an answer, in seconds.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any, limit: float) -> None:
        self._limit = limit
        context = multiprocessing.get_context("spawn")  # inherits nothing from this process
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        self._notes = Path(self._folder.name) / "stderr"
        self._connection, there = context.Pipe()
        self._process = context.Process(
            target=target, args=(there, str(self._notes), *arguments), daemon=True
        )
        self._process.start()
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def receive(self) -> Any:
        """Waits for an answer.

        Raises:
            MissingError: If a package is not installed.
            PeerError: If the process failed, ended, or took too long; it is then killed.
        """
        try:
            if not self._connection.poll(self._limit):
                self._kill()
                raise PeerError(f"no answer within {self._limit:g} seconds")
            answer = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            self._process.join()
            raise PeerError(self._last_words()) from error
        if isinstance(answer, Missing):
            raise MissingError(f"{answer.package} is not installed")
        if isinstance(answer, Failed):
            raise PeerError(answer.line)
        return answer

    def ask(self, message: Any) -> Any:
        """Sends a message and waits for the answer.

        Raises:
            PeerError: See `receive`.
        """
        try:
            self._connection.send(message)
        except BrokenPipeError as error:
            self._process.join()
            raise PeerError(self._last_words()) from error
        return self.receive()

    def end(self) -> None:
        """Kills the process if it is still running, and removes its files."""
        self._kill()
        self._folder.cleanup()

    def _kill(self) -> None:
        # A peer has nothing to clean up, and some libraries are slow to exit.
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _last_words(self) -> str:
        notes = self._notes.read_text(errors="replace") if self._notes.exists() else ""
        lines = [line.strip() for line in notes.splitlines() if line.strip()]
        words = f": {lines[-1][:LONGEST_NOTE]}" if lines else ""
        return f"the process ended with status {self._process.exitcode}{words}"
