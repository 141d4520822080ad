"""Matrix products of a network, with operands in the precision of the graph that they are made for.

In float32 a product is TensorFlow's, and nothing else. In mixed_bfloat16 its operands are rounded to bfloat16
and added up in float32. All that is not an operand stays float32: weights as they are stored, states, gates,
losses, and sums of gradients.

Where the processor has instructions for bfloat16, operands are bfloat16 tensors. TensorFlow 2.21 has no
product of them with a float32 result on the CPU, so that is rounded to bfloat16 as well. Elsewhere TensorFlow
would convert operands back in every product, and cut the result off instead of rounding it, so that what
flows back over many steps would shrink; there operands are the rounded numbers as float32 tensors.

A result in bfloat16 is written, converted, and then added up: a sum of products has few of them (`joined`).
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_rows
from tf_rnn.cells.own_gradient import own_gradient
from tf_rnn.options.words import FLOAT32
from tf_rnn.processor import has_bfloat16

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The most rows of a product over several chunks: enough for its full speed.
JOINED_ROWS = 1024

_PRECISION = contextvars.ContextVar("tf_rnn/precision", default=FLOAT32)


@contextlib.contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Makes the products within the block in a precision, one of `PRECISIONS`."""
    token = _PRECISION.set(precision)
    try:
        yield
    finally:
        _PRECISION.reset(token)


def precision_of_products() -> str:
    """The precision of products that are made now."""
    return _PRECISION.get()


def operand(tensor: Any) -> Any:
    """A tensor as products read it: itself, or rounded to bfloat16, once however many products read it."""
    return tensor if _PRECISION.get() == FLOAT32 else _operand(tensor)


def sum_of_rows(indices: Any, rows: Any, count: int) -> Any:
    """For each number below `count` the sum of the rows that have it as their index, [count, columns].

        sum_r [indices_r = k] rows_r   for k = 0, ..., count - 1

    A product with the one-hot matrix of the indices, which for few indices is much faster than TensorFlow's
    scattered sum.

    Args:
        indices: int32 [rows].
        rows: A matrix, or an `operand`.
        count: The number of sums.
    """
    rows = operand(rows)
    one_hot = tf.one_hot(indices, count, dtype=rows.dtype)
    return product(one_hot, rows, transpose_a=True)


def product(left: Any, right: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """The product of two matrices, float32 or float64; either may be transposed.

    Args:
        left: A matrix, or an `operand`.
        right: Likewise.
        transpose_a: Whether the left one is transposed.
        transpose_b: Whether the right one is.
    """
    if _PRECISION.get() == FLOAT32:
        return tf.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    return _product(_operand(left), _operand(right), transpose_a, transpose_b)


def sum_of_products(pairs: Sequence[tuple[Any, Any]]) -> Any:
    """The sum of left^T right over pairs of matrices of equally many rows, as those of chunks of steps.

    Args:
        pairs: Matrices, or `operand` of them, of the same columns.
    """
    groups = joined([left for left, _ in pairs])
    if len(groups) < len(pairs):
        operands = [tuple(map(operand, pair)) for pair in pairs]
        pairs = [tuple(map(join_rows, zip(*operands[group], strict=True))) for group in groups]
    return tf.add_n([product(left, right, transpose_a=True) for left, right in pairs])


def joined(matrices: Sequence[Any]) -> list[slice]:
    """The runs of matrices to be joined to one left factor in a sum of products left^T right.

    In float32 each matrix stands alone, and may have any number of rows. In lower precision a product is
    rounded, and written out twice before it is added up, so matrices of few rows are joined.

    Args:
        matrices: The left factors, [rows, ...] each.
    """
    if _PRECISION.get() == FLOAT32:
        return [slice(position, position + 1) for position in range(len(matrices))]
    groups: list[slice] = []
    rows = 0
    for position, matrix in enumerate(matrices):
        own = int(matrix.shape[0])
        if not groups or rows + own > JOINED_ROWS:
            groups.append(slice(position, position))
            rows = 0
        groups[-1] = slice(groups[-1].start, position + 1)
        rows += own
    return groups


def _operand(tensor: Any) -> Any:
    if tensor.dtype == tf.bfloat16:
        return tensor
    rounded = _joined(tensor)
    if rounded is None:
        rounded = _cast(tensor, tf.bfloat16)
    return rounded if has_bfloat16() else _cast(rounded, tf.float32)


def _joined(tensor: Any) -> Any:
    """The rounded parts of a concatenation joined, made at the first call; None unless they are there.

    That is half the memory of the whole, which need not be read and rounded again. One part may still lack
    its operand: the last state of a chunk, which no product has read yet.
    """
    parts = tensor.op.inputs[:-1] if tensor.op.type == "ConcatV2" else []
    if sum(_cast_of(part, tf.bfloat16) is not None for part in parts) < max(len(parts) - 1, 1):
        return None
    for consumer in tensor.consumers():
        if consumer.type == "IdentityN" and consumer.outputs[-1].dtype == tf.bfloat16:
            return consumer.outputs[-1]
    rounded = tf.concat([_cast(part, tf.bfloat16) for part in parts], axis=tensor.op.inputs[-1])
    with own_gradient("IdentityN", "joined", _to_the_whole):
        return tf.identity_n([tensor, rounded])[-1]


def _to_the_whole(_: Any, __: Any, upstream: Any) -> tuple[Any, None]:
    """The gradient of a concatenation's operand, which the rounded parts take no part in."""
    return upstream, None


def _cast(tensor: Any, dtype: Any) -> Any:
    """The one cast of a tensor to a dtype, made at the first call."""
    made = _cast_of(tensor, dtype)
    if made is not None:
        return made
    with own_gradient("Cast", "cast", _unchanged):
        return tf.cast(tensor, dtype)


def _cast_of(tensor: Any, dtype: Any) -> Any:
    casts = (consumer.outputs[0] for consumer in tensor.consumers() if consumer.type == "Cast")
    return next((cast for cast in casts if cast.dtype == dtype), None)


def _product(left: Any, right: Any, transpose_a: bool, transpose_b: bool) -> Any:
    with own_gradient("MatMul", "product", _gradient):
        result = tf.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
    return _cast(result, tf.float32) if result.dtype == tf.bfloat16 else result


def _unchanged(_: Any, upstream: Any) -> Any:
    """The gradient of a cast. TensorFlow would round it, and add up those of several products in bfloat16."""
    return upstream


def _gradient(operation: Any, upstream: Any) -> tuple[Any, Any]:
    """The gradients of the operands of a product: products of operands, too, and float32."""
    left, right = operation.inputs
    is_left, is_right = operation.get_attr("transpose_a"), operation.get_attr("transpose_b")
    d = _operand(tf.convert_to_tensor(upstream))
    d_left = (right, d, is_right, True) if is_left else (d, right, False, not is_right)
    d_right = (d, left, True, is_left) if is_right else (left, d, not is_left, False)
    return _product(*d_left), _product(*d_right)
