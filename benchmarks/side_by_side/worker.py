"""Code that runs in a measuring process, for one peer or for the machine's peak rate.

The process starts, reports, and then waits for requests: run some steps, report memory, or end. It is
idle in between.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.side_by_side.peak import Peak
from benchmarks.side_by_side.problem import make_problem

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from benchmarks.side_by_side.configurations import Configuration
    from benchmarks.side_by_side.peers import Peer

# Updates after which losses are compared.
CHECKED_STEPS = 5
# Fraction of a turn's steps run untimed first, since another process has used the caches.
WARM_UP = 0.05
STANDARD_ERROR = 2
KIBIBYTE = 1024


class Ready(NamedTuple):
    """Report of a peer that has started.

    Attributes:
        build_seconds: Time from the problem to a model with its weights, ready to run.
        first_run_seconds: Time of the first training step, in which some libraries compile.
        losses: Losses before the first training step and after each of CHECKED_STEPS updates.
    """

    build_seconds: float
    first_run_seconds: float
    losses: tuple[float, ...]


class Turn(NamedTuple):
    """Result of a peer's turn.

    Attributes:
        step_seconds: Mean time of a training step.
        loss: Loss of the last step.
    """

    step_seconds: float
    loss: float


class Missing(NamedTuple):
    """Reply of a peer whose package is not installed."""

    package: str


class Failed(NamedTuple):
    """Reply of a peer that failed, with the error in one line."""

    line: str


def serve_peer(
    connection: Connection[Any, Any], notes: str, peer: Peer, configuration: Configuration
) -> None:
    """Builds a peer, runs its first steps, and then serves requests.

    Args:
        connection: Pipe to the controlling process.
        notes: File that receives the standard error of this process.
        peer: The peer to run.
        configuration: The model to train.
    """
    _be_quiet(notes)
    try:
        if importlib.util.find_spec(peer.package) is None:
            connection.send(Missing(peer.package))
            return
        _Server(connection, peer, configuration).serve()
    except EOFError:  # the controlling process has ended
        return
    except Exception as error:  # a failing peer must not end the measurement
        connection.send(Failed(_in_one_line(error)))


class _Server:
    def __init__(self, connection: Connection[Any, Any], peer: Peer, configuration: Configuration) -> None:
        self._connection = connection
        importlib.import_module(peer.package)  # tf_rnn would import it when the model is built
        module = importlib.import_module(peer.module)
        problem = make_problem(configuration)
        self._memory_before = peak_memory()
        started = time.perf_counter()
        self._step = module.make(problem, **peer.options)
        build_seconds = time.perf_counter() - started
        self._blocks = problem.endless_blocks()
        started = time.perf_counter()
        losses = [self._run_one()]
        first_run_seconds = time.perf_counter() - started
        losses += [self._run_one() for _ in range(CHECKED_STEPS)]
        connection.send(Ready(build_seconds, first_run_seconds, tuple(losses)))

    def serve(self) -> None:
        """Answers requests until "end": a number of steps to run, or "memory"."""
        while (message := self._connection.recv()) != "end":
            self._connection.send(self._memory() if message == "memory" else self._turn(message))

    def _run_one(self) -> float:
        return float(self._step(*next(self._blocks)))

    def _turn(self, steps: int) -> Turn:
        blocks = list(itertools.islice(self._blocks, steps))
        for block in blocks[: max(1, int(steps * WARM_UP))]:
            self._step(*block)
        started = time.perf_counter()
        losses = [self._step(*block) for block in blocks]
        last = float(losses[-1])  # waits for libraries that run asynchronously
        return Turn((time.perf_counter() - started) / steps, last)

    def _memory(self) -> int:
        return peak_memory() - self._memory_before


def serve_peak(connection: Connection[Any, Any], notes: str, precision: str) -> None:
    """Measures the machine's peak rate in a precision on each request until "end"."""
    _be_quiet(notes)
    try:
        measure = Peak(precision)
        connection.send(measure())
        while connection.recv() != "end":
            connection.send(measure())
    except EOFError:
        return


def peak_memory() -> int:
    """Peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE


def _be_quiet(notes: str) -> None:
    """Redirects standard error to a file and leaves interrupts to the controlling process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(notes, "wb") as file:  # noqa: PTH123 (a descriptor is wanted, not a path)
        os.dup2(file.fileno(), STANDARD_ERROR)


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
