"""One run on several workers: its weights are those of one process, and nobody's rows are read twice.

All servers are in this process, each worker in a thread of its own, and the messages go over loopback
connections as they would between machines.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close
from model_helpers import checkpoints, made_up_text, metrics
from parallel_helpers import train_together

from benchmarks.cluster import parameters
from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell
from tf_rnn.checks import OptionError
from tf_rnn.cluster import Cluster, Member
from tf_rnn.cluster.launcher import free_cluster
from tf_rnn.config import EXCHANGES as EXCHANGE_NAMES
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import saved_names
from tf_rnn.tasks import Text
from tf_rnn.training import Schedule, Silence, Truncation, train
from tf_rnn.training.checkpoints import read_checkpoint
from tf_rnn.training.crew import StoppedWaitingError
from tf_rnn.training.parallel import EXCHANGES, Chief, patience, worker
from tf_rnn.training.parallel.patience import Patient
from tf_rnn.training.parallel.replica import Replica
from tf_rnn.training.parallel.rows import OwnRows
from tf_rnn.training.parallel.server import LeastLoaded, start_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCH, STEPS = 6, 4
LETTERS = 330  # 297 to train on: six rows of 49 letters, the last without a target: 12 blocks of 4
EPOCH = 12
# Float64: equal but for the order in which few numbers are added.
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Text:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(made_up_text(LETTERS), encoding="utf-8")
    return Text(str(path))


def maker(task: Text, **options: Any) -> Callable[[], UnrolledGraph]:
    """Makes graphs of two different layers on a learnt embedding, whose gradients are clipped."""
    given: dict[str, Any] = {
        "embedding_size": 5, "dtype": "float64", "clip_norm": 0.1, "learning_rate": 0.5, "seed": 3
    } | options  # fmt: skip

    def make() -> UnrolledGraph:
        with tf.Graph().as_default():
            cell = StackedCell([LSTMCell(3), GRUCell(4)])
            return UnrolledGraph(cell, STEPS, BATCH, task.input_size, task.num_classes, **given)

    return make


def alone(make: Callable[[], UnrolledGraph], task: Text, **options: Any) -> Any:
    graph = make()
    with graph.session(1) as session:
        return train(graph, task, session=session, listener=Silence(), **options)


def assert_same_run(found: Any, expected: Any) -> None:
    assert_close(found.weights, expected.weights, TOLERANCE, "weights")
    assert_close(found.final_state, expected.final_state, TOLERANCE, "state")
    assert (found.updates, found.tokens) == (expected.updates, expected.tokens)
    for one, other in zip(found.curve, expected.curve, strict=True):
        assert (one.updates, one.tokens, one.epoch) == (other.updates, other.tokens, other.epoch)
        assert one.train_loss == pytest.approx(other.train_loss, abs=TOLERANCE, nan_ok=True), one
        assert one.valid_loss == pytest.approx(other.valid_loss, abs=TOLERANCE), one


# --- synchronous: one process ----------------------------------------------------------------------


def test_every_exchange_has_its_function() -> None:
    assert tuple(EXCHANGES) == EXCHANGE_NAMES


SLOW = pytest.mark.slow
CASES = [
    # Sparse gradients of the embedding.
    pytest.param(2, 1, {"optimizer": "sgd"}, {}, id="sgd"),
    # Averages that decay everywhere, a rate that changes, more than one parameter server.
    pytest.param(
        *(3, 2, {"optimizer": "adam", "learning_rate": 0.01}, {"schedule": Schedule("cosine")}), id="adam"
    ),
    pytest.param(
        *(2, 1, {"optimizer": "adagrad", "reduction": "sum"}, {"state": "reset"}), id="reset", marks=SLOW
    ),
    pytest.param(1, 1, {"optimizer": "momentum"}, {}, id="one worker", marks=SLOW),
]


@pytest.mark.parametrize(("workers", "ps", "of_graph", "of_training"), CASES)
def test_synchronous_workers_are_one_process_that_reads_all_rows(
    workers: int, ps: int, of_graph: dict[str, Any], of_training: dict[str, Any], task: Text
) -> None:
    """Over the border of an epoch, and with a gradient that is clipped, by its mean's norm."""
    make = maker(task, **of_graph)
    expected = alone(make, task, updates=EPOCH + 5, **of_training)
    unclipped = alone(maker(task, **of_graph, clip_norm=None), task, updates=EPOCH + 5, **of_training)
    distance = max(
        np.abs(unclipped.weights[name] - expected.weights[name]).max() for name in expected.weights
    )
    assert distance > 1e-3, f"weights that clipping changes by {distance} say nothing of it"
    assert_same_run(
        train_together(make, task, workers=workers, ps=ps, updates=EPOCH + 5, **of_training), expected
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", ["alone", "together"])
def test_what_one_has_begun_the_other_goes_on_with(first: str, task: Text, tmp_path: Path) -> None:
    """The folder holds all rows' states, and does not depend on how many workers there were."""
    make = maker(task, optimizer="momentum")
    run = {"alone": alone, "together": train_together}
    then = "together" if first == "alone" else "alone"
    run[first](make, task, updates=EPOCH + 3, out=tmp_path / "run")
    found = run[then](make, task, updates=EPOCH + 8, resume=tmp_path / "run")
    expected = alone(make, task, updates=EPOCH + 8, out=tmp_path / "expected")
    assert_close(found.weights, expected.weights, TOLERANCE, "weights")
    newest = [read_checkpoint(checkpoints(tmp_path / name)[-1]).snapshot for name in ("run", "expected")]
    for one, other in zip(newest[0].place.state or [], newest[1].place.state or [], strict=True):
        assert_close(one, other, TOLERANCE, "kept state")
    assert newest[0].place._replace(state=None) == newest[1].place._replace(state=None)
    assert [line["step"] for line in metrics(tmp_path / "run")] == [EPOCH, EPOCH + 8]
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    noted = {"cluster": {"workers": 2, "ps": 1, "exchange": "sync"}} if first == "together" else {}
    assert config == json.loads(
        (tmp_path / "expected" / "config.json").read_text(encoding="utf-8")
    ) | noted | {"training": config["training"]}


@pytest.mark.slow
def test_what_is_dropped_differs_between_workers_and_is_the_same_again(
    task: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = maker(task, optimizer="sgd", dropout=0.4)
    one, again = (train_together(make, task, updates=3, seed=5).weights for _ in range(2))
    assert_close(one, again, TOLERANCE, "the same seed")
    other = train_together(make, task, updates=3, seed=6).weights
    monkeypatch.setattr(worker, "BETWEEN_SEEDS", 0)
    alike = train_together(make, task, updates=3, seed=5).weights
    for name, weights in {"another seed": other, "the same seed for all workers": alike}.items():
        assert max(np.abs(weights[key] - one[key]).max() for key in one) > 1e-4, name


# --- asynchronous ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_asynchronous_worker_is_one_process(task: Text) -> None:
    make = maker(task, optimizer="adam", learning_rate=0.01)
    expected = alone(make, task, updates=EPOCH + 5)
    assert_same_run(train_together(make, task, workers=1, exchange="async", updates=EPOCH + 5), expected)


def test_asynchronous_workers_share_the_work_and_each_has_its_place(
    task: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chief looks only after an update of its own how many all have made: few are too many."""
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.001)
    make = maker(task, optimizer="sgd", learning_rate=0.3, clip_norm=None)
    result = train_together(make, task, exchange="async", epochs=4, out=tmp_path / "run")
    updates = 4 * 2 * EPOCH
    too_many = updates + EPOCH
    assert updates <= result.updates < too_many, "both workers' updates are counted"
    assert result.tokens == result.updates * STEPS * BATCH // 2
    place = read_checkpoint(checkpoints(tmp_path / "run")[-1]).snapshot.place
    assert len(place.positions) == 2
    assert min(place.positions) > 0, f"{place.positions}: one worker did all the work"
    assert result.updates <= sum(place.positions) < too_many
    assert [part.shape[0] for part in place.state or []] == [BATCH] * 3
    assert result.curve[-1].valid_loss < result.curve[0].valid_loss - 0.05
    assert [line["epoch"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4]


@pytest.mark.slow
def test_an_asynchronous_run_is_gone_on_with(
    task: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By as many workers from where each was; by one process from the start of the epoch."""
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.001)
    make = maker(task, optimizer="sgd")
    train_together(make, task, exchange="async", updates=2 * EPOCH + 6, out=tmp_path / "run")
    before = read_checkpoint(checkpoints(tmp_path / "run")[-1]).snapshot
    aim = before.record.updates + EPOCH
    told: list[str] = []
    result = train_together(
        make, task, exchange="async", updates=aim, resume=tmp_path / "run", tell=told.append
    )
    epoch, block = divmod(before.place.positions[1], EPOCH)
    assert f"joined in epoch {epoch + 1} at block {block + 1} of {EPOCH}" in told
    after = read_checkpoint(checkpoints(tmp_path / "run")[-1]).snapshot
    made = result.updates - before.record.updates
    assert made >= EPOCH
    read = sum(after.place.positions) - sum(before.place.positions)
    assert read >= made, f"{made} updates, but only {read} blocks"
    assert all(np.greater_equal(after.place.positions, before.place.positions))
    one = alone(make, task, updates=after.record.updates + 1, resume=tmp_path / "run")
    place = read_checkpoint(checkpoints(tmp_path / "run")[-1]).snapshot.place
    assert (one.updates, place.epoch, place.windows) == (after.record.updates + 1, after.place.epoch, 1)
    assert place.positions == ()


# --- rows and places -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_rows_of_all_workers_are_those_of_one_process(workers: int, task: Text) -> None:
    shares = [OwnRows(task, BATCH, STEPS, index, workers) for index in range(workers)]
    assert {share.blocks_per_epoch for share in shares} == {EPOCH}
    for epoch in (0, 1):
        for number, (inputs, targets) in enumerate(task.blocks(BATCH, STEPS, "train", epoch)):
            blocks = [share.block(epoch * EPOCH + number) for share in shares]
            assert np.array_equal(np.concatenate([block.inputs for block in blocks]), inputs)
            assert np.array_equal(np.concatenate([block.targets for block in blocks]), targets)
    assert shares[0].position(EPOCH + 3) == (1, 3)


def test_variables_are_spread_by_their_bytes() -> None:
    cluster = Cluster(("a:1", "b:2"), ("c:3",))
    with tf.Graph().as_default():
        strategy = LeastLoaded(cluster)
        sizes = [[10, 10], [10], [9, 9], [9], [100]]
        variables = [
            tf.get_variable(f"v{number}", size, use_resource=True) for number, size in enumerate(sizes)
        ]
        places = [strategy(variable.handle.op) for variable in variables]
    assert places == [0, 1, 1, 1, 0], "in turn it would be 0, 1, 0, 1, 0"


def test_the_benchmark_counts_the_parameters_that_are_sent() -> None:
    with tf.Graph().as_default():
        graph = UnrolledGraph(LSTMCell(7), num_steps=2, batch_size=3, input_size=5, num_classes=5)
    assert parameters(7, 5) == sum(int(np.prod(variable.shape)) for variable in graph.variables)


# --- what is handed in -----------------------------------------------------------------------------


def test_what_is_handed_in_twice_counts_once_and_what_is_late_not_at_all(task: Text) -> None:
    """A worker that was started again hands in the same once more; the mean over workers is as before."""
    make = maker(task, optimizer="sgd", clip_norm=None)
    cluster = free_cluster(1, 2)
    start_server(Member(cluster, "ps", 0), 1)
    members = [Member(cluster, "worker", index) for index in (0, 1)]
    chief, helper = (Replica(make(), member, "sync") for member in members)
    at_chief, at_helper = (
        replica.session(start_server(member, 1), 1)
        for replica, member in zip((chief, helper), members, strict=True)
    )
    local = make()
    rows = [OwnRows(task, BATCH, STEPS, index, 2) for index in (0, 1)]
    zeros = chief.graph.zero_state()
    flat = [np.zeros(part.shape) for part in tf.nest.flatten(zeros)]
    with local.session(1) as session:
        start = session.run(saved_names(local))
    run_chief, run_worker = chief.runner(at_chief, ()), helper.runner(at_helper, ())

    def begin(tick: int) -> None:
        chief.clear(at_chief, tick)
        chief.push(at_chief, start)
        chief.shared.begin(at_chief, 0, 0.5, [0, 0], {0: flat, 1: flat})
        chief.shared.set_generation(at_chief, tick)

    def handed_in_by_worker(block: int, tick: int) -> threading.Thread:
        thread = threading.Thread(target=lambda: run_worker(rows[1].block(block), zeros, tick), daemon=True)
        thread.start()
        return thread

    def updated(tick: int) -> dict[str, Any]:
        run_chief(rows[0].block(0), zeros, tick)
        return chief.pull(at_chief)[0]

    begin(100)
    first = handed_in_by_worker(0, 100)
    once = updated(100)
    first.join(20)
    assert chief.missing(at_chief) == [1]

    begin(200)
    late = handed_in_by_worker(5, 199)
    twice = [handed_in_by_worker(0, 200) for _ in range(2)]
    while min(at_chief.run(chief._step.slots[1]._counts)) < 2:
        time.sleep(0.01)
    assert chief.missing(at_chief) == []
    assert_close(updated(200), once, TOLERANCE, "twice and late")
    for _ in (late, *twice):
        chief.let_go_on(at_chief, 201)
    for thread in (late, *twice):
        thread.join(20)
        assert not thread.is_alive()

    begin(300)
    forgotten = handed_in_by_worker(5, 300)
    while chief.missing(at_chief):
        time.sleep(0.01)
    begin(400)
    assert chief.missing(at_chief) == [1], "what was handed in before is forgotten"
    last = handed_in_by_worker(0, 400)
    assert_close(updated(400), once, TOLERANCE, "after one that was forgotten")
    for thread in (forgotten, last):
        thread.join(20)
        assert not thread.is_alive()
    for session in (at_chief, at_helper):
        session.close()


# --- what cannot be trained so ---------------------------------------------------------------------


def test_other_styles_and_uneven_rows_are_refused(task: Text) -> None:
    cluster = free_cluster(1, 4)
    chief = Chief(Member(cluster, "worker", 0), "sync", None, 1, print)
    graph = maker(task)()
    with pytest.raises(
        OptionError, match=r"^batch_size must be a multiple of the number of workers \(4\), got 6"
    ):
        train(graph, task, updates=1, crew=chief)
    with pytest.raises(OptionError, match=r"^style must be block with a cluster, got 'sliding'$"):
        train(graph, task, updates=1, crew=chief, truncation=Truncation("sliding"))
    with pytest.raises(OptionError, match=r"^exchange must be one of sync, async; got 'both'$"):
        Chief(Member(cluster, "worker", 0), "both", None, 1, print)


def test_an_address_that_is_taken_is_one_line() -> None:
    cluster = free_cluster(1, 1)
    start_server(Member(cluster, "ps", 0), 1)
    taken = Cluster(cluster.worker, cluster.ps)
    with pytest.raises(OptionError, match=r"^cluster must give worker 0 a free address of this machine, got"):
        start_server(Member(taken, "worker", 0), 1)


# --- waiting ---------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told of it after a hundredth of the time."""
    for name in ("LOOK_SECONDS", "TELL_SECONDS", "STOP_SECONDS"):
        monkeypatch.setattr(patience, name, getattr(patience, name) / 100)


@pytest.mark.usefixtures("quick")
def test_a_long_wait_is_told_and_its_end_too() -> None:
    told: list[str] = []
    comes = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            comes.set()

    assert Patient(tell)(lambda: comes.wait(20) and "here", lambda: "waiting for it") == "here"
    assert told == ["waiting for it (0 s)", "waiting for it (0 s)", "going on after 0 s"]


@pytest.mark.usefixtures("quick")
def test_what_is_quick_or_fails_is_handed_through() -> None:
    told: list[str] = []
    patient = Patient(told.append)
    assert patient(lambda: 7, lambda: "never") == 7
    for error in (ValueError("its own"), TimeoutError("its own")):

        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error), match="its own"):
            patient(fail, lambda: "never")
    assert told == []


@pytest.mark.usefixtures("quick")
def test_a_run_that_is_told_to_stop_does_not_wait_for_ever() -> None:
    comes = threading.Event()
    patient = Patient(lambda _: None, lambda: True)
    with pytest.raises(StoppedWaitingError):
        patient(comes.wait, lambda: "waiting")
    assert patient(lambda: "saved", lambda: "never") == "saved", "what is to be run after it still can be"
    comes.set()
