"""The parts of a network without a time axis: the variables of embedding, cell and readout, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import matrix_initializer
from tf_rnn.graph.encoding import Encoding, make_encoding
from tf_rnn.graph.head import Head
from tf_rnn.graph.initial_state import InitialState
from tf_rnn.graph.memory import require_memory
from tf_rnn.graph.third_party import home_of, network_scope, require_cell
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.cells import Weights
    from tf_rnn.options import GraphOptions


class Reading(NamedTuple):
    """One read of every variable, from which a whole graph is computed.

    All that is fetched beside a training step thus comes from one set of values, those before the
    update, in whatever order the operations of the run are executed.

    Attributes:
        embedding: E, where there is one.
        layers: The weights of each layer of the cell; none of a third-party cell.
        head: The readout's weights; of a tied readout the first is E again, as a tensor of its own.
        start: s_0 in the structure of the cell's state, alone in a tuple; empty where it is zero.
    """

    embedding: tuple[Any, ...]
    layers: tuple[Weights, ...]
    head: tuple[Any, ...]
    start: tuple[Any, ...] = ()

    def after(self, tensors: list[Any]) -> Reading:
        """Copies of the weights that nothing has been computed from yet.

        Args:
            tensors: Computed before the copies, and so before all that is computed from them.
        """
        with tf.control_dependencies(tensors):
            copies: Reading = tf.nest.map_structure(tf.identity, self)
        return copies


class Network:
    """Embedding, cell and readout, without a time axis.

    Networks on the same cell share all variables: the cell keeps its own, the others are found by
    their names in the cell's scope.

    Attributes:
        cell: The cell.
        is_layered: Whether it is a cell of `tf_rnn.cells` that can be taken apart into layers.
        encoding: Inputs to vectors.
        head: Outputs to predictions and losses.
        initial_state: The learnt state before a sequence; None where it is zero.
        scope: The variable scope of embedding, readout and initial state.
        seed_name: What the seeds of embedding, readout and dropout are made from.

    Args:
        cell: A cell of `tf_rnn.cells`, or any duck-typed v1 RNN cell.
        options: The options of the graph.

    Raises:
        OptionError: If the cell was built with other options, or the variables do not fit into the
            machine's memory.
    """

    def __init__(self, cell: Any, options: GraphOptions) -> None:
        require_memory(cell, options)
        self.cell = cell
        self.is_layered = hasattr(cell, "layers")
        if self.is_layered:
            cell.build(options.vector_size, options.dtype, options.seed, options.init_scale)
        self.scope: str = cell.scope if self.is_layered else network_scope(cell)
        self.seed_name: str = cell.layers[0].seed_name if self.is_layered else "cell"
        # The scope object, since a name would be resolved within the current scope.
        shared = tf.VariableScope(tf.AUTO_REUSE, name=self.scope)
        with tf.variable_scope(shared, auxiliary_name_scope=False):
            self.encoding = self._make_encoding(options)
            self.head = Head(cell.output_size, options, self.seed_name)
            is_learnt = options.initial_state == "learnt"
            self.initial_state = InitialState(cell, options.dtype) if is_learnt else None

    def _make_encoding(self, options: GraphOptions) -> Encoding:
        initializer = matrix_initializer(f"{self.seed_name}/E", options.seed, options.init_scale)
        try:
            return make_encoding(options, initializer)
        except ValueError as error:
            raise OptionError(
                "input_size",
                f"must be what the cell's embedding was made with, got {options.input_size}",
            ) from error

    @property
    def variables(self) -> tuple[Any, ...]:
        """Embedding, cell, readout, initial state; without those of a third-party cell."""
        cell = self.cell.variables if self.is_layered else ()
        start = self.initial_state.variables if self.initial_state else ()
        return (*self.encoding.variables, *cell, *self.head.readout.variables, *start)

    def read(self) -> Reading:
        """Reads each variable once."""
        layers = tuple(layer.read() for layer in self.cell.layers) if self.is_layered else ()
        embedding = self.encoding.read()
        start = (self.initial_state.read(),) if self.initial_state else ()
        return Reading(embedding, layers, self.head.readout.read(embedding), start)


def home_graph(cell: Any) -> Any:
    """The `tf.Graph` of a cell's variables, or of its first use; else the default one, or a new one."""
    require_cell(cell)
    variables = getattr(cell, "variables", ())
    if variables:
        return variables[0].graph
    known = home_of(cell)
    if known is not None:
        return known
    return tf.Graph() if tf.executing_eagerly() else tf.get_default_graph()
