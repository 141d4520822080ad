"""Effects of earlier bits on a probability: checks, and a fit to predictions.

The model is P(Y_t = 1 | X) = 0.5 + sum_i effects_i X_{t - lags_i} for fair bits X_t.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, require_number, require_whole, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONGEST_LAG = 1_000_000  # so many bits are drawn before the first target
MAX_LAGS = 12  # expected losses enumerate 2**lags combinations of bits
ROUNDING = 1e-9  # tolerance for sums of effects that were computed


def require_lags(lags: Any, longest: int = LONGEST_LAG) -> tuple[int, ...]:
    """Returns the lags, or raises OptionError unless they are 1 to 12 distinct whole numbers above 0."""
    values = tuple(require_whole("lags", lag, at_most=longest) for lag in _require_sequence("lags", lags))
    if not 1 <= len(values) <= MAX_LAGS:
        raise OptionError("lags", f"must be from 1 to {MAX_LAGS} numbers, got {len(values)}")
    if len(set(values)) < len(values):
        raise OptionError("lags", f"must be distinct, got {list(values)}")
    return values


def require_effects(effects: Any, lags: Sequence[int]) -> tuple[float, ...]:
    """Returns the effects, or raises OptionError unless there is one for each lag.

    No effect may be 0 (no dependency), and no combination of bits may give a probability outside [0, 1].
    """
    values = require_numbers(effects, lags)
    lowest = 0.5 + math.fsum(effect for effect in values if effect < 0)
    highest = 0.5 + math.fsum(effect for effect in values if effect > 0)
    if lowest < -ROUNDING or highest > 1 + ROUNDING:
        raise OptionError(
            "effects",
            "must keep the probability 0.5 + (any sum of them) in [0, 1], "
            f"got {list(values)}, which give from {lowest:.4g} to {highest:.4g}",
        )
    return values


def require_numbers(effects: Any, lags: Sequence[int]) -> tuple[float, ...]:
    """Returns the effects, or raises OptionError unless there is one for each lag, and none is 0."""
    values = tuple(_require_effect(effect) for effect in _require_sequence("effects", effects))
    if len(values) != len(lags):
        raise OptionError(
            "effects", f"must be as many as lags, {len(lags)}, got {len(values)}: {list(values)}"
        )
    return values


def require_predictions(inputs: NDArray[Any], predictions: NDArray[Any]) -> None:
    """Raises OptionError unless inputs are [batch_size, length] and predictions have the same shape."""
    if inputs.ndim != 2:
        raise OptionError("inputs", f"must be [batch_size, length], got shape {inputs.shape}")
    if predictions.shape != inputs.shape:
        raise OptionError(
            "predictions",
            f"must be P(Y = 1) in the shape of inputs, {inputs.shape}, got {predictions.shape}",
        )


def fit_effects(
    bits: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], lags: Sequence[int]
) -> dict[int, float]:
    """Fits P_t = c + sum_i e_i X_{t - lags_i} to predictions by least squares.

    All lags are fitted together, over the times at which the row contains all their bits. Unlike a
    difference of two means, the fit is not affected by chance correlations of the bits: predictions of
    exactly this form give the exact effects.

    Args:
        bits: X, `[rows, length]`, time along a row.
        probabilities: P, `[rows, length]`.
        lags: The lags, at least 1. Those of `length` or more are left out.

    Returns:
        The effect e_i by lag; empty if the rows are too short to determine the effects.
    """
    length = bits.shape[1]
    visible = [lag for lag in lags if lag < length]
    start = max(visible, default=0)
    fitted = probabilities[:, start:].astype(np.float64).ravel()
    columns = [bits[:, start - lag : length - lag].ravel() for lag in visible]
    design = np.stack([*columns, np.ones_like(fitted)], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, fitted, rcond=None)
    if rank < design.shape[1]:
        return {}
    return {lag: float(effect) for lag, effect in zip(visible, solution[:-1], strict=True)}


def _require_sequence(option: str, values: Any) -> tuple[Any, ...]:
    """Returns the values as a tuple, or raises OptionError if they are not a sequence of numbers."""
    problem = OptionError(option, f"must be a sequence of numbers, got {shown(values)}")
    if isinstance(values, str):
        raise problem
    try:
        return tuple(values)
    except TypeError as error:
        raise problem from error


def _require_effect(effect: Any) -> float:
    """Returns one effect as a float, or raises OptionError unless it is finite and not 0."""
    try:
        value = require_number("effects", effect)
    except OptionError:
        value = 0.0
    if value == 0:
        raise OptionError("effects", f"must be numbers other than 0, got {shown(effect)}")
    return value
