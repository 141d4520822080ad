"""Workers in a ring, and what they share: threads of this process on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn.cells import VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.parallel import ClusterTask, LostWorkerError, Ring
from tf_rnn.parallel.cluster import split_address
from tf_rnn.parallel.launcher import free_addresses
from tf_rnn.parallel.rows import shared_task
from tf_rnn.parallel.worker import RingWorker
from tf_rnn.tasks import Adding, Echo
from tf_rnn.training import Evaluation, train
from tf_rnn.training.worker import Votes, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 30.0


def in_ring(
    workers: int,
    work: Callable[[Ring], Any],
    agreements: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
) -> list[Any]:
    """What each worker's part of the work gives, or its error."""
    addresses = addresses or tuple(free_addresses(workers))

    def part(index: int) -> Any:
        try:
            with Ring(ClusterTask(addresses, index), agreements[index] if agreements else "") as ring:
                return work(ring)
        except (OptionError, LostWorkerError) as error:
            return error

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(part, index) for index in range(workers)]
        return [future.result(DEADLINE) for future in futures]


def numbers(worker: int, size: int, dtype: str) -> np.ndarray:
    return np.random.default_rng([size, worker]).normal(size=size).astype(dtype)


@pytest.mark.parametrize(
    ("workers", "dtype"), [(1, "float32"), (2, "float64"), (3, "float32"), (5, "float64")]
)
def test_sums_are_right_and_have_the_same_bits_everywhere(workers: int, dtype: str) -> None:
    sizes = (0, 1, 4, 7, 300_001)  # fewer than the workers, and more than the system buffers

    def sums(ring: Ring) -> list[np.ndarray]:
        found = [numbers(ring.task.index, size, dtype) for size in sizes]
        for values in found:
            ring.sum_in_place(values)
        return found

    found = in_ring(workers, sums)
    for place, size in enumerate(sizes):
        expected = np.sum([numbers(worker, size, dtype) for worker in range(workers)], axis=0)
        assert found[0][place].dtype == dtype
        np.testing.assert_allclose(
            found[0][place], expected, rtol=0, atol={"float32": 3e-6, "float64": 1e-14}[dtype]
        )
        assert all(np.array_equal(of_worker[place], found[0][place]) for of_worker in found)


def test_arrays_of_all_workers_are_gathered_in_order_and_those_of_the_first_broadcast() -> None:
    def arrays(worker: int) -> list[np.ndarray]:
        return [np.full((worker + 1, 2), worker, "float32"), np.arange(worker)][: 1 + worker % 2]

    for workers in (1, 3):
        found = in_ring(workers, lambda ring: ring.gather(arrays(ring.task.index)))
        sent = in_ring(workers, lambda ring: ring.broadcast(arrays(ring.task.index)))
        for of_worker in found:
            for worker, given in enumerate(of_worker):
                for one, other in zip(given, arrays(worker), strict=True):
                    assert one.dtype == other.dtype
                    assert np.array_equal(one, other)
        assert all(len(given) == 1 and np.array_equal(given[0], arrays(0)[0]) for given in sent)


@pytest.mark.parametrize("gone", [0, 2])
def test_when_a_worker_ends_all_others_stop(gone: int) -> None:
    def work(ring: Ring) -> str:
        ring.sum_in_place(np.zeros(5))
        if ring.task.index != gone:
            ring.sum_in_place(np.zeros(100_003))
        return "gone"

    for index, found in enumerate(in_ring(3, work)):
        line = f"another worker has ended; so does worker {index}"
        assert str(found) == ("gone" if index == gone else line)


def test_workers_that_are_out_of_step_stop() -> None:
    def work(ring: Ring) -> None:
        with pytest.raises(RuntimeError, match=r"^worker \d is out of step with the worker before it"):
            ring.sum_in_place(np.zeros(4 + ring.task.index))

    assert in_ring(2, work) == [None, None]


def test_workers_with_other_options_are_refused_in_one_line() -> None:
    found = in_ring(2, lambda ring: ring, ("a", "b"))
    assert any(isinstance(error, OptionError) for error in found)
    problem = "cluster must have workers with the same options, data and version; worker"
    for index, error in enumerate(found):
        assert str(error) in {f"{problem} {1 - index} differs", f"worker {1 - index} has ended"}


def connected(address: str) -> socket.socket:
    """A connection to an address, as soon as somebody listens there."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(split_address(address), timeout=DEADLINE)


def test_strangers_that_connect_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sends something else, and one that sends nothing."""
    monkeypatch.setattr("tf_rnn.parallel.ring.HELLO_SECONDS", 1.0)
    addresses = tuple(free_addresses(2))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: Ring(ClusterTask(addresses, 0)))
        with connected(addresses[0]) as stranger, connected(addresses[0]):
            stranger.sendall(b"GET / HTTP/1.1\r\n" * 10)
            with Ring(ClusterTask(addresses, 1)) as two, first.result(DEADLINE) as one:
                with contextlib.suppress(ConnectionResetError):
                    assert stranger.recv(1) == b""
                sums = [pool.submit(ring.gather, [np.array(ring.task.index)]) for ring in (one, two)]
                assert [future.result(DEADLINE) for future in sums] == [[[0], [1]]] * 2


def test_a_worker_listens_on_its_address_alone() -> None:
    port = split_address(free_addresses(1)[0])[1]
    addresses = (f"127.0.0.2:{port}", f"127.0.0.3:{port}")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: Ring(ClusterTask(addresses, 0)))
        connected(addresses[0]).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        Ring(ClusterTask(addresses, 1)).close()
        first.result(DEADLINE).close()


def test_an_address_that_cannot_be_listened_on_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = f"127.0.0.1:{taken.getsockname()[1]}"
        for address in (in_use, "192.0.2.1:2222", "no-such-host.invalid:2222"):
            with pytest.raises(OptionError) as caught:
                Ring(ClusterTask((address, "127.0.0.1:1")))
            problem = f"must give worker 0 a free address of this machine, got {address!r}"
            assert (caught.value.option, caught.value.problem[: len(problem)]) == ("cluster", problem)


# --- what workers share: rows, state, votes and evaluations --------------------------------------


def in_workers(count: int, work: Callable[[RingWorker], Any]) -> list[Any]:
    """What a function returns in each of several connected workers."""

    def in_worker(ring: Ring) -> Any:
        with RingWorker(ring) as worker:
            return work(worker)

    return in_ring(count, in_worker)


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
        part = slice(2 * index, 2 * index + 2)
        assert_close(own, (state[0][part], {"c": state[1]["c"][part]}), 0)
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

    task = Echo(length=50, valid_length=9)
    graphs = {
        dropout: UnrolledGraph(VanillaCell(3), 2, 2, 2, 2, dropout=dropout, seed=3) for dropout in (0.0, 0.5)
    }

    def weights(worker: Worker, dropout: float) -> Any:
        return train(graphs[dropout], task, updates=2, callbacks=(), worker=worker).weights

    assert_close(weights(Second(), 0.0), weights(Worker(), 0.0), 0)
    found, other = weights(Second(), 0.5), weights(Worker(), 0.5)
    assert_close(weights(Second(), 0.5), found, 0)
    assert any((found[name] != other[name]).any() for name in found)
