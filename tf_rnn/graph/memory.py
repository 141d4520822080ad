"""A check of a graph's memory, before TensorFlow allocates it and the system kills the process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.options import GraphOptions


def require_memory(cell: Any, options: GraphOptions) -> None:
    """Raises OptionError if variables and a block of data together are larger than the machine's memory.

    Args:
        cell: A cell of `tf_rnn.cells`; for other cells only the block of data is counted.
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
    """The sizes of the variables, by the option that each grows with."""
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
    """Bytes of physical memory; inf where the system does not report it."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")
