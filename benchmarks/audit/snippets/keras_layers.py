"""Keras: `SimpleRNN`, trained by `fit`.

The loss is weights * outputs, so that what `fit` reports is the output of one step, but for the mean. With
plain gradient descent at a rate of 1 the gradient is what is taken from the weight; only the batch that has
the loss takes any.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.audit.snippets import WIDTH, Snippet, blocks

if TYPE_CHECKING:
    from tf_rnn.audit import Probe

os.environ["KERAS_BACKEND"] = "tensorflow"
keras: Any = importlib.import_module("keras")


def compiled(length: int, **options: Any) -> Any:
    """Weights of 1, no bias, the identity."""
    layer = keras.layers.SimpleRNN(
        1, "linear", use_bias=False, kernel_initializer="ones", recurrent_initializer="ones", **options
    )
    model = keras.Sequential([keras.Input(batch_shape=(1, length, 1)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda weights, outputs: weights * outputs)
    return model


def trained(model: Any, inputs: Any, weights: Any, **options: Any) -> tuple[Any, Any]:
    """Fits one epoch in batches of one row: the gradient, and the loss as a sum over batches and steps."""
    history = model.fit(inputs, weights, batch_size=1, epochs=1, verbose=0, **options)
    gradient = 1 - model.layers[0].get_weights()[1]
    return gradient, history.history["loss"][0] * weights.size


def arrays(probe: Probe) -> tuple[Any, Any]:
    """The blocks one after the other, [blocks, WIDTH, 1]."""
    inputs, weights = zip(*blocks(probe), strict=True)
    return np.concatenate(inputs), np.concatenate(weights)


def stateful(probe: Probe) -> tuple[Any, Any]:
    """Blocks in order, the state carried."""
    return trained(compiled(WIDTH, return_sequences=True, stateful=True), *arrays(probe), shuffle=False)


def stateless(probe: Probe) -> tuple[Any, Any]:
    """The default: each batch starts from zero."""
    return trained(compiled(WIDTH, return_sequences=True), *arrays(probe), shuffle=False)


def shuffled(probe: Probe) -> tuple[Any, Any]:
    """The state carried, but `fit` shuffles by default."""
    keras.utils.set_random_seed(5)
    return trained(compiled(WIDTH, return_sequences=True, stateful=True), *arrays(probe))


def windowed(probe: Probe) -> tuple[Any, Any]:
    """A window for each target, all from zero: many to one."""
    ends = range(WIDTH, probe.num_steps + 1)
    inputs = np.stack([probe.inputs[end - WIDTH : end, None] for end in ends])
    return trained(compiled(WIDTH), inputs, probe.weights[WIDTH - 1 :, None])


SNIPPETS = [
    Snippet("stateful=True, shuffle=False", stateful, is_right=True, loss_scale=1 / WIDTH),
    Snippet("stateful left out", stateless, loss_scale=1 / WIDTH),
    Snippet("stateful=True, shuffle left out", shuffled, loss_scale=1 / WIDTH),
    Snippet("a window for each target", windowed, is_right=True),
]
