"""The Keras layer of each cell, and the conversion of a network's weights in both directions.

Our W [input_size + state_size, columns] is Keras' kernel on top of its recurrent kernel. In both, the gates
are blocks of columns, in a different order:

    LSTM    ours i, f, o, g        Keras i, f, c, o     c is g
    GRU     ours r, z, n           Keras z, r, h        h is n

Both conversions swap the same two gates. Keras' GRU (`reset_after=True`) has two biases, [2, 3 state_size]:
one is added to the product with the inputs, one to the product with the state. For r and z only their sum
matters (`reset_after=False`, our `gru_reset_before`, has one bias alone):

    ours -> Keras    (b; (0 || 0 || b_n)),   with the gates of b reordered
    Keras -> ours    b_r = input_r + recurrent_r,  b_z likewise,  b_n' = input_h,  b_n = recurrent_h

where b_n' is the part of b for the gate n.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.graph.describe import described_options
from tf_rnn.inference.layers import described_layers
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EMBEDDING, READOUT = "embedding", "readout"


@dataclasses.dataclass(frozen=True)
class KerasLayer:
    """The Keras counterpart of a cell.

    Attributes:
        class_name: Name of the class in `keras.layers`.
        gate_order: Our gate at each position in Keras. The permutation is its own inverse.
        options: Further options of the Keras layer, from the description of ours.
        to_bias: Our weights by name -> the Keras bias.
        from_bias: The Keras bias -> our biases by name.
    """

    class_name: str
    gate_order: tuple[int, ...]
    options: Callable[[Mapping[str, Any]], dict[str, Any]]
    to_bias: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    from_bias: Callable[[np.ndarray], dict[str, np.ndarray]]

    def to_keras(self, ours: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Kernel, recurrent kernel and bias, from our weights of the layer by name."""
        W = reorder_gates(ours["W"], self.gate_order)
        state_size = W.shape[1] // len(self.gate_order)
        return [W[:-state_size], W[-state_size:], self.to_bias(ours)]

    def from_keras(
        self, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Our weights of the layer by name."""
        W = reorder_gates(np.concatenate([kernel, recurrent]), self.gate_order)
        return {"W": W, **self.from_bias(bias)}


def reorder_gates(values: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Permutes the gates, which are equal blocks of the last axis."""
    gates = np.split(values, len(order), axis=-1)
    return np.concatenate([gates[number] for number in order], axis=-1)


LSTM_ORDER, GRU_ORDER = (0, 1, 3, 2), (1, 0, 2)


def _to_gru_bias(ours: Mapping[str, np.ndarray]) -> np.ndarray:
    recurrent = np.concatenate([np.zeros_like(ours["b_n"])] * 2 + [ours["b_n"]])
    return np.stack([reorder_gates(ours["b"], GRU_ORDER), recurrent])


def _from_gru_bias(bias: np.ndarray) -> dict[str, np.ndarray]:
    inputs, recurrent = bias
    *_, b_n = np.split(recurrent, 3)
    both = np.where(recurrent == 0, inputs, inputs + recurrent)  # keeps -0.0, which + 0.0 would not
    both[-len(b_n) :] = inputs[-len(b_n) :]
    return {"b": reorder_gates(both, GRU_ORDER), "b_n": b_n}


KERAS_LAYERS = {
    "vanilla": KerasLayer(
        "SimpleRNN",
        (0,),
        lambda layer: {"activation": layer["activation"]},
        lambda ours: ours["b_s"],
        lambda bias: {"b_s": bias},
    ),
    "gru": KerasLayer("GRU", GRU_ORDER, lambda _: {"reset_after": True}, _to_gru_bias, _from_gru_bias),
    "gru_reset_before": KerasLayer(
        "GRU",
        GRU_ORDER,
        lambda _: {"reset_after": False},
        lambda ours: reorder_gates(ours["b"], GRU_ORDER),
        lambda bias: {"b": reorder_gates(bias, GRU_ORDER)},
    ),
    "lstm": KerasLayer(
        "LSTM",
        LSTM_ORDER,
        lambda _: {},
        lambda ours: reorder_gates(ours["b"], LSTM_ORDER),
        lambda bias: {"b": reorder_gates(bias, LSTM_ORDER)},
    ),
}


def to_keras(
    description: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Our weights as the weights of each Keras layer, by its name."""
    options = described_options(description)
    arrays = {EMBEDDING: [weights["embedding/E"]]} if options.embedding_size is not None else {}
    for number, layer in enumerate(described_layers(description)):
        start = f"layer_{number}/"
        ours = {name.removeprefix(start): value for name, value in weights.items() if name.startswith(start)}
        arrays[f"layer_{number}"] = KERAS_LAYERS[layer["cell"]].to_keras(ours)
    U = weights["embedding/E"].T if options.readout == "tied" else weights["readout/U"]
    return arrays | {READOUT: [U, weights["readout/b_p"]]}


def from_keras(
    description: Mapping[str, Any], arrays: Mapping[str, list[np.ndarray]]
) -> dict[str, np.ndarray]:
    """The inverse of `to_keras`.

    Raises:
        OptionError: For `model`, if the readout should be tied and differs from the embedding.
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
            "must have a last Dense whose weights are its embedding transposed, as the readout is tied; "
            "they differ",
        )
    return weights | {"readout/b_p": b_p}
