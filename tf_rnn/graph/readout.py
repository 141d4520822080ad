"""From a cell's outputs to predictions before the softmax."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import matrix_initializer
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.graph.network import Reading
    from tf_rnn.options import GraphOptions


class Readout(abc.ABC):
    """Outputs H [rows, output_size] to logits [rows, num_classes].

    Attributes:
        is_learnt: Whether there are weights between the outputs and the logits.
        is_tied: Whether these are those of the embedding.
        num_classes: Columns of the logits.
        variables: The readout's own.
    """

    is_learnt: ClassVar[bool] = True
    is_tied: ClassVar[bool] = False
    num_classes: int
    variables: tuple[Any, ...] = ()

    def read(self) -> tuple[Any, ...]:
        """Reads each variable once."""
        return tuple(variable.read_value() for variable in self.variables)

    @abc.abstractmethod
    def weights(self, reading: Reading) -> tuple[Any, ...]:
        """What logits are computed with, from one read of the network's variables."""

    @abc.abstractmethod
    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """The logits of any number of rows."""

    @abc.abstractmethod
    def backward(self, weights: tuple[Any, ...], outputs: Any, slopes: Any, factors: Any) -> tuple[Any, ...]:
        """The derivative of `logits`: dL/dH, then dL/d(weights).

            dL/d(logits_r) = factors_r slopes_r   for row r

        The factors go to the small matrices on both sides; the slopes, as wide as there are classes,
        are only read.

        Args:
            weights: What the logits were computed with.
            outputs: H, [rows, output_size].
            slopes: [rows, num_classes].
            factors: [rows].
        """


def _num_classes_error(options: GraphOptions) -> OptionError:
    return OptionError(
        "num_classes", f"must be what the cell's readout was made with, got {options.num_classes}"
    )


class Linear(Readout):
    """H U + b_p, with U [output_size, num_classes] and b_p [num_classes]."""

    def __init__(self, output_size: int, options: GraphOptions, scope: str) -> None:
        self.num_classes = options.num_classes
        start = matrix_initializer(f"{scope}/U", options.seed, options.init_scale)
        shape = [output_size, options.num_classes]
        try:
            self.variables = (
                tf.get_variable("U", shape, options.dtype, start, use_resource=True),
                _bias(options),
            )
        except ValueError as error:
            raise _num_classes_error(options) from error

    def weights(self, reading: Reading) -> tuple[Any, ...]:
        """U, b_p."""
        return reading.readout

    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """One product for all rows."""
        U, b_p = weights
        return tf.matmul(outputs, U) + b_p

    def backward(self, weights: tuple[Any, ...], outputs: Any, slopes: Any, factors: Any) -> tuple[Any, ...]:
        """See `Readout.backward`."""
        U, _ = weights
        factors = tf.expand_dims(factors, 1)
        of_outputs = factors * tf.matmul(slopes, U, transpose_b=True)
        of_U = tf.matmul(factors * outputs, slopes, transpose_a=True)
        return of_outputs, of_U, _sum_of_rows(factors, slopes)


class Tied(Readout):
    """H E^T + b_p, with E [num_classes, output_size] the embedding and b_p [num_classes].

    A class read and a class predicted are then one vector, and the readout has no weights of its own
    but the bias.

    Source: Press & Wolf 2017; Inan et al. 2017.
    """

    is_tied = True

    def __init__(self, output_size: int, options: GraphOptions, scope: str) -> None:
        self.num_classes = options.num_classes
        if options.embedding_size != output_size:
            raise OptionError(
                "embedding_size",
                f"must be the cell's output size, {output_size}, where readout is 'tied', "
                f"got {options.embedding_size}",
            )
        try:
            self.variables = (_bias(options),)
        except ValueError as error:
            raise _num_classes_error(options) from error

    def weights(self, reading: Reading) -> tuple[Any, ...]:
        """E, b_p."""
        return (*reading.tied, *reading.readout)

    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """One product for all rows."""
        E, b_p = weights
        return tf.matmul(outputs, E, transpose_b=True) + b_p

    def backward(self, weights: tuple[Any, ...], outputs: Any, slopes: Any, factors: Any) -> tuple[Any, ...]:
        """See `Readout.backward`."""
        E, _ = weights
        factors = tf.expand_dims(factors, 1)
        of_outputs = factors * tf.matmul(slopes, E)
        of_E = tf.matmul(slopes, factors * outputs, transpose_a=True)
        return of_outputs, of_E, _sum_of_rows(factors, slopes)


class Direct(Readout):
    """The outputs themselves, for a cell that predicts."""

    is_learnt = False

    def __init__(self, output_size: int, options: GraphOptions, scope: str) -> None:
        self.num_classes = options.num_classes
        if options.num_classes != output_size:
            raise OptionError(
                "num_classes",
                f"must be the cell's output size, {output_size}, where readout is 'none', "
                f"got {options.num_classes}",
            )

    def weights(self, reading: Reading) -> tuple[Any, ...]:
        """None."""
        return ()

    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """The outputs."""
        return outputs

    def backward(self, weights: tuple[Any, ...], outputs: Any, slopes: Any, factors: Any) -> tuple[Any, ...]:
        """See `Readout.backward`."""
        return (tf.expand_dims(factors, 1) * slopes,)


def _sum_of_rows(factors: Any, slopes: Any) -> Any:
    """The sum over rows of factor times slopes, [num_classes]; factors are [rows, 1]."""
    return tf.reshape(tf.matmul(factors, slopes, transpose_a=True), [-1])


def _bias(options: GraphOptions) -> Any:
    size = [options.num_classes]
    return tf.get_variable("b_p", size, options.dtype, tf.zeros_initializer(), use_resource=True)


READOUTS: dict[str, type[Linear | Tied | Direct]] = {"linear": Linear, "tied": Tied, "none": Direct}
