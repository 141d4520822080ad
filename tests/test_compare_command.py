"""`python -m tf_rnn compare`, typed as a person types it."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import (
    DEADLINE,
    assert_bad_input,
    assert_fails,
    assert_light,
    assert_refused,
    command,
    files,
    finished,
    started,
    succeeds,
)
from comparison_helpers import run_here

from tf_rnn.comparison import Comparison, RunKey
from tf_rnn.graph import make_graph
from tf_rnn.setup import Setup
from tf_rnn.tasks import Echo, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = ["--amount", "4000", "--batch-size", "20", "--state-size", "3"]
WIDTHS, STATES, SEEDS = (2, 4), ("carry", "reset"), (0, 1)
SWEEP = ["--num-steps", "2", "4", "--seeds", "2", *MODEL]
FILES = ["config.json", "cost.png", "loss.png", "report.md", "results.csv", "results.json"]


def compare(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return finished(["compare", *words, "--out", str(folder)], folder.parent)


def load(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def losses(results: dict[str, Any]) -> dict[RunKey, float]:
    return {RunKey(run["num_steps"], run["state"], run["seed"]): run["loss"] for run in results["runs"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep") / "out"


@pytest.fixture(scope="module")
def done(place: Path) -> subprocess.CompletedProcess[str]:
    """One tiny sweep, which most tests look at."""
    return compare(place, *SWEEP, "--workers", "2")


@pytest.fixture(scope="module")
def results(place: Path, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return load(place)


def test_it_writes_its_files_and_names_them(place: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert sorted(path.name for path in place.iterdir()) == FILES
    written = done.stdout.rstrip().splitlines()[-1].removeprefix("written: ").split(", ")
    assert sorted(Path(path).name for path in written) == FILES[1:]
    assert all(Path(path).is_file() for path in written)


def test_it_prints_tables_and_the_verdict(
    place: Path, done: subprocess.CompletedProcess[str], results: dict[str, Any]
) -> None:
    shown = " ".join(done.stdout.split())
    assert "What each width learns" in shown
    assert "What each width costs" in shown
    assert results["verdict"]["sentence"] in shown
    page = (place / "report.md").read_text(encoding="utf-8")
    assert results["verdict"]["sentence"] in page
    assert f"python -m tf_rnn compare {' '.join(SWEEP)} --workers 2 --out" in page


def test_it_tells_every_run_as_it_ends(
    done: subprocess.CompletedProcess[str], results: dict[str, Any]
) -> None:
    lines = done.stderr.splitlines()
    assert lines[0] == "measuring the cost of 2 widths, one at a time"
    assert [line.split("]")[0] for line in lines[1:]] == [f"[{k}/8" for k in range(1, 9)]
    for key, loss in losses(results).items():
        assert sum(f"{key.title}: loss {loss:.4f} after" in line for line in lines) == 1, key.title


KEYS: dict[str, type] = {
    "num_steps": int,
    "state": str,
    "seed": int,
    "loss": float,
    "parameters": int,
    "operations": int,
    "build_seconds": float,
    "first_run_seconds": float,
    "step_milliseconds": float,
    "tokens_per_second": float,
    "graph_bytes": int,
}


def test_keys_that_other_programs_rely_on(results: dict[str, Any]) -> None:
    assert (results["task"], results["cell"]) == ("echo", "vanilla")
    assert results["budget"] == {"kind": "tokens", "amount": 4000}
    for run in results["runs"]:
        assert {name: type(run[name]) for name in KEYS} == KEYS
        assert all(run[name] > 0 for name in KEYS if name not in ("state", "seed"))
    assert type(results["verdict"]["num_steps"]) is int
    assert results["verdict"]["num_steps"] in WIDTHS
    assert type(results["verdict"]["sentence"]) is str


def test_every_run_is_there_with_an_equal_budget(results: dict[str, Any]) -> None:
    keys = [RunKey(width, state, seed) for width in WIDTHS for state in STATES for seed in SEEDS]
    assert list(losses(results)) == keys
    for run in results["runs"]:
        assert (run["updates"], run["tokens"]) == (4000 // (20 * run["num_steps"]), 4000)
        updates = [point["updates"] for point in run["curve"]]
        assert updates == [run["updates"] * k // 5 for k in range(6)]
        assert run["curve"][-1]["valid_loss"] == run["loss"]
        assert run["curve"][0]["train_loss"] is None
        assert set(run["dependency_scores"]) == {"3", "8"}


def test_losses_stand_beside_what_the_task_allows(results: dict[str, Any]) -> None:
    task = Echo()
    assert results["baselines"] == task.baselines()
    assert results["optimum"] == task.optimum()
    assert results["floors"] == {"2": task.floor(2), "4": task.floor(4)}
    for run in results["runs"]:
        assert run["gap_to_optimum"] == run["loss"] - task.optimum()
        floor = task.floor(run["num_steps"])
        assert run["gap_to_floor"] == (run["loss"] - floor if run["state"] == "reset" else None)
        assert run["share_of_errors"] == {"3": 0.25 if run["num_steps"] == 4 else 0.0, "8": 0.0}
        assert run["loss"] > task.optimum()


def test_all_widths_have_the_same_parameters(results: dict[str, Any]) -> None:
    assert {run["parameters"] for run in results["runs"]} == {(2 + 3) * 3 + 3 + 3 * 2 + 2}


def test_all_widths_start_from_the_same_weights(results: dict[str, Any]) -> None:
    """Before any update the carried evaluation is the same to the last bit, for each seed another."""
    first: dict[int, set[float]] = {}
    for run in results["runs"]:
        if run["state"] == "carry":
            first.setdefault(run["seed"], set()).add(run["curve"][0]["valid_loss"])
    assert [len(values) for values in first.values()] == [1, 1]
    assert first[0] != first[1]


def comparison_of(results: dict[str, Any]) -> Comparison:
    config = dict(results["config"])
    budget, amount = config.pop("budget"), config.pop("amount")
    return Comparison(
        setup=Setup(**config),
        num_steps=WIDTHS,
        state=STATES,
        seeds=len(SEEDS),
        budget=budget,
        amount=amount,
    )


def test_initial_weights_depend_on_the_seed_alone(results: dict[str, Any]) -> None:
    comparison, task = comparison_of(results), Echo()

    def weights(num_steps: int, seed: int) -> list[Any]:
        graph = make_graph(comparison.setup, task, num_steps, seed)
        with graph.session() as session:
            return list(session.run(list(graph.variables)))

    narrow, wide, other = weights(2, 1), weights(4, 1), weights(2, 0)
    for one, same in zip(narrow, wide, strict=True):
        np.testing.assert_array_equal(one, same, strict=True)
    assert any((one != another).any() for one, another in zip(narrow, other, strict=True))


def test_a_run_computed_again_in_this_process_gives_the_same(results: dict[str, Any]) -> None:
    for key in (RunKey(4, "carry", 1), RunKey(4, "reset", 0)):
        record = run_here(comparison_of(results), key)
        assert record["loss"] == losses(results)[key]
        saved = results["runs"][list(losses(results)).index(key)]
        for name in ("train_loss", "standard_error", "dependency_scores", "updates", "error"):
            assert record[name] == saved[name], name


def test_csv_agrees_with_json(place: Path, results: dict[str, Any]) -> None:
    with (place / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(results["runs"])
    for row, run in zip(rows, results["runs"], strict=True):
        assert {name: kind(row[name]) for name, kind in KEYS.items()} == {name: run[name] for name in KEYS}
        assert float(row["dependency_score_3"]) == run["dependency_scores"]["3"]


def test_repeated_it_computes_nothing_and_changes_nothing(
    place: Path, done: subprocess.CompletedProcess[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(place)
    shown, errors = succeeds(["compare", *SWEEP, "--workers", "2", "--out", str(place)], capsys)
    assert errors == []
    assert shown == done.stdout
    after = files(place)
    assert [name for name in FILES if after[name] != before[name]] == []


@pytest.fixture
def copy(tmp_path: Path, place: Path, done: subprocess.CompletedProcess[str]) -> Path:
    """The finished sweep once more, to spoil."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name, content in files(place).items():
        (folder / name).write_bytes(content)
    return folder


def test_one_worker_gives_the_same_losses_and_a_new_width_is_added(
    copy: Path, results: dict[str, Any]
) -> None:
    """What is there has width 2 alone, from a sweep with two workers."""
    narrow = {name: [each for each in results[name] if each["num_steps"] == 2] for name in ("runs", "costs")}
    (copy / "results.json").write_text(json.dumps(results | narrow), encoding="utf-8")
    words = ["--num-steps", "4", "2", "--state", "carry", "--seeds", "1", *MODEL, "--workers", "1"]
    added = compare(copy, *words)
    lines = added.stderr.splitlines()
    assert lines[1] == "1 of 2 runs are already finished"
    assert [line.split(":")[0] for line in lines[2:]] == ["[2/2] width 4, carry, seed 0"]
    second = load(copy)
    assert losses(second) == {key: losses(results)[key] for key in losses(second)}
    assert [key for key in losses(second) if key.num_steps == 4] == [RunKey(4, "carry", 0)]
    kept = ("loss", "seconds", "curve")
    old, new = ([run for run in found["runs"] if run["num_steps"] == 2] for found in (results, second))
    assert [[run[name] for name in kept] for run in new] == [[run[name] for name in kept] for run in old]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Folder and standard output of two sweeps over text, side by side to save time."""
    place = tmp_path_factory.mktemp("texts")
    path = place / "cats.txt"
    path.write_text("A cat — ein Kätzchen — sat on a mat.\n" * 100, encoding="utf-8")
    words = ["compare", "--task", "text", "--cell", "gru", "--num-steps", "2", "--seeds", "1"]
    words += ["--state", "carry", *MODEL, "--workers", "1"]
    sources: dict[str, list[str]] = {"documentation": [], "file": ["--data", str(path)]}
    with contextlib.ExitStack() as stack:
        processes = {
            name: stack.enter_context(started([*words, *extra, "--out", str(place / name)]))
            for name, extra in sources.items()
        }
        shown = {name: process.communicate(timeout=DEADLINE) for name, process in processes.items()}
    for name, process in processes.items():
        assert (process.returncode, "Traceback" in shown[name][1]) == (0, False), shown[name][1]
    return {name: (place / name, out) for name, (out, _) in shown.items()}


@pytest.mark.parametrize("source", ["documentation", "file"])
def test_text(texts: dict[str, tuple[Path, str]], source: str) -> None:
    folder, shown = texts[source]
    assert "bits per" in shown
    assert "character" in shown
    results = load(folder)
    assert (results["task"], results["cell"]) == ("text", "gru")
    assert list(results["baselines"]) == ["uniform", "unigram"]
    (run,) = results["runs"]
    assert run["loss"] < results["baselines"]["uniform"] + 0.1
    assert run["tokens"] == 4000
    bits = f"{run['loss'] / math.log(2):.3f}"
    assert bits in shown
    assert f"| {bits} |" in (folder / "report.md").read_text(encoding="utf-8")
    path = {"documentation": None, "file": str(folder.parent / "cats.txt")}[source]
    assert results["config"]["task_options"]["data"] == path
    assert results["config"]["data_sha256"] == Text(path).sha256


# --- bad input -----------------------------------------------------------------------------------


BAD: dict[str, tuple[list[str], str]] = {
    "no width": (["--num-steps"], "argument --num-steps: expected at least one argument"),
    "batch larger than the data": (
        ["--batch-size", "5000001"],
        "--batch-size must be at most 5000000 for the 5000000 tokens of split 'train', got 5000001",
    ),
    "several widths that are all the row": (
        ["--style", "full", "--num-steps", "5", "3"],
        (
            "--num-steps must be a single width where style is full, which trains whole rows whatever the "
            "width, got 3, 5"
        ),
    ),
    "rows too long for one graph": (
        ["--style", "full", "--batch-size", "20", "--num-steps", "5"],
        "--style must be another than 'full' where a row has more than 10000 steps; here it has 50000",
    ),
    "more lags than effects": (
        ["--lags", "2", "4", "6"],
        "--effects must be as many as lags, 3, got 2: [0.5, -0.25]",
    ),
    "data of another task": (["--data", "a.txt"], "--data must be left out unless task is text or words"),
    "no such file": (
        ["--task", "text", "--data", "missing.txt"],
        (
            "--data must be the path of a text file or a directory, or one of shakespeare, ptb; "
            "there is nothing at 'missing.txt'"
        ),
    ),
    "unknown option": (["--width", "5"], "unrecognized arguments: --width 5"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_the_option(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, message = BAD[case]
    assert_bad_input("compare", words, message, tmp_path, capsys, monkeypatch)


def test_data_that_are_no_text_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"caf\xe9 au lait")
    words = ["compare", "--task", "text", "--data", str(path), "--out", str(tmp_path / "out")]
    message = f"--data must be UTF-8 text, but {str(path)!r} has the byte 0xe9 at position 3: "
    assert_refused(words, message, capsys)
    assert list(tmp_path.iterdir()) == [path]


def test_a_command_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (([], "the following arguments are required: COMMAND"), (["comprae"], "'comprae'")):
        assert message in assert_fails(words, 2, capsys)


def assert_out_is_refused(folder: Path, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The command ends with one line about `--out`, which comes back; no file beside it changes."""
    before = files(folder.parent if folder.is_file() else folder)
    line = assert_refused(["compare", *words, "--out", str(folder)], "--out must ", capsys)
    assert files(folder.parent if folder.is_file() else folder) == before
    return line


def test_damaged_results_are_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "results.json"
    path.write_bytes(path.read_bytes()[:-200])
    line = assert_out_is_refused(copy, SWEEP, capsys)
    assert f"must hold undamaged results, {str(path)!r} cannot be read; choose another folder" in line


def test_results_of_another_configuration_are_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = assert_out_is_refused(copy, [*SWEEP, "--cell", "lstm"], capsys)
    assert f"in {str(copy)!r} cell is 'vanilla', here 'lstm'; choose another folder" in line


def test_bad_input_at_the_command_line_ends_with_status_2(tmp_path: Path) -> None:
    """One through the whole program: the status, one line, and nothing of Python in it."""
    done = subprocess.run(
        command(["compare", "--lags", "0", "--effects", "1"]),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    message = "tf_rnn compare: error: --lags must be a whole number of at least 1, got 0\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


def test_help_and_bad_input_need_no_tensorflow(tmp_path: Path) -> None:
    assert_light({0: [["compare", "--help"]], 2: [["compare", "--num-steps", "0"]]}, tmp_path)


# --- interrupts ----------------------------------------------------------------------------------


def wait_for_a_run(folder: Path) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if (folder / "results.json").exists() and load(folder)["runs"]:
            return
        time.sleep(0.02)
    raise AssertionError(f"no run had ended after {DEADLINE} s")


def test_an_interrupt_keeps_what_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    words = ["--num-steps", "4", "--state", "carry", "--seeds", "6", *MODEL, "--workers", "2"]
    with started(["compare", *words, "--out", str(folder)]) as process:
        wait_for_a_run(folder)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors, errors
    assert errors.splitlines()[-1] == (
        "tf_rnn compare: interrupted; finished runs are kept; the same command continues from there"
    )
    kept = load(folder)
    assert 0 < len(kept["runs"]) < 6, "nothing was interrupted"
    assert kept["verdict"] is None
    assert sorted(files(folder)) == ["config.json", "results.json"]

    done = compare(folder, *words, "--workers", "1")  # it need not be with as many
    lines = done.stderr.splitlines()
    assert lines[0] == f"{len(kept['runs'])} of 6 runs are already finished"
    assert len(lines) == 1 + 6 - len(kept["runs"])
    completed = load(folder)
    assert len(completed["runs"]) == 6
    assert completed["verdict"]["num_steps"] == 4
    assert completed["costs"] == kept["costs"]
    by_seed = {run["seed"]: run for run in completed["runs"]}
    for run in kept["runs"]:
        assert by_seed[run["seed"]] == run
