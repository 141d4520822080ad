"""Keras 3 on TensorFlow: stateful recurrent layers."""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.side_by_side.configurations import Configuration
    from benchmarks.side_by_side.problem import Layer, Problem

os.environ["KERAS_BACKEND"] = "tensorflow"
keras: Any = importlib.import_module("keras")
tf: Any = importlib.import_module("tensorflow")

# Order of the gates in Keras, as indices into the order of `Layer`.
LSTM_ORDER = (0, 1, 3, 2)  # i, f, g, o
GRU_ORDER = (1, 0, 2)  # z, r, n


def make(
    problem: Problem,
    *,
    way: str,
    unroll: bool = False,
    jit_compile: bool = False,
    precision: str = "float32",
) -> Callable[[Any, Any], Any]:
    """Builds the training step.

    Args:
        problem: Model and data.
        way: "train_on_batch", or "function" for a `tf.function` with a `GradientTape`.
        unroll: Whether the layers unroll the time steps instead of looping.
        jit_compile: Whether XLA compiles the function.
        precision: A dtype policy of Keras: "float32" or "mixed_bfloat16".
    """
    configuration = problem.configuration
    with _policy(precision):
        model = _model(problem, unroll)
    optimizer = _optimizer(configuration)
    scale = configuration.loss_scale
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def total_loss(targets: Any, logits: Any) -> Any:
        return scale * cross_entropy(targets, logits)

    if configuration.is_embedded:
        _count_rows_once(optimizer, is_static=jit_compile)
    if way == "train_on_batch":
        model.compile(optimizer=optimizer, loss=total_loss)
        return lambda inputs, targets: model.train_on_batch(inputs, targets) / scale
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit_compile)
    def train_step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = total_loss(targets, model(inputs, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss / scale

    return lambda inputs, targets: train_step(tf.constant(inputs), tf.constant(targets))


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    """Makes the layers of a block with a dtype policy; Keras has one for the process."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _model(problem: Problem, unroll: bool) -> Any:
    configuration, weights = problem.configuration, problem.weights
    shape = (configuration.batch_size, configuration.num_steps)
    tokens = keras.Input(batch_shape=shape, dtype="int32")
    values: list[Any] = []
    if weights.embedding is None:
        outputs = keras.ops.one_hot(tokens, configuration.num_classes)
    else:
        outputs = keras.layers.Embedding(*weights.embedding.shape)(tokens)
        values.append(weights.embedding)
    for layer in weights.layers:
        kind, options, of_layer = LAYERS[configuration.cell]
        outputs = getattr(keras.layers, kind)(
            configuration.state_size, return_sequences=True, stateful=True, unroll=unroll, **options()
        )(outputs)
        values += of_layer(layer)
    outputs = keras.layers.Dense(configuration.num_classes)(outputs)
    model = keras.Model(tokens, outputs)
    values += [weights.readout_kernel, weights.readout_bias]
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return model


def _optimizer(configuration: Configuration) -> Any:
    kinds: dict[str, Any] = {
        "sgd": keras.optimizers.SGD,
        "adam": lambda *given, **options: keras.optimizers.Adam(*given, epsilon=1e-8, **options),
        "adagrad": lambda *given, **options: keras.optimizers.Adagrad(
            *given, initial_accumulator_value=0.1, **options
        ),
    }
    return kinds[configuration.optimizer](
        configuration.learning_rate, global_clipnorm=configuration.clip_norm
    )


def _count_rows_once(optimizer: Any, is_static: bool) -> None:
    """Sums the sparse gradient of an embedding before it is clipped and squared.

    It contains a row as often as that row was looked up. Keras squares these parts separately, for the
    norm and for Adam's second moment, which is not the square of the gradient.

    Args:
        optimizer: The optimizer whose `apply` is replaced.
        is_static: Whether all shapes must be static, as XLA requires; the gradient is then dense.
    """
    apply = optimizer.apply

    def once(gradient: Any) -> Any:
        if not isinstance(gradient, tf.IndexedSlices):
            return gradient
        if is_static:
            return tf.convert_to_tensor(gradient)
        rows, positions = tf.unique(gradient.indices)
        values = tf.math.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
        return tf.IndexedSlices(values, rows, gradient.dense_shape)

    optimizer.apply = lambda gradients, variables=None: apply([once(one) for one in gradients], variables)


def _reordered(array: Any, order: tuple[int, ...]) -> Any:
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[place] for place in order], axis=-1)


def _of_vanilla(layer: Layer) -> list[Any]:
    return [layer.input_kernel, layer.recurrent_kernel, layer.bias]


def _of_lstm(layer: Layer) -> list[Any]:
    return [_reordered(array, LSTM_ORDER) for array in _of_vanilla(layer)]


def _of_gru(layer: Layer) -> list[Any]:
    assert layer.candidate_bias is not None
    *kernels, bias = (_reordered(array, GRU_ORDER) for array in _of_vanilla(layer))
    recurrent_bias = np.concatenate([np.zeros(2 * len(layer.candidate_bias)), layer.candidate_bias])
    return [*kernels, np.stack([bias, recurrent_bias])]


def _gru_options() -> dict[str, Any]:
    """Options of the GRU layer; the gates' recurrent bias stays 0, as it would duplicate the input bias."""

    def only_the_candidates(bias: Any) -> Any:
        columns = bias.shape[1] // 3
        mask = np.ones([2, 3 * columns], np.float32)
        mask[1, : 2 * columns] = 0.0
        return bias * mask

    return {"reset_after": True, "bias_constraint": only_the_candidates}


LAYERS: dict[str, tuple[str, Callable[[], dict[str, Any]], Callable[[Any], list[Any]]]] = {
    "vanilla": ("SimpleRNN", dict, _of_vanilla),
    "lstm": ("LSTM", dict, _of_lstm),
    "gru": ("GRU", _gru_options, _of_gru),
}
