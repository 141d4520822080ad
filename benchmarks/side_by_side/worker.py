"""What a process does that measures: one library in one way, or the machine's best rate.

It starts, reports, and then waits: for the word to run some steps, to say how much memory it took, or
to end. Nothing runs in it meanwhile.
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

# The losses that are compared: that of the last one is what so many training steps have learnt.
CHECKED_STEPS = 5
# Of the steps of a turn, this part is run beforehand: another process had the caches.
WARM_UP = 0.05
STANDARD_ERROR = 2
KIBIBYTE = 1024


class Ready(NamedTuple):
    """What a peer says once it has started.

    Attributes:
        build_seconds: From the problem to a model with its weights, ready to run.
        first_run_seconds: The first training step, in which some libraries compile.
        losses: Before the first training step and after each of CHECKED_STEPS.
    """

    build_seconds: float
    first_run_seconds: float
    losses: tuple[float, ...]


class Turn(NamedTuple):
    """What a peer did when it was its turn.

    Attributes:
        step_seconds: The mean of a training step.
        loss: The last one.
    """

    step_seconds: float
    loss: float


class Missing(NamedTuple):
    """A package that is not installed."""

    package: str


class Failed(NamedTuple):
    """What went wrong, in one line."""

    line: str


def serve_peer(
    connection: Connection[Any, Any], notes: str, peer: Peer, configuration: Configuration
) -> None:
    """Builds a peer, runs its first steps, and then does as it is told.

    Args:
        connection: Where messages come from and go to.
        notes: A file for what libraries write to standard error.
        peer: What to run.
        configuration: What to train.
    """
    _be_quiet(notes)
    try:
        if importlib.util.find_spec(peer.package) is None:
            connection.send(Missing(peer.package))
            return
        _Server(connection, peer, configuration).serve()
    except EOFError:  # whoever asked has gone
        return
    except Exception as error:  # whatever it is, one peer must not end the others
        connection.send(Failed(_in_one_line(error)))


class _Server:
    def __init__(self, connection: Connection[Any, Any], peer: Peer, configuration: Configuration) -> None:
        self._connection = connection
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
        """Answers until it is told to end: a number of steps to run, or "memory"."""
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
        last = float(losses[-1])  # a library that runs ahead of its caller has to have come this far
        return Turn((time.perf_counter() - started) / steps, last)

    def _memory(self) -> int:
        return peak_memory() - self._memory_before


def serve_peak(connection: Connection[Any, Any], notes: str) -> None:
    """Measures the machine's best rate whenever it is told to."""
    _be_quiet(notes)
    try:
        measure = Peak()
        connection.send(measure())
        while connection.recv() != "end":
            connection.send(measure())
    except EOFError:
        return


def peak_memory() -> int:
    """The most memory that this process has had so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE


def _be_quiet(notes: str) -> None:
    """An interrupt reaches every process; the one that asks answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(notes, "wb") as file:  # noqa: PTH123 (a descriptor is wanted, not a path)
        os.dup2(file.fileno(), STANDARD_ERROR)


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
