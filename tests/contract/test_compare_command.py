"""`python -m tf_rnn compare`, typed as a person types it."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import DEADLINE, Said, assert_refused, files, said, started, workers_here
from workplace import listing

from tf_rnn.comparison import RunKey
from tf_rnn.comparison.worker import EVALUATED_AT
from tf_rnn.tasks import Echo, Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = ["--amount", "4000", "--batch-size", "20", "--state-size", "3"]
WIDTHS, STATES = (2, 4), ("carry", "reset")
SWEEP = ["--num-steps", "2", "4", "--seeds", "1", *MODEL]


def compare(folder: Path, *words: str) -> Said:
    return said("compare", folder, *words)


def load(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def key_of(run: dict[str, Any]) -> RunKey:
    return RunKey(*(run[name] for name in RunKey._fields))


def losses(results: dict[str, Any]) -> dict[RunKey, float]:
    return {key_of(run): run["loss"] for run in results["runs"]}


@pytest.fixture(scope="module", autouse=True)
def _workers() -> Iterator[None]:
    with workers_here():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep") / "out"


@pytest.fixture(scope="module")
def done(place: Path) -> Said:
    """One tiny sweep, which most tests look at."""
    return compare(place, *SWEEP, "--workers", "2")


@pytest.fixture(scope="module")
def results(place: Path, done: Said) -> dict[str, Any]:
    return load(place)


def test_it_prints_tables_and_the_verdict(place: Path, done: Said, results: dict[str, Any]) -> None:
    shown = " ".join(done.shown.split())
    assert "What each width learns" in shown
    assert "What each width costs" in shown
    assert results["verdict"]["sentence"] in shown
    page = (place / "report.md").read_text(encoding="utf-8")
    assert results["verdict"]["sentence"] in page
    assert f"python -m tf_rnn compare {' '.join(SWEEP)} --workers 2 --out" in page


def test_it_tells_every_run_as_it_ends(done: Said, results: dict[str, Any]) -> None:
    lines = done.errors
    assert lines[0] == "measuring the cost of 2 widths, one at a time"
    assert re.fullmatch(r"4 runs, about (\d+ min )?\d+ s with 1 worker", lines[1]), lines[1]
    assert [line.split("]")[0] for line in lines[2:]] == [f"[{k}/4" for k in range(1, 5)]
    for key, loss in losses(results).items():
        assert sum(f"{key.title}: loss {loss:.4f} after" in line for line in lines) == 1, key.title


def test_every_run_is_there_with_an_equal_budget(results: dict[str, Any]) -> None:
    keys = [RunKey(width, state, 0, 0.1) for width in WIDTHS for state in STATES]
    assert list(losses(results)) == keys
    for run in results["runs"]:
        assert (run["updates"], run["tokens"]) == (4000 // (20 * run["num_steps"]), 4000)
        updates = [point["updates"] for point in run["curve"]]
        assert updates == [math.ceil(fraction * run["updates"]) for fraction in (0, *EVALUATED_AT)]
        assert min(point["valid_loss"] for point in run["curve"][1:]) == run["loss"]
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


def test_all_widths_start_from_the_same_weights(results: dict[str, Any]) -> None:
    """Before any update the carried evaluation is the same to the last bit."""
    assert {run["parameters"] for run in results["runs"]} == {(2 + 3) * 3 + 3 + 3 * 2 + 2}
    first = [run["curve"][0]["valid_loss"] for run in results["runs"] if run["state"] == "carry"]
    assert first == [first[0]] * len(WIDTHS)


@pytest.fixture
def copy(tmp_path: Path, place: Path, done: Said) -> Path:
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
    lines = added.errors
    assert lines[1] == "1 of 2 runs are already finished"
    assert lines[2].startswith("1 run, about "), lines[2]
    assert [line.split(":")[0] for line in lines[3:]] == ["[2/2] width 4, carry, rate 0.1, seed 0"]
    first, second = ({key_of(run): run for run in found["runs"]} for found in (results, load(copy)))
    new = RunKey(4, "carry", 0, 0.1)
    assert [key for key in second if key.num_steps == 4] == [new]
    for key, run in second.items():
        kept = () if key == new else ("seconds", "curve")
        for name in ("loss", "train_loss", "standard_error", "dependency_scores", "updates", "error", *kept):
            assert run[name] == first[key][name], f"{name} of {key.title}"


def test_a_dry_run_leaves_out_what_the_folder_holds(place: Path, done: Said) -> None:
    before = listing(place)
    shown, errors = compare(place, "--num-steps", "2", "4", "9", "--seeds", "1", *MODEL, "--dry-run")
    assert errors == ["measuring the cost of 1 width, one at a time"]
    assert re.search(r"\n2 runs, about (\d+ min )?\d+ s with 1 worker\.", shown), shown
    shown, errors = compare(place, *SWEEP, "--dry-run")
    assert (shown.splitlines()[-1], errors) == ("nothing to train: all 4 runs are finished.", [])
    assert listing(place) == before


def test_text(tmp_path: Path) -> None:
    """Of each seed other weights are trained."""
    path = tmp_path / "cats.txt"
    path.write_text("A cat — ein Kätzchen — sat on a mat.\n" * 100, encoding="utf-8")
    words = ["--task", "text", "--data", str(path), "--cell", "gru", "--num-steps", "2", "--seeds", "2"]
    shown, _ = compare(tmp_path / "out", *words, "--state", "carry", *MODEL)
    assert "bits per" in shown
    assert "character" in shown
    results = load(tmp_path / "out")
    assert (results["task"], results["cell"]) == ("text", "gru")
    assert list(results["baselines"]) == ["uniform", "unigram"]
    runs = run, other = results["runs"]
    assert run["curve"][0]["valid_loss"] != other["curve"][0]["valid_loss"]
    assert max(each["loss"] for each in runs) < results["baselines"]["uniform"] + 0.1
    assert [each["tokens"] for each in runs] == [4000, 4000]
    bits = f"{statistics.fmean(each['loss'] for each in runs) / math.log(2):.3f}"
    assert bits in shown
    assert f"| {bits} |" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert results["config"]["task_options"]["data"] == str(path)
    assert results["config"]["data_sha256"] == Text(path).sha256


def test_event_files_are_written_of_what_is_there(copy: Path, results: dict[str, Any]) -> None:
    """A session for each run, though nothing is trained; they are named as written."""
    shown, _ = compare(copy, *SWEEP, "--tensorboard")
    assert f"  {copy / 'summaries'}\n" in f"{shown}\n"
    sessions = {path.name for path in (copy / "summaries").iterdir() if path.is_dir()}
    assert sessions == {key_of(run).title for run in results["runs"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--seeds", "1", "2", "3"],
            "--seeds takes one value, so '2' and '3' would be FOLDER, and there is no such",
        ),
        (
            ["--state-size", "8", "16", "--task", "echo"],
            "--state-size takes one value, so '16' would be FOLDER",
        ),
        (
            ["none", "neither", "--seeds", "3"],
            "--seeds must be left out beside folders of finished comparisons",
        ),
        (["none"], "FOLDER must be two folders of finished comparisons, got 1"),
    ],
)
def test_what_follows_an_option_with_one_value_is_blamed_on_it(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(["compare", *words], message, capsys)


def test_damaged_results_are_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "results.json"
    path.write_bytes(path.read_bytes()[:-200])
    before = files(copy)
    message = f"--out must hold undamaged results, {str(path)!r} cannot be read; choose another folder"
    assert_refused(["compare", *SWEEP, "--out", str(copy)], message, capsys)
    assert files(copy) == before


# --- interrupts ----------------------------------------------------------------------------------


def wait_for_a_run(folder: Path) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if (folder / "results.json").exists() and load(folder)["runs"]:
            return
        time.sleep(0.02)
    raise AssertionError(f"no run had ended after {DEADLINE} s")


@pytest.mark.slow
def test_an_interrupt_keeps_what_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    words = ["--num-steps", "4", "--state", "carry", "--seeds", "4", *MODEL, "--workers", "2"]
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
    assert 0 < len(kept["runs"]) < 4, "nothing was interrupted"
    assert kept["verdict"] is None
    assert {name.split("/")[0] for name in files(folder)} == {"config.json", "results.json", "unfinished"}

    words[-1] = "1"  # it need not be with as many
    with started(["compare", *words, "--out", str(folder)]) as process:
        _, errors = process.communicate(timeout=DEADLINE)
    lines = errors.splitlines()
    assert lines[0] == f"{len(kept['runs'])} of 4 runs are already finished"
    assert len(lines) == 2 + 4 - len(kept["runs"])
    completed = load(folder)
    assert len(completed["runs"]) == 4
    assert completed["verdict"]["sentence"]
    assert completed["costs"] == kept["costs"]
    by_seed = {run["seed"]: run for run in completed["runs"]}
    for run in kept["runs"]:
        assert by_seed[run["seed"]] == by_seed[run["seed"]] | run, "but for what its network showed"
