"""The formulas again, in NumPy: every cell gate by gate, losses, optimizers, numeric gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    # (values of the cell's variables, inputs, state) -> (output, state)
    Step = Callable[[Sequence[NDArray[Any]], NDArray[Any], Any], tuple[NDArray[Any], Any]]


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-x)))


def columns(array: NDArray[Any], gates: int) -> list[NDArray[Any]]:
    """The gates' columns of a kernel, or their parts of a bias."""
    return np.split(array, gates, axis=-1)


def tanh_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    W, b_s = values
    new = np.tanh(np.concatenate([inputs, state], axis=1) @ W + b_s)
    return new, new


def relu_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    W, b_s = values
    new = np.maximum(np.concatenate([inputs, state], axis=1) @ W + b_s, 0)
    return new, new


def gru_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    W, b, b_n = values
    (U_r, U_z, U_n), (W_r, W_z, W_n) = (columns(W[: inputs.shape[1]], 3), columns(W[inputs.shape[1] :], 3))
    b_r, b_z, b_x = columns(b, 3)
    reset = sigmoid(inputs @ U_r + state @ W_r + b_r)
    keep = sigmoid(inputs @ U_z + state @ W_z + b_z)
    candidate = np.tanh(inputs @ U_n + b_x + reset * (state @ W_n + b_n))
    new = keep * state + (1 - keep) * candidate
    return new, new


def gru_reset_before_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    W, b = values
    (U_r, U_z, U_n), (W_r, W_z, W_n) = (columns(W[: inputs.shape[1]], 3), columns(W[inputs.shape[1] :], 3))
    b_r, b_z, b_n = columns(b, 3)
    reset = sigmoid(inputs @ U_r + state @ W_r + b_r)
    keep = sigmoid(inputs @ U_z + state @ W_z + b_z)
    candidate = np.tanh(inputs @ U_n + b_n + (reset * state) @ W_n)
    new = keep * state + (1 - keep) * candidate
    return new, new


def lstm_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: Any
) -> tuple[NDArray[Any], tuple[NDArray[Any], NDArray[Any]]]:
    W, b = values
    hidden, cell = state
    both = np.concatenate([inputs, hidden], axis=1)
    (W_i, W_f, W_o, W_g), (b_i, b_f, b_o, b_g) = columns(W, 4), columns(b, 4)
    write = sigmoid(both @ W_i + b_i)
    keep = sigmoid(both @ W_f + b_f)
    show = sigmoid(both @ W_o + b_o)
    new_cell = keep * cell + write * np.tanh(both @ W_g + b_g)
    new_hidden = show * np.tanh(new_cell)
    return new_hidden, (new_hidden, new_cell)


def norm(rows: NDArray[Any], gates: int) -> NDArray[Any]:
    """Each gate's columns to mean 0 and variance 1."""
    parts = np.split(rows, gates, axis=1)
    moments = [(part.mean(axis=1, keepdims=True), part.var(axis=1, keepdims=True)) for part in parts]
    normed = [(part - mean) / np.sqrt(var + 1e-5) for part, (mean, var) in zip(parts, moments, strict=True)]
    return np.concatenate(normed, axis=1)


def normed_tanh_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    W, b_s, g_x, g_s = values
    U, W_s = W[: inputs.shape[1]], W[inputs.shape[1] :]
    new = np.tanh(g_x * norm(inputs @ U, 1) + g_s * norm(state @ W_s, 1) + b_s)
    return new, new


def normed_gru_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    W, b, b_n, g_x, g_s = values
    x_r, x_z, x_n = columns(g_x * norm(inputs @ W[: inputs.shape[1]], 3) + b, 3)
    s_r, s_z, s_n = columns(g_s * norm(state @ W[inputs.shape[1] :], 3), 3)
    keep = sigmoid(x_z + s_z)
    new = keep * state + (1 - keep) * np.tanh(x_n + sigmoid(x_r + s_r) * (s_n + b_n))
    return new, new


def normed_lstm_step(
    values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: Any
) -> tuple[NDArray[Any], tuple[NDArray[Any], NDArray[Any]]]:
    W, b, b_c, g_c, g_x, g_s = values
    hidden, cell = state
    sums = g_x * norm(inputs @ W[: inputs.shape[1]], 4) + g_s * norm(hidden @ W[inputs.shape[1] :], 4) + b
    write, keep, show, candidate = columns(sums, 4)
    new_cell = sigmoid(keep) * cell + sigmoid(write) * np.tanh(candidate)
    new_hidden = sigmoid(show) * np.tanh(g_c * norm(new_cell, 1) + b_c)
    return new_hidden, (new_hidden, new_cell)


def stacked_step(*layers: tuple[Step, int]) -> Step:
    """The step of layers, each given as its step and its number of variables."""

    def step(values: Sequence[NDArray[Any]], inputs: NDArray[Any], state: Any) -> tuple[NDArray[Any], Any]:
        start, states = 0, []
        for (layer, count), layer_state in zip(layers, state, strict=True):
            inputs, new = layer(values[start : start + count], inputs, layer_state)
            states.append(new)
            start += count
        return inputs, tuple(states)

    return step


def run_steps(
    step: Step, values: Sequence[NDArray[Any]], inputs: Iterable[NDArray[Any]], state: Any
) -> tuple[list[NDArray[Any]], list[Any]]:
    """One step after another: the outputs and the states."""
    outputs, states = [], []
    for vectors in inputs:
        output, state = step(values, vectors, state)
        outputs.append(output)
        states.append(state)
    return outputs, states


def run_dropped_steps(
    layers: Sequence[tuple[Step, Sequence[NDArray[Any]]]],
    inputs: Sequence[NDArray[Any]],
    states: Sequence[Any],
    masks: Sequence[Sequence[NDArray[Any]]],
) -> tuple[list[NDArray[Any]], list[Any]]:
    """Layers upon each other, what goes up multiplied by a mask for each place and step.

    Place 0 is what the lowest layer reads, the last what the readout reads. Returns what is left for
    the readout, and the states of all layers, after each step.
    """
    left, history = [], []
    for t, vectors in enumerate(inputs):
        x, after = vectors * masks[0][t], []
        for (step, values), state, mask in zip(layers, states, masks[1:], strict=True):
            output, new = step(values, x, state)
            x = output * mask[t]
            after.append(new)
        states = after
        left.append(x)
        history.append(tuple(after))
    return left, history


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def cross_entropy(logits: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """ln sum_j exp(logits_j) - logits[label] of each row."""
    top = logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return np.asarray(log_total - logits[np.arange(len(labels)), labels])


def squared_error(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(((outputs - targets) ** 2).sum(axis=1) / outputs.shape[1])


def numeric_gradient(function: Callable[[], float], array: NDArray[Any], step: float = 1e-6) -> NDArray[Any]:
    """Central differences of a function of `array`, which is changed in place and put back."""
    gradient = np.empty_like(array)
    for position in np.ndindex(array.shape):
        kept = array[position]
        array[position] = kept + step
        above = function()
        array[position] = kept - step
        below = function()
        array[position] = kept
        gradient[position] = (above - below) / (2 * step)
    return gradient


# TensorFlow keeps its optimizers' constants, and Adam's powers of them, in float32, whatever the
# variables are.
DECAY = np.float32(0.9)
SLOW_DECAY = np.float32(0.999)


class Optimizer:
    """TensorFlow's v1 update rules on dense arrays, with their default constants."""

    def __init__(self, name: str, learning_rate: float, values: Sequence[NDArray[Any]]) -> None:
        self.values = [value.copy() for value in values]
        self.learning_rate = learning_rate
        self._rule = getattr(self, f"_{name}")
        start = {"adagrad": 0.1, "rmsprop": 1.0}.get(name, 0.0)
        self._second = [np.full_like(value, start) for value in values]
        self._first = [np.zeros_like(value) for value in values]
        self._powers = (np.float32(1), np.float32(1))

    def update(self, gradients: Sequence[NDArray[Any]]) -> None:
        self._powers = (self._powers[0] * DECAY, self._powers[1] * SLOW_DECAY)
        for number, gradient in enumerate(gradients):
            self.values[number] = self.values[number] - self._rule(number, gradient)

    def _average(self, averages: list[NDArray[Any]], number: int, new: Any, decay: Any) -> Any:
        averages[number] = float(decay) * averages[number] + (1 - float(decay)) * new
        return averages[number]

    def _sgd(self, number: int, g: NDArray[Any]) -> Any:
        return self.learning_rate * g

    def _momentum(self, number: int, g: NDArray[Any]) -> Any:
        self._first[number] = float(DECAY) * self._first[number] + g
        return self.learning_rate * self._first[number]

    def _adagrad(self, number: int, g: NDArray[Any]) -> Any:
        self._second[number] = self._second[number] + g**2
        return self.learning_rate * g / np.sqrt(self._second[number])

    def _rmsprop(self, number: int, g: NDArray[Any]) -> Any:
        square = self._average(self._second, number, g**2, DECAY)
        return self.learning_rate * g / np.sqrt(square + float(np.float32(1e-10)))

    def _adam(self, number: int, g: NDArray[Any]) -> Any:
        first = self._average(self._first, number, g, DECAY)
        second = self._average(self._second, number, g**2, SLOW_DECAY)
        power, slow_power = map(float, self._powers)
        rate = self.learning_rate * np.sqrt(1 - slow_power) / (1 - power)
        return rate * first / (np.sqrt(second) + float(np.float32(1e-8)))
