"""Measurements and the ratios derived from them."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.side_by_side.floor import floor_milliseconds, training_operations
from benchmarks.side_by_side.peers import OWN, Peer
from tf_rnn.options.words import FLOAT32, MIXED_BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.side_by_side.configurations import Configuration

MEASURED, UNEQUAL, SKIPPED, FAILED = "measured", "not equal work", "skipped", "failed"


@dataclasses.dataclass
class Measured:
    """Results of one peer in one configuration.

    Attributes:
        peer: The peer.
        status: MEASURED; UNEQUAL if the losses differ, so that the times mean nothing; SKIPPED; or
            FAILED.
        note: Why it was not measured or not ranked, in one line.
        build_seconds: See `worker.Ready`.
        first_run_seconds: See `worker.Ready`.
        loss_difference: Largest difference from the reference losses.
        turns: Milliseconds per training step, one number per turn.
        memory_bytes: Growth of the process's peak memory since before building.
    """

    peer: Peer
    status: str = MEASURED
    note: str = ""
    build_seconds: float | None = None
    first_run_seconds: float | None = None
    loss_difference: float | None = None
    turns: list[float] = dataclasses.field(default_factory=list)
    memory_bytes: int | None = None

    @property
    def is_ranked(self) -> bool:
        """Whether its time may be compared with those of other peers."""
        return self.status == MEASURED and bool(self.turns)

    @property
    def milliseconds(self) -> float | None:
        """Time of a training step, median over turns."""
        return statistics.median(self.turns) if self.turns else None

    def give_up(self, status: str, note: str) -> None:
        """Records why the peer is not measured any further."""
        self.status, self.note = status, note


class Measurement(NamedTuple):
    """Results of all peers in one configuration.

    Attributes:
        configuration: The configuration.
        peers: Results, in the order of `PEERS`.
        rates: By precision, floating-point operations per second of each product, one number per turn.
    """

    configuration: Configuration
    peers: list[Measured]
    rates: dict[str, dict[str, list[float]]]

    def peak(self, precision: str = FLOAT32) -> float | None:
        """Best rate of the machine, in floating-point operations per second: the best product's median."""
        products = self.rates.get(precision, {}).values()
        return max((statistics.median(rates) for rates in products), default=None)

    def floor(self, precision: str = FLOAT32) -> float | None:
        """Time of a training step's matrix products at that rate, in milliseconds; None if not measured."""
        peak = self.peak(precision)
        return None if peak is None else floor_milliseconds(self.configuration, peak)

    def best(self, *families: str, precision: str | None = FLOAT32) -> Measured | None:
        """Fastest ranked peer of some families in a precision, None for any; None if there is none."""
        ranked = [
            one
            for one in self.peers
            if one.is_ranked and one.peer.family in families and precision in (None, one.peer.precision)
        ]
        return min(ranked, key=lambda one: statistics.median(one.turns), default=None)

    def best_peer(self, precision: str | None = FLOAT32) -> Measured | None:
        """Fastest ranked peer other than tf_rnn."""
        return self.best(*{one.peer.family for one in self.peers} - {OWN}, precision=precision)

    def ratio(self, other: Measured | None, precision: str | None = None) -> float | None:
        """Time of tf_rnn over that of another peer; None unless both are ranked.

        Args:
            other: The other peer.
            precision: That of tf_rnn; None for that of the other.
        """
        own = other and self.best(OWN, precision=precision or other.peer.precision)
        if own is None or other is None or not other.is_ranked:
            return None
        return statistics.median(own.turns) / statistics.median(other.turns)

    def over_floor(self, one: Measured | None) -> float | None:
        """Time over the floor in single precision; None unless the peer is ranked."""
        floor = self.floor()
        return None if one is None or not one.is_ranked or not floor else statistics.median(one.turns) / floor

    def tokens_per_second(self, one: Measured) -> float | None:
        """Training throughput in tokens per second."""
        if one.milliseconds is None:
            return None
        return 1000 * self.configuration.tokens / one.milliseconds

    def as_json(self) -> dict[str, Any]:
        """Converts everything to JSON values."""
        return {
            "configuration": dataclasses.asdict(self.configuration),
            "operations": training_operations(self.configuration),
            "operations_per_second": self._medians(FLOAT32),
            "floor_milliseconds": self.floor(),
            **self._lower_as_json(),
            "peers": [self._peer_as_json(one) for one in self.peers],
        }

    def _medians(self, precision: str) -> dict[str, float]:
        return {name: statistics.median(rates) for name, rates in self.rates[precision].items()}

    def _lower_as_json(self) -> dict[str, Any]:
        if MIXED_BFLOAT16 not in self.rates:
            return {}
        return {
            "bfloat16_operations_per_second": self._medians(MIXED_BFLOAT16),
            "bfloat16_floor_milliseconds": self.floor(MIXED_BFLOAT16),
        }

    def _peer_as_json(self, one: Measured) -> dict[str, Any]:
        return {
            "peer": one.peer.name,
            "family": one.peer.family,
            "status": one.status,
            "note": one.note,
            "step_milliseconds": one.milliseconds,
            "turns": one.turns,
            "tokens_per_second": self.tokens_per_second(one),
            "build_seconds": one.build_seconds,
            "first_run_seconds": one.first_run_seconds,
            "memory_bytes": one.memory_bytes,
            "loss_difference": one.loss_difference,
            "ratio": self.ratio(one),
            "over_floor": self.over_floor(one),
        }


def ordered(peers: Sequence[Measured]) -> list[Measured]:
    """Sorts ranked peers from fastest to slowest, followed by the rest."""
    return sorted(peers, key=lambda one: (not one.is_ranked, one.milliseconds or 0.0))
