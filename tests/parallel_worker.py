"""Small training runs of one process or of several workers on the same rows; the script of a worker, too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.session import assign
from tf_rnn.parallel import ClusterTask, LostWorkerError, Ring, cluster_task
from tf_rnn.parallel.all_reduce import AllReduce
from tf_rnn.parallel.parent_watch import watch_parent
from tf_rnn.parallel.rows import gathered_state, own_rows, own_state
from tf_rnn.tasks import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, STEPS, BLOCKS = 6, 2, 5


class Case(NamedTuple):
    """A network."""

    cell: Callable[[], Any]
    options: dict[str, Any]


CASES = {
    "embedding, clipped": Case(
        lambda: LSTMCell(3),
        {"embedding_size": 5, "optimizer": "adagrad", "learning_rate": 0.5, "clip_norm": 0.03},
    ),
    "tied, recomputed": Case(
        lambda: GRUCell(5),
        {"embedding_size": 5, "readout": "tied", "recompute": 1, "optimizer": "adam", "reduction": "sum"}
        | {"weight_decay": 0.3},
    ),
    "real, marked": Case(
        lambda: VanillaCell(3),
        {"input_kind": "real", "loss": "squared_error", "loss_steps": "marked", "optimizer": "momentum"},
    ),
    "classes, marked": Case(lambda: GRUCell(3), {"loss_steps": "marked", "optimizer": "rmsprop"}),
    "weighted, starting": Case(
        lambda: GRUCell(3),
        {"target_weights": True, "starts": True, "optimizer": "sgd", "learning_rate": 0.7}
        | {"initial_state": "learnt"},
    ),
}


def stream(case: Case) -> Stream:
    """Rows of inputs and targets; of marked targets, the last worker has fewer, and one block none."""
    generator = np.random.default_rng(5)
    shape = (ROWS, STEPS * BLOCKS)
    if case.options.get("input_kind") == "real":
        inputs, targets, none = *generator.normal(size=(2, *shape, 7)), np.nan
    else:
        inputs, targets, none = *generator.integers(7, size=(2, *shape)), -1
    if case.options.get("loss_steps") == "marked":
        targets[generator.random(shape) < 0.4] = none
        targets[ROWS // 2 :, : 2 * STEPS] = none
        targets[:, 3 * STEPS : 4 * STEPS] = none
    if not case.options.get("target_weights"):
        return Stream(inputs, targets)
    # Of a block the sum of the weights is below 1.
    return Stream(inputs, targets, generator.random(shape) < 0.2, 0.02 * generator.random(shape))


def trained(case: Case, task: ClusterTask, ring: Ring | None = None) -> list[np.ndarray]:
    """The session loop of the notes over a worker's rows; without a ring over all rows.

    Returns:
        The loss of each update, over all rows; the norms of the gradients before clipping; the final state
        of all rows; the weights, by position in `graph.variables`.
    """
    with tf.Graph().as_default():
        all_reduce = AllReduce(ring) if ring else None
        share = ROWS // task.num_workers
        graph = UnrolledGraph(
            case.cell(),
            num_steps=STEPS,
            batch_size=share,
            input_size=7,
            num_classes=7,
            dtype="float64",
            seed=3 + task.index,
            reduce_gradients=all_reduce,
            **case.options,
        )
        rows = own_rows(task, stream(case))
        loss = all_reduce.loss(graph) if all_reduce else graph.total_loss
        losses, norms = [], []
        with graph.session(1) as session:
            if ring:
                own = session.run(list(graph.variables)) if task.is_chief else []
                assign(session, graph.variables, ring.broadcast(own))
            first = tf.nest.map_structure(lambda part: np.repeat(part[:1], ROWS, axis=0), graph.zero_state())
            state = own_state(task, first)
            for start in range(0, STEPS * BLOCKS, STEPS):
                block = rows.steps(start, start + STEPS)
                of_block, norm, state, _ = session.run(
                    [loss, graph.gradient_norm, graph.final_state, graph.train_step],
                    graph.feed(block.inputs, block.targets, state, block.starts, block.target_weights),
                )
                losses.append(of_block)
                norms.append(norm)
            whole = gathered_state(ring, state) if ring else state
            weights = session.run(list(graph.variables))
            return [np.array(losses), np.array(norms), *tf.nest.flatten(whole), *weights]


def work(task: ClusterTask, say: Callable[[str], None]) -> None:
    """Trains all cases and writes what comes out, makes four updates, then others without end.

    Args:
        task: The place in the cluster.
        say: Receives the number of each of these updates.
    """
    with Ring(task, "tests", say) as ring:
        for name, case in CASES.items():
            np.savez(f"{name}.{task.index}.npz", *trained(case, task, ring))
        with AllReduce(ring) as all_reduce:
            graph = UnrolledGraph(VanillaCell(3), 2, 1, 2, 2, reduce_gradients=all_reduce)
            with graph.session(1) as session:
                run = graph.runner(session, graph.train_step)
                for last in (4, -1):  # worker 1 asks all to stop
                    is_over, updates = False, 0
                    while not is_over:
                        updates += 1
                        all_reduce.numbers = (float(task.index == 1 and updates == last),)
                        run([[0, 1]], [[1, 0]], graph.zero_state())
                        is_over = any(all_reduce.sums)
                        say(f"{updates}")


def main() -> None:
    """A worker as a process."""
    watch_parent()
    task = cluster_task()
    assert task is not None
    try:
        work(task, lambda line: print(line, flush=True))
    except LostWorkerError as error:
        sys.exit(f"worker {task.index}: {error}")


if __name__ == "__main__":
    main()
