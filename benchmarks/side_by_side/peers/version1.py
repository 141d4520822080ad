"""TensorFlow's version 1 API without tf_rnn: naive unroll, `static_rnn` and `dynamic_rnn`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.side_by_side.peers import CORES
from benchmarks.side_by_side.peers.version1_cells import Variables, make_cell
from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.side_by_side.configurations import Configuration
    from benchmarks.side_by_side.problem import Problem

# (intra-op threads, inter-op threads); None for TensorFlow's default.
THREADS = {"default": None, "intra 1": (1, CORES), "one thread": (1, 1)}
OPTIMIZERS = {
    "sgd": tf.train.GradientDescentOptimizer,
    "adam": tf.train.AdamOptimizer,
    "adagrad": tf.train.AdagradOptimizer,
}


def make(
    problem: Problem, *, unroll: str, threads: str, dtype: str = "float32"
) -> Callable[[Any, Any], float]:
    """Builds the training step.

    Args:
        problem: Model and data.
        unroll: A key of UNROLLS.
        threads: A key of THREADS.
        dtype: "float32" or "float64".
    """
    configuration = problem.configuration
    with tf.Graph().as_default() as graph:
        shape = [configuration.batch_size, configuration.num_steps]
        inputs, targets = (tf.placeholder(tf.int32, shape) for _ in range(2))
        variables = Variables(dtype)
        cell = make_cell(configuration.cell, problem.weights.layers, variables)
        readout = _Readout(problem, variables)
        init_state = tf.nest.map_structure(
            lambda zeros: tf.placeholder_with_default(zeros, zeros.shape),
            cell.zero_state(configuration.batch_size, tf.as_dtype(dtype)),
        )
        loss, final_state = UNROLLS[unroll](cell, readout, inputs, targets, init_state)
        train_step = _train_step(configuration, loss * configuration.loss_scale)
        session = tf.Session(graph=graph, config=_session_config(threads))
        variables.load(session)
    fed = [inputs, targets, *tf.nest.flatten(init_state)]
    run = session.make_callable([loss, final_state, train_step], feed_list=fed)
    state = tf.nest.map_structure(session.run, init_state)

    def step(inputs: Any, targets: Any) -> float:
        nonlocal state
        loss, state, _ = run(inputs, targets, *tf.nest.flatten(state))
        return float(loss)

    return step


class _Readout:
    """Layers below and above the cell: embedding and readout, for any number of rows."""

    def __init__(self, problem: Problem, variables: Variables) -> None:
        weights = problem.weights
        self._classes, self._dtype = problem.configuration.num_classes, variables.dtype
        self._E = None if weights.embedding is None else variables("E", weights.embedding)
        self._U = variables("U", weights.readout_kernel)
        self._b = variables("b_p", weights.readout_bias)

    def vectors(self, inputs: Any) -> Any:
        """Inputs of the cell: embeddings or one-hot vectors."""
        if self._E is None:
            return tf.one_hot(inputs, self._classes, dtype=self._dtype)
        return tf.nn.embedding_lookup(self._E, inputs)

    def loss(self, outputs: Any, targets: Any) -> Any:
        """Mean cross-entropy over rows."""
        logits = tf.matmul(outputs, self._U) + self._b
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits))


def _naive(cell: Any, readout: _Readout, inputs: Any, targets: Any, state: Any) -> tuple[Any, Any]:
    """Unrolls everything step by step into plain lists, as in the definition."""
    losses = []
    for x, y in zip(tf.unstack(inputs, axis=1), tf.unstack(targets, axis=1), strict=True):
        output, state = cell(readout.vectors(x), state)
        losses.append(readout.loss(output, y))
    return tf.add_n(losses) / len(losses), state


def _static(cell: Any, readout: _Readout, inputs: Any, targets: Any, state: Any) -> tuple[Any, Any]:
    vectors = [readout.vectors(x) for x in tf.unstack(inputs, axis=1)]
    outputs, state = tf.nn.static_rnn(cell, vectors, initial_state=state)
    return readout.loss(tf.concat(outputs, axis=0), tf.reshape(tf.transpose(targets), [-1])), state


def _dynamic(cell: Any, readout: _Readout, inputs: Any, targets: Any, state: Any) -> tuple[Any, Any]:
    vectors = readout.vectors(tf.transpose(inputs))
    outputs, state = tf.nn.dynamic_rnn(cell, vectors, initial_state=state, time_major=True)
    rows = tf.reshape(outputs, [-1, cell.output_size])
    return readout.loss(rows, tf.reshape(tf.transpose(targets), [-1])), state


UNROLLS = {"naive": _naive, "static_rnn": _static, "dynamic_rnn": _dynamic}


def _train_step(configuration: Configuration, loss: Any) -> Any:
    variables = tf.trainable_variables()
    gradients = tf.gradients(loss, variables)
    if configuration.clip_norm is not None:
        gradients = [_once(gradient) for gradient in gradients]
        gradients, _ = tf.clip_by_global_norm(gradients, configuration.clip_norm)
    optimizer = OPTIMIZERS[configuration.optimizer](configuration.learning_rate)
    return optimizer.apply_gradients(zip(gradients, variables, strict=True))


def _once(gradient: Any) -> Any:
    """Sums repeated rows of an embedding's gradient, so that the norm is that of the gradient."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, positions = tf.unique(gradient.indices)
    values = tf.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _session_config(threads: str) -> Any:
    chosen = THREADS[threads]
    if chosen is None:
        return tf.ConfigProto()
    intra, inter = chosen
    return tf.ConfigProto(intra_op_parallelism_threads=intra, inter_op_parallelism_threads=inter)
