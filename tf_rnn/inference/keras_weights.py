"""A Keras model's weights as ours, after a look at whether it is the network that it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.describe import described_options
from tf_rnn.inference.keras_layers import KERAS_LAYERS
from tf_rnn.inference.keras_model import (
    EMBEDDING,
    READOUT,
    described_layers,
    empty_model,
    filled_model,
    outside_of_graphs,
    require_equal,
)
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tf_rnn.options import GraphOptions

# A model that fits in its shapes is tried on so many examples and steps, where it leaves them open.
TRIED_ROWS, TRIED_STEPS = 2, 3


def weights_of_keras(description: Mapping[str, Any], model: Any) -> dict[str, np.ndarray]:
    """The weights of a Keras model that is the network described.

    Its layers may be called anything, and there may be others without weights (Dropout) among them.

    Args:
        description: What `describe` gave.
        model: A `keras.Model`.

    Returns:
        The weights by the names of `weight_names`, of the description's dtype.

    Raises:
        OptionError: For `model`, if Keras has no equal one, or it is another network: other layers or
            sizes, a Dense that is no longer the embedding where the readout is tied, or other
            predictions from the same weights.
    """
    require_equal(description)
    weights: dict[str, np.ndarray] = outside_of_graphs(lambda: _checked_weights(description, model))
    return weights


def _checked_weights(description: Mapping[str, Any], model: Any) -> dict[str, np.ndarray]:
    empty = empty_model(description)
    if outline(empty) != outline(model):
        raise OptionError("model", f"must have the layers {outline(empty)}; got {outline(model)}")
    options = described_options(description)
    arrays = {
        layer.name: [np.asarray(weight).astype(options.dtype) for weight in same.weights]
        for layer, same in zip(_with_weights(empty), _with_weights(model), strict=True)
    }
    weights = _from_keras(description, arrays)
    if not _predict_the_same(filled_model(description, weights), model, options):
        raise OptionError(
            "model",
            "must compute what the network described does; with the same weights it predicts something "
            "else, as with another activation",
        )
    return weights


def _with_weights(model: Any) -> list[Any]:
    """The layers that have weights."""
    return [layer for layer in model.layers if layer.weights]


def outline(model: Any) -> str:
    """Kinds and shapes of the layers that have weights, in words."""
    return ", ".join(
        " ".join([type(layer).__name__, *(str(list(weight.shape)) for weight in layer.weights)])
        for layer in _with_weights(model)
    )


def _predict_the_same(ours: Any, model: Any, options: GraphOptions) -> bool:
    """Whether two models of the same weights predict the same for some inputs that both can read."""
    try:
        rows, steps, *_ = model.input_shape
        examples = _examples(rows or TRIED_ROWS, steps or TRIED_STEPS, options)
        wanted, given = (np.asarray(predict(examples)) for predict in (ours, model))
    except (ValueError, TypeError, AttributeError, tf.errors.OpError):  # it wants other inputs
        return False
    return wanted.shape == given.shape and np.allclose(wanted, given, rtol=1e-4, atol=1e-5, equal_nan=True)


def _examples(rows: int, steps: int, options: GraphOptions) -> np.ndarray:
    """Class after class, [rows, steps], or numbers within +-1, [rows, steps, input_size]."""
    if options.input_kind == "classes":
        return np.arange(rows * steps, dtype=np.int32).reshape(rows, steps) % options.input_size
    shape = (rows, steps, options.input_size)
    return np.sin(np.arange(np.prod(shape))).reshape(shape).astype(options.dtype)


def _from_keras(
    description: Mapping[str, Any], arrays: Mapping[str, list[np.ndarray]]
) -> dict[str, np.ndarray]:
    """Our weights, from Keras' of each layer that has some, by the name that it has in our model.

    Raises:
        OptionError: For `model`, if a tied readout is not the embedding.
    """
    options = described_options(description)
    weights = {"embedding/E": arrays[EMBEDDING][0]} if EMBEDDING in arrays else {}
    for number, layer in enumerate(described_layers(description)):
        ours = KERAS_LAYERS[layer["cell"]].from_keras(*arrays[f"layer_{number}"])
        weights |= {f"layer_{number}/{name}": value for name, value in ours.items()}
    U, b_p = arrays[READOUT]
    if options.readout != "tied":
        weights["readout/U"] = U
    elif not np.array_equal(U, weights["embedding/E"].T):
        raise OptionError(
            "model",
            "must have the transposed weights of its embedding as those of its last Dense, as the readout "
            "is tied; they have become different",
        )
    return weights | {"readout/b_p": b_p}
