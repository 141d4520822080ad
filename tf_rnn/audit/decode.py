"""Steps from a gradient and an output: the arithmetic of the digits.

If the state was set to zero before step r, all states from there on are less by h_{r-1}: the output, too,
which names r, and the share of each later step that the error reaches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tf_rnn.audit.probe import Probe

# The digit of the first step.
UNIT = 4.0
# Of a unit: what rounding may change, at most. A loss scale of 1/3 is no binary number.
LARGEST_ERROR = 0.25
ROUNDINGS = {"float32": 2.0**-22, "float64": 2.0**-51}


def number_of(option: str, value: Any) -> float:
    """Returns the only number in a value (a tensor of one element, say), which may be nan.

    Raises:
        OptionError: For `option`, if it is not one real number.
    """
    try:
        found = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise OptionError(option, f"must be one number, got {shown(value)}") from error
    if len(found) != 1:
        raise OptionError(option, f"must be one number, got {len(found)}")
    return float(found[0])


def units(probe: Probe, value: float, of: float = 0.0) -> int | None:
    """A value in units of the lowest digit; None if it is no whole number of them, but for rounding.

    Args:
        probe: The probe.
        value: The value.
        of: A larger number of which it is the rest, and whose rounding it has.
    """
    if not math.isfinite(value):
        return None
    scaled = value / UNIT
    error = min(LARGEST_ERROR, max(abs(scaled), abs(of) / UNIT) * ROUNDINGS[probe.dtype] + 1e-9)
    return round(scaled) if abs(scaled - round(scaled)) <= error else None


def reset_before(probe: Probe, output: float) -> int | None:
    """The step before which the state was reset, as the output says: 0 for none, None if it fits no step."""
    lost = units(probe, probe.output - output, of=probe.output)
    if not lost:
        return lost
    first, last = probe.span
    powers = {1 << (step - first): step for step in range(first, min(last, probe.step) + 1)}
    return powers.get(lost)


def steps_of(
    probe: Probe, gradient: float, reset: int = 0, beyond: Iterable[int] | None = None
) -> list[int] | None:
    """The steps shown whose shares sum to a gradient.

    Args:
        probe: The probe.
        gradient: dL/dw at a loss scale of 1.
        reset: The step before which the state was reset; 0 for none.
        beyond: How many of the steps after the last one shown are reached; None if that is not known.

    Returns:
        The steps in order; None if no steps have this sum, or if the step of the loss is not among them.
    """
    total = units(probe, gradient)
    if total is None:
        return None
    first, last = probe.span
    last = min(last, probe.step)
    first_digit, lost = max(first, reset + 1), 1 << (reset - first) if reset else 0
    if beyond is None:
        beyond = range(probe.step - last, -1, -1) if lost else [0]
    found = (
        steps
        for after in beyond
        for count in (range(last - first_digit + 2) if lost else [0])
        if (steps := _digits(total + (count + after) * lost, first, first_digit, last)) is not None
        if (not lost or len(steps) == count) and (last < probe.step or not steps or steps[-1] == probe.step)
    )
    return next(found, None)


def _digits(total: int, first: int, first_digit: int, last: int) -> list[int] | None:
    """The steps of the binary digits of a sum; None if it has others."""
    if total < 0 or total >> max(0, last - first + 1):
        return None
    steps = [step for step in range(first, last + 1) if total >> (step - first) & 1]
    return steps if not steps or steps[0] >= first_digit else None


def is_run(steps: list[int]) -> bool:
    """Whether steps follow each other without a gap."""
    return not steps or steps[-1] - steps[0] + 1 == len(steps)
