"""What workers share: rows, state, votes and evaluations; threads take the place of processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from helpers import assert_close

from tf_rnn.cells import VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.parallel import ClusterTask, Ring
from tf_rnn.parallel.launcher import free_addresses
from tf_rnn.parallel.rows import shared_task
from tf_rnn.parallel.worker import RingWorker
from tf_rnn.tasks import Adding, Echo
from tf_rnn.training import Evaluation, train
from tf_rnn.training.worker import Votes, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 60.0


def in_workers(count: int, work: Callable[[RingWorker], Any]) -> list[Any]:
    """What a function returns in each of several connected workers."""
    addresses = tuple(free_addresses(count))

    def run(index: int) -> Any:
        with Ring(ClusterTask(addresses, index)) as ring, RingWorker(ring) as worker:
            return work(worker)

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(run, index) for index in range(count)]
        return [future.result(DEADLINE) for future in futures]


def test_workers_read_the_rows_of_one_process_between_them() -> None:
    equal = np.testing.assert_array_equal  # where nan equals nan: no target
    for task in (Echo(length=500), Adding(span=7, length=210)):
        shares = [shared_task(ClusterTask(("a:1", "b:1", "c:1"), index), task) for index in range(3)]
        rows = [share.rows(2, "train", 4) for share in shares]
        for parts, whole in zip(zip(*rows, strict=True), task.rows(6, "train", 4), strict=True):
            equal(np.concatenate(parts), whole)
        assert {share.row_length(2) for share in shares} == {task.row_length(6)}
        blocks = zip(*(share.blocks(2, 5) for share in shares), strict=True)
        for parts, block in zip(blocks, task.blocks(6, 5), strict=True):
            equal(np.concatenate([part.targets for part in parts]), block.targets)
        assert shares[1].name == task.name
        equal(shares[1].checked_stream("valid").targets, task.checked_stream("valid").targets)


def test_states_are_split_and_joined() -> None:
    state = (np.arange(12.0).reshape(6, 2), {"c": np.arange(6)})

    def work(worker: RingWorker) -> tuple[Any, Any]:
        own = worker.own_rows(state)
        return own, worker.all_rows(own)

    for index, (own, whole) in enumerate(in_workers(3, work)):
        assert_close(
            own, (state[0][2 * index : 2 * index + 2], {"c": state[1]["c"][2 * index : 2 * index + 2]}), 0
        )
        assert_close(whole, state, 0)
    assert Worker().own_rows(state) is Worker().all_rows(state) is state


def test_votes_count_in_all_workers_after_the_step_they_are_sent_with() -> None:
    """Any worker may stop; worker 0 alone decides when to save, and its time counts."""

    def work(worker: RingWorker) -> list[Votes]:
        found = []
        for step in range(4):
            votes = Votes(step + 10 * worker.index, worker.index == 1 and step == 2, step in (0, 1))
            found.append(worker.agree(votes))
            worker._all_reduce._mean(np.array(1.0), np.zeros(3))
            found[-1] = found[-1]._replace(seconds=worker.seconds(99.0))
        return found

    one, other = in_workers(2, work)
    assert one == other
    assert [votes.seconds for votes in one] == [0, 1, 2, 3]
    assert [votes.stop for votes in one] == [False, False, False, True]
    assert [votes.save for votes in one] == [False, True, False, False]
    assert Worker().agree(Votes(1.0, stop=True, save=False)) == (1.0, True, False)


def test_only_worker_0_evaluates() -> None:
    evaluation = Evaluation(0.1 + 0.2, float("nan"), 12_345, {3: 0.7, 8: -0.1})

    def work(worker: RingWorker) -> Evaluation:
        def evaluate() -> Evaluation:
            assert worker.is_chief
            return evaluation

        return worker.evaluation(evaluate)

    for found in in_workers(3, work):
        assert repr(found) == repr(evaluation)


def test_dropout_differs_between_workers_and_nothing_else_does() -> None:
    class Second(Worker):
        index = 1

    def weights(worker: Worker, dropout: float) -> Any:
        task = Echo(length=500)
        graph = UnrolledGraph(VanillaCell(3), 2, 2, 2, 2, dropout=dropout, seed=3)
        return train(graph, task, updates=2, callbacks=(), worker=worker).weights

    assert_close(weights(Second(), 0.0), weights(Worker(), 0.0), 0)
    assert_close(weights(Second(), 0.5), weights(Second(), 0.5), 0)
    found, other = weights(Second(), 0.5), weights(Worker(), 0.5)
    assert any((found[name] != other[name]).any() for name in found)
