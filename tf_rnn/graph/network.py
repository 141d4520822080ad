"""What does not depend on time: the variables of embedding, cell and readout, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import matrix_initializer
from tf_rnn.graph.encoding import Encoding, make_encoding
from tf_rnn.graph.losses import LOSSES, Loss, columns_like
from tf_rnn.graph.readout import READOUTS, Readout
from tf_rnn.graph.room import require_room
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.cells import Weights
    from tf_rnn.options import GraphOptions

_FOREIGN_CELLS = "tf_rnn/foreign_cells"


class Reading(NamedTuple):
    """One read of every variable; all of a graph is computed from it.

    What is fetched beside a training step thus comes from one set of values, those before the
    update, however the operations of the run happen to be ordered.

    Attributes:
        embedding: E, where there is one.
        layers: The weights of each layer of the cell; none of a foreign cell.
        readout: The readout's own variables.
        tied: E again where the readout's weights are the embedding's, for the readout alone, so that
            the gradients of the two uses can be told apart.
    """

    embedding: tuple[Any, ...]
    layers: tuple[Weights, ...]
    readout: tuple[Any, ...]
    tied: tuple[Any, ...]

    def after(self, tensors: list[Any]) -> Reading:
        """The same values in tensors of their own, that nothing has been computed from yet.

        Args:
            tensors: What they wait for, and with them all that is computed from them.
        """
        with tf.control_dependencies(tensors):
            same: Reading = tf.nest.map_structure(tf.identity, self)
        return same


class Network:
    """Embedding, cell and readout, without a time axis.

    Networks made of the same cell share all variables: the cell keeps its own, the others are found
    again by their names in the cell's scope.

    Args:
        cell: A cell of `tf_rnn.cells`, or any duck-typed v1 RNN cell.
        options: The options of the graph.

    Raises:
        OptionError: If the sizes are not those that the cell was built with, or more than the machine
            can hold.
    """

    def __init__(self, cell: Any, options: GraphOptions) -> None:
        require_room(cell, options)
        self.cell = cell
        self.loss: Loss = LOSSES[options.loss]
        self.is_layered = hasattr(cell, "layers")
        if self.is_layered:
            cell.build(options.vector_size, options.dtype, options.seed, options.init_scale)
        scope = cell.scope if self.is_layered else foreign_scope(cell)
        self.scope = scope
        # The scope itself, not its name, which would be looked for within the current scope.
        shared = tf.VariableScope(tf.AUTO_REUSE, name=scope)
        with tf.variable_scope(shared, auxiliary_name_scope=False):
            self.encoding: Encoding = self._encoding(
                options, matrix_initializer(f"{scope}/E", options.seed, options.init_scale)
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
        embedding = self.encoding.read()
        tied = tuple(map(tf.identity, embedding)) if self.readout.is_tied else ()
        return Reading(embedding, layers, self.readout.read(), tied)

    def logits(self, reading: Reading, outputs: Any) -> Any:
        """Outputs [rows, output_size] to what the loss is taken of, [rows, num_classes]."""
        return self.readout.logits(self.readout.weights(reading), outputs)

    def losses(self, reading: Reading, outputs: Any, targets: Any) -> Any:
        """Outputs [rows, output_size] and what is wanted to the loss of each row, [rows]."""
        return self.loss.read_out(self.readout, self.readout.weights(reading), outputs, targets)

    def marked_losses(self, reading: Reading, outputs: Any, targets: Any) -> Any:
        """The same, 0 where there is no target."""
        marks = self.loss.marks(targets)
        some_target = tf.where_v2(columns_like(marks, targets), targets, tf.zeros_like(targets))
        losses = self.losses(reading, outputs, some_target)
        return tf.where_v2(marks, losses, tf.zeros_like(losses))


def foreign_scope(cell: Any) -> str:
    """Where the readout of a foreign cell lives: "cell" for a `tf.Graph`'s first, then "cell_1", ..."""
    known: list[Any] = tf.get_collection_ref(_FOREIGN_CELLS)
    if not any(one is cell for one in known):
        known.append(cell)
    number = [one is cell for one in known].index(True)
    return f"cell_{number}" if number else "cell"


def home_graph(cell: Any) -> Any:
    """The `tf.Graph` to build on: the cell's if it has variables, else the default, else a new one."""
    variables = getattr(cell, "variables", ())
    if variables:
        return variables[0].graph
    return tf.Graph() if tf.executing_eagerly() else tf.get_default_graph()
