"""From a cell's outputs to predictions before the softmax."""

from __future__ import annotations

import abc
from typing import Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import named_seed
from tf_rnn.config import GraphOptions, OptionError


class Readout(abc.ABC):
    """Outputs H [rows, output_size] to logits [rows, num_classes]."""

    variables: tuple[Any, ...] = ()

    def read(self) -> tuple[Any, ...]:
        """Reads each variable once."""
        return tuple(variable.read_value() for variable in self.variables)

    @abc.abstractmethod
    def logits(self, values: tuple[Any, ...], outputs: Any) -> Any:
        """The logits of any number of rows; `values` is what `read` gave."""


class Linear(Readout):
    """H U + b_p, with U [output_size, num_classes] and b_p [num_classes]."""

    def __init__(self, output_size: int, options: GraphOptions, scope: str) -> None:
        start = tf.glorot_uniform_initializer(seed=named_seed(options.seed, f"{scope}/U"))
        shape = [output_size, options.num_classes]
        try:
            self.variables = (
                tf.get_variable("U", shape, options.dtype, start, use_resource=True),
                tf.get_variable("b_p", shape[1:], options.dtype, tf.zeros_initializer(), use_resource=True),
            )
        except ValueError as error:
            raise OptionError(
                "num_classes",
                f"must be what the cell's readout was made with, got {options.num_classes}",
            ) from error

    def logits(self, values: tuple[Any, ...], outputs: Any) -> Any:
        """One product for all rows."""
        U, b_p = values
        return tf.matmul(outputs, U) + b_p


class Direct(Readout):
    """The outputs themselves, for a cell that predicts."""

    def __init__(self, output_size: int, options: GraphOptions, scope: str) -> None:
        if options.num_classes != output_size:
            raise OptionError(
                "num_classes",
                f"must be the cell's output size, {output_size}, where readout is 'none', "
                f"got {options.num_classes}",
            )

    def logits(self, values: tuple[Any, ...], outputs: Any) -> Any:
        """The outputs."""
        return outputs


READOUTS: dict[str, type[Linear | Direct]] = {"linear": Linear, "none": Direct}
