"""The equivalent ONNX model of a network, on the standard's own recurrent operators.

    (prediction, next_state) = model(input, state)

    Gather or OneHot       the embedding E, or class indices to unit vectors
    RNN, GRU, LSTM         a node for each layer
    MatMul, Add, Softmax   the readout U (E^T if it is tied) and b_p; no Softmax for real targets

Number of steps and batch size are open: a sequence at once, or step by step with the state handed on.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.cells import described_cell
from tf_rnn.graph.describe import described_options
from tf_rnn.graph.initial_state import state_names
from tf_rnn.inference.keras_layers import EMBEDDING, READOUT, reorder_gates, to_keras
from tf_rnn.inference.keras_model import ACTIVATIONS
from tf_rnn.inference.layers import described_layers, no_equivalent
from tf_rnn.inference.saved_model import INPUT, PREDICTION
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# The first operator set and file format with all that is used here, understood by any runtime since 2021.
OPERATOR_SET, FORMAT = 14, 7
BATCH, STEPS = "batch_size", "num_steps"
NEXT = "next_"


@dataclasses.dataclass(frozen=True)
class Operator:
    """The ONNX operator of a cell.

    Attributes:
        name: Its name in the standard.
        gate_order: Keras' gate at each position in ONNX: LSTM i, o, f, c; GRU z, r, h as in Keras.
        attributes: From the description of our layer.
    """

    name: str
    gate_order: tuple[int, ...]
    attributes: Callable[[Mapping[str, Any]], dict[str, Any]]


OPERATORS = {
    "vanilla": Operator("RNN", (0,), lambda layer: {"activations": [layer["activation"].capitalize()]}),
    "gru": Operator("GRU", (0, 1, 2), lambda _: {"linear_before_reset": 1}),
    "gru_reset_before": Operator("GRU", (0, 1, 2), lambda _: {"linear_before_reset": 0}),
    "lstm": Operator("LSTM", (0, 3, 1, 2), lambda _: {}),
}


class _Nodes:
    """The nodes and constants of a graph as it grows."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """Adds a node; returns the name of its first output."""
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]


def require_onnx() -> Any:
    """The package `onnx`.

    Raises:
        OptionError: For `onnx`, if it is not installed.
    """
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise OptionError("onnx", 'needs the package onnx: pip install "tf-rnn[onnx]"') from error


def onnx_model(description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Any:
    """Makes the ONNX model that gives the same predictions, in single precision.

    Its inputs are

        input         class indices, int64 [batch_size, num_steps], or real values [batch_size, num_steps,
                      input_size]; an index out of range counts as no class at all, or is refused by the
                      runtime where there is an embedding
        state_0       the state before the first step of the lowest layer, [batch_size, state_size]; for an
                      LSTM state_0_hidden and state_0_cell; state_1 of the layer above, and so on

    and its outputs

        prediction    [batch_size, num_steps, num_classes]
        next_state_0  the state after the last step, likewise

    Args:
        description: From `describe`.
        weights: Weights by the names of `weight_names`.

    Returns:
        An `onnx.ModelProto`, checked.

    Raises:
        OptionError: For `onnx`, if the package is not installed, or the network has no equivalent.
    """
    onnx = require_onnx()
    reason = no_equivalent(description, "ONNX", OPERATORS)
    if reason is not None:
        raise OptionError("onnx", f"must be off for this network: {reason}")
    options = described_options(description)
    arrays = {
        name: [array.astype(np.float32) for array in layer]
        for name, layer in to_keras(description, weights).items()
    }
    cell = described_cell(description["cell"])
    states = state_names(cell)
    nodes = _Nodes(onnx)
    vectors = nodes.add("Transpose", [_vectors(nodes, options, arrays)], "by_step", perm=[1, 0, 2])
    for number, layer in enumerate(described_layers(description)):
        own = [name for name in states if name.split("_")[1] == str(number)]
        vectors = _layer(nodes, f"layer_{number}", layer, arrays[f"layer_{number}"], vectors, own)
    vectors = nodes.add("Transpose", [vectors], "by_row", perm=[1, 0, 2])
    _readout(nodes, arrays[READOUT], vectors, ACTIVATIONS[options.loss])
    real, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    each = [BATCH, STEPS]
    sizes = list(zip(states, tf.nest.flatten(cell.state_size), strict=True))
    is_real = options.input_kind == "real"
    inputs = {INPUT: (real, [*each, options.input_size]) if is_real else (whole, each)}
    inputs |= {name: (real, [BATCH, size]) for name, size in sizes}
    outputs = {PREDICTION: (real, [*each, options.num_classes])}
    outputs |= {NEXT + name: (real, [BATCH, size]) for name, size in sizes}
    ends = [
        [onnx.helper.make_tensor_value_info(name, *what) for name, what in end.items()]
        for end in (inputs, outputs)
    ]
    graph = onnx.helper.make_graph(nodes.nodes, "tf_rnn", *ends, nodes.constants)
    opset = [onnx.helper.make_opsetid("", OPERATOR_SET)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=FORMAT, producer_name="tf_rnn")
    onnx.checker.check_model(model, full_check=True)
    return model


def _vectors(nodes: _Nodes, options: Any, arrays: Mapping[str, list[np.ndarray]]) -> str:
    """What the lowest layer reads, [batch_size, num_steps, size]."""
    if options.input_kind == "real":
        return INPUT
    if EMBEDDING in arrays:
        return nodes.add("Gather", [nodes.constant("E", arrays[EMBEDDING][0]), INPUT], "vectors")
    depth = nodes.constant("depth", np.array(options.input_size, np.int64))
    values = nodes.constant("off_and_on", np.array([0, 1], np.float32))
    return nodes.add("OneHot", [INPUT, depth, values], "vectors")


def _layer(
    nodes: _Nodes,
    name: str,
    layer: Mapping[str, Any],
    arrays: list[np.ndarray],
    vectors: str,
    states: Sequence[str],
) -> str:
    """Adds a layer; returns its outputs, [num_steps, batch_size, state_size].

    Every array has a first axis for directions, of which there is one, and so have the states.
    """
    operator = OPERATORS[layer["cell"]]
    kernel, recurrent, bias = (reorder_gates(array, operator.gate_order) for array in arrays)
    bias = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    given = [
        vectors,
        nodes.constant(f"{name}/W", kernel.T[None]),
        nodes.constant(f"{name}/R", recurrent.T[None]),
        nodes.constant(f"{name}/B", bias.reshape(1, -1)),
        "",  # lengths of sequences: all are as long as the input
    ]
    axis = [nodes.constant(f"{name}/direction", np.array([0]))]
    given += [nodes.add("Unsqueeze", [state, *axis], f"{name}/{state}") for state in states]
    outputs = [f"{name}/Y", *(f"{name}/{NEXT}{state}" for state in states)]
    nodes.add(operator.name, given, *outputs, hidden_size=layer["state_size"], **operator.attributes(layer))
    for state, output in zip(states, outputs[1:], strict=True):
        nodes.add("Squeeze", [output, *axis], NEXT + state)
    along = nodes.constant(f"{name}/directions", np.array([1]))
    return nodes.add("Squeeze", [outputs[0], along], f"{name}/outputs")


def _readout(nodes: _Nodes, arrays: list[np.ndarray], vectors: str, activation: str) -> None:
    U, b_p = arrays
    product = nodes.add("MatMul", [vectors, nodes.constant("U", U)], "product")
    logits = "logits" if activation == "softmax" else PREDICTION
    nodes.add("Add", [product, nodes.constant("b_p", b_p)], logits)
    if activation == "softmax":
        nodes.add("Softmax", [logits], PREDICTION, axis=-1)
