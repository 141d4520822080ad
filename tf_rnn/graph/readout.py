"""Readouts: from a cell's outputs to logits."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import matrix_initializer
from tf_rnn.cells.products import product, sum_of_products
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.options import GraphOptions


class UpstreamLogits(NamedTuple):
    """What flows back to the logits of a chunk.

        dL/d(logits_r) = factors_r d_logits_r   for row r

    The factors are multiplied into the small matrices on both sides; `d_logits`, as wide as there are
    classes, is only read.

    Attributes:
        outputs: H, [rows, output_size].
        d_logits: [rows, num_classes].
        factors: [rows].
    """

    outputs: Any
    d_logits: Any
    factors: Any

    @property
    def column(self) -> Any:
        """The factors, [rows, 1]."""
        return tf.expand_dims(self.factors, 1)


class Backward(NamedTuple):
    """The derivative of logits.

    Attributes:
        outputs: dL/dH of each chunk.
        weights: dL/d(weights), summed over the chunks.
    """

    outputs: list[Any]
    weights: tuple[Any, ...]


class Readout(abc.ABC):
    """Outputs H [rows, output_size] to logits [rows, num_classes].

    Attributes:
        is_learnt: Whether there are weights between outputs and logits.
        is_tied: Whether the first of its weights is the embedding.
        num_classes: Columns of the logits.
        variables: The readout's own variables.

    Args:
        output_size: Size of the cell's output.
        options: Options of the graph.
        name: What the seeds of its weights are made from.
    """

    is_learnt: ClassVar[bool] = True
    is_tied: ClassVar[bool] = False
    num_classes: int
    variables: tuple[Any, ...] = ()

    def __init__(self, output_size: int, options: GraphOptions, name: str) -> None:
        self.num_classes = options.num_classes
        self._check(output_size, options)
        try:
            self.variables = self._make_variables(output_size, options, name)
        except ValueError as error:
            raise OptionError(
                "num_classes", f"must be what the cell's readout was made with, got {options.num_classes}"
            ) from error

    @abc.abstractmethod
    def _check(self, output_size: int, options: GraphOptions) -> None:
        """Raises OptionError unless the readout suits the cell's outputs."""

    @abc.abstractmethod
    def _make_variables(self, output_size: int, options: GraphOptions, name: str) -> tuple[Any, ...]:
        """Makes the readout's own variables in the current scope, or finds them there."""

    def read(self, embedding: tuple[Any, ...]) -> tuple[Any, ...]:
        """The weights that logits are computed with; each variable is read once.

        Args:
            embedding: One read of the embedding, if there is one.
        """
        return tuple(variable.read_value() for variable in self.variables)

    @abc.abstractmethod
    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """The logits of any number of rows."""

    @staticmethod
    @abc.abstractmethod
    def backward(weights: tuple[Any, ...], chunks: Sequence[UpstreamLogits]) -> Backward:
        """The derivative of `logits` of some chunks that were read out with the same weights."""


class Linear(Readout):
    """H U + b_p, with U [output_size, num_classes] and b_p [num_classes]."""

    def _check(self, output_size: int, options: GraphOptions) -> None:
        """Suits any cell."""

    def _make_variables(self, output_size: int, options: GraphOptions, name: str) -> tuple[Any, ...]:
        initializer = matrix_initializer(f"{name}/U", options.seed, options.init_scale)
        shape = [output_size, options.num_classes]
        return tf.get_variable("U", shape, options.dtype, initializer, use_resource=True), _bias(options)

    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """One product for all rows."""
        U, b_p = weights
        return product(outputs, U) + b_p

    @staticmethod
    def backward(weights: tuple[Any, ...], chunks: Sequence[UpstreamLogits]) -> Backward:
        """dL/dH, dL/dU, dL/db_p; see `Readout.backward`."""
        U, _ = weights
        d_outputs = [each.column * product(each.d_logits, U, transpose_b=True) for each in chunks]
        d_U = sum_of_products([(each.column * each.outputs, each.d_logits) for each in chunks])
        return Backward(d_outputs, (d_U, _sum_over_rows(chunks)))


class Tied(Readout):
    """H E^T + b_p, with E [num_classes, output_size] the embedding and b_p [num_classes].

    Each class then has one vector, as input and as prediction, and the readout's only weights of its
    own are the bias.

    Source: Press & Wolf 2017; Inan et al. 2017.
    """

    is_tied = True

    def _check(self, output_size: int, options: GraphOptions) -> None:
        if options.embedding_size != output_size:
            raise OptionError(
                "embedding_size",
                f"must be the cell's output size, {output_size}, where readout is 'tied', "
                f"got {options.embedding_size}",
            )

    def _make_variables(self, output_size: int, options: GraphOptions, name: str) -> tuple[Any, ...]:
        return (_bias(options),)

    def read(self, embedding: tuple[Any, ...]) -> tuple[Any, ...]:
        """E as a tensor of its own, so that the gradients of its two uses stay apart, and b_p."""
        return (*map(tf.identity, embedding), *super().read(embedding))

    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """One product for all rows."""
        E, b_p = weights
        return product(outputs, E, transpose_b=True) + b_p

    @staticmethod
    def backward(weights: tuple[Any, ...], chunks: Sequence[UpstreamLogits]) -> Backward:
        """dL/dH, dL/dE, dL/db_p; see `Readout.backward`."""
        E, _ = weights
        d_outputs = [each.column * product(each.d_logits, E) for each in chunks]
        d_E = sum_of_products([(each.d_logits, each.column * each.outputs) for each in chunks])
        return Backward(d_outputs, (d_E, _sum_over_rows(chunks)))


class Direct(Readout):
    """The outputs themselves, for a cell that predicts."""

    is_learnt = False

    def _check(self, output_size: int, options: GraphOptions) -> None:
        if options.num_classes != output_size:
            raise OptionError(
                "num_classes",
                f"must be the cell's output size, {output_size}, where readout is 'none', "
                f"got {options.num_classes}",
            )

    def _make_variables(self, output_size: int, options: GraphOptions, name: str) -> tuple[Any, ...]:
        return ()

    def logits(self, weights: tuple[Any, ...], outputs: Any) -> Any:
        """The outputs."""
        return outputs

    @staticmethod
    def backward(_: tuple[Any, ...], chunks: Sequence[UpstreamLogits]) -> Backward:
        """dL/dH; see `Readout.backward`."""
        return Backward([each.column * each.d_logits for each in chunks], ())


def _sum_over_rows(chunks: Sequence[UpstreamLogits]) -> Any:
    """The sum over the rows of all chunks of factor times `d_logits`, [num_classes]."""
    sums = [tf.matmul(each.column, each.d_logits, transpose_a=True) for each in chunks]
    return tf.reshape(tf.add_n(sums), [-1])


def _bias(options: GraphOptions) -> Any:
    size = [options.num_classes]
    return tf.get_variable("b_p", size, options.dtype, tf.zeros_initializer(), use_resource=True)


READOUTS: dict[str, type[Readout]] = {"linear": Linear, "tied": Tied, "none": Direct}
