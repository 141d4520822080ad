"""TensorFlow's optimizers by name, shared by the graphs that share variables."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from tf_rnn._tensorflow import tf

OPTIMIZERS = {
    "sgd": tf.train.GradientDescentOptimizer,
    "momentum": functools.partial(tf.train.MomentumOptimizer, momentum=0.9),
    "adagrad": tf.train.AdagradOptimizer,
    "adam": tf.train.AdamOptimizer,
    "rmsprop": tf.train.RMSPropOptimizer,
}

# With these a row whose gradient is zero stays as it is, so that its zeros need not be written out.
SPARSE_EXACT = ("sgd", "adagrad")

_COLLECTION = "tf_rnn/optimizers"


class SharedOptimizer(NamedTuple):
    """An optimizer of one `tf.Graph`.

    Attributes:
        key: The name and the learning rate it was asked for with.
        optimizer: TensorFlow's optimizer, which keeps one set of slots for each variable.
        learning_rate: Scalar tensor; feed it to change the rate of a run.
    """

    key: tuple[str, float, str]
    optimizer: Any
    learning_rate: Any


def shared_optimizer(name: str, learning_rate: float, dtype: Any) -> SharedOptimizer:
    """Returns the current `tf.Graph`'s optimizer for these options, made at the first call.

    Graphs of several widths on the same variables thus share the optimizer's slots, too.
    """
    made: list[SharedOptimizer] = tf.get_collection_ref(_COLLECTION)
    key = (name, float(learning_rate), tf.as_dtype(dtype).name)
    for shared in made:
        if shared.key == key:
            return shared
    rate = tf.placeholder_with_default(tf.constant(learning_rate, dtype), [], name="learning_rate")
    made.append(SharedOptimizer(key, OPTIMIZERS[name](learning_rate=rate), rate))
    return made[-1]
