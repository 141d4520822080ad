"""Plain cells for TensorFlow's version 1 API, like the ones that Keras 3 removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.side_by_side.problem import Layer


class Variables:
    """Creates variables and loads their initial values into a session."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self._values: list[tuple[Any, Any]] = []

    def __call__(self, name: str, value: Any) -> Any:
        """Creates a variable with the given initial value."""
        made = tf.get_variable(name, value.shape, self.dtype, tf.zeros_initializer())
        self._values.append((made, value))
        return made

    def load(self, session: Any) -> None:
        """Initialises all variables, including those of the optimizer."""
        session.run(tf.global_variables_initializer())
        for made, value in self._values:
            made.load(value.astype(self.dtype), session)


class VanillaCell:
    """Vanilla cell: S_t = tanh((X_t || S_{t-1}) W + b)."""

    def __init__(self, layer: Layer, variables: Variables) -> None:
        self.state_size: Any = layer.recurrent_kernel.shape[0]
        self.output_size = layer.recurrent_kernel.shape[0]
        self.W = variables("W", np.concatenate([layer.input_kernel, layer.recurrent_kernel]))
        self.b = variables("b", layer.bias)

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        """Makes a zero state."""
        return tf.nest.map_structure(lambda size: tf.zeros([batch_size, size], dtype), self.state_size)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """Computes one step."""
        state = tf.tanh(tf.matmul(tf.concat([inputs, state], axis=1), self.W) + self.b)
        return state, state


class LSTMCell(VanillaCell):
    """LSTM cell, whose gates i, f, o and candidate g are (X_t || H_{t-1}) W + b."""

    def __init__(self, layer: Layer, variables: Variables) -> None:
        super().__init__(layer, variables)
        self.state_size = (self.output_size, self.output_size)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """Computes one step."""
        hidden, cell = state
        gates = tf.matmul(tf.concat([inputs, hidden], axis=1), self.W) + self.b
        write, keep, show, candidate = tf.split(gates, 4, axis=1)
        cell = tf.sigmoid(keep) * cell + tf.sigmoid(write) * tf.tanh(candidate)
        hidden = tf.sigmoid(show) * tf.tanh(cell)
        return hidden, (hidden, cell)


class GRUCell(VanillaCell):
    """GRU cell with the reset gate after the product, so inputs and state have separate kernels."""

    def __init__(self, layer: Layer, variables: Variables) -> None:
        self.state_size = self.output_size = layer.recurrent_kernel.shape[0]
        self.W_x = variables("W_x", layer.input_kernel)
        self.W_s = variables("W_s", layer.recurrent_kernel)
        self.b = variables("b", layer.bias)
        self.b_n = variables("b_n", layer.candidate_bias)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """Computes one step."""
        r_x, z_x, n_x = tf.split(tf.matmul(inputs, self.W_x) + self.b, 3, axis=1)
        r_s, z_s, n_s = tf.split(tf.matmul(state, self.W_s), 3, axis=1)
        candidate = tf.tanh(n_x + tf.sigmoid(r_x + r_s) * (n_s + self.b_n))
        keep = tf.sigmoid(z_x + z_s)
        state = keep * state + (1 - keep) * candidate
        return state, state


class Stack:
    """Stacked cells."""

    def __init__(self, cells: Sequence[VanillaCell]) -> None:
        self.cells = cells
        self.state_size = tuple(cell.state_size for cell in cells)
        self.output_size = cells[-1].output_size

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        """Makes a zero state."""
        return tuple(cell.zero_state(batch_size, dtype) for cell in self.cells)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """Computes one step."""
        states = []
        for cell, before in zip(self.cells, state, strict=True):
            inputs, after = cell(inputs, before)
            states.append(after)
        return inputs, tuple(states)


CELLS: dict[str, type[VanillaCell]] = {"vanilla": VanillaCell, "lstm": LSTMCell, "gru": GRUCell}


def make_cell(name: str, layers: Sequence[Layer], variables: Variables) -> Any:
    """Makes the cell of one layer, or a stack of cells for several layers."""
    cells = []
    for number, layer in enumerate(layers):
        with tf.variable_scope(f"layer_{number}"):
            cells.append(CELLS[name](layer, variables))
    return cells[0] if len(cells) == 1 else Stack(cells)
