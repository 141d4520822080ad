"""Matrix products of a network, with operands in the precision of the graph that they are made for.

In float32 a product is TensorFlow's, and nothing else. In mixed_bfloat16 its operands are rounded to bfloat16
and added up in float32. All that is not an operand stays float32: weights as they are stored, states, gates,
losses, and sums of gradients.

Where the processor has instructions for bfloat16, operands are bfloat16 tensors. TensorFlow 2.21 has no
product of them with a float32 result on the CPU, so that is rounded to bfloat16 as well. Elsewhere TensorFlow
would convert operands back in every product, and cut the result off instead of rounding it, so that what
flows back over many steps would shrink; there operands are the rounded numbers as float32 tensors.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.own_gradient import own_gradient
from tf_rnn.options.words import FLOAT32
from tf_rnn.processor import has_bfloat16

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def _operand(tensor: Any) -> Any:
    if tensor.dtype == tf.bfloat16:
        return tensor
    rounded = _cast(tensor, tf.bfloat16)
    return rounded if has_bfloat16() else _cast(rounded, tf.float32)


def _cast(tensor: Any, dtype: Any) -> Any:
    """The one cast of a tensor to a dtype, made at the first call."""
    for consumer in tensor.consumers():
        if consumer.type == "Cast" and consumer.outputs[0].dtype == dtype:
            return consumer.outputs[0]
    with own_gradient("Cast", "cast", _unchanged):
        return tf.cast(tensor, dtype)


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
