"""Concatenating and splitting matrices: rows are examples, step after step; columns are gates.

TensorFlow's `concat` and `split` make a constant of the axis at each call, a tenth of all operations of
a wide graph; here a `tf.Graph` has one constant for each axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CONSTANTS = "tf_rnn/constants"


def join_rows(parts: Sequence[Any]) -> Any:
    """Concatenates tensors [rows_i, ...] to [sum of rows_i, ...]."""
    return tf.concat(parts, axis=_constant(0))


def split_rows(whole: Any, count: int) -> list[Any]:
    """Splits a tensor into `count` equal parts, the first rows first."""
    parts: list[Any] = tf.split(whole, count, axis=_constant(0))
    return parts


def over_rows(function: Callable[[Any], Any], steps: Sequence[Any]) -> list[Any]:
    """Applies a function that works row by row to several steps, in one call.

    Args:
        function: Maps a structure of tensors [rows, ...] to another with the same rows.
        steps: An argument for each step, all of the same structure and shapes.
    """
    if len(steps) == 1:
        return [function(steps[0])]
    made = function(tf.nest.map_structure(lambda *parts: join_rows(parts), *steps))
    split = [split_rows(whole, len(steps)) for whole in tf.nest.flatten(made)]
    return [tf.nest.pack_sequence_as(made, parts) for parts in zip(*split, strict=True)]


def join_columns(parts: Sequence[Any]) -> Any:
    """Concatenates matrices [rows, columns_i] to [rows, sum of columns_i]."""
    return tf.concat(parts, axis=_constant(1))


def split_columns(whole: Any, sizes: Sequence[int]) -> list[Any]:
    """The first sizes[0] columns of a matrix, the next sizes[1], and so on."""
    if len(set(sizes)) == 1:
        parts: list[Any] = tf.split(whole, len(sizes), axis=_constant(1))
        return parts
    return list(
        tf.raw_ops.SplitV(value=whole, size_splits=_constant(*sizes), axis=_constant(1), num_split=len(sizes))
    )


def _constant(*values: int) -> Any:
    """A number, or a list of numbers, as a constant that each `tf.Graph` has once."""
    made: list[dict[Any, Any]] = tf.get_collection_ref(_CONSTANTS)
    if not made:
        made.append({})
    # The body of a loop is a graph with the collections of the graph around it.
    key = (tf.get_default_graph(), values)
    if key not in made[0]:
        with tf.control_dependencies(None):  # not those of its first user
            made[0][key] = tf.constant(values[0] if len(values) == 1 else values)
    return made[0][key]
