"""Lower bound on the step time: its matrix products at the machine's best rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.side_by_side.configurations import GATES

if TYPE_CHECKING:
    from benchmarks.side_by_side.configurations import Configuration

# A product Y = X W in the forward pass is followed by dX = dY W^T and dW = X^T dY in the backward pass.
PRODUCTS = 3


def training_operations(configuration: Configuration) -> int:
    """Floating point operations of one training step's matrix products.

        forward, per token:  2 (in + d) gates d  for a layer,  2 d classes  for the readout
        forward and backward:  three times that

    A row lookup (in an embedding, or in the kernel for a one-hot input) does not count as a product.
    Everything else, from the gates to the optimizer, is left out, so the result is a lower bound.

    Args:
        configuration: Model and sizes.
    """
    d = configuration.state_size
    columns = GATES[configuration.cell] * d
    a_token = 2 * d * configuration.num_classes
    for number in range(configuration.num_layers):
        read_size = d if number or configuration.is_embedded else 0
        a_token += 2 * (read_size + d) * columns
    return PRODUCTS * a_token * configuration.tokens


def floor_milliseconds(configuration: Configuration, operations_per_second: float) -> float:
    """Time of these products at the given rate, in milliseconds."""
    return 1000 * training_operations(configuration) / operations_per_second
