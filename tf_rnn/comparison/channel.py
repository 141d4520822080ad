"""Reports from worker processes, and the cancelling of their runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tf_rnn.training import Callback

if TYPE_CHECKING:
    from tf_rnn.comparison.settings import RunKey
    from tf_rnn.training import Progress


class Measurement(NamedTuple):
    """The measurement of costs, which reports as a run does."""

    title: str = "measuring costs"


class CancelledRunError(Exception):
    """The process that asked for a run no longer wants it."""


class Channel(Protocol):
    """The connection of a worker to the process that shows its progress.

    Attributes:
        seconds: The time between two reports.
    """

    seconds: float

    def send(self, key: RunKey | Measurement, fraction: float, line: str) -> None:
        """Sends the progress of a run."""

    def is_cancelled(self) -> bool:
        """Whether the run is to be given up."""


class ChannelCallback(Callback):
    """Reports the progress of a training run to a channel, and ends cancelled runs.

    Args:
        key: Which run.
        channel: Where to report; None for nowhere.
    """

    def __init__(self, key: RunKey, channel: Channel | None) -> None:
        self._key, self._channel = key, channel
        self._next = 0.0

    def on_progress(self, progress: Progress) -> None:
        """Sends a report from time to time.

        Raises:
            CancelledRunError: If the run was cancelled.
        """
        raise_if_cancelled(self._channel)
        if self._channel is not None and time.monotonic() >= self._next:
            self._channel.send(self._key, progress.fraction, progress.note)
            self._next = time.monotonic() + self._channel.seconds


def raise_if_cancelled(channel: Channel | None) -> None:
    """Raises CancelledRunError if the run of a channel was cancelled."""
    if channel is not None and channel.is_cancelled():
        raise CancelledRunError
