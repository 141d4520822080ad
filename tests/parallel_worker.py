"""Small training runs of one process or of several workers on the same rows; the script of a worker, too."""

from __future__ import annotations

import json
import sys
from pathlib import Path
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

ROWS, STEPS, BLOCKS = 6, 4, 5


class Case(NamedTuple):
    """A network, and which targets its blocks have."""

    cell: Callable[[], Any]
    options: dict[str, Any]
    is_marked: bool = False


CASES = {
    "embedding, clipped": Case(
        lambda: LSTMCell(3),
        {"embedding_size": 5, "optimizer": "adagrad", "learning_rate": 0.5, "clip_norm": 0.03},
    ),
    "tied, recomputed": Case(
        lambda: GRUCell(5),
        {"embedding_size": 5, "readout": "tied", "recompute": 2, "optimizer": "adam", "reduction": "sum"}
        | {"weight_decay": 0.3},
    ),
    "real": Case(
        lambda: VanillaCell(3), {"input_kind": "real", "loss": "squared_error", "optimizer": "momentum"}
    ),
    "marked": Case(
        lambda: VanillaCell(3), {"loss_steps": "marked", "optimizer": "sgd", "learning_rate": 0.7}, True
    ),
    "weighted, starting": Case(
        lambda: GRUCell(3),
        {"target_weights": True, "starts": True, "optimizer": "sgd", "learning_rate": 0.7}
        | {"initial_state": "learnt"},
    ),
}


class Outcome(NamedTuple):
    """What a run leaves.

    Attributes:
        losses: Of each update, over all rows.
        norms: Of the gradient before clipping.
        state: The final state of all rows, a flat list.
        weights: By position in `graph.variables`.
    """

    losses: list[float]
    norms: list[float]
    state: list[np.ndarray]
    weights: list[np.ndarray]


def stream(case: Case) -> Stream:
    """Rows of inputs and targets; of marked targets, the last worker has fewer, and one block none."""
    generator = np.random.default_rng(5)
    shape = (ROWS, STEPS * BLOCKS)
    if case.options.get("input_kind") == "real":
        return Stream(generator.normal(size=(*shape, 7)), generator.normal(size=(*shape, 7)))
    targets = generator.integers(7, size=shape)
    if case.is_marked:
        targets[generator.random(shape) < 0.4] = -1
        targets[ROWS // 2 :, : 2 * STEPS] = -1
        targets[:, 3 * STEPS : 4 * STEPS] = -1
    inputs, starts, weights = generator.integers(7, size=shape), None, None
    if case.options.get("target_weights"):  # of a block the sum is below 1
        starts, weights = generator.random(shape) < 0.2, 0.02 * generator.random(shape)
    return Stream(inputs, targets, starts, weights)


def trained(case: Case, task: ClusterTask, ring: Ring | None = None) -> Outcome:
    """The session loop of the notes over a worker's rows; without a ring over all rows."""
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
                losses.append(float(of_block))
                norms.append(float(norm))
            whole = gathered_state(ring, state) if ring else state
            return Outcome(losses, norms, tf.nest.flatten(whole), session.run(list(graph.variables)))


def train_until(ring: Ring, stop: int) -> None:
    """Makes updates until worker 1 asks all to stop, after so many, or a worker is lost."""
    with AllReduce(ring) as all_reduce:
        graph = UnrolledGraph(VanillaCell(3), 2, 1, 2, 2, reduce_gradients=all_reduce)
        with graph.session(1) as session:
            run = graph.runner(session, graph.train_step)
            updates = 0
            while not any(all_reduce.sums):
                all_reduce.numbers = (float(ring.task.index == 1 and updates == stop),)
                run([[0, 1]], [[1, 0]], graph.zero_state())
                updates += 1
                print(updates, flush=True)


def main() -> None:
    """Trains all cases and writes the outcomes, makes four updates, then others without end."""
    watch_parent()
    task = cluster_task()
    assert task is not None
    try:
        with Ring(task, "tests", lambda line: print(line, flush=True)) as ring:
            for name, case in CASES.items():
                outcome = trained(case, task, ring)
                path = Path(f"{name}.{task.index}.npz")
                np.savez(path, *outcome.state, *outcome.weights)
                path.with_suffix(".json").write_text(
                    json.dumps([outcome.losses, outcome.norms]), encoding="utf-8"
                )
            train_until(ring, 3)
            train_until(ring, -1)
    except LostWorkerError as error:
        sys.exit(f"worker {task.index}: {error}")


if __name__ == "__main__":
    main()
