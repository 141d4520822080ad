"""What stands in Keras for each cell, and the weights of the one as those of the other.

Our W [input_size + state_size, columns] is Keras' kernel upon its recurrent kernel. The gates stand side
by side in the columns of both, in another order:

    LSTM    ours i, f, o, g        Keras i, f, c, o     c is g
    GRU     ours r, z, n           Keras z, r, h        h is n

Both ways it is one exchange of two gates. Of biases Keras' GRU (`reset_after=True`) has twice as many as
ours, one of the product with the inputs and one of that with the state, [2, 3 state_size]; of the two
gates only their sum counts:

    ours -> Keras    (b; (0 || 0 || b_n)),   with the gates of b exchanged
    Keras -> ours    b_r = input_r + recurrent_r,  b_z likewise,  b_n' = input_h,  b_n = recurrent_h
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class KerasLayer:
    """What stands in Keras for a cell.

    Attributes:
        kind: The name of its class in `keras.layers`.
        order: For each of Keras' gates the number of ours; exchanging twice is doing nothing.
        options: Its further options, from the description of the layer.
        bias: Its bias, from our weights of the layer by name.
        biases: Our biases, from its bias.
    """

    kind: str
    order: tuple[int, ...]
    options: Callable[[Mapping[str, Any]], dict[str, Any]]
    bias: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    biases: Callable[[np.ndarray], dict[str, np.ndarray]]

    def to_keras(self, ours: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Kernel, recurrent kernel and bias, from our weights of the layer by name."""
        W = exchange_gates(ours["W"], self.order)
        state_size = W.shape[1] // len(self.order)
        return [W[:-state_size], W[-state_size:], self.bias(ours)]

    def from_keras(
        self, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Our weights of the layer by name."""
        W = exchange_gates(np.concatenate([kernel, recurrent]), self.order)
        return {"W": W, **self.biases(bias)}


def exchange_gates(values: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The gates, which stand side by side in the last axis, in another order."""
    gates = np.split(values, len(order), axis=-1)
    return np.concatenate([gates[number] for number in order], axis=-1)


LSTM_ORDER, GRU_ORDER = (0, 1, 3, 2), (1, 0, 2)


def _gru_bias(ours: Mapping[str, np.ndarray]) -> np.ndarray:
    recurrent = np.concatenate([np.zeros_like(ours["b_n"])] * 2 + [ours["b_n"]])
    return np.stack([exchange_gates(ours["b"], GRU_ORDER), recurrent])


def _gru_biases(bias: np.ndarray) -> dict[str, np.ndarray]:
    inputs, recurrent = bias
    *_, b_n = np.split(recurrent, 3)
    both = np.where(recurrent == 0, inputs, inputs + recurrent)  # -0.0 + 0 would be 0.0
    both[-len(b_n) :] = inputs[-len(b_n) :]
    return {"b": exchange_gates(both, GRU_ORDER), "b_n": b_n}


KERAS_LAYERS = {
    "vanilla": KerasLayer(
        "SimpleRNN",
        (0,),
        lambda layer: {"activation": layer["activation"]},
        lambda ours: ours["b_s"],
        lambda bias: {"b_s": bias},
    ),
    "gru": KerasLayer("GRU", GRU_ORDER, lambda _: {"reset_after": True}, _gru_bias, _gru_biases),
    "lstm": KerasLayer(
        "LSTM",
        LSTM_ORDER,
        lambda _: {},
        lambda ours: exchange_gates(ours["b"], LSTM_ORDER),
        lambda bias: {"b": exchange_gates(bias, LSTM_ORDER)},
    ),
}
