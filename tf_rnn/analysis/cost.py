"""The cost of a width: time to build the graph, time of the first and of later training steps, memory."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.graph import make_graph
from tf_rnn.graph.session import session_config
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Stream, Task

BUILDS = 3
ROUNDS = 5
TRACES = 5
SECONDS_PER_ROUND = 0.08
MAXIMUM_RUNS = 100


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one width; times are medians.

    Attributes:
        num_steps: The width.
        parameters: Number of trained parameters, the same at every width.
        operations: Number of operations in the graph.
        build_seconds: Time to build the graph, the cell included.
        first_run_seconds: Duration of the first training step, in which TensorFlow prepares the graph.
        step_milliseconds: Duration of every later training step.
        tokens_per_second: Throughput of training steps: examples times new steps in a second.
        graph_bytes: Peak memory of one training step in one thread, without the variables.
    """

    num_steps: int
    parameters: int
    operations: int
    build_seconds: float
    first_run_seconds: float
    step_milliseconds: float
    tokens_per_second: float
    graph_bytes: int


class _Built(NamedTuple):
    graph: UnrolledGraph
    session: Any
    run: Callable[[], Any]
    build_seconds: float
    first_run_seconds: float


def setup_costs(
    setup: Setup, task: Task, widths: Sequence[int], before_build: Callable[[int], None] | None = None
) -> list[dict[str, Any]]:
    """Measures what the training steps of a setup cost at several widths.

    To be called in a process that has not run TensorFlow before: the first session decides how many
    threads all later ones have.

    Args:
        setup: The network and its training.
        task: Provides the blocks to run.
        widths: At least one; each is measured once.
        before_build: Called with the width before each graph is built; what it raises ends the measurement.

    Returns:
        A record of each width's `Cost`, ready for JSON, narrow widths first.
    """

    def make(width: int) -> UnrolledGraph:
        if before_build is not None:
            before_build(width)
        return make_graph(setup, task, width, seed=0)

    def new_steps(width: int) -> int:
        return Truncation(setup.style, setup.stride).steps_per_update(width, width)

    return [dataclasses.asdict(cost) for cost in measure_costs(make, task, sorted(set(widths)), new_steps)]


def measure_costs(
    make_graph: Callable[[int], UnrolledGraph],
    task: Task,
    widths: Sequence[int],
    new_steps: Callable[[int], int] = int,
) -> list[Cost]:
    """Measures what training steps of several widths cost, so that they can be compared.

    Widths take turns (each is built once, then each a second time, and so on; then each runs for a
    while, and so on), so that other load on the machine affects all of them alike. Nothing else
    should run meanwhile.

    Args:
        make_graph: Makes a new cell and a graph of a width, with an optimizer, in a `tf.Graph` of
            its own.
        task: Provides the blocks to run.
        widths: At least one.
        new_steps: For a width, how many steps of a training step are new to it: all of them for
            blocks, the stride of a sliding window.

    Returns:
        One `Cost` for each width, in order.
    """
    _close(_build(make_graph, task, widths[0]))  # TensorFlow loads more at its first use
    builds: dict[int, list[_Built]] = {width: [] for width in widths}
    for number in range(BUILDS):
        for width in widths:
            built = _build(make_graph, task, width)
            builds[width].append(built)
            if number < BUILDS - 1:
                _close(built)
    times = _interleaved_times({width: made[-1].run for width, made in builds.items()})
    costs = [_cost(width, builds[width], times[width], task, new_steps(width)) for width in widths]
    for made in builds.values():
        _close(made[-1])
    return costs


def _build(make_graph: Callable[[int], UnrolledGraph], task: Task, width: int) -> _Built:
    started = time.perf_counter()
    graph = make_graph(width)
    build_seconds = time.perf_counter() - started
    session = graph.session()
    inputs, targets = _first_block(graph, task)
    state = graph.zero_state()
    started = time.perf_counter()
    run_block = graph.runner(session, graph.total_loss, graph.final_state, graph.train_step)

    def run() -> Any:
        return run_block(inputs, targets, state)

    run()
    return _Built(graph, session, run, build_seconds, time.perf_counter() - started)


def _first_block(graph: UnrolledGraph, task: Task) -> Stream:
    return next(task.blocks(graph.batch_size, graph.num_steps))


def _close(built: _Built) -> None:
    built.session.close()


def _interleaved_times(runs: dict[int, Callable[[], Any]]) -> dict[int, list[float]]:
    counts = {width: _runs_per_round(run) for width, run in runs.items()}
    times: dict[int, list[float]] = {width: [] for width in runs}
    for _ in range(ROUNDS):
        for width, run in runs.items():
            times[width] += [_seconds(run) for _ in range(counts[width])]
    return times


def _runs_per_round(run: Callable[[], Any]) -> int:
    once = min(_seconds(run) for _ in range(3))
    return max(1, min(MAXIMUM_RUNS, int(SECONDS_PER_ROUND / once)))


def _seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _cost(width: int, builds: list[_Built], times: list[float], task: Task, new_steps: int) -> Cost:
    graph = builds[-1].graph
    step_seconds = statistics.median(times)
    return Cost(
        num_steps=width,
        parameters=sum(variable.shape.num_elements() for variable in graph.variables),
        operations=len(graph.tf_graph.get_operations()),
        build_seconds=statistics.median(built.build_seconds for built in builds),
        first_run_seconds=statistics.median(built.first_run_seconds for built in builds),
        step_milliseconds=1000 * step_seconds,
        tokens_per_second=graph.batch_size * new_steps / step_seconds,
        graph_bytes=peak_bytes(graph, *_first_block(graph, task)),
    )


def peak_bytes(graph: UnrolledGraph, inputs: Any, targets: Any) -> int:
    """The peak memory of one training step, in bytes, without the variables.

    TensorFlow's trace of a run lists when memory was allocated and freed; the peak is the highest sum
    on the way. The run uses one thread, since the order in which threads take turns changes the peak.
    Independent operations may still run in another order in another session or process, so the lowest
    peak of several sessions is taken.

    Args:
        graph: With an optimizer.
        inputs: As for `UnrolledGraph.feed`.
        targets: As for `UnrolledGraph.feed`.
    """
    config = session_config(step_operations=0, threads=1)
    config.experimental.executor_type = ""  # the single-threaded executor keeps no trace
    config.session_inter_op_thread_pool.add(num_threads=1)  # else it would be those of the first session
    feed = graph.feed(inputs, targets, graph.zero_state())
    return min(_highest_sum(_trace(graph, config, feed)) for _ in range(TRACES))


def _trace(graph: UnrolledGraph, config: Any, feed: dict[Any, Any]) -> Any:
    """TensorFlow's trace of a training step, in a session of its own."""
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    fetches = [graph.total_loss, graph.final_state, graph.train_step]
    variables = graph.tf_graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)
    with tf.Session(graph=graph.tf_graph, config=config) as session:
        session.run([variable.initializer for variable in variables])
        session.run(fetches, feed, options=options, run_metadata=metadata)
    return metadata


def _highest_sum(metadata: Any) -> int:
    changes = [
        (record.alloc_micros, record.alloc_bytes)
        for device in metadata.step_stats.dev_stats
        for node in device.node_stats
        for memory in node.memory
        for record in memory.allocation_records
    ]
    changes.sort(key=operator.itemgetter(0))
    return int(max(itertools.accumulate(change for _, change in changes)))
