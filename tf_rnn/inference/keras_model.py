"""The equivalent Keras model of a network.

    Embedding              embedding      E
      or Reshape, CategoryEncoding        class indices to unit vectors; no weights
    SimpleRNN, GRU, LSTM   layer_0, ...   W and biases
    Dense                  readout        U (E^T if the readout is tied), b_p

with the layer of each cell from `KERAS_LAYERS`.
"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.graph.describe import described_options
from tf_rnn.inference.keras_layers import EMBEDDING, KERAS_LAYERS, READOUT, to_keras
from tf_rnn.inference.layers import described_layers, no_equivalent
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from tf_rnn.options import GraphOptions

# The activation of Dense for each loss.
ACTIVATIONS = {"cross_entropy": "softmax", "squared_error": "linear", "pinball": "linear"}


def no_keras(description: Mapping[str, Any]) -> str | None:
    """The reason why Keras has no equivalent of a network, in words; None if it has one."""
    return no_equivalent(description, "Keras", KERAS_LAYERS)


def require_equal(description: Mapping[str, Any]) -> None:
    """Raises OptionError for `model` unless it has an equivalent in Keras."""
    reason = no_keras(description)
    if reason is not None:
        raise OptionError("model", f"must have an equivalent in Keras: {reason}")


def keras_model(description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Any:
    """Makes the Keras model that gives the same predictions.

    Args:
        description: From `describe`.
        weights: Weights by the names of `weight_names`.

    Returns:
        A `keras.Model` from class indices [batch_size, num_steps], or real values [batch_size,
        num_steps, input_size], to the predictions of all steps [batch_size, num_steps, num_classes],
        from an initial state of zero.

    Raises:
        OptionError: For `model`, if it has no equivalent in Keras.
    """
    require_equal(description)
    return outside_of_graphs(lambda: filled_model(description, weights))


def outside_of_graphs(function: Callable[[], Any]) -> Any:
    """Calls a function where no `tf.Graph` is the default, as Keras requires: in another thread.

    Raises:
        RuntimeError: If eager execution has been disabled for the whole program.
    """

    def call() -> Any:
        if not tf.executing_eagerly():
            raise RuntimeError("Keras needs eager execution, which has been disabled in this program")
        return function()

    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(call).result()


def empty_model(description: Mapping[str, Any]) -> Any:
    """The Keras model with weights initialised by Keras; to be called outside of graphs."""
    keras = tf.compat.v2.keras
    options = described_options(description)
    inputs, vectors = _input(options)
    for number, layer in enumerate(described_layers(description)):
        kind = KERAS_LAYERS[layer["cell"]]
        vectors = getattr(keras.layers, kind.class_name)(
            layer["state_size"],
            return_sequences=True,
            dtype=options.dtype,
            name=f"layer_{number}",
            **kind.options(layer),
        )(vectors)
    dense = keras.layers.Dense(
        options.num_classes, activation=ACTIVATIONS[options.loss], dtype=options.dtype, name=READOUT
    )
    return keras.Model(inputs, dense(vectors), name="tf_rnn")


def _input(options: GraphOptions) -> tuple[Any, Any]:
    """The input of the model, and the vectors that the lowest layer reads."""
    keras, dtype = tf.compat.v2.keras, options.dtype
    if options.input_kind == "real":
        inputs = keras.Input([None, options.input_size], dtype=dtype, name="input")
        return inputs, inputs
    inputs = keras.Input([None], dtype="int32", name="input")
    if options.embedding_size is not None:
        embedding = keras.layers.Embedding(
            options.input_size, options.embedding_size, dtype=dtype, name=EMBEDDING
        )
        return inputs, embedding(inputs)
    # CategoryEncoding encodes the last axis if its size is 1, and would sum over it otherwise.
    indices = keras.layers.Reshape([-1, 1], dtype=dtype, name="one_class")(inputs)
    one_hot = keras.layers.CategoryEncoding(
        options.input_size, output_mode="one_hot", dtype=dtype, name="one_hot"
    )
    return inputs, one_hot(indices)


def filled_model(description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Any:
    """The Keras model with the given weights; to be called outside of graphs."""
    model = empty_model(description)
    for name, arrays in to_keras(description, weights).items():
        model.get_layer(name).set_weights(arrays)
    return model
