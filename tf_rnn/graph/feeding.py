"""Checks of arrays before they are fed: shapes, the state's structure, class indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.options import LARGEST_SIZE, OptionError, shown

# Kinds of dtypes: signed, unsigned, real, truth values.
NUMBERS = "iufb"


def checked_state(state: Any, tensors: Any) -> dict[Any, np.ndarray]:
    """The feed dictionary of a state.

    Args:
        state: Arrays.
        tensors: The tensors to feed, in the structure of the state.

    Raises:
        OptionError: If a shape or the structure does not fit, naming both.
    """
    try:
        tf.nest.assert_same_structure(tensors, state)
    except (TypeError, ValueError) as error:
        wanted, given = (tf.nest.map_structure(_outline, it) for it in (tensors, state))
        raise OptionError("state", f"must have the structure {wanted}, got {given}") from error
    parts = zip(tf.nest.flatten(tensors), tf.nest.flatten(state), strict=True)
    return {tensor: checked_array("state", array, tensor) for tensor, array in parts}


def _outline(leaf: Any) -> Any:
    try:
        return None if leaf is None else list(np.shape(leaf))
    except ValueError:  # rows of different lengths
        return "ragged"


def checked_array(name: str, value: Any, placeholder: Any) -> np.ndarray:
    """A value as an array to feed to a placeholder.

    Raises:
        OptionError: If its shape does not fit, naming both; if it does not hold numbers; or if the
            placeholder takes class indices and one is not whole, or does not fit into 32 bits; or if it
            takes flags and one is neither 0 nor 1.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise OptionError(name, "must be an array, got rows of different lengths") from error
    if array.shape != tuple(placeholder.shape):
        raise OptionError(name, f"must have shape {list(placeholder.shape)}, got {list(array.shape)}")
    if placeholder.dtype.is_integer:
        require_indices(name, array)
    elif placeholder.dtype.is_bool:
        array = as_flags(name, array)
    elif array.dtype.kind not in NUMBERS:
        raise OptionError(name, f"must hold numbers, got {shown(array.ravel()[0])}")
    return array


def require_indices(name: str, array: np.ndarray) -> None:
    """Raises OptionError for what TensorFlow would truncate silently: fractions, numbers beyond 32 bits."""
    if np.can_cast(array.dtype, np.int32):
        return
    if array.dtype.kind not in NUMBERS:
        raise OptionError(name, f"must hold whole class indices, got {shown(array.ravel()[0])}")
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        others = array[~np.isfinite(array) | (array != np.floor(array))]
        if others.size:
            raise OptionError(name, f"must hold whole class indices, got {others[0]}")
    beyond = array[(array < -LARGEST_SIZE) | (array > LARGEST_SIZE)]
    if beyond.size:
        raise OptionError(name, f"must hold class indices of at most {LARGEST_SIZE}, got {beyond[0]}")


def as_flags(name: str, array: np.ndarray) -> np.ndarray:
    """Truth values, or zeros and ones of any type, as truth values; OptionError if there are others."""
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind not in NUMBERS:
        raise OptionError(name, f"must hold True or False, got {shown(array.ravel()[0])}")
    others = array[(array != 0) & (array != 1)]
    if others.size:
        raise OptionError(name, f"must hold True or False, got {others[0]}")
    return array.astype(bool)


def require_range(name: str, array: np.ndarray, size: int, *, at_least: int = 0) -> None:
    """Raises OptionError unless all class indices are from `at_least` to `size` - 1."""
    if array.size and not at_least <= array.min() <= array.max() < size:
        outside = array[(array < at_least) | (array >= size)][0]
        raise OptionError(name, f"must hold classes from {at_least} to {size - 1}, got {outside}")


def require_weights(name: str, array: np.ndarray) -> None:
    """Raises OptionError unless all weights are finite and at least 0."""
    wrong = array[~(np.isfinite(array) & (array >= 0))]
    if wrong.size:
        raise OptionError(name, f"must be finite and at least 0, got {wrong[0]}")


def converted(name: str, value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """A value as an array of another dtype.

    Raises:
        OptionError: If it does not hold numbers, or the conversion would change them by more than rounding.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise OptionError(name, "must be an array, got rows of different lengths") from error
    if array.dtype == dtype:
        return array
    if dtype.kind in "iu":
        require_indices(name, array)
        return array.astype(dtype)
    if dtype.kind == "b":
        return as_flags(name, array)
    if array.dtype.kind not in NUMBERS:
        raise OptionError(name, f"must hold numbers, got {shown(array.ravel()[0])}")
    with np.errstate(over="ignore"):
        reals = array.astype(dtype)
    lost = np.isinf(reals) & np.isfinite(array)
    if lost.any():
        raise OptionError(name, f"must be finite in {dtype}, got {array[lost].ravel()[0]}")
    return reals
