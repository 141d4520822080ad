"""From gradients to an update of the variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.graph.gradients import GradientAndVariable, true_gradients
from tf_rnn.graph.optimizers import shared_optimizer
from tf_rnn.graph.weight_decay import with_weight_decay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.options import GraphOptions


class TrainingStep(NamedTuple):
    """The update of a graph; see the attributes of `UnrolledGraph`."""

    learning_rate: Any
    gradients: list[GradientAndVariable]
    gradient_norm: Any
    operation: Any


NO_TRAINING = TrainingStep(None, [], None, None)


def make_training_step(
    pairs: list[GradientAndVariable],
    options: GraphOptions,
    scope: str,
    reduce_gradients: Callable[[list[Any]], list[Any]] | None,
) -> TrainingStep:
    """Sums duplicate rows, reduces, measures, clips and applies gradients, in this order; weights decay.

    Args:
        pairs: Gradients as they were found.
        options: Optimizer, rate, limit and decay.
        scope: The network's scope, which optimizers are shared by.
        reduce_gradients: See `UnrolledGraph`.
    """
    name = str(options.optimizer)
    rate = tf.constant(options.learning_rate, options.dtype)
    learning_rate = tf.placeholder_with_default(rate, [], name="learning_rate")
    pairs = true_gradients(pairs, name)
    variables = [variable for _, variable in pairs]
    gradients = [gradient for gradient, _ in pairs]
    if reduce_gradients is not None:
        gradients = list(reduce_gradients(gradients))
        pairs = list(map(GradientAndVariable, gradients, variables))
    norm = tf.global_norm(gradients)
    if options.clip_norm is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, options.clip_norm, use_norm=norm)
    optimizer = shared_optimizer(name, scope)

    def apply() -> Any:
        with tf.name_scope(f"{scope}/"):  # names of slots must not depend on the width
            return optimizer.apply(list(zip(gradients, variables, strict=True)), learning_rate)

    if options.weight_decay:
        operation = with_weight_decay(apply, variables, learning_rate, options.weight_decay, norm)
    else:
        operation = apply()
    return TrainingStep(learning_rate, pairs, norm, operation)
