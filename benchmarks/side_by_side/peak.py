"""Measurement of the machine's best rate of matrix products, in single precision or of bfloat16 operands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (512, 1024, 2048)
REPEATS = 3


class Peak:
    """Times products of square matrices of several sizes with NumPy and TensorFlow, on all cores.

    Args:
        precision: "float32", or "mixed_bfloat16" for operands that are bfloat16 already; TensorFlow alone.
    """

    def __init__(self, precision: str = FLOAT32) -> None:
        from tf_rnn._tensorflow import tf  # noqa: PLC0415 (only the measuring process loads it)

        self._products: dict[str, tuple[int, Callable[[], Any]]] = {}
        generator = np.random.default_rng(0)
        for size in SIZES:
            left, right = (generator.standard_normal((size, size), np.float32) for _ in range(2))
            one, other = tf.constant(left), tf.constant(right)
            if precision == FLOAT32:
                self._add(f"NumPy {size}", size, np.matmul, left, right)
                self._add(f"TensorFlow {size}", size, tf.matmul, one, other)
            else:
                one, other = (tf.cast(each, tf.bfloat16) for each in (one, other))
                self._add(f"TensorFlow bfloat16 {size}", size, tf.matmul, one, other)
        self()  # warm-up: starts threads, allocates buffers

    def _add(self, name: str, size: int, product: Callable[[Any, Any], Any], left: Any, right: Any) -> None:
        self._products[name] = (size, lambda: product(left, right))

    def __call__(self) -> dict[str, float]:
        """Rate of each product in floating-point operations per second, best of REPEATS."""
        rates = {}
        for name, (size, product) in self._products.items():
            rates[name] = 2 * size**3 / min(_seconds(product) for _ in range(REPEATS))
        return rates


def _seconds(product: Callable[[], Any]) -> float:
    started = time.perf_counter()
    product()
    return time.perf_counter() - started
