"""Whether the machine can hold a graph at all: told before TensorFlow tries, and the system ends it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.options import GraphOptions


def require_room(cell: Any, options: GraphOptions) -> None:
    """Raises OptionError if the variables, or a block of data, are larger than the machine's memory.

    Args:
        cell: A cell of `tf_rnn.cells`; of another nothing is known but what a block takes.
        options: The options of the graph.
    """
    numbers = {"batch_size": options.rows * max(1, options.input_size if _is_real(options) else 1)}
    if hasattr(cell, "layers"):
        numbers |= _variables(cell.layers, options)
    size, memory = np.dtype(options.dtype).itemsize, memory_of_machine()
    if size * sum(numbers.values()) <= memory:
        return
    option = max(numbers, key=lambda name: numbers[name])
    what = "the numbers of a block" if option == "batch_size" else "the weights that it makes"
    raise OptionError(
        option,
        f"must be smaller: {what} would take {size * numbers[option] / 1e9:.3g} GB, "
        f"and the machine has {memory / 1e9:.3g} GB",
    )


def _is_real(options: GraphOptions) -> bool:
    return options.input_kind == "real"


def _variables(layers: Any, options: GraphOptions) -> dict[str, int]:
    """How many numbers the variables have, by the option that makes them so many."""
    weights, read = 0, options.vector_size
    for layer in layers:
        weights += (read + layer.output_size) * layer.num_gates * layer.output_size
        read = layer.output_size
    found = {"state_size": weights}
    if options.embedding_size is not None:
        found["embedding_size"] = options.input_size * options.embedding_size
    if options.readout == "linear":
        found["num_classes"] = read * options.num_classes
    return found


def memory_of_machine() -> float:
    """Bytes of memory; inf where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")
