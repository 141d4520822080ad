"""Initial values of a cell's weights, as functions of a seed and a name alone.

Each random operation gets a seed of its own, made from the caller's seed and a name. The values
therefore do not depend on what else is in the `tf.Graph`: graphs of every width start from the same
weights.
"""

from __future__ import annotations

import zlib
from typing import Any

from tf_rnn._tensorflow import tf


def named_seed(seed: int | None, name: str) -> int | None:
    """A seed in [0, 2^31) for the variable `name`; None, for random values, where the seed is None."""
    if seed is None:
        return None
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF


def glorot(size: int, columns: int, seed: int | None, dtype: Any) -> Any:
    """Uniform in +-sqrt(6 / (size + columns)), [size, columns] (Glorot & Bengio 2010, eq. 16)."""
    return tf.glorot_uniform_initializer(seed=seed)([size, columns], dtype=dtype)


def orthogonal(size: int, columns: int, seed: int | None, dtype: Any) -> Any:
    """A random matrix with orthonormal rows or columns, [size, columns] (Saxe et al. 2014)."""
    return tf.orthogonal_initializer(seed=seed)([size, columns], dtype=dtype)


def matrix_initializer(name: str, seed: int | None, init_scale: float | None) -> Any:
    """Returns an initializer of a matrix of weights.

    Args:
        name: Name of the variable, part of its seed.
        seed: Seed of the whole model, or None.
        init_scale: Uniform in +-init_scale (as in Zaremba et al. 2014, section 4.1); None for Glorot's.

    Returns:
        A function of (shape, dtype, ...) as `tf.get_variable` wants it.
    """
    own_seed = named_seed(seed, name)
    if init_scale is None:
        return tf.glorot_uniform_initializer(seed=own_seed)
    return tf.random_uniform_initializer(-init_scale, init_scale, seed=own_seed)


def identity(size: int, columns: int, seed: int | None, dtype: Any) -> Any:  # noqa: ARG001
    """The identity, [size, columns]: a ReLU network then keeps its state (Le et al. 2015)."""
    return tf.eye(size, columns, dtype=dtype)


RECURRENT = {"orthogonal": orthogonal, "glorot": glorot, "identity": identity}


def gate_kernel(
    name: str,
    input_size: int,
    state_size: int,
    num_gates: int,
    recurrent_init: str,
    recurrent_gain: float,
    seed: int | None,
) -> Any:
    """Returns an initializer of the concatenated weights of a cell's gates.

    Every gate is initialised separately: Glorot for the rows that multiply the inputs,
    `recurrent_init` for those that multiply the state.

    Args:
        name: Name of the variable, part of its seed.
        input_size: Rows that multiply the inputs; 0 where there are none.
        state_size: Rows that multiply the state, and columns of each gate.
        num_gates: Number of blocks of `state_size` columns.
        recurrent_init: A key of RECURRENT.
        recurrent_gain: The factor of the rows that multiply the state.
        seed: Seed of the whole model, or None.

    Returns:
        A function of (shape, dtype, ...) as `tf.get_variable` wants it, giving
        [input_size + state_size, num_gates * state_size].
    """

    def block(gate: int, dtype: Any) -> Any:
        recurrent_seed = named_seed(seed, f"{name}/recurrent/{gate}")
        recurrent = recurrent_gain * RECURRENT[recurrent_init](state_size, state_size, recurrent_seed, dtype)
        if input_size == 0:
            return recurrent
        inputs = glorot(input_size, state_size, named_seed(seed, f"{name}/input/{gate}"), dtype)
        return tf.concat([inputs, recurrent], axis=0)

    def initializer(shape: Any, dtype: Any, **_: Any) -> Any:
        kernel = tf.concat([block(gate, dtype) for gate in range(num_gates)], axis=1)
        return tf.ensure_shape(kernel, shape)

    return initializer
