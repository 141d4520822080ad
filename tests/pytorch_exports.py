"""Makes `pytorch_exports.npz`, what PyTorch computes with weights that `export` has written.

    pip install torch safetensors && python tests/pytorch_exports.py

The module is the one in the README of the export. Beside its logits, the whole file of weights is stored.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.describe import describe
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference import export
from tf_rnn.inference.weights import assign_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FILE = Path(__file__).with_name("pytorch_exports.npz")
LENGTH = 36


class Network(NamedTuple):
    """A network: its layers, made anew, and the options of its graph."""

    layers: Callable[[], list[Any]]
    options: dict[str, Any]


REAL = {"input_size": 3, "num_classes": 2, "input_kind": "real", "loss": "squared_error"}
NETWORKS = {
    "tanh": Network(lambda: [VanillaCell(5)], REAL),
    "relu, deep": Network(lambda: [VanillaCell(5, "relu"), VanillaCell(5, "relu")], REAL),
    "gru, unit vectors": Network(lambda: [GRUCell(5)], {"input_size": 7, "num_classes": 4}),
    "lstm, embedded": Network(
        lambda: [LSTMCell(6), LSTMCell(6)], {"input_size": 7, "num_classes": 4, "embedding_size": 3}
    ),
    "gru, tied": Network(
        lambda: [GRUCell(3), GRUCell(3)],
        {"input_size": 7, "num_classes": 7, "embedding_size": 3, "readout": "tied"},
    ),
}


def inputs_of(options: dict[str, Any]) -> NDArray[Any]:
    """Numbers, or classes, in one row."""
    steps = np.arange(LENGTH)
    if options.get("input_kind") == "real":
        return np.asarray(np.sin(np.outer(steps, [0.7, 1.1, 1.9])), np.float32)
    return np.asarray(steps**2 % options["input_size"])


def weight(name: str, shape: Any) -> NDArray[np.float32]:
    """Numbers within +-0.35 that do not depend on a version of NumPy."""
    count = np.arange(np.prod(shape))
    values = 0.35 * np.sin(1.7 * count + len(name) * count**2)
    return np.asarray(values.reshape(shape), np.float32)


def exported(name: str, folder: Path) -> NDArray[Any]:
    """Exports a network, and returns what it predicts for its inputs, [steps, num_classes]."""
    layers, options = NETWORKS[name]
    with tf.Graph().as_default():
        graph = UnrolledGraph(StackedCell(layers()), LENGTH, 1, optimizer=None, **options)
    names, description = weight_names(graph), describe(graph)
    weights = {each: weight(each, variable.shape) for each, variable in names.items()}
    inputs = inputs_of(options)[None]
    targets = np.zeros([1, LENGTH, *([options["num_classes"]] if inputs.ndim > 2 else [])], inputs.dtype)
    with graph.session(threads=1) as session:
        assign_weights(session, names, weights)
        fed = graph.feed(inputs, targets, graph.zero_state())
        predictions = np.concatenate(session.run(graph.predictions, fed))
    config = description | {"task": {"name": "none"}, "training": {}}
    model: Any = SimpleNamespace(description=description, weights=weights, config=config, tokens=None)
    export(model, folder)
    return predictions


def main() -> None:
    """Writes the file."""
    import torch  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415 -- not required by the tests

    found: dict[str, Any] = {"version": np.array(torch.__version__)}
    for name, network in NETWORKS.items():
        with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
            exported(name, Path("out"))
            os.chdir("out")
            text = Path("README.md").read_text(encoding="utf-8")
            *_, program = re.findall("```python\n(.*?)```", text, re.DOTALL)
            names: dict[str, Any] = {}
            exec(program, names)
            logits, _ = names["model"](torch.tensor(inputs_of(network.options)[None]))
            found[f"{name}/logits"] = logits[0].detach().numpy()
            found[f"{name}/weights"] = np.frombuffer(Path("model.safetensors").read_bytes(), np.uint8)
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
