"""The weights of a network as PyTorch names them, and the file format of safetensors.

embedding.weight    E        of an nn.Embedding
rnn.*               of an nn.RNN, nn.GRU or nn.LSTM; see `torch_weights`
readout.weight      U^T      of an nn.Linear (E if the readout is tied)
readout.bias        b_p
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.graph.describe import described_options
from tf_rnn.inference.layers import described_layers, no_equivalent
from tf_rnn.inference.torch_files import LENGTH_BYTES, METADATA, REAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The module of each cell.
MODULES = {"vanilla": "RNN", "gru": "GRU", "lstm": "LSTM"}


def no_torch(description: Mapping[str, Any]) -> str | None:
    """The reason why PyTorch has no module for a network, in words; None if it has one."""
    layers = described_layers(description)
    if any(
        layer.get(name) != layers[0].get(name)
        for layer in layers
        for name in ("cell", "state_size", "activation")
    ):
        return "the layers of a module of PyTorch are equal in kind and size"
    return no_equivalent(description, "PyTorch", MODULES)


def state_dict(description: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights as in `module.state_dict()`; `no_torch` must be None.

    Args:
        description: From `describe`.
        weights: Weights by the names of `weight_names`.
    """
    found = {"embedding.weight": weights["embedding/E"]} if "embedding/E" in weights else {}
    for number, layer in enumerate(described_layers(description)):
        start = f"layer_{number}/"
        ours = {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}
        kernel, bias_ih, bias_hh = CONVERTERS[layer["cell"]](ours)
        d = layer["state_size"]
        parts = {
            "weight_ih": kernel[:-d].T,
            "weight_hh": kernel[-d:].T,
            "bias_ih": bias_ih,
            "bias_hh": bias_hh,
        }
        found |= {f"rnn.{part}_l{number}": value for part, value in parts.items()}
    U = weights["embedding/E"] if described_options(description).readout == "tied" else weights["readout/U"].T
    return found | {"readout.weight": U, "readout.bias": weights["readout/b_p"]}


Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def _vanilla(ours: Mapping[str, np.ndarray]) -> Parts:
    return ours["W"], ours["b_s"], np.zeros_like(ours["b_s"])


def _gru(ours: Mapping[str, np.ndarray]) -> Parts:
    d = len(ours["b_n"])
    return ours["W"], ours["b"], np.concatenate([np.zeros(2 * d, ours["b_n"].dtype), ours["b_n"]])


def _lstm(ours: Mapping[str, np.ndarray]) -> Parts:
    """From the order i, f, o, g to i, f, g, o."""
    i, f, o, g = np.split(np.arange(len(ours["b"])), 4)
    order = np.concatenate([i, f, g, o])
    return ours["W"][:, order], ours["b"][order], np.zeros_like(ours["b"])


CONVERTERS: dict[str, Callable[[Mapping[str, np.ndarray]], Parts]] = {
    "vanilla": _vanilla,
    "gru": _gru,
    "lstm": _lstm,
}


PROGRAM = """\
import torch
from safetensors.torch import load_file


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
{modules}

    def forward(self, inputs, state=None):
        outputs, state = self.rnn({vectors}, state)
        return self.readout(outputs), state


model = Network().to(torch.{dtype}).eval()
model.load_state_dict(load_file("model.safetensors"))
"""


def program(description: Mapping[str, Any]) -> str:
    """A program in PyTorch with the module that the weights are of."""
    options, layers = described_options(description), described_layers(description)
    kind, d = MODULES[layers[0]["cell"]], layers[0]["state_size"]
    more = f", nonlinearity={layers[0]['activation']!r}" if kind == "RNN" else ""
    modules = {
        "rnn": f"{kind}({options.vector_size}, {d}, num_layers={len(layers)}, batch_first=True{more})",
        "readout": f"Linear({d}, {options.num_classes})",
    }
    vectors = "inputs"
    if options.embedding_size is not None:
        modules = {"embedding": f"Embedding({options.input_size}, {options.embedding_size})"} | modules
        vectors = "self.embedding(inputs)"
    elif options.input_kind == "classes":
        vectors = f"torch.nn.functional.one_hot(inputs, {options.input_size}).to(torch.{options.dtype})"
    lines = [f"        self.{name} = torch.nn.{made}" for name, made in modules.items()]
    return PROGRAM.format(modules="\n".join(lines), vectors=vectors, dtype=options.dtype)


def safetensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays of float32 or float64 as the content of a .safetensors file.

    The header's length in eight bytes, the header in JSON, padded to a multiple of eight, then all numbers.

    Source: the format as in https://huggingface.co/docs/safetensors.
    """
    kinds = {np.dtype(kind): name for name, kind in REAL.items() if name in ("F32", "F64")}
    header: dict[str, Any] = {METADATA: {"format": "pt"}}
    content, place = [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        places = [place, place := place + len(data)]
        header[name] = {"dtype": kinds[array.dtype], "shape": list(array.shape), "data_offsets": places}
        content.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + b"".join(content)
