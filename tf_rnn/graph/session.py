"""Sessions with settings that suit an unrolled graph."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.options import MOST, require_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.options import GraphOptions

# Below this many floating point operations a step, starting a thread costs more than it saves.
TINY_STEP = 2_000_000
# From here on a product is large enough to be split among threads.
LARGE_STEP = 200_000_000


def session_config(step_operations: float, threads: int | None = None) -> Any:
    """Returns a `ConfigProto` for a graph whose single step takes `step_operations`.

    The products of a step are usually too small to be split among threads: the parallelism of an
    unrolled graph is between its operations (layers at different steps, forward and gradient products),
    so each operation gets one thread, and several operations run at once. Where a step takes
    microseconds even that costs more than it saves, and everything runs in one thread; where it takes
    milliseconds, its product is split, since the next step has to wait for it. Grappler, TensorFlow's
    graph rewriter, takes much longer for a wide graph than it saves; the older optimizations, constant
    folding and common subexpressions, save nothing.

    Args:
        step_operations: Floating point operations of one step of one layer.
        threads: Upper limit on the threads used; None for the machine's cores.

    Raises:
        OptionError: If `threads` is not a whole number from 1 to 10000.
    """
    if threads is not None:
        require_whole("threads", threads, at_most=MOST)
    threads = threads or os.cpu_count() or 1
    config = tf.ConfigProto(intra_op_parallelism_threads=threads if step_operations >= LARGE_STEP else 1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    if threads == 1 or step_operations < TINY_STEP:
        config.inter_op_parallelism_threads = 1
        config.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
    else:
        config.inter_op_parallelism_threads = threads
    return config


def step_operations(cell: Any, options: GraphOptions) -> float:
    """Floating point operations of the largest recurrent product of one step."""
    largest = 0.0
    for layer in getattr(cell, "layers", (cell,)):
        columns: int = layer.output_size * getattr(layer, "num_gates", 1)
        largest = max(largest, 2.0 * options.batch_size * layer.output_size * columns)
    return largest


def open_session(graph: Any, operations: float, threads: int | None) -> Any:
    """A `tf.Session` of `graph` with all variables initialised; see `session_config`."""
    with graph.as_default():
        initializers = [variable.initializer for variable in tf.global_variables()]
    session = tf.Session(graph=graph, config=session_config(operations, threads))
    session.run(initializers)
    return session


def assign(session: Any, variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Assigns values to variables without adding operations to the graph."""
    initializers = [variable.initializer for variable in variables]
    fed = {op.inputs[1]: value for op, value in zip(initializers, values, strict=True)}
    session.run(initializers, fed)
