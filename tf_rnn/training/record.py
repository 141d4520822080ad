"""What a training run has done so far: counts, sums and curve, to go on from."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class CurvePoint(NamedTuple):
    """One evaluation during training.

    Attributes:
        updates: Runs of the training step so far.
        tokens: Examples times steps so far.
        seconds: Of training so far, evaluation not counted.
        train_loss: Mean training loss per step since the point before; nan at the start.
        valid_loss: Loss on held-out data.
        epoch: Number of the epoch, from 1; 0 at the start.
    """

    updates: int
    tokens: int
    seconds: float
    train_loss: float
    valid_loss: float
    epoch: int


class Average:
    """A running mean that can be started anew."""

    def __init__(self, total: float = 0.0, count: int = 0) -> None:
        self.total, self.count = total, count

    def restart(self) -> None:
        """Forgets everything."""
        self.total, self.count = 0.0, 0

    def add(self, value: float) -> None:
        """Counts a value in."""
        self.total += value
        self.count += 1

    @property
    def mean(self) -> float:
        """The mean; nan of nothing."""
        return self.total / self.count if self.count else math.nan


@dataclasses.dataclass
class Record:
    """Counts, sums and curve of a run; as JSON and back without the loss of a bit.

    Attributes:
        updates: Runs of the training step.
        tokens: Examples times steps.
        epochs: Epochs that have ended.
        epoch_updates: Updates of the epoch that has not ended.
        epoch_tokens: Tokens of the epoch that has not ended.
        seconds: Of training, evaluation not counted.
        largest_norm: The largest norm of the gradient.
        since_point: The training loss since the last point of the curve.
        curve: Evaluations.
    """

    updates: int = 0
    tokens: int = 0
    epochs: int = 0
    epoch_updates: int = 0
    epoch_tokens: int = 0
    seconds: float = 0.0
    largest_norm: float = 0.0
    since_point: Average = dataclasses.field(default_factory=Average)
    curve: list[CurvePoint] = dataclasses.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for JSON, whose numbers Python writes and reads exactly."""
        plain_fields = {name: written(getattr(self, name)) for name in READERS}
        return plain_fields | {
            "since_point": [written(self.since_point.total), self.since_point.count],
            "curve": [[written(number) for number in point] for point in self.curve],
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Record:
        """What `to_json` was made of.

        Raises:
            KeyError, TypeError, ValueError: If it was not.
        """
        plain_fields = {name: read(kept[name]) for name, read in READERS.items()}
        total, count = kept["since_point"]
        curve = [
            CurvePoint._make(read(value) for read, value in zip(OF_A_POINT, point, strict=True))
            for point in kept["curve"]
        ]
        return cls(**plain_fields, since_point=Average(read_number(total), read_count(count)), curve=curve)


def written(number: float) -> float | str:
    """A number for JSON, which has none that is not finite: 'nan', 'inf' or '-inf' then."""
    return number if math.isfinite(number) else str(number)


def read_number(value: Any) -> float:
    """What `written` was given.

    Raises:
        ValueError: If it was given no number.
    """
    if type(value) not in (int, float) and value not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def read_count(value: Any) -> int:
    """A count from JSON.

    Raises:
        ValueError: If it is none.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is no count")
    return value


READERS: dict[str, Callable[[Any], Any]] = {
    "updates": read_count,
    "tokens": read_count,
    "epochs": read_count,
    "epoch_updates": read_count,
    "epoch_tokens": read_count,
    "seconds": read_number,
    "largest_norm": read_number,
}
# In the order of `CurvePoint`.
OF_A_POINT = (read_count, read_count, read_number, read_number, read_number, read_count)
