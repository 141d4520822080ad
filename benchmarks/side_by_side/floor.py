"""How fast it could be: the matrix products of a training step at the machine's best rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.side_by_side.configurations import GATES

if TYPE_CHECKING:
    from benchmarks.side_by_side.configurations import Configuration

# A product Y = X W in the forward pass is followed by dX = dY W^T and dW = X^T dY in the backward pass.
PRODUCTS = 3


def training_operations(configuration: Configuration) -> int:
    """Floating point operations of one training step's matrix products.

        forward, a token:  2 (in + d) gates d  a layer,  2 d classes  for the readout
        forward and backward:  three times that

    Looking up a row (of an embedding, or of the kernel for a unit vector) is no product. Everything
    else, from the gates to the optimizer, is left out: it would cost nothing where a processor were
    infinitely quick at what is not a product.

    Args:
        configuration: What is trained.
    """
    d = configuration.state_size
    columns = GATES[configuration.cell] * d
    a_token = 2 * d * configuration.num_classes
    for number in range(configuration.num_layers):
        read_size = d if number or configuration.is_embedded else 0
        a_token += 2 * (read_size + d) * columns
    return PRODUCTS * a_token * configuration.tokens


def floor_milliseconds(configuration: Configuration, operations_per_second: float) -> float:
    """The time that these products take at a rate."""
    return 1000 * training_operations(configuration) / operations_per_second
