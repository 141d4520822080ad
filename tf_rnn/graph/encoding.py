"""Encodings of a step's inputs as the vectors that a cell reads.

Each encoding makes the vectors of inputs (`vectors`), and computes the cell's projection X W_x + b of
many inputs at once (`projector`), which is often cheaper than making the vectors first.
"""

from __future__ import annotations

import abc
import functools
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.own_gradient import own_gradient
from tf_rnn.cells.products import precision_of_products, products_in, sum_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.cells import Cell, Weights
    from tf_rnn.options import GraphOptions

# Up to this many rows a one-hot matrix product sums gradients faster than scattering them does.
ONE_HOT_ROWS = 512


class Projection(NamedTuple):
    """X W_x + b of many inputs.

    Attributes:
        rows: X W_x + b, one row for each input.
        vectors: X; None where rows were looked up in a table instead.
    """

    rows: Any
    vectors: Any = None


class Encoding(abc.ABC):
    """Inputs of one step, [batch_size, ...], to vectors [batch_size, vector_size].

    Attributes:
        is_learnt: Whether the vectors are learnt, or else the inputs themselves.
        variables: The learnt variables.
    """

    is_learnt: ClassVar[bool] = False
    variables: tuple[Any, ...] = ()

    def read(self) -> tuple[Any, ...]:
        """Reads each variable once."""
        return tuple(variable.read_value() for variable in self.variables)

    @abc.abstractmethod
    def placeholder(self, batch_size: int, num_steps: int) -> Any:
        """The placeholder of the inputs, [batch_size, num_steps, ...]."""

    @abc.abstractmethod
    def vectors(self, values: tuple[Any, ...], inputs: Any) -> Any:
        """The vectors of any number of inputs; `values` come from `read`."""

    @abc.abstractmethod
    def projector(
        self, values: tuple[Any, ...], layer: Cell, weights: Weights, rows: int
    ) -> Callable[[Any], Projection]:
        """The function from a chunk's inputs to X W_x + b.

        Args:
            values: From `read`.
            layer: The lowest layer.
            weights: One read of its variables.
            rows: The number of inputs of the whole graph, over examples and steps.
        """


class OneHot(Encoding):
    """Class indices as unit vectors: X W_x is a row of W_x."""

    def __init__(self, options: GraphOptions) -> None:
        self._size = options.input_size
        self._dtype = tf.as_dtype(options.dtype)

    def placeholder(self, batch_size: int, num_steps: int) -> Any:
        """Class indices, int32 [batch_size, num_steps]."""
        return tf.placeholder(tf.int32, [batch_size, num_steps], name="inputs")

    def vectors(self, values: tuple[Any, ...], inputs: Any) -> Any:
        """Rows of the identity matrix."""
        return tf.one_hot(inputs, self._size, dtype=self._dtype)

    def projector(
        self, values: tuple[Any, ...], layer: Cell, weights: Weights, rows: int
    ) -> Callable[[Any], Projection]:
        """Rows of W_x + b (`Cell.finish`); where there are more classes than inputs, rows of W_x, plus b."""
        if 2 * self._size <= rows:
            table = layer.finish(weights, weights.input_kernel)
            return lambda inputs: Projection(look_up(table, inputs))
        return lambda inputs: Projection(layer.finish(weights, look_up(weights.input_kernel, inputs)))


class Embedding(Encoding):
    """Class indices as learnt vectors: rows of E [input_size, embedding_size]."""

    is_learnt = True

    def __init__(self, options: GraphOptions, initializer: Any) -> None:
        self._size = options.input_size
        shape = [options.input_size, options.embedding_size]
        self.variables = (tf.get_variable("E", shape, options.dtype, initializer, use_resource=True),)

    def placeholder(self, batch_size: int, num_steps: int) -> Any:
        """Class indices, int32 [batch_size, num_steps]."""
        return tf.placeholder(tf.int32, [batch_size, num_steps], name="inputs")

    def vectors(self, values: tuple[Any, ...], inputs: Any) -> Any:
        """Rows of E."""
        return look_up(values[0], inputs)

    def projector(
        self, values: tuple[Any, ...], layer: Cell, weights: Weights, rows: int
    ) -> Callable[[Any], Projection]:
        """Rows of E W_x + b where that table is smaller than what the graph looks up."""
        if 2 * self._size <= rows:
            table = layer.project(weights, values[0])
            return lambda inputs: Projection(look_up(table, inputs))
        return lambda inputs: project(layer, weights, self.vectors(values, inputs))


class Real(Encoding):
    """Real vectors, unchanged; of size 0 where a step has no input."""

    def __init__(self, options: GraphOptions) -> None:
        self._size = options.input_size
        self._dtype = tf.as_dtype(options.dtype)

    def placeholder(self, batch_size: int, num_steps: int) -> Any:
        """Real values, [batch_size, num_steps, input_size]; nothing to feed for size 0."""
        shape = [batch_size, num_steps, self._size]
        if self._size == 0:
            return tf.placeholder_with_default(tf.zeros(shape, self._dtype), shape, name="inputs")
        return tf.placeholder(self._dtype, shape, name="inputs")

    def vectors(self, values: tuple[Any, ...], inputs: Any) -> Any:
        """The inputs themselves."""
        return inputs

    def projector(
        self, values: tuple[Any, ...], layer: Cell, weights: Weights, rows: int
    ) -> Callable[[Any], Projection]:
        """One matrix product a chunk."""
        return lambda inputs: project(layer, weights, inputs)


def project(layer: Cell, weights: Weights, vectors: Any) -> Projection:
    """X W_x + b of vectors X."""
    return Projection(layer.project(weights, vectors), vectors)


def make_encoding(options: GraphOptions, initializer: Any) -> Encoding:
    """The encoding for a graph's options; `initializer` is the embedding's."""
    if options.input_kind != "classes":
        return Real(options)
    if options.embedding_size is None:
        return OneHot(options)
    return Embedding(options, initializer)


def look_up(table: Any, indices: Any) -> Any:
    """Rows of `table`, [rows, columns], at `indices` [n]: [n, columns].

    The gradient of a small table is one product with the one-hot matrix of the indices, which is
    much faster than TensorFlow's scattered sum.
    """
    if int(table.shape[0]) > ONE_HOT_ROWS:
        return tf.gather(table, indices)

    precision = precision_of_products()
    with own_gradient("GatherV2", f"look_up_{precision}", _one_hot_gradient(precision)):
        return tf.gather(table, indices)


@functools.cache
def _one_hot_gradient(precision: str) -> Callable[..., tuple[Any, None, None]]:
    """The gradient of a table that rows were gathered from, in a precision, whenever it is asked for."""

    def gradient(operation: Any, upstream: Any) -> tuple[Any, None, None]:
        table, indices, _ = operation.inputs
        upstream = tf.convert_to_tensor(upstream)  # sparse where somebody gathers again
        with products_in(precision):
            return sum_of_rows(indices, upstream, int(table.shape[0])), None, None

    return gradient
