"""Initial weights and training blocks, the same arrays for every library, from one seed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.side_by_side.configurations import GATES, Configuration
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SEED = 1
# Blocks are read cyclically in the same order, with the state carried throughout.
BLOCKS = 8
EMBEDDING_SCALE = 0.1
BIAS_SCALE = 0.1


class Layer(NamedTuple):
    """Weights of one layer, with the gates concatenated, `state_size` columns each.

    The order is i, f, o, g for an LSTM (input, forget, output, candidate) and r, z, n for a GRU
    (reset, update, candidate).

    Attributes:
        input_kernel: [input size, gates * state_size].
        recurrent_kernel: [state_size, gates * state_size].
        bias: [gates * state_size]; not 0, so that a misplaced bias changes the losses.
        candidate_bias: [state_size], recurrent bias of a GRU's candidate; None for other cells.
    """

    input_kernel: NDArray[np.float32]
    recurrent_kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    candidate_bias: NDArray[np.float32] | None


class Weights(NamedTuple):
    """Initial weights.

    Attributes:
        embedding: [num_classes, state_size]; None for one-hot inputs.
        layers: From the bottom up.
        readout_kernel: [state_size, num_classes].
        readout_bias: [num_classes].
    """

    embedding: NDArray[np.float32] | None
    layers: tuple[Layer, ...]
    readout_kernel: NDArray[np.float32]
    readout_bias: NDArray[np.float32]


class Block(NamedTuple):
    """Data of one training step: class indices, int32 [batch_size, num_steps]."""

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]


class Problem(NamedTuple):
    """A configuration with its initial weights and its data."""

    configuration: Configuration
    weights: Weights
    blocks: tuple[Block, ...]

    def endless_blocks(self) -> Iterator[Block]:
        """Cycles through the blocks in order."""
        return itertools.cycle(self.blocks)


def make_problem(configuration: Configuration) -> Problem:
    """Makes a problem, with the same arrays in every call and every process."""
    weights, blocks = np.random.default_rng(SEED).spawn(2)
    return Problem(configuration, _weights(configuration, weights), _blocks(configuration, blocks))


def _weights(configuration: Configuration, generator: np.random.Generator) -> Weights:
    d, classes = configuration.state_size, configuration.num_classes

    def uniform(scale: float, *shape: int) -> NDArray[np.float32]:
        return generator.uniform(-scale, scale, shape).astype(np.float32)

    def layer(input_size: int) -> Layer:
        columns = GATES[configuration.cell] * d
        bias = uniform(BIAS_SCALE, columns)
        if configuration.cell == "lstm":
            bias[d : 2 * d] += 1.0  # the forget gate starts open
        return Layer(
            uniform(d**-0.5, input_size, columns),
            uniform(d**-0.5, d, columns),
            bias,
            uniform(BIAS_SCALE, d) if configuration.cell == "gru" else None,
        )

    embedding = uniform(EMBEDDING_SCALE, classes, d) if configuration.is_embedded else None
    sizes = [d if configuration.is_embedded else classes, *[d] * (configuration.num_layers - 1)]
    return Weights(
        embedding,
        tuple(layer(size) for size in sizes),
        uniform(d**-0.5, d, classes),
        uniform(BIAS_SCALE, classes),
    )


def _blocks(configuration: Configuration, generator: np.random.Generator) -> tuple[Block, ...]:
    if configuration.title == "echo":
        found = Echo().blocks(configuration.batch_size, configuration.num_steps)
        pairs = itertools.islice(found, BLOCKS)
        return tuple(Block(inputs.astype(np.int32), targets.astype(np.int32)) for inputs, targets in pairs)
    stream = _tokens(configuration, generator)
    starts = range(0, BLOCKS * configuration.num_steps, configuration.num_steps)
    width = configuration.num_steps
    return tuple(
        Block(stream[:, start : start + width].copy(), stream[:, start + 1 : start + width + 1].copy())
        for start in starts
    )


def _tokens(configuration: Configuration, generator: np.random.Generator) -> NDArray[np.int32]:
    """Draws rows of tokens with word-like frequencies (Zipf 1935).

    The number of repeated tokens in a block determines the cost of the embedding's gradient.
    """
    frequencies = 1.0 / np.arange(2, configuration.num_classes + 2)
    shape = (configuration.batch_size, BLOCKS * configuration.num_steps + 1)
    drawn = generator.choice(configuration.num_classes, shape, p=frequencies / frequencies.sum())
    return drawn.astype(np.int32)
