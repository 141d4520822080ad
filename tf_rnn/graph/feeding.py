"""What may be fed to a graph: shapes, the state's structure, class indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.config import OptionError


def checked_state(state: Any, tensors: Any) -> dict[Any, np.ndarray]:
    """Returns what to feed for a state.

    Args:
        state: Arrays.
        tensors: What they are fed to, in the structure of the state.

    Raises:
        OptionError: If a shape or the structure is another one, naming both.
    """
    try:
        tf.nest.assert_same_structure(tensors, state)
    except (TypeError, ValueError) as error:
        wanted, given = (tf.nest.map_structure(_outline, it) for it in (tensors, state))
        raise OptionError("state", f"must have the structure {wanted}, got {given}") from error
    parts = zip(tf.nest.flatten(tensors), tf.nest.flatten(state), strict=True)
    return {tensor: checked_array("state", array, tensor) for tensor, array in parts}


def _outline(leaf: Any) -> Any:
    return None if leaf is None else list(np.shape(leaf))


def checked_array(name: str, value: Any, placeholder: Any) -> np.ndarray:
    """Returns `value` as an array to feed to a placeholder.

    Raises:
        OptionError: If its shape is another one, naming both; or if the placeholder takes class
            indices and one is not whole.
    """
    array = np.asarray(value)
    if array.shape != tuple(placeholder.shape):
        raise OptionError(name, f"must have shape {list(placeholder.shape)}, got {list(array.shape)}")
    if placeholder.dtype.is_integer:
        _require_classes(name, array)
    return array


def _require_classes(name: str, array: np.ndarray) -> None:
    """TensorFlow would cut off what stands after the point, and nan to some number, without a word."""
    if array.dtype.kind in "iub":
        return
    if array.dtype.kind != "f":
        raise OptionError(name, f"must hold whole class indices, got {array.ravel()[0]!r}")
    others = array[~np.isfinite(array) | (array != np.floor(array))]
    if others.size:
        raise OptionError(name, f"must hold whole class indices, got {others[0]}")
