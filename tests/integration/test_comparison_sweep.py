"""The sweep: runs that fail are told plainly, the others finish, and the same command tries them again."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import Here, assert_fails, little_data, run_main, succeeds
from comparison_helpers import (
    TASK_OPTIONS,
    die_as_often_as_told,
    diverged_run,
    made_up_cost,
    made_up_or_die,
    made_up_results,
    made_up_run,
    made_up_summary,
    make_comparison,
    times_begun,
    with_costs,
)

from tf_rnn import graph
from tf_rnn.comparison import (
    Comparison,
    Parcel,
    RunKey,
    Screen,
    Sweep,
    Workers,
    compare,
    comparing,
    decide,
    summarise,
    worker,
)
from tf_rnn.comparison import scheduler as schedulers
from tf_rnn.comparison.ranking import Question
from tf_rnn.comparison.sentences import NO_VERDICT, answer_sentence
from tf_rnn.comparison.tables import learning_table
from tf_rnn.comparison.worker import Part, look_run, train_part
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Arrays, Echo, Task, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TASK = Echo(**TASK_OPTIONS)
WIDTHS, SEEDS = (2, 4), 2
COMPARISON = Comparison(
    setup=Setup(task="echo", state_size=3, batch_size=20),
    num_steps=WIDTHS,
    state=("carry",),
    seeds=SEEDS,
    budget="tokens",
    amount=4000,
)
WORDS = ["compare", "--num-steps", "2", "4", "--state", "carry", "--seeds", "2", "--amount", "4000"]
WORDS += ["--batch-size", "20", "--state-size", "3", "--workers", "2"]
DIED = "its worker process died every time (killed, or out of memory?)"


@pytest.fixture(scope="module", autouse=True)
def _little_data() -> Iterator[None]:
    with little_data():
        yield


def train_or_die(parcel: Parcel, key: RunKey, *more: Any) -> Part:
    die_as_often_as_told(key)
    return train_part(parcel, key, *more)


@contextlib.contextmanager
def in_a_thread(*_: Any) -> Iterator[Workers]:
    """Stands for workers where it does not matter whose they are: one, in this process."""
    with ThreadPoolExecutor(1) as executor:
        yield Workers(executor, None, lambda: 1, ())


def told_to_die(
    folder: Path, deaths: dict[str, int], train: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], Path]:
    """The command line of a comparison whose workers die as often as told, and where that is noted."""
    begun = folder / "begun"
    begun.mkdir()
    monkeypatch.setenv("DEATHS", json.dumps([str(begun), deaths]))
    monkeypatch.setattr(worker, "train_part", train)
    return [*WORDS, "--out", str(with_costs(folder / "out", COMPARISON))], begun


def test_killed_workers_lose_nothing_and_a_run_that_kills_two_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Width 2, seed 1 kills its worker once, width 4, seed 0 kills every one; then nobody does any more."""
    words, begun = told_to_die(tmp_path, {"2-1": 1, "4-0": 9}, made_up_or_die, monkeypatch)
    folder = tmp_path / "out"
    status, shown, errors = run_main(words, capsys)
    assert status == 1, errors
    assert times_begun(begun) == {"2-0": 1, "2-1": 2, "4-0": 2, "4-1": 1}
    lines = errors.splitlines()
    assert sum(f"width 4, carry, rate 0.1, seed 0: failed: {DIED}" in line for line in lines) == 1, errors
    assert lines[-1] == (
        f"tf_rnn compare: error: 1 of 4 runs failed (width 4, carry, rate 0.1, seed 0: {DIED}); "
        "finished runs are kept; the same command continues from there"
    )
    sentence = (
        "1 of 4 runs failed, since their worker process died every time, and are left out "
        "(1 at num_steps 4, carry); the same command tries them again."
    )
    page = (folder / "report.md").read_text(encoding="utf-8")
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for text in (" ".join(shown.split()), page, found["verdict"]["sentence"]):
        assert sentence in text, text
    assert found["failed"] == [RunKey(4, "carry", 0, 0.1)._asdict() | {"error": DIED}]
    assert "(1 failed)" in page
    named = found["verdict"]["num_steps"]
    assert named in {2, None}, "a width whose run failed was chosen before one that is whole"
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["num_steps"], row["seed"]): row for row in csv.DictReader(file)}
    assert (rows["4", "0"]["loss"], rows["4", "0"]["error"]) == ("", DIED)

    monkeypatch.setenv("DEATHS", json.dumps([str(begun), {}]))
    monkeypatch.setitem(schedulers.SCHEDULERS, "local", in_a_thread)
    _, lines = succeeds(words, capsys)
    assert lines[0] == "3 of 4 runs are already finished"
    assert lines[1].startswith("1 run, about "), lines[1]
    assert [line.split(":")[0] for line in lines[2:]] == ["[4/4] width 4, carry, rate 0.1, seed 0"]
    completed = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert completed["failed"] == []
    assert len(completed["runs"]) == 4


@pytest.mark.slow
def test_what_workers_train_is_the_same_as_here_though_one_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, begun = told_to_die(tmp_path, {"2-1": 1}, train_or_die, monkeypatch)
    succeeds(words, capsys)
    assert times_begun(begun) == {"2-0": 1, "2-1": 2, "4-0": 1, "4-1": 1}
    runs = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["runs"]
    assert len(runs) == 4
    parcel = Parcel.of(COMPARISON.setup, COMPARISON.make_task())
    for run in runs:
        here = train_part(parcel, RunKey(*(run[name] for name in RunKey._fields)), {"tokens": 4000}).record
        for name in ("loss", "train_loss", "standard_error", "dependency_scores", "updates", "error"):
            assert here[name] == run[name], f"{name} of {here['num_steps']}, {here['seed']}"


def test_costs_whose_process_dies_end_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is one of `local_workers`, which gives up work that has killed two."""

    @contextlib.contextmanager
    def here(*_: Any) -> Iterator[Workers]:
        yield Workers(Here(), None, lambda: 1, (BrokenProcessPool,))

    def die(*_: Any) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(comparing, "local_workers", here)
    monkeypatch.setattr(worker, "cost_runs", die)
    line = assert_fails([*WORDS, "--out", str(tmp_path / "out")], 1, capsys, after=1)
    assert line == (
        "tf_rnn compare: error: the process that measures costs died twice (killed, or out of memory?); "
        "finished runs are kept; the same command continues from there"
    )


def made_up_costs(_: Parcel, widths: Sequence[int], *__: Any) -> list[dict[str, Any]]:
    return [made_up_cost(width) for width in widths]


# --- what is told of runs that failed ------------------------------------------------------------------


def test_failures_are_kept_until_the_run_is_there(tmp_path: Path) -> None:
    comparison = make_comparison()
    results = made_up_results(tmp_path, [made_up_run(4)], comparison)
    key = RunKey(4, "carry", 1, 0.1)
    results.add_failure(key, "it died")
    results.save(verdict=None)
    again = made_up_results(tmp_path, [], comparison)
    assert again.failures == {key: "it died"}
    assert key in again.missing(comparison.keys), "a run that failed is tried again"
    again.add_run(made_up_run(4, seed=1))
    again.add_costs([made_up_cost(4)])
    again.save(verdict=None)
    assert made_up_results(tmp_path, [], comparison).failures == {}
    path = tmp_path / "results.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    del saved["failed"]  # as before runs could fail
    path.write_text(json.dumps(saved), encoding="utf-8")
    assert list(made_up_results(tmp_path, [], comparison).runs) == [
        RunKey(4, "carry", n, 0.1) for n in (0, 1)
    ]


def test_a_summary_counts_failures_of_its_runs_alone(tmp_path: Path) -> None:
    results = made_up_results(tmp_path, [made_up_run(4), diverged_run(4, seed=1)])
    keys = [RunKey(4, "carry", seed, 0.1) for seed in range(3)]
    results.add_failure(keys[2], "it died")
    results.add_failure(RunKey(4, "reset", 0, 0.1), "it died")
    (found,) = summarise(results, keys, TASK)
    assert (found.runs, found.diverged, found.failed, found.total) == (1, 1, 1, 3)
    assert found.unfinished == "1 diverged, 1 failed"
    (row,) = learning_table([found], TASK).rows
    assert row[2] == "0.5000 (1 diverged, 1 failed)"


QUESTION = Question("1,500 tokens", 1.0, (0.1,), (1, 4, 9))


def test_a_width_without_a_run_that_ended_is_in_the_table(tmp_path: Path) -> None:
    results = made_up_results(tmp_path, [made_up_run(4)])
    results.add_failure(RunKey(1, "carry", 0, 0.1), "it died")
    results.add_costs([made_up_cost(1)])
    summaries = summarise(results, [RunKey(1, "carry", 0, 0.1), RunKey(4, "carry", 0, 0.1)], TASK)
    assert [row[2] for row in learning_table(summaries, TASK).rows] == ["– (1 failed)", "0.5000"]
    verdict = decide(summaries, QUESTION)
    assert verdict is not None
    assert verdict.num_steps == 4
    assert verdict.sentence.endswith(
        ". 1 of 2 runs failed, since their worker process died every time, and are left out "
        "(1 at num_steps 1, carry); the same command tries them again."
    )


def test_a_width_of_which_a_run_failed_is_chosen_only_where_there_is_no_other() -> None:
    best = made_up_summary(4, 0.25, runs=2, failed=1)
    verdict = decide([best, made_up_summary(9, 0.75)], QUESTION)
    assert verdict is not None
    assert verdict.num_steps == 9
    assert "the lowest among widths none of whose runs failed. " in verdict.sentence
    alone = decide([best], QUESTION)
    assert alone is not None
    assert alone.num_steps == 4
    assert "held-out loss 0.2500 nats (1 of 3 runs failed). " in alone.sentence


def test_without_any_run_there_is_an_answer_too() -> None:
    lost: dict[str, Any] = {"loss": math.nan, "runs": 0}
    failed = made_up_summary(4, failed=3, **lost)
    assert decide([failed], QUESTION) is None
    assert answer_sentence([failed], None).startswith("No run finished. 3 of 3 runs failed, ")
    diverged = made_up_summary(9, diverged=3, **lost)
    assert answer_sentence([failed, diverged], None).startswith(f"{NO_VERDICT} 3 of 6 runs failed, ")
    assert answer_sentence([diverged], None) == NO_VERDICT


# --- data on another machine ----------------------------------------------------------------------------


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "cats.txt"
    path.write_text("a cat sat on a mat. " * 9, encoding="utf-8")
    return path


def test_the_path_of_data_is_made_whole(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(text.parent)
    setup = Setup(task="text", task_options={"data": "cats.txt", "valid_fraction": 0.25})
    found = json.loads(Parcel.of(setup, Text("cats.txt", 0.25)).options)
    assert (found["data"], found["valid_fraction"]) == (str(text), 0.25)
    documentation = Parcel.of(Setup(task="text"), Text())
    assert json.loads(documentation.options)["data"] is None


def test_data_that_a_worker_does_not_have_are_refused(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "node7")
    parcel = Parcel.of(Setup(task="text"), Text(text))
    start = "data must be the same for all workers, but on node7 it "
    text.write_text("a dog sat on a mat. " * 9, encoding="utf-8")
    with pytest.raises(OptionError) as caught:
        parcel.open()
    assert str(caught.value) == start + "is another text"
    text.unlink()
    with pytest.raises(OptionError) as caught:
        parcel.open()
    assert str(caught.value).startswith(start + "must be the path of a text file")


def test_a_process_makes_the_task_of_equal_parcels_once(text: Path) -> None:
    first, second = (Parcel.of(Setup(task="text"), Text(text)).open() for _ in range(2))
    assert first.task is second.task
    assert Parcel.of(Setup(task="text"), Text(text, 0.25)).open().task is not first.task


def test_a_file_that_changes_while_runs_go_on_ends_them_with_one_line(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def changing(*_: Any) -> Iterator[Workers]:
        with in_a_thread() as workers:
            text.write_text("a dog sat on a mat. " * 9, encoding="utf-8")
            yield workers

    monkeypatch.setitem(schedulers.SCHEDULERS, "local", changing)
    monkeypatch.setattr(worker, "cost_runs", made_up_costs)
    words = ["--task", "text", "--data", str(text), "--num-steps", "2", "--seeds", "1", "--batch-size", "2"]
    words += ["--state", "carry", "--amount", "100", "--state-size", "3"]
    folder = tmp_path / "out"
    status, shown, errors = run_main(["compare", *words, "--out", str(folder)], capsys)
    assert (status, shown) == (2, ""), errors
    assert errors.splitlines()[-1].startswith(
        "tf_rnn compare: error: --data must be the same for all workers"
    )


# --- a comparison as a value ----------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process, made-up costs."""
    monkeypatch.setitem(schedulers.SCHEDULERS, "local", in_a_thread)
    monkeypatch.setattr(comparing, "local_workers", in_a_thread)
    monkeypatch.setattr(worker, "cost_runs", made_up_costs)


@pytest.mark.usefixtures("quick")
def test_in_memory_nothing_is_written_and_what_is_written_later_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside other runs of the same configuration. Runs are made up."""
    monkeypatch.setattr(worker, "train_part", lambda _, key, *__: Part(made_up_run(*key), None))
    monkeypatch.chdir(tmp_path)
    made = compare(COMPARISON, screen=Screen.silent())
    assert isinstance(made, Sweep)
    assert list(tmp_path.iterdir()) == []
    assert made.answer is not None
    assert made.sentence == made.answer.sentence
    assert [(run["num_steps"], run["seed"]) for run in made.records] == [(2, 0), (2, 1), (4, 0), (4, 1)]
    assert made.table().title == "What each width learns"
    assert made.cost_table().title == "What each width costs"
    figures = (made.figure(), made.cost_figure(), made.curve_figure())
    assert [len(figure.axes) for figure in figures] == [1, 4, 1]
    files = made.write("out", ["compare", "--out", "out"])
    assert {path.name for path in files} | {"config.json"} == {path.name for path in Path("out").iterdir()}
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert saved["runs"] == made.records
    with monkeypatch.context() as patch:
        patch.delattr(worker, "train_part")
        again = compare(COMPARISON, out="out", screen=Screen.silent())
    assert again.records == made.records, "finished runs were repeated"
    compare(dataclasses.replace(COMPARISON, num_steps=(3,), seeds=1), screen=Screen.silent()).write("out")
    saved = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [run["num_steps"] for run in saved["runs"]] == [2, 2, 3, 4, 4]
    assert [cost["num_steps"] for cost in saved["costs"]] == [2, 3, 4]


@pytest.mark.slow
def test_seeds_drop_different_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """All graphs start from equal weights here, so that dropout alone makes a difference."""
    make_graph = graph.make_graph

    def with_equal_weights(setup: Setup, task: Task, num_steps: int, seed: int) -> Any:
        return make_graph(setup, task, num_steps, 0)

    monkeypatch.setattr(graph, "make_graph", with_equal_weights)
    setup = Setup(task="echo", cell="vanilla", state_size=5, num_layers=2, batch_size=20, dropout=0.5)
    parcel = Parcel.of(setup, Echo(length=2000, valid_length=200))
    keys = [RunKey(2, "carry", seed, 0.1) for seed in (0, 1, 0)]
    parts = [train_part(parcel, key, {"updates": 3}) for key in keys]
    losses = [part.record["loss"] for part in parts]
    assert losses[0] == losses[2] != losses[1]
    looked = [look_run(parcel, keys[0], parts[n].state or b"", 5, 900, True) for n in (0, 2)]
    assert looked[0] == looked[1]


# --- what the trained networks show ---------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_the_networks_of_the_answer_are_looked_at_once(tmp_path: Path) -> None:
    """The value of the step before is to be predicted: two steps are enough for the state."""
    inputs = np.random.default_rng(0).normal(size=(4000, 1)).astype(np.float32)
    task = Arrays(inputs, np.roll(inputs, 1, axis=0))
    task.defaults = dataclasses.replace(task.defaults, longest=20)
    setup = Setup(task=task, cell="vanilla", state_size=4, batch_size=20, learning_rate=0.02)
    comparison = Comparison(setup=setup, num_steps=(2, 4), seeds=1, amount=40_000)
    found = compare(comparison, task, out=tmp_path / "a", screen=Screen.silent())
    assert found.widths is not None, found.sentence
    loss, gradient, state, lasting = found.widths.widths
    assert loss.steps == found.answer.num_steps if found.answer else 0
    assert (state.steps, state.shown) == (2, "2")
    assert lasting.shown == "at least 40", "twice the longest that suits the data"
    assert gradient.steps is None or gradient.steps >= 2
    assert found.widths.remark.startswith("Trained with the state reset at every block, it stays good: ")
    page = (tmp_path / "a" / "report.md").read_text(encoding="utf-8")
    assert found.widths.table().markdown() in page
    assert {path.name for path in (tmp_path / "a").iterdir()} == {path.name for path in found.files} | {
        "config.json"
    }
    again = compare(comparison, task, out=tmp_path / "a", screen=Screen.silent())
    assert again.widths == found.widths, "what was measured was not kept"
