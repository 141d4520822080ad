"""Layer normalisation: each row of each gate to a mean of 0 and a variance of 1 over its units."""

from __future__ import annotations

from typing import Any, NamedTuple

from tf_rnn._tensorflow import tf

# Added to the variance.
EPSILON = 1e-5


class Normalized(NamedTuple):
    """Rows after normalisation, before gain and bias, and what the derivative needs.

    Attributes:
        rows: (a - mean) * scale, [rows, num_gates * units].
        scale: 1 / sqrt(variance + EPSILON), [rows, num_gates, 1].
    """

    rows: Any
    scale: Any


def normalized(rows: Any, units: int) -> Normalized:
    """Normalises each gate of each row over its units.

        mean = sum_i a_i / d,   variance = sum_i (a_i - mean)^2 / d,   n = (a - mean) / sqrt(variance + 1e-5)

    Args:
        rows: a, [rows, num_gates * units].
        units: The number d of units of a gate.

    Source: Ba, Kiros & Hinton 2016, eq. 3 and 4.
    """
    gates = tf.reshape(rows, [-1, rows.shape[1] // units, units])
    centred = gates - tf.reduce_mean(gates, axis=2, keepdims=True)
    scale = tf.rsqrt(tf.reduce_mean(tf.square(centred), axis=2, keepdims=True) + EPSILON)
    return Normalized(tf.reshape(centred * scale, tf.shape(rows)), scale)


def norm_gradient(upstream: Any, of: Normalized) -> Any:
    """The gradient with respect to the rows before normalisation.

        dL/da = scale * (u - mean(u) - n mean(u n)),   u = dL/dn

    Args:
        upstream: u, [rows, num_gates * units].
        of: n and its scale.
    """
    count = of.scale.shape[1]
    u, n = (tf.reshape(each, [-1, count, of.rows.shape[1] // count]) for each in (upstream, of.rows))
    along = n * tf.reduce_mean(u * n, axis=2, keepdims=True)
    return tf.reshape(of.scale * (u - tf.reduce_mean(u, axis=2, keepdims=True) - along), tf.shape(upstream))
