"""Weight decay, decoupled from the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def with_weight_decay(
    apply: Callable[[], Any], variables: Sequence[Any], learning_rate: Any, decay: float, after: Any
) -> Any:
    """Makes a training step that takes off a share of what the weights were before it.

        W <- W - u - learning_rate * decay * W,   u the optimizer's step

    Args:
        apply: Makes the operation that subtracts u.
        variables: Those that are trained. The matrices among them decay, all with two axes or more; biases
            and single parameters do not.
        learning_rate: Scalar tensor.
        decay: The share that is taken off at a learning rate of 1.
        after: What the step is computed from. No weight is read before it, so that the copies of all
            weights that are to be subtracted do not exist beside what the backward pass needs.

    Source: Loshchilov & Hutter 2019, algorithm 2.
    """
    matrices = [variable for variable in variables if len(variable.shape) > 1]
    with tf.name_scope("weight_decay"), tf.control_dependencies([after]):
        share = learning_rate * decay
        decreases = [share * matrix.read_value() for matrix in matrices]
    with tf.control_dependencies(decreases):
        applied = apply()
    with tf.name_scope("weight_decay"), tf.control_dependencies([applied]):
        decays = (tf.assign_sub(*pair) for pair in zip(matrices, decreases, strict=True))
        return tf.group(applied, *decays)
