"""Windows that overlap and count all of their losses, so that a loss counts more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tf_rnn.audit.decode import units
from tf_rnn.audit.words import steps_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.audit.probe import Probe


def overlapping_windows(numbers: Sequence[tuple[Probe, float, float]]) -> str | None:
    """Words for the windows whose gradients these are; None if there are none.

    Windows of n steps start at 1, 1 + k, 1 + 2k, ... and end within the data.

    Args:
        numbers: Probes of all losses, each with dL/dw and its output.
    """
    found = [(probe, units(probe, gradient)) for probe, gradient, _ in numbers]
    num_steps = numbers[0][0].num_steps
    for width in range(2, num_steps + 1):
        for stride in range(1, width):
            if all(_predicted(probe, width, stride) == total for probe, total in found):
                often = -(-width // stride)
                return (
                    f"windows of {width} that move by {stride} and count all of their losses: most losses "
                    f"count {often} times, with errors that reach up to {steps_word(width)}"
                )
    return None


def _predicted(probe: Probe, width: int, stride: int) -> int | None:
    """dL/dw in units."""
    starts = range(1, probe.num_steps - width + 2, stride)
    shares = [
        probe.states[start - 1 : probe.step].sum() for start in starts if start <= probe.step < start + width
    ]
    return units(probe, float(np.sum(shares)))
