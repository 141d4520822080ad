"""The network of a Keras model: a stack of recurrent layers, an embedding before it, a Dense after it.

    Embedding, or Reshape and CategoryEncoding         for inputs that are classes
    SimpleRNN, GRU, LSTM                               any number, of any sizes
    Dense, or TimeDistributed(Dense)                   none where the units themselves are the predictions

A model is read as a description, `layer.get_config()` or a `.keras` archive, and arrays: nothing is run. What
acts in training only, as Dropout does, is left out; whether a layer is stateful does not matter. All options
on which predictions depend are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.inference.foreign import ForeignNetwork
from tf_rnn.inference.keras_layers import KERAS_LAYERS
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tf_rnn.tasks import Task

OPTION = "model"
MODELS = ("Sequential", "Functional")
GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
IN_TRAINING = (
    *("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    "InputLayer",
)
KNOWN = (*GATES, "Embedding", "Reshape", "CategoryEncoding", "Dense", "TimeDistributed", *IN_TRAINING)
# What each layer must say, in its configuration, for the network to be one of ours; by default nothing else.
REQUIRED: dict[str, dict[str, tuple[Any, ...]]] = {
    "SimpleRNN": {"activation": ("tanh", "relu")},
    "GRU": {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)},
    "LSTM": {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)},
    "Embedding": {"mask_zero": (False,)},
    "Reshape": {"target_shape": ([-1, 1],)},
    "CategoryEncoding": {"output_mode": ("one_hot",)},
}
OF_RECURRENT = {"go_backwards": (False,), "return_state": (False,), "recurrent_dropout": (0, 0.0)}
DTYPES = ("float32", "float64")
# The activations of a Dense whose outputs are the predictions of a loss, or their logits.
OF_LOSS = {"cross_entropy": ("softmax", "linear"), "squared_error": ("linear",), "pinball": ("linear",)}


class KerasLayer(NamedTuple):
    """A layer of a Keras model.

    Attributes:
        kind: The name of its class.
        options: Its configuration.
        outer: Class and name of the `TimeDistributed` around it, or its own.
        arrays: Its weights.
    """

    kind: str
    options: Mapping[str, Any]
    outer: tuple[str, str]
    arrays: Sequence[np.ndarray] = ()

    @property
    def name(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} {shown(self.options.get('name'))}"


def described_stack(kind: str, config: Mapping[str, Any]) -> list[KerasLayer]:
    """The layers in a model's configuration, without their weights, from the inputs upwards.

    Args:
        kind: The class of the model.
        config: Its configuration.

    Raises:
        OptionError: For `model`, if it is not a row of layers that are known.
    """
    layers = config.get("layers")
    if kind not in MODELS or not isinstance(layers, list):
        raise OptionError(OPTION, f"must be a Sequential or Functional model of Keras, got {shown(kind)}")
    before: list[str] = []
    found = []
    for layer in layers:
        name, options = layer["class_name"], layer["config"]
        if name not in KNOWN or layer.get("registered_name") not in (None, name):
            raise _refusal(f"{name} {shown(options.get('name'))}", f"; known are {', '.join(KNOWN)}")
        sources = _sources(layer.get("inbound_nodes", []))
        if kind == "Functional" and sources != before:
            raise OptionError(
                OPTION,
                f"must be layers in a row, each reading the one before; {shown(options['name'])} does not",
            )
        before, outer = [options["name"]], (name, options["name"])
        if name == "TimeDistributed":
            name, options = options["layer"]["class_name"], options["layer"]["config"]
            if name != "Dense":
                raise _refusal(f"TimeDistributed({name})")
        found.append(KerasLayer(name, options, outer))
    return found


def _sources(node: Any) -> list[str]:
    """The layers whose outputs a node reads."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return [node["config"]["keras_history"][0]]
        node = list(node.values())
    return [name for part in node for name in _sources(part)] if isinstance(node, list | tuple) else []


def _refusal(what: str, more: str = "") -> OptionError:
    return OptionError(OPTION, f"must be a network that can be taken over, not one with {what}{more}")


def network_of(layers: Sequence[KerasLayer], task: Task) -> ForeignNetwork:
    """The network of some layers.

    Args:
        layers: From the inputs upwards.
        task: What it is trained on, which determines the sizes of inputs and predictions.

    Raises:
        OptionError: For `model`, if it is another network, naming the layer and its option.
    """
    layers = [layer for layer in layers if layer.kind not in IN_TRAINING]
    for layer in layers:
        _require_options(layer)
    kinds = [layer.kind for layer in layers]
    first = next((place for place, kind in enumerate(kinds) if kind in GATES), None)
    if first is None:
        raise OptionError(
            OPTION, f"must have a layer SimpleRNN, GRU or LSTM, got {', '.join(kinds) or 'none'}"
        )
    last = max(place for place, kind in enumerate(kinds) if kind in GATES) + 1
    inputs, recurrent, outputs = layers[:first], layers[first:last], layers[last:]
    for layer in recurrent:
        if layer.kind not in GATES:
            raise _refusal(f"{layer.name} between recurrent layers")
    embedding, size = _embedding(inputs, task)
    weights = {} if embedding is None else {"embedding/E": embedding}
    described = []
    for number, layer in enumerate(recurrent):
        cell, units = _cell(layer), _size(layer, "units")
        arrays = _recurrent_arrays(layer, cell, size, units)
        ours = KERAS_LAYERS[cell].from_keras(*arrays)
        weights |= {f"layer_{number}/{name}": value for name, value in ours.items()}
        options = {"activation": layer.options["activation"]} if cell == "vanilla" else {}
        described.append({"cell": cell, "state_size": units, **options})
        size = units
    weights |= _readout(outputs, task, size)
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise OptionError(OPTION, f"must have finite weights, those of {name} are not")
    return ForeignNetwork(described, None if embedding is None else embedding.shape[1], weights)


def _require_options(layer: KerasLayer) -> None:
    dtype = layer.options.get("dtype", DTYPES[0])
    dtype = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
    if layer.kind not in ("Reshape", "CategoryEncoding") and dtype not in DTYPES:
        raise _refusal(f"{layer.name} of dtype {dtype!r}")
    required = REQUIRED.get(layer.kind, {}) | (OF_RECURRENT if layer.kind in GATES else {})
    for option, allowed in (required | {"quantization_config": (None,)}).items():
        value = layer.options.get(option, allowed[0])
        value = list(value) if isinstance(value, tuple) else value
        if value not in allowed:
            values = " or ".join(dict.fromkeys(map(repr, allowed)))
            raise _refusal(f"{option}={value!r} in {layer.name}", f"; it must be {values}")


def _cell(layer: KerasLayer) -> str:
    """The cell of ours that computes what a recurrent layer does."""
    names = {"SimpleRNN": "vanilla", "LSTM": "lstm"}
    if layer.kind == "GRU":
        return "gru" if layer.options.get("reset_after", True) else "gru_reset_before"
    return names[layer.kind]


def _size(layer: KerasLayer, option: str) -> int:
    size = layer.options.get(option)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise OptionError(OPTION, f"must have {option} of at least 1 in {layer.name}, got {shown(size)}")
    return size


def _arrays(layer: KerasLayer, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """The weights of a layer, the bias last, zero where the layer has none."""
    biased = layer.options.get("use_bias", True)
    wanted = shapes if biased else shapes[:-1]
    found = [np.asarray(array) for array in layer.arrays]
    if [array.shape for array in found] != list(wanted) or any(array.dtype.kind != "f" for array in found):
        shown_shapes = [list(array.shape) for array in found]
        raise OptionError(
            OPTION,
            f"must have weights of the shapes {[list(shape) for shape in wanted]} in {layer.name}, "
            f"got {shown_shapes}",
        )
    return found if biased else [*found, np.zeros(shapes[-1], found[0].dtype)]


def _recurrent_arrays(layer: KerasLayer, cell: str, inputs: int, units: int) -> list[np.ndarray]:
    columns = GATES[layer.kind] * units
    bias = (2, columns) if cell == "gru" else (columns,)
    return _arrays(layer, (inputs, columns), (units, columns), bias)


def _embedding(layers: Sequence[KerasLayer], task: Task) -> tuple[np.ndarray | None, int]:
    """The embedding, if there is one, and the size of what the lowest recurrent layer reads."""
    kinds, size = [layer.kind for layer in layers], task.input_size
    if layers and task.input_kind != "classes":
        raise _refusal(f"{layers[0].name} for the task {task.name}, whose inputs are real numbers")
    if kinds == ["Embedding"]:
        (layer,) = layers
        if _size(layer, "input_dim") != size:
            raise OptionError(
                OPTION,
                f"must have input_dim {size} in {layer.name} for the task {task.name}, got "
                f"{layer.options['input_dim']}",
            )
        shape = (size, _size(layer, "output_dim"))
        table = layer._replace(options={**layer.options, "use_bias": False})
        return _arrays(table, shape, (0,))[0], shape[1]
    if kinds and kinds != ["Reshape", "CategoryEncoding"]:
        raise _refusal(f"{layers[-1].name} before the recurrent layers")
    if kinds and layers[-1].options.get("num_tokens") != size:
        raise OptionError(
            OPTION, f"must have num_tokens {size} in {layers[-1].name} for the task {task.name}"
        )
    return None, size


def _readout(layers: Sequence[KerasLayer], task: Task, size: int) -> dict[str, np.ndarray]:
    """The weights of the Dense; the identity where there is none, so that the units are the predictions."""
    if not layers and task.loss != "cross_entropy" and size == task.num_classes:
        return {"readout/U": np.eye(size, dtype=np.float32), "readout/b_p": np.zeros(size, np.float32)}
    if [layer.kind for layer in layers] != ["Dense"]:
        got = ", ".join(layer.name for layer in layers) or "none"
        raise OptionError(OPTION, f"must have one Dense after the recurrent layers for this task, got {got}")
    (layer,) = layers
    activation, allowed = layer.options.get("activation"), OF_LOSS[task.loss]
    if activation not in allowed:
        raise _refusal(f"activation={activation!r} in {layer.name}", f"; it must be {' or '.join(allowed)}")
    if _size(layer, "units") != task.num_classes:
        raise OptionError(
            OPTION,
            f"must have {task.num_classes} units in {layer.name} for the task {task.name}, got "
            f"{layer.options['units']}",
        )
    U, b_p = _arrays(layer, (size, task.num_classes), (task.num_classes,))
    return {"readout/U": U, "readout/b_p": b_p}
