"""What the tests of cells and graphs share: cells with their references, random weights, comparing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import references as ref

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, GRUResetBeforeCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.session import session_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Case:
    """A cell and its step in NumPy."""

    make: Callable[[], Any]
    step: ref.Step


CASES = {
    "tanh": Case(lambda: VanillaCell(7), ref.tanh_step),
    "relu": Case(lambda: VanillaCell(7, activation="relu"), ref.relu_step),
    "gru": Case(lambda: GRUCell(6), ref.gru_step),
    "gru_reset_before": Case(lambda: GRUResetBeforeCell(6), ref.gru_reset_before_step),
    "lstm": Case(lambda: LSTMCell(4), ref.lstm_step),
    "stacked": Case(
        lambda: StackedCell([LSTMCell(4), VanillaCell(7, activation="relu"), GRUCell(3)]),
        ref.stacked_step((ref.lstm_step, 2), (ref.relu_step, 2), (ref.gru_step, 3)),
    ),
}


# With layer normalisation.
NORMED = {
    "normed tanh": Case(lambda: VanillaCell(7, layer_norm=True), ref.normed_tanh_step),
    "normed gru": Case(lambda: GRUCell(6, layer_norm=True), ref.normed_gru_step),
    "normed lstm": Case(lambda: LSTMCell(4, layer_norm=True), ref.normed_lstm_step),
    "normed stacked": Case(
        lambda: StackedCell([LSTMCell(4, layer_norm=True), GRUCell(3)]),
        ref.stacked_step((ref.normed_lstm_step, 6), (ref.gru_step, 3)),
    ),
}
ALL_CASES = CASES | NORMED


class Summing:
    """S_t = S_{t-1} + X_t: no layers, no variables."""

    state_size = 3
    output_size = 3

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 3], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        return state + inputs, state + inputs


class Foreign:
    """A cell with variables: c_t = 0.9 c_{t-1} + tanh(X V + c_{t-1} R), the output is c_t r."""

    state_size, output_size = 4, 3

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 4], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        def variable(name: str, *shape: int) -> Any:
            start = tf.glorot_uniform_initializer(seed=len(name))
            return tf.get_variable(name, shape, state.dtype, start, use_resource=True)

        V, R = variable("V", int(inputs.shape[1]), 4), variable("RR", 4, 4)
        state = self.combine(0.9 * state + tf.tanh(tf.matmul(inputs, V) + tf.matmul(state, R)))
        return tf.matmul(state, variable("rrr", 4, 3)), state

    def combine(self, state: Any) -> Any:
        return state


def assert_close(found: Any, expected: Any, tolerance: float, what: Any = "") -> None:
    """Fails unless shapes are equal, and values up to `tolerance` (absolute; 0 for exactly)."""
    flat, flat_expected = tf.nest.flatten(found), tf.nest.flatten(expected)
    assert len(flat) == len(flat_expected), f"{what}: {len(flat)} arrays, not {len(flat_expected)}"
    for number, (one, other) in enumerate(zip(flat, flat_expected, strict=True)):
        a, b = np.asarray(one), np.asarray(other)
        name = f"{what}, array {number}"
        assert a.shape == b.shape, f"{name}: shape {a.shape}, not {b.shape}"
        if a.size == 0:
            continue
        difference = np.abs(a.astype(float) - b.astype(float))
        worst = np.unravel_index(np.argmax(difference), a.shape)  # a nan counts as the largest
        at = [int(i) for i in worst]
        assert difference[worst] <= tolerance, f"{name}, at {at}: {a[worst]!r}, not {b[worst]!r}"


def random_state(generator: np.random.Generator, state: Any) -> Any:
    """Random arrays in the structure and shapes of `state`."""
    return tf.nest.map_structure(lambda leaf: generator.normal(size=tuple(leaf.shape)), state)


def random_values(
    generator: np.random.Generator, variables: Sequence[Any], scale: float = 0.6
) -> list[NDArray[Any]]:
    """A value for each variable, all elements (those of biases too) random."""
    return [scale * generator.normal(size=tuple(variable.shape)) for variable in variables]


def ancestors(tensors: list[Any]) -> set[Any]:
    """All operations that have to run before these tensors or operations are there."""
    waiting = [getattr(tensor, "op", tensor) for tensor in tensors]
    found: set[Any] = set()
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [*op.control_inputs, *(tensor.op for tensor in op.inputs)]
    return found


def new_session(graph: Any = None) -> Any:
    """A session of the default graph, or another, that runs it as it is, in one thread."""
    return tf.Session(graph=graph, config=session_config(0))


def assign(session: Any, variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    """Gives variables their values, without adding an operation to the graph."""
    initializers = [variable.initializer for variable in variables]
    fed = {op.inputs[1]: value for op, value in zip(initializers, values, strict=True)}
    session.run(initializers, fed)


def dense(gradients: Sequence[Any]) -> list[Any]:
    """Gradients with embeddings' written out."""
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def gradients_of(graph: UnrolledGraph) -> list[Any]:
    """The graph's own gradients, dense, in the order of `graph.variables`."""
    assert [variable.name for _, variable in graph.gradients] == [v.name for v in graph.variables]
    with graph.tf_graph.as_default():
        return dense([gradient for gradient, _ in graph.gradients])


def random_block(
    generator: np.random.Generator, graph: UnrolledGraph
) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """Random inputs and targets that suit the graph's options."""
    options = graph.options
    shape = (options.batch_size, options.num_steps)
    inputs: NDArray[Any] | None = None
    if options.input_kind == "classes":
        inputs = generator.integers(options.input_size, size=shape)
    elif options.input_kind == "real":
        inputs = generator.normal(size=(*shape, options.input_size))
    if options.loss == "cross_entropy":
        return inputs, generator.integers(options.num_classes, size=shape)
    return inputs, generator.normal(size=(*shape, options.num_classes))


def input_vectors(
    graph: UnrolledGraph, inputs: NDArray[Any] | None, values: Sequence[NDArray[Any]]
) -> list[NDArray[Any]]:
    """What the cell reads at each step, in NumPy; `values` are those of `graph.variables`."""
    options = graph.options
    if inputs is None:
        return [np.zeros((options.batch_size, 0))] * options.num_steps
    if options.input_kind == "real":
        return [inputs[:, t] for t in range(options.num_steps)]
    table = np.eye(options.input_size) if options.embedding_size is None else values[0]
    return [table[inputs[:, t]] for t in range(options.num_steps)]


def naive_loss(graph: UnrolledGraph) -> Any:
    """The loss of the same network by plain TensorFlow operations, on the tensors that `graph.feed` feeds.

    Step after step by calling the cell, each use of a variable a read of its own.
    """
    options, network = graph.options, graph.network
    with graph.tf_graph.as_default():
        if options.input_kind != "classes":
            vectors = graph.inputs
        elif options.embedding_size is None:
            vectors = [tf.one_hot(x, options.input_size, dtype=options.dtype) for x in graph.inputs]
        else:
            vectors = [tf.gather(network.variables[0], x) for x in graph.inputs]
        state, losses = _first_state(graph), []
        for x, y in zip(vectors, graph.targets, strict=True):
            output, state = graph.cell(x, state)
            embedding = network.encoding.variables
            readout = network.head.readout
            tied = embedding if readout.is_tied else ()
            logits = readout.logits((*tied, *readout.variables), output)
            if options.loss == "cross_entropy":
                losses.append(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
            else:
                losses.append(tf.reduce_sum((logits - y) ** 2, axis=1) / options.num_classes)
        if options.loss_steps == "last":
            losses = losses[-1:]
        total = tf.add_n([tf.reduce_mean(loss) for loss in losses])
        if options.reduction == "mean":
            total /= len(losses)
        return total


def naive_gradients(graph: UnrolledGraph) -> tuple[Any, list[Any]]:
    """That loss, and its gradients by `tf.gradients`."""
    total = naive_loss(graph)
    with graph.tf_graph.as_default():
        return total, dense(tf.gradients(total, list(graph.variables)))


def _first_state(graph: UnrolledGraph) -> Any:
    """What is fed; where the initial state is learnt and that is -inf, its variables."""
    learnt = graph.network.initial_state
    if learnt is None:
        return graph.init_state
    parts = zip(tf.nest.flatten(graph.init_state), learnt.variables, strict=True)
    first = [tf.where_v2(tf.equal(part, -np.inf), variable, part) for part, variable in parts]
    return tf.nest.pack_sequence_as(graph.init_state, first)


@dataclasses.dataclass
class Run:
    """A graph at random weights, and a random block to feed it."""

    graph: UnrolledGraph
    values: list[Any]
    inputs: Any
    targets: Any
    state: Any
    more: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def fed(self) -> dict[Any, Any]:
        return self.graph.feed(self.inputs, self.targets, self.state) | self.more

    def fetch(self, fetches: Any) -> Any:
        with new_session(self.graph.tf_graph) as session:
            assign(session, self.graph.variables, self.values)
            return session.run(fetches, self.fed)


def make_run(cell: Any, num_steps: int, batch_size: int, **options: Any) -> Run:
    generator = np.random.default_rng(53)
    with tf.Graph().as_default():
        given: dict[str, Any] = {"dtype": "float64", "num_classes": 4, "optimizer": "sgd"} | options
        graph = UnrolledGraph(cell, num_steps, batch_size, **given)
        values = random_values(generator, graph.variables)
        inputs, targets = random_block(generator, graph)
        return Run(graph, values, inputs, targets, random_state(generator, graph.init_state))


def assert_gradients_agree(run: Run, tolerance: float = 1e-10) -> None:
    """Loss and gradients are the naive graph's, the norm is NumPy's."""
    naive_loss, naive = naive_gradients(run.graph)
    ours = [run.graph.total_loss, run.graph.gradient_norm, gradients_of(run.graph)]
    (loss, norm, found), (expected_loss, expected) = run.fetch([ours, [naive_loss, naive]])
    assert_close(loss, expected_loss, tolerance, "loss")
    for variable, one, other in zip(run.graph.variables, found, expected, strict=True):
        assert np.abs(other).max() > 1e-4, f"nothing to compare for {variable.name}"
        assert_close(one, other, tolerance, variable.name)
    whole = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in expected))
    assert_close(norm, whole, tolerance, "norm")


def assert_loss_and_slopes_agree(run: Run) -> None:
    """The loss is the naive graph's, and its gradients are the numeric ones."""
    loss, expected = run.fetch([run.graph.total_loss, naive_loss(run.graph)])
    assert_close(loss, expected, 1e-10, "loss")
    assert_slopes_agree(run)


def assert_slopes_agree(run: Run) -> None:
    """Along random directions of all weights together, the loss changes as its gradient says."""
    generator = np.random.default_rng(61)
    with new_session(run.graph.tf_graph) as session:
        assign(session, run.graph.variables, run.values)
        gradients = session.run(gradients_of(run.graph), run.fed)
        for _ in range(2):
            direction = random_values(generator, run.graph.variables, 1)
            losses = []
            for sign in (1, -1):
                moved = [v + sign * 1e-6 * d for v, d in zip(run.values, direction, strict=True)]
                assign(session, run.graph.variables, moved)
                losses.append(session.run(run.graph.total_loss, run.fed))
            slope = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
            found, tolerance = (losses[0] - losses[1]) / 2e-6, 1e-8 * max(1, abs(slope))
            assert_close(found, slope, tolerance, "slope")
