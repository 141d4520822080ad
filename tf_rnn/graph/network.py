"""What does not depend on time: the variables of embedding, cell and readout, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import named_seed
from tf_rnn.config import GraphOptions, OptionError
from tf_rnn.graph.encoding import Encoding, make_encoding
from tf_rnn.graph.losses import LOSSES, Loss
from tf_rnn.graph.readout import READOUTS, Readout

if TYPE_CHECKING:
    from tf_rnn.cells import Weights


class Reading(NamedTuple):
    """One read of every variable; all of a graph is computed from it.

    What is fetched beside a training step thus comes from one set of values, those before the
    update, however the operations of the run happen to be ordered.
    """

    embedding: tuple[Any, ...]
    layers: tuple[Weights, ...]
    readout: tuple[Any, ...]


class Network:
    """Embedding, cell and readout, without a time axis.

    Networks made of the same cell share all variables: the cell keeps its own, the others are found
    again by their names in the cell's scope.

    Args:
        cell: A cell of `tf_rnn.cells`, or any duck-typed v1 RNN cell.
        options: The options of the graph.

    Raises:
        OptionError: If the sizes are not those that the cell was built with.
    """

    def __init__(self, cell: Any, options: GraphOptions) -> None:
        self.cell = cell
        self.loss: Loss = LOSSES[options.loss]
        self.is_layered = hasattr(cell, "layers")
        scope = "cell"
        if self.is_layered:
            cell.build(options.vector_size, options.dtype, options.seed)
            scope = cell.scope
        self.scope = scope
        # The scope itself, not its name, which would be looked for within the current scope.
        shared = tf.VariableScope(tf.AUTO_REUSE, name=scope)
        with tf.variable_scope(shared, auxiliary_name_scope=False):
            self.encoding: Encoding = self._encoding(
                options, tf.glorot_uniform_initializer(seed=named_seed(options.seed, f"{scope}/E"))
            )
            self.readout: Readout = READOUTS[options.readout](cell.output_size, options, scope)

    @staticmethod
    def _encoding(options: GraphOptions, initializer: Any) -> Encoding:
        try:
            return make_encoding(options, initializer)
        except ValueError as error:
            raise OptionError(
                "input_size",
                f"must be what the cell's embedding was made with, got {options.input_size}",
            ) from error

    @property
    def variables(self) -> tuple[Any, ...]:
        """Embedding, cell, readout; a foreign cell's own variables are not among them."""
        cell = self.cell.variables if self.is_layered else ()
        return (*self.encoding.variables, *cell, *self.readout.variables)

    def read(self) -> Reading:
        """Reads each variable once."""
        layers = tuple(layer.read() for layer in self.cell.layers) if self.is_layered else ()
        return Reading(self.encoding.read(), layers, self.readout.read())

    def logits(self, reading: Reading, outputs: Any) -> Any:
        """Outputs [rows, output_size] to what the loss is taken of, [rows, num_classes]."""
        return self.readout.logits(reading.readout, outputs)


def home_graph(cell: Any) -> Any:
    """The `tf.Graph` to build on: the cell's if it has variables, else the default, else a new one."""
    variables = getattr(cell, "variables", ())
    if variables:
        return variables[0].graph
    return tf.Graph() if tf.executing_eagerly() else tf.get_default_graph()
