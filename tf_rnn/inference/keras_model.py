"""The equal Keras model.

    Embedding            embedding    E
      or Reshape, CategoryEncoding    class indices to unit vectors; no weights
    SimpleRNN, GRU, LSTM layer_0, ... W and biases
    Dense                readout      U (E^T where the readout is tied), b_p

where the layer of a cell is that of `KERAS_LAYERS`.
"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells import describe_cell, described_cell
from tf_rnn.graph.describe import described_options
from tf_rnn.inference.keras_layers import KERAS_LAYERS
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from tf_rnn.options import GraphOptions

EMBEDDING, READOUT = "embedding", "readout"
# What Dense does after its product.
OUTPUTS = {"cross_entropy": "softmax", "squared_error": "linear"}
NO_EQUAL = {
    "cell": "Keras has no layer like the cell {!r}",
    "input_kind": "a step of a Keras model reads something, input_kind is {!r}",
    "readout": "a Keras model ends in a layer Dense, readout is {!r}",
}


def without_equal(description: Mapping[str, Any]) -> str | None:
    """Why Keras has no equal model, in words; None where it has one."""
    options = described_options(description)
    for layer in described_layers(description):
        if layer["cell"] not in KERAS_LAYERS:
            return NO_EQUAL["cell"].format(layer["cell"])
    for option in ("input_kind", "readout"):
        if getattr(options, option) == "none":
            return NO_EQUAL[option].format("none")
    return None


def require_equal(description: Mapping[str, Any]) -> None:
    """Raises OptionError for `model` unless Keras has an equal one."""
    problem = without_equal(description)
    if problem is not None:
        raise OptionError("model", f"must be one that Keras has an equal of: {problem}")


def described_layers(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each layer of the cell with all of its options."""
    return describe_cell(described_cell(description.get("cell")))


def keras_model(description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Any:
    """Makes the Keras model that gives the same predictions.

    Args:
        description: What `describe` gave.
        weights: By the names of `weight_names`.

    Returns:
        A `keras.Model` from class indices [batch_size, num_steps], or real values [batch_size,
        num_steps, input_size], to the predictions of all steps [batch_size, num_steps, num_classes],
        the state being zero at first.

    Raises:
        OptionError: For `model`, if Keras has no equal one.
    """
    require_equal(description)
    return outside_of_graphs(lambda: filled_model(description, weights))


def outside_of_graphs(function: Callable[[], Any]) -> Any:
    """Calls a function where no `tf.Graph` is the default one, as Keras needs it.

    Which one is the default is a matter of each thread.

    Raises:
        RuntimeError: If eager execution has been switched off for the whole program.
    """

    def call() -> Any:
        if not tf.executing_eagerly():
            raise RuntimeError("Keras needs eager execution, which has been switched off in this program")
        return function()

    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(call).result()


def empty_model(description: Mapping[str, Any]) -> Any:
    """The Keras model with weights of its own; to be called where no `tf.Graph` is the default one."""
    keras = tf.compat.v2.keras
    options = described_options(description)
    dtype = options.dtype
    if options.input_kind == "classes":
        inputs = keras.Input([None], dtype="int32", name="input")
    else:
        inputs = keras.Input([None, options.input_size], dtype=dtype, name="input")
    vectors = _vectors(inputs, options)
    for number, layer in enumerate(described_layers(description)):
        kind = KERAS_LAYERS[layer["cell"]]
        vectors = getattr(keras.layers, kind.kind)(
            layer["state_size"],
            return_sequences=True,
            dtype=dtype,
            name=f"layer_{number}",
            **kind.options(layer),
        )(vectors)
    dense = keras.layers.Dense(
        options.num_classes, activation=OUTPUTS[options.loss], dtype=dtype, name=READOUT
    )
    return keras.Model(inputs, dense(vectors), name="tf_rnn")


def _vectors(inputs: Any, options: GraphOptions) -> Any:
    """What the lowest layer reads."""
    layers = tf.compat.v2.keras.layers
    if options.embedding_size is not None:
        embedding = layers.Embedding(
            options.input_size, options.embedding_size, dtype=options.dtype, name=EMBEDDING
        )
        return embedding(inputs)
    if options.input_kind == "classes":
        # CategoryEncoding takes a last axis of size 1 for that of the classes: here it always is.
        one_hot = layers.CategoryEncoding(
            options.input_size, output_mode="one_hot", dtype=options.dtype, name="one_hot"
        )
        return one_hot(layers.Reshape([-1, 1], dtype=options.dtype, name="one_class")(inputs))
    return inputs


def filled_model(description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Any:
    """The Keras model with these weights; to be called where no `tf.Graph` is the default one."""
    model = empty_model(description)
    for name, arrays in _to_keras(description, weights).items():
        model.get_layer(name).set_weights(arrays)
    return model


def _to_keras(
    description: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Keras' weights of each layer that has some, by its name, from our weights."""
    options = described_options(description)
    arrays = {EMBEDDING: [weights["embedding/E"]]} if options.embedding_size is not None else {}
    for number, layer in enumerate(described_layers(description)):
        start = f"layer_{number}/"
        ours = {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}
        arrays[f"layer_{number}"] = KERAS_LAYERS[layer["cell"]].to_keras(ours)
    U = weights["embedding/E"].T if options.readout == "tied" else weights["readout/U"]
    return arrays | {READOUT: [U, weights["readout/b_p"]]}
