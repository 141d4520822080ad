"""Reading somebody's `.keras` archive: its weights, and a model of layers from a list.

Keras' own `load_model` makes whatever layers an archive names, some of which run programs that come with it.
Here an archive is a description to be checked: layers of Keras from `LAYERS` with plain options, no larger
than the network that is expected, and weights that are stored in full. Everything else is refused before
anything is made from it.
"""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import h5py  # type: ignore[import-untyped]  # what Keras keeps weights with, required by TensorFlow

from tf_rnn._tensorflow import tf
from tf_rnn.graph.describe import described_options
from tf_rnn.inference.keras_layers import KERAS_LAYERS
from tf_rnn.inference.layers import described_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Those of an export, and those that matter in training only.
LAYERS = {
    *("InputLayer", "Embedding", "Reshape", "CategoryEncoding", "SimpleRNN", "GRU", "LSTM", "Dense"),
    *("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
}
MODELS = {"Functional", "Sequential", "Model"}
# Options that matter in training only, and may be objects.
LEFT_OUT = ("_initializer", "_regularizer", "_constraint", "quantization_config")
LONGEST_CONFIG = 10_000_000
# Of a model's input: rows times steps, where they are fixed.
MOST_EXAMPLES = 1_000_000


def read_archive(path: Path, weights: Path) -> dict[str, Any]:
    """Reads the configuration of a model, and unpacks its weights.

    Args:
        path: The archive.
        weights: The file to unpack to.

    Raises:
        Exception: Of any kind, if the archive is damaged or its content larger than the archive.
    """
    with zipfile.ZipFile(path) as archive:
        content = {entry.filename: entry for entry in archive.infolist()}
        for name, most in ((CONFIG, LONGEST_CONFIG), (WEIGHTS, path.stat().st_size)):
            if name not in content:
                raise ValueError(f"it has no {name}")
            if content[name].file_size > most:
                raise ValueError(f"its {name} is too large")
        with archive.open(WEIGHTS) as packed, weights.open("xb") as file:
            shutil.copyfileobj(packed, file)
        config = json.loads(archive.read(CONFIG))
    if not isinstance(config, dict):
        raise TypeError(f"its {CONFIG} is no object")
    return config


def require_stored(path: Path, least: int) -> None:
    """Raises an error of any kind unless a file of weights holds, in full and itself, so many numbers.

    Compressed, sparse or linked arrays would take more memory than the file has bytes, or read other files.
    """
    arrays: list[Any] = []
    links: list[Any] = []
    with h5py.File(path) as file:
        file.visititems_links(lambda _, link: links.append(link))
        file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        if not all(isinstance(link, h5py.HardLink) for link in links):
            raise ValueError("its weights have links to other places")
        for array in arrays:
            size = (array.size or 0) * array.dtype.itemsize
            if array.external or array.is_virtual or array.id.get_storage_size() != size:
                raise ValueError("its weights are not stored in full in this file")
        count = sum(array.size or 0 for array in arrays)
    if count < least:
        raise ValueError(f"it has {count:,} numbers, the network described has at least {least:,}")


def least_weights(description: Mapping[str, Any]) -> int:
    """How many numbers the matrices of a described network have, biases not counted."""
    options, count = described_options(description), 0
    size: int = options.input_size
    if options.embedding_size is not None:
        size, count = options.embedding_size, options.input_size * options.embedding_size
    for layer in described_layers(description):
        gates, units = len(KERAS_LAYERS[layer["cell"]].gate_order), layer["state_size"]
        count += (size + units) * units * gates
        size = units
    return int(count + size * options.num_classes)


def largest_size(description: Mapping[str, Any]) -> int:
    """The largest number that the options of its layers may have."""
    options = described_options(description)
    units = [layer["state_size"] for layer in described_layers(description)]
    return int(max(options.input_size, options.num_classes, options.embedding_size or 0, *units))


def model_of_config(config: dict[str, Any], largest: int) -> Any:
    """Makes a model from its checked configuration; to be called outside of graphs.

    Args:
        config: The content of `config.json`.
        largest: The largest number of units, classes or tokens.

    Raises:
        Exception: Of any kind, if it has a layer or an option that is not allowed.
    """
    kind, content = config.get("class_name"), config.get("config")
    if kind not in MODELS or not isinstance(content, dict) or not isinstance(content.get("layers"), list):
        raise ValueError(f"it is a {kind!r:.50}, not a model of layers in a row")
    layers = [_checked_layer(layer, largest) for layer in content["layers"]]
    keras = tf.compat.v2.keras
    if kind == "Sequential":
        return keras.Sequential.from_config({"name": "sequential", "layers": layers})
    ends = {name: content[name] for name in ("input_layers", "output_layers")}
    _require_plain("model", ends)
    return keras.Model.from_config({"name": "functional", "trainable": True, "layers": layers, **ends})


def _checked_layer(layer: Any, largest: int) -> dict[str, Any]:
    name, module = layer["class_name"], layer.get("module", "keras.layers")
    if name not in LAYERS or module != "keras.layers" or layer.get("registered_name"):
        raise ValueError(f"the layer {name!r:.50} is none of {', '.join(sorted(LAYERS))}")
    options = {key: value for key, value in layer["config"].items() if not key.endswith(LEFT_OUT)}
    if isinstance(options.get("dtype"), dict):  # a policy, which is a name
        options["dtype"] = options["dtype"]["config"]["name"]
    _require_plain(name, options)
    for number in _integers({key: value for key, value in options.items() if key != "seed"}):
        if abs(number) > max(largest, MOST_EXAMPLES):
            raise ValueError(f"the layer {name} has the size {number}, the largest described is {largest}")
    if math.prod(_integers(options.get("batch_shape", [])[:2])) > MOST_EXAMPLES:
        raise ValueError("its inputs are too many")
    for size in ("units", "input_dim", "output_dim", "num_tokens"):
        if isinstance(options.get(size), int) and options[size] > largest:
            raise ValueError(
                f"the layer {name} has {size} {options[size]}, the largest described is {largest}"
            )
    nodes = layer.get("inbound_nodes", [])
    _require_plain(name, {"inbound_nodes": _without_tensors(nodes)})
    return {
        "module": "keras.layers",
        "class_name": name,
        "config": options,
        "registered_name": None,
        "name": layer.get("name", options.get("name")),
        "inbound_nodes": nodes,
    }


def _without_tensors(node: Any) -> Any:
    """A node without the tensors that it names, `{"class_name": "__keras_tensor__", "config": ...}`."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return [_without_tensors(part) for part in node["config"].values()]
        if "class_name" in node or "module" in node:
            return node
        return [_without_tensors(part) for part in node.values()]
    return [_without_tensors(part) for part in node] if isinstance(node, list) else node


def _require_plain(name: str, options: Mapping[str, Any]) -> None:
    """Raises ValueError for what is more than numbers, words and lists of them: an object, say."""
    for option, value in options.items():
        if not _is_plain(value):
            raise ValueError(f"{name} has an option {option!r:.50} that is more than a number or a word")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _integers(part)
