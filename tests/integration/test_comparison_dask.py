"""Runs on a Dask cluster: a real scheduler and two workers on loopback, one of them killed."""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from cluster_helpers import Cluster, calls, cluster, deadly, process_id, wait_for, wait_for_workers
from command_helpers import DEADLINE, assert_refused, started, succeeds, workers_here
from comparison_helpers import (
    OWN_TASK,
    made_up_cost,
    made_up_or_die,
    make_comparison,
    run_here,
    times_begun,
    with_costs,
)
from distributed import Client
from rich.console import Console

from tf_rnn.comparison import (
    Comparison,
    Parcel,
    Results,
    RunKey,
    Sweep,
    WorkerDiedError,
    Workers,
    open_workers,
    worker,
)
from tf_rnn.comparison import dask as on_dask
from tf_rnn.comparison.comparing import run_comparison
from tf_rnn.comparison.executors import completed
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.states import States
from tf_rnn.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


KEYS = [RunKey(width, "carry", 0, 0.1) for width in (2, 3, 5, 7)]
COMPARISON = Comparison(
    setup=Setup(task="echo", state_size=3, batch_size=20),
    num_steps=(2, 4),
    state=("carry", "reset"),
    seeds=2,
    budget="tokens",
    amount=4000,
)
WORDS = ["--num-steps", "2", "4", "--seeds", "2", "--amount", "4000"]
WORDS += ["--batch-size", "20", "--state-size", "3"]


# --- work, which workers find by its name -----------------------------------------------------------


def until_cancelled(folder: str, channel: Any) -> None:
    process_id(folder, "begun")
    channel.send(KEYS[1], 0.25, "a quarter")
    while not channel.is_cancelled():
        time.sleep(0.01)
    process_id(folder, "cancelled")


# --- the executor ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, of which one dies where a test says so."""
    with cluster(tmp_path_factory.mktemp("steady")) as made:
        fill(made)
        yield made


def fill(made: Cluster) -> None:
    """There are two workers again, to whom `die_as_often_as_told` says when to die."""
    begun = made.folder / "begun"
    begun.mkdir(exist_ok=True)
    alive = sum(process.poll() is None for process in made.workers.values())
    for _ in range(2 - alive):
        made.add(f"worker-{len(made.workers)}", DEATHS=json.dumps([str(begun), {"2-1": 1}]))
    wait_for_workers(made.address, 2)


@pytest.fixture
def two(steady: Cluster) -> Iterator[Workers]:
    fill(steady)
    with open_workers(steady.address, None, Screen.silent()) as workers:
        yield workers


def test_work_is_done_by_the_workers(two: Workers, steady: Cluster, tmp_path: Path) -> None:
    assert two.slots() == 2
    found = dict(completed(two, process_id, [(key, (str(tmp_path), "x")) for key in KEYS]))
    assert list(found) != []
    assert set(found.values()) <= {process.pid for process in steady.workers.values()}
    assert calls(tmp_path, "x") == len(KEYS)


def test_a_result_is_one_though_its_worker_dies_as_it_arrives(
    two: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client is told then of the work: that it is lost, and will be done again."""
    gather = Client._gather

    async def gather_and_lose(client: Client, futures: list[Any], **options: Any) -> Any:
        found = await gather(client, futures, **options)
        for future in futures:
            client._handle_lost_data(future.key)
        return found

    monkeypatch.setattr(Client, "_gather", gather_and_lose)
    found = dict(completed(two, process_id, [(key, (str(tmp_path), "x")) for key in KEYS]))
    assert set(found) == set(KEYS)
    assert set(map(type, found.values())) == {int}
    assert calls(tmp_path, "x") == len(KEYS)


def test_the_end_of_an_executor_waits_for_what_is_under_way(steady: Cluster, tmp_path: Path) -> None:
    with (
        Client(steady.address, set_as_default=False) as client,
        on_dask.DaskExecutor(client) as executor,
    ):
        future = executor.submit(process_id, str(tmp_path), "x")
    assert future.done()
    assert future.result() in {process.pid for process in steady.workers.values()}


def test_what_work_raises_is_raised(two: Workers) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(completed(two, process_id, [(KEYS[0], ("/nowhere", "x"))]))


def test_an_interrupt_stops_what_is_under_way(steady: Cluster, tmp_path: Path) -> None:
    shown: list[Any] = []

    class Watcher(Screen):
        def show_run(self, *given: Any) -> None:
            shown.append(given)

    def interrupted() -> None:
        with open_workers(steady.address, None, Watcher(Console(file=io.StringIO()))) as workers:
            workers.executor.submit(until_cancelled, str(tmp_path), workers.channel)
            wait_for(lambda: shown, "a report")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    wait_for(lambda: calls(tmp_path, "cancelled"), "the run's end")
    assert calls(tmp_path, "begun") == 1
    assert shown == [(KEYS[1], 0.25, "a quarter")]


def test_workers_of_another_version_are_refused(
    steady: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = on_dask.fingerprint()
    monkeypatch.setattr(on_dask, "fingerprint", OtherVersion("tensorflow", "2.20.9"))
    words = ["compare", *WORDS, "--out", str(tmp_path / "out"), "--scheduler", steady.address]
    line = assert_refused(words, "--scheduler must have the same tensorflow everywhere; the worker", capsys)
    assert line.endswith(f" has {here['tensorflow']}, here it is 2.20.9")
    assert list(tmp_path.iterdir()) == []


class OtherVersion:
    """`fingerprint` in this process; workers, which are given its name, have their own."""

    def __init__(self, name: str, version: str) -> None:
        self._found = on_dask.fingerprint() | {name: version}

    def __call__(self) -> dict[str, str]:
        return self._found

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (on_dask, "fingerprint")


@pytest.mark.slow
def test_workers_need_not_have_the_module_of_a_task(
    two: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text(OWN_TASK, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    louder = importlib.import_module("only_here").Louder()
    comparison = make_comparison(task=louder, task_options={}, num_steps=(3,), state=("carry",), seeds=1)
    task = comparison.make_task(louder)
    results = Results(None, comparison.identity(task))
    results.add_costs([made_up_cost(3)])
    parcel = Parcel.of(comparison.setup, task)
    with States(None) as states:
        sweep = run_comparison(comparison, task, parcel, results, states, Screen.silent(), two)
    assert isinstance(sweep, Sweep)
    (run,) = sweep.records
    assert run["loss"] == run_here(comparison, RunKey(3, "carry", 0, 0.1), louder)["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("bare", ["scheduler", "worker"])
def test_a_cluster_without_the_package_is_refused(
    bare: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "tf_rnn.py").write_text("""raise ModuleNotFoundError("No module named 'tf_rnn'")""")
    paths = {"PYTHONPATH": str(tmp_path / "bare")}
    words = ["compare", *WORDS, "--out", str(tmp_path / "out"), "--scheduler"]
    with cluster(tmp_path, **(paths if bare == "scheduler" else {})) as made:
        if bare == "worker":  # before it starts there is none
            line = assert_refused(
                [*words, made.address], f"--scheduler must have workers, {made.address} has none; ", capsys
            )
            assert line.endswith(f"start one with `python -m dask worker {made.address}`")
        made.add("one", **(paths if bare == "worker" else {}))
        wait_for_workers(made.address, 1)
        message = f"--scheduler must have tf_rnn, tensorflow, numpy everywhere; the {bare} at tcp://"
        line = assert_refused([*words, made.address], message, capsys)
    assert "No module named 'tf_rnn'" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_work_that_kills_its_workers_is_given_up_and_the_rest_is_done(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, "one", "two", "three", allowed_failures=1) as made,
        open_workers(made.address, None, Screen.silent()) as workers,
    ):
        jobs = [(key, (str(tmp_path), f"w{key.num_steps}", 9 if key == KEYS[1] else 0)) for key in KEYS]
        outcomes = dict(completed(workers, deadly, jobs))
        assert workers.slots() == 1
    assert isinstance(outcomes[KEYS[1]], WorkerDiedError)
    assert calls(tmp_path, "w3") == 2
    finished = {key: outcome for key, outcome in outcomes.items() if key != KEYS[1]}
    assert set(finished) == {KEYS[0], KEYS[2], KEYS[3]}
    assert set(map(type, finished.values())) == {int}


@pytest.mark.slow
def test_without_a_worker_runs_wait_for_one_and_that_is_told(tmp_path: Path) -> None:
    said = io.StringIO()
    with (
        cluster(tmp_path, "one") as made,
        open_workers(made.address, None, Screen(Console(file=said, width=200))) as workers,
    ):
        made.workers["one"].kill()
        made.workers["one"].wait()
        wait_for(lambda: workers.slots() == 0, "the worker's end")
        wait_for(lambda: workers.slots() == 0, "the worker's end")
        made.add("two")
        outcomes = list(completed(workers, process_id, [(KEYS[0], (str(tmp_path), "x"))]))
        assert outcomes == [(KEYS[0], made.workers["two"].pid)]
    assert said.getvalue() == f"no worker is left at {made.address}; waiting for one\n"


@pytest.mark.slow
def test_a_scheduler_that_goes_away_ends_the_work_with_one_error(tmp_path: Path) -> None:
    def lose(made: Cluster) -> None:
        with open_workers(made.address, None, Screen.silent()) as workers:
            jobs = [(key, (str(tmp_path), workers.channel)) for key in KEYS]
            waiting = completed(workers, until_cancelled, jobs)
            made.scheduler.kill()
            list(waiting)

    with cluster(tmp_path, "one") as made, pytest.raises(WorkerDiedError) as caught:
        lose(made)
    assert str(caught.value) == f"the scheduler at {made.address} is gone"


# --- the command -------------------------------------------------------------------------------------


def losses(folder: Path, comparison: Comparison) -> dict[RunKey, Any]:
    runs = Results(folder, comparison.identity(comparison.make_task())).runs
    kept = ("loss", "train_loss", "standard_error", "dependency_scores", "updates", "error")
    return {key: {name: run[name] for name in kept} for key, run in runs.items()}


def test_a_worker_that_dies_loses_nothing(
    steady: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two workers is killed while it trains; its run is done again by the other."""
    fill(steady)
    before = {name for name, process in steady.workers.items() if process.poll() is None}
    one = dataclasses.replace(COMPARISON, state=("carry",))
    folder = with_costs(tmp_path / "out", one)
    monkeypatch.setattr(worker, "train_part", made_up_or_die)
    words = ["compare", *WORDS, "--state", "carry", "--out", str(folder), "--scheduler", steady.address]
    _, lines = succeeds(words, capsys)
    ended = [steady.workers[name].poll() is not None for name in before]
    assert times_begun(steady.folder / "begun") == {"2-0": 1, "2-1": 2, "4-0": 1, "4-1": 1}
    assert sorted(ended) == [False, True], "not one of the two workers was killed"
    assert lines[0].startswith("4 runs, about "), lines[0]
    assert [line.split("]")[0] for line in lines[1:]] == [f"[{k}/4" for k in range(1, 5)]
    assert list(losses(folder, one)) == one.keys


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_results_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    """One of two workers is killed while it trains; its run is done again by the other."""
    one = dataclasses.replace(COMPARISON, seeds=1)
    folder = with_costs(tmp_path / "out", one)
    with cluster(tmp_path, "one", "two", allowed_failures=3) as made:
        words = ["compare", *WORDS, "--seeds", "1", "--out", str(folder), "--scheduler", made.address]
        with started(words) as process:
            file = folder / "results.json"
            wait_for(lambda: '"curve"' in file.read_text(encoding="utf-8"), "a run's end")
            made.workers["one"].kill()
            _, errors = process.communicate(timeout=DEADLINE)
        assert (process.returncode, "Traceback" in errors) == (0, False), errors
    planned, *lines = errors.splitlines()
    assert planned.startswith("4 runs, about "), planned
    assert [line.split("]")[0] for line in lines] == [f"[{k}/4" for k in range(1, 5)], errors
    found = losses(folder, one)
    assert list(found) == one.keys
    for key in (one.keys[0], one.keys[-1]):
        here = run_here(one, key)
        assert {name: here[name] for name in found[key]} == found[key], key.title


@pytest.mark.slow
def test_an_interrupt_of_the_command_keeps_what_is_finished(steady: Cluster, tmp_path: Path) -> None:
    many = dataclasses.replace(COMPARISON, num_steps=(4,), state=("carry",), seeds=40)
    folder = with_costs(tmp_path / "out", many)
    words = ["compare", "--num-steps", "4", "--state", "carry", "--seeds", "40", *WORDS[5:]]
    with started([*words, "--out", str(folder), "--scheduler", steady.address]) as process:
        file = folder / "results.json"
        wait_for(lambda: '"curve"' in file.read_text(encoding="utf-8"), "a run's end")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, "Traceback" in errors) == (130, False), errors
    assert errors.splitlines()[-1] == (
        "tf_rnn compare: interrupted; finished runs are kept; the same command continues from there"
    )
    assert 0 < len(losses(folder, many)) < 40


@pytest.mark.slow
def test_recommend_gives_the_same_answer_on_a_cluster(
    steady: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Costs are measured, so both begin with the same ones."""
    one = dataclasses.replace(COMPARISON, state=("carry",), num_steps=(2, 4, 8, 16, 32))
    found: list[dict[str, Any]] = []
    for place in ("local", steady.address):
        with workers_here():  # on a cluster there are others
            folder = with_costs(tmp_path / str(len(found)), one)
            succeeds(["recommend", *WORDS, "--scheduler", place, "--out", str(folder)], capsys)
        found.append(json.loads((folder / "recommendation.json").read_text(encoding="utf-8")))
    assert found[0] == found[1]


# --- bad input ------------------------------------------------------------------------------------------


def test_nobody_at_the_address_is_reported_within_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_dask, "CONNECT_SECONDS", 0.5)
    words = ["compare", "--scheduler", "tcp://127.0.0.1:1"]
    line = assert_refused(words, "--scheduler must be the address", capsys)
    assert line.endswith(" of a running Dask scheduler; none answers at tcp://127.0.0.1:1 within 0.5 s")
    assert list(tmp_path.iterdir()) == []


def test_workers_are_not_counted_for_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", *WORDS, "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    message = "--workers must be left out, as tcp://127.0.0.1:1 decides how many there are, got 3"
    assert_refused([*words, "--workers", "3"], message, capsys)


def test_without_dask_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["compare", *WORDS, "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    message = '--scheduler must be local unless Dask is installed (pip install "tf-rnn[cluster]")'
    assert_refused(words, message, capsys)
    assert not (tmp_path / "out").exists()
