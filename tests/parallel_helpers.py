"""What the tests of training on a cluster share: all members in this process, or each in its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tf_rnn.cluster import Member
from tf_rnn.cluster.launcher import free_cluster
from tf_rnn.training import Silence, train
from tf_rnn.training.parallel import Chief, Worker
from tf_rnn.training.parallel.server import start_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training import TrainingResult

DEADLINE = 60.0


def train_together(
    make: Callable[[], UnrolledGraph],
    task: Task,
    *,
    workers: int = 2,
    ps: int = 1,
    exchange: str = "sync",
    state: str = "carry",
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> TrainingResult:
    """Trains on a cluster whose servers are all in this process, workers other than the chief in threads.

    Args:
        make: Makes the graph that one process would train alone, anew for each worker.
        task: What is learnt.
        workers: How many.
        ps: Parameter servers.
        exchange: See `Chief`.
        state: See `train`.
        seed: See `train`.
        tell: Given the lines of all workers.
        **options: Further options of `train`.
    """
    cluster = free_cluster(ps, workers)
    for index in range(ps):
        start_server(Member(cluster, "ps", index), 1)
    failures: list[BaseException] = []

    def help_out(index: int) -> None:
        try:
            Worker(
                make(),
                task,
                Member(cluster, "worker", index),
                exchange=exchange,
                style="block",
                state=state,
                seed=seed,
                threads=1,
                tell=tell,
            )()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=help_out, args=(index,), daemon=True) for index in range(1, workers)]
    for thread in threads:
        thread.start()
    member = Member(cluster, "worker", 0)
    chief = Chief(member, exchange, start_server(member, 1), 1, tell)
    graph = make()
    try:
        with graph.session(1) as session:
            result = train(
                graph,
                task,
                state=state,
                seed=seed,
                session=session,
                listener=Silence(),
                crew=chief,
                **options,
            )
        chief.finish()
    finally:
        chief.close()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a worker did not end with the run"
    assert not failures, failures
    return result
