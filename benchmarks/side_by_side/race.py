"""The measurement: peers start one after another and then run in alternating turns."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Self

from benchmarks.side_by_side.equality import inequality, largest_difference
from benchmarks.side_by_side.peers import REFERENCE, Peer
from benchmarks.side_by_side.processes import PeerError, Process
from benchmarks.side_by_side.results import UNEQUAL, Measured, Measurement
from benchmarks.side_by_side.worker import serve_peak, serve_peer
from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.side_by_side.configurations import Configuration


def reference_losses(configuration: Configuration, limit: float) -> tuple[float, ...]:
    """Computes the expected losses of the first training steps, by a naive unroll in double precision.

    Raises:
        PeerError: If they cannot be computed.
    """
    with Process(serve_peer, REFERENCE, configuration, limit=limit) as process:
        losses: tuple[float, ...] = process.receive().losses
    return losses


def race(
    configuration: Configuration,
    peers: Sequence[Peer],
    rounds: int,
    steps: int,
    limit: float,
    say: Callable[[str], None],
) -> Measurement:
    """Measures peers in one configuration.

    Each peer runs in its own process. They start one after another, because start-up is measured too.
    Then, in each round, every peer runs some training steps while the rest wait, so that background
    load affects all of them equally. Each round begins with a different peer.

    Args:
        configuration: The model to train.
        peers: Peers to measure.
        rounds: Turns per peer.
        steps: Training steps per turn.
        limit: Time limit for starting a peer and for each turn, in seconds.
        say: Called with each progress message.

    Raises:
        PeerError: If the reference losses or the machine's peak rate cannot be measured.
    """
    say("reference")
    losses = reference_losses(configuration, limit)
    with contextlib.ExitStack() as stack:
        precisions = dict.fromkeys([FLOAT32, *(peer.precision for peer in peers)])
        peaks = {one: stack.enter_context(Process(serve_peak, one, limit=limit)) for one in precisions}
        rates = {one: {name: [rate] for name, rate in peak.receive().items()} for one, peak in peaks.items()}
        runners = []
        for peer in peers:
            say(f"starting {peer.name}")
            runner = stack.enter_context(Runner(peer, configuration, limit, losses))
            runners.append(runner)
            if runner.result.note:
                say(f"{runner.result.status}: {peer.name}: {runner.result.note}")
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            first = number % max(1, len(runners))
            for runner in [*runners[first:], *runners[:first]]:
                runner.take_turn(steps)
            for one, peak in peaks.items():
                for name, rate in peak.ask("again").items():
                    rates[one][name].append(rate)
        for runner in runners:
            runner.note_memory()
    return Measurement(configuration, [runner.result for runner in runners], rates)


class Runner:
    """A peer in its own process, with its results so far.

    Args:
        peer: The peer to run.
        configuration: The model to train.
        limit: Time limit for each answer, in seconds.
        reference: Expected losses of the first training steps; None to skip the check.
    """

    def __init__(
        self, peer: Peer, configuration: Configuration, limit: float, reference: Sequence[float] | None
    ) -> None:
        self.result = Measured(peer)
        self.losses: tuple[float, ...] = ()
        self._process = Process(serve_peer, peer, configuration, limit=limit)
        with self._noting_failures():
            ready = self._process.receive()
            self.losses = ready.losses
            self.result.build_seconds = ready.build_seconds
            self.result.first_run_seconds = ready.first_run_seconds
            if reference is not None:
                self.check(reference)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    @property
    def is_alive(self) -> bool:
        """Whether the peer still takes turns. One whose losses differ does, too."""
        return bool(self.losses)

    def check(self, reference: Sequence[float]) -> None:
        """Compares the peer's losses with the expected ones and records a difference."""
        self.result.loss_difference = largest_difference(self.losses, reference)
        problem = inequality(self.losses, reference, self.result.peer.precision)
        if problem is not None:
            self.result.give_up(UNEQUAL, problem)

    def take_turn(self, steps: int) -> None:
        """Runs some training steps and records their mean time."""
        with self._noting_failures():
            if self.is_alive:
                turn = self._process.ask(steps)
                if not math.isfinite(turn.loss):
                    raise PeerError("the loss is not finite")
                self.result.turns.append(1000 * turn.step_seconds)

    def note_memory(self) -> None:
        """Records the peer's memory use."""
        with self._noting_failures():
            if self.is_alive:
                self.result.memory_bytes = self._process.ask("memory")

    @contextlib.contextmanager
    def _noting_failures(self) -> Iterator[None]:
        try:
            yield
        except PeerError as error:
            self.losses = ()
            self.result.give_up(error.status, str(error))
            self._process.end()
