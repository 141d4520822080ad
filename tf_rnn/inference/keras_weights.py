"""Reading weights back from a Keras model, after checking that it is the network described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.describe import described_options
from tf_rnn.inference.keras_layers import from_keras
from tf_rnn.inference.keras_model import empty_model, filled_model, outside_of_graphs, require_equal
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tf_rnn.options import GraphOptions

# Examples and steps of the comparison, where the model's input shape leaves them open.
TRIED_ROWS, TRIED_STEPS = 2, 3


def weights_of_keras(description: Mapping[str, Any], model: Any) -> dict[str, np.ndarray]:
    """The weights of a Keras model that is the network described.

    Names of layers do not matter, and layers without weights (such as Dropout) may be added.

    Args:
        description: From `describe`.
        model: A `keras.Model`.

    Returns:
        Weights by the names of `weight_names`, of the description's dtype.

    Raises:
        OptionError: For `model`, if the network has no equivalent in Keras, or the model is another network:
            its layers or sizes differ, it predicts something else from the same weights, or a tied
            readout differs from the embedding; or if a weight is not finite.
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
    weights = from_keras(description, arrays)
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise OptionError("model", f"must have finite weights, those of {name} are not")
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
    """Classes and shapes of the layers that have weights, for messages and comparison."""
    return ", ".join(
        " ".join([type(layer).__name__, *(str(list(weight.shape)) for weight in layer.weights)])
        for layer in _with_weights(model)
    )


def _predict_the_same(ours: Any, model: Any, options: GraphOptions) -> bool:
    """Whether two models with the same weights give the same predictions for a few examples."""
    try:
        rows, steps, *_ = model.input_shape
        examples = _examples(rows or TRIED_ROWS, steps or TRIED_STEPS, options)
        wanted, given = (np.asarray(predict(examples)) for predict in (ours, model))
    except (ValueError, TypeError, AttributeError, tf.errors.OpError):  # the model takes other inputs
        return False
    return wanted.shape == given.shape and np.allclose(wanted, given, rtol=1e-4, atol=1e-5, equal_nan=True)


def _examples(rows: int, steps: int, options: GraphOptions) -> np.ndarray:
    """Consecutive classes, [rows, steps], or numbers within ±1, [rows, steps, input_size]."""
    if options.input_kind == "classes":
        return np.arange(rows * steps, dtype=np.int32).reshape(rows, steps) % options.input_size
    shape = (rows, steps, options.input_size)
    return np.sin(np.arange(np.prod(shape))).reshape(shape).astype(options.dtype)
