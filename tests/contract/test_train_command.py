"""`python -m tf_rnn train`, typed as a person types it: a run that is saved, stopped, and resumed."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import (
    assert_refused,
    captured,
    files,
    run_main,
    succeeds,
)
from model_helpers import checkpoints, made_up_text, metrics

from tf_rnn.inference import load
from tf_rnn.tasks import TASKS, Adding, Autoregression, Influence
from tf_rnn.text import loss_text
from tf_rnn.training import History

if TYPE_CHECKING:
    from pathlib import Path

LETTERS = 400  # 360 to train on: four rows of 89 tokens are 29 blocks of 3
EPOCH = 29
MODEL = ["--task", "text", "--cell", "vanilla", "--state-size", "8", "--batch-size", "4", "--num-steps", "3"]


def write_letters(path: Path) -> Path:
    path.write_text(made_up_text(LETTERS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_letters(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def line(text: Path) -> list[str]:
    """The command line of the run that most tests look at, but for its folder."""
    return ["train", *MODEL, "--data", str(text), "--epochs", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train") / "out"


@pytest.fixture(scope="module")
def said(place: Path, line: list[str]) -> list[str]:
    """The run: what it says on standard error."""
    return captured([*line, "--out", str(place)])


@pytest.fixture(scope="module")
def kept(place: Path, said: list[str]) -> Path:
    return place


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    """The run once more, to go on with or to spoil."""
    return shutil.copytree(kept, tmp_path / "copy")


def but_for_time(folder: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in metrics(folder)]


# --- a run -----------------------------------------------------------------------------------------


def test_it_says_what_it_read_and_what_to_compare_with(said: list[str], text: Path) -> None:
    """360 letters to learn from, 20 held out, 20 more; six letters, each with one added to its count."""
    letters = text.read_text(encoding="utf-8")
    train, valid = letters[:360], letters[360:380]
    costs = [-math.log((train.count(letter) + 1) / (360 + 6)) for letter in valid[1:]]
    unigram = sum(costs) / len(costs)
    assert said[:2] == [
        "text: 360 train / 20 valid / 20 test tokens, 6 types",
        (
            "baselines: uniform 1.792 (6 ppl, 2.58 bits), "
            f"unigram {unigram:.3f} ({math.exp(unigram):.4g} ppl, {unigram / math.log(2):.2f} bits)"
        ),
    ]


def test_the_page_has_the_loss_in_its_unit(kept: Path) -> None:
    loss = metrics(kept)[-1]["valid_loss"]
    text = (kept / "report.md").read_text(encoding="utf-8")
    assert text.startswith(f"# A training run\n\nValidation loss: {loss:.3f} nats (")


def test_another_seed_gives_another_run(line: list[str], kept: Path, tmp_path: Path) -> None:
    """With the same it is the same: a run that is interrupted and resumed, below."""
    captured([*line, "--seed", "1", "--out", str(tmp_path / "other")])
    assert but_for_time(tmp_path / "other")[0] != but_for_time(kept)[0]


def test_without_a_folder_it_goes_to_one_named_after_the_options(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a warm-up is remarked where the run ends before it."""
    monkeypatch.chdir(tmp_path)
    words = ["train", *MODEL, "--data", str(text), "--warm-up-updates", "2", "--updates"]
    rising = "the learning rate was still rising at the end: its warm-up is 2 updates long, the run 1"
    _, lines = succeeds([*words, "1"], capsys)
    assert rising in lines
    (folder,) = (tmp_path / "results").iterdir()
    assert re.fullmatch(r"train-text-vanilla-8-[0-9a-f]{6}", folder.name), folder.name
    assert lines[-2].startswith(f"saved in results/{folder.name}: lowest validation loss ")
    message = (
        f"--out must be a new folder, 'results/{folder.name}' holds results already "
        "(a training run can be resumed)"
    )
    assert_refused([*words, "1"], message, capsys)
    _, lines = succeeds([*words, "2"], capsys)
    assert "still rising" not in "".join(lines)
    assert len(list((tmp_path / "results").iterdir())) == 2


OTHER_TASKS: dict[str, tuple[Any, tuple[Any, ...], list[str], str]] = {
    "adding": (Adding, (6, 0, 240, 60), ["--batch-size", "3"], "baselines: predicting 1 0.1667"),
    "autoregression": (
        Autoregression,
        ((2,), (0.5,), 0, 100, 10),
        ["--batch-size", "3"],
        "baselines: predicting 0 1.0000, the last 2 numbers 0.7500",
    ),
    "influence": (Influence, (60, 210), [], "baselines: theta 0 1.0000"),
}


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_other_tasks(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained for a moment on little data, and evaluated by both commands alike."""
    kind, defaults, words, baselines = OTHER_TASKS[task]
    monkeypatch.setattr(kind.__init__, "__defaults__", defaults)
    folder = tmp_path / "out"
    words = ["train", "--task", task, *words, "--num-steps", "6", "--updates", "3", "--out", str(folder)]
    if task != "influence":
        words += ["--cell", "vanilla", "--state-size", "3"]
    _, lines = succeeds(words, capsys)
    assert lines[0] == baselines
    (measured,) = metrics(folder)
    shown = loss_text(measured["valid_loss"], TASKS[task].unit)
    assert lines[-1] == f"saved in {folder}: lowest validation loss {shown} after epoch 1 (step 3)"
    found, _ = succeeds(["evaluate", str(folder)], capsys)
    assert re.fullmatch(rf"valid: {re.escape(shown)} ± \S+ squared error, 10 tokens\n", found), found


def test_a_text_in_another_encoding(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its runs remember the encoding; other data have one of their own."""
    coded, folder = tmp_path / "coded.txt", str(tmp_path / "run")
    coded.write_bytes(text.read_text(encoding="utf-8").encode("latin-1"))
    words = ["train", *MODEL, "--data", str(coded)]
    line = assert_refused(words, "--data must be utf-8 text, but ", capsys)
    assert line.endswith("; name another with --encoding")
    succeeds([*words, "--encoding", "latin-1", "--updates", "1", "--out", folder], capsys)
    succeeds(["train", "--resume", folder, "--updates", "2"], capsys)
    moved = ["train", "--resume", folder, "--updates", "3", "--data", str(text)]
    succeeds([*moved, "--encoding", "utf-8"], capsys)
    evaluated = [
        succeeds(["evaluate", folder, "--data", *data], capsys)
        for data in ([str(text)], [str(coded), "--encoding", "iso-8859-1"])
    ]
    assert evaluated[0] == evaluated[1]
    message = "--encoding must be left out unless --data is given, got 'iso8859-1'"
    assert_refused(["evaluate", folder, "--encoding", "latin-1"], message, capsys)


# --- resuming --------------------------------------------------------------------------------------


def assert_same_weights(folder: Path, other: Path) -> None:
    found, expected = load(folder, "last").weights, load(other, "last").weights
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, strict=True, err_msg=name)


def test_a_finished_run_says_so_each_time(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing changes, but that lines of metrics are repaired which a kill has cut off."""
    before, there = metrics(copy), files(copy)
    for words in ([], ["--epochs", "1"]):
        _, lines = succeeds(["train", "--resume", str(copy), *words], capsys)
        epochs = "1 epoch" if words else "2 epochs"
        assert lines[3] == f"nothing left to do: already trained for {epochs}; raise --epochs to continue"
        assert lines[-2:] == [
            f"saved in {copy}: lowest validation loss {before[-1]['valid_loss']:.4f} after epoch 2 (step 58)",
            f"to sample from it: python -m tf_rnn sample {copy}",
        ]
        assert files(copy) == there
    for damaged in ("", there["metrics.jsonl"].decode()[:-9], "[]\n"):
        (copy / "metrics.jsonl").write_text(damaged, encoding="utf-8")
        succeeds(["train", "--resume", str(copy)], capsys)
        assert metrics(copy) == before


def test_a_run_that_patience_has_ended_says_so(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a learning rate that leads nowhere the first epoch is the best."""
    words = ["train", *MODEL, "--data", str(text), "--learning-rate", "20", "--patience", "1"]
    _, lines = succeeds([*words, "--epochs", "50", "--out", str(tmp_path / "out")], capsys)
    losses = [line["valid_loss"] for line in metrics(tmp_path / "out")]
    assert losses[-1] >= losses[-2] == min(losses), losses
    # Before any update it was lower; but that was no training.
    assert f"lowest validation loss {min(losses):.4f} after epoch {len(losses) - 1} " in lines[-2], lines
    assert min(losses) > 2.5 > math.log(6)
    _, lines = succeeds(["train", "--resume", str(tmp_path / "out")], capsys)
    assert lines[3] == ("nothing left to do: no improvement for 1 evaluation; raise --patience to continue")


def test_a_schedule_over_the_whole_budget_keeps_it(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    words = ["train", *MODEL, "--data", str(text), "--schedule", "cosine"]
    succeeds([*words, "--updates", "2", "--out", str(folder)], capsys)
    for option, value, shown in (("updates", "3", "3"), ("tokens", "2e6", "2,000,000"), ("epochs", "2", "2")):
        message = (
            f"--{option} must be left out with --resume, as the schedule cosine depends on the budget of "
            f"2 updates, got {shown}"
        )
        assert_refused(["train", "--resume", str(folder), f"--{option}", value], message, capsys)
    _, lines = succeeds(["train", "--resume", str(folder), "--updates", "2"], capsys)
    assert lines[3] == "nothing left to do: already trained for 2 updates", "it may not be lengthened"


# --- interrupts ------------------------------------------------------------------------------------


def test_an_interrupted_run_is_saved_and_goes_on_as_if_it_had_not_been(
    line: list[str],
    kept: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C is pressed in the middle of the second epoch, as by a person who can count."""
    folder, count = tmp_path / "my runs" / "out", History.count

    def counted(history: History, *update: Any) -> None:
        count(history, *update)
        if history.updates == EPOCH + 8:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(History, "count", counted)
    status, shown, errors = run_main([*line, "--out", str(folder)], capsys)
    monkeypatch.undo()
    assert (status, shown, "Traceback" in errors) == (130, "", False), errors
    last = errors.splitlines()[-1]
    begin = "tf_rnn train: interrupted; the run is saved, resume with: python -m tf_rnn "
    assert last == f"{begin}train --resume '{folder}'"
    assert load(folder, "last").checkpoint.state.history.updates == EPOCH + 8
    assert [line["step"] for line in metrics(folder)] == [EPOCH]
    _, lines = succeeds([*shlex.split(last.removeprefix(begin)), "--threads", "1"], capsys)
    assert but_for_time(folder) == but_for_time(kept)
    assert_same_weights(folder, kept)
    assert lines[-2].startswith(f"saved in {folder}: ")


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_run_that_diverges_keeps_its_checkpoints(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", *MODEL, "--num-steps", "5", "--activation", "relu", "--recurrent-init", "identity"]
    folder = tmp_path / "out"
    status, shown, errors = run_main(
        [*words, "--optimizer", "sgd", "--learning-rate", "1e6", "--data", str(text), "--out", str(folder)],
        capsys,
    )
    assert (status, shown) == (1, "")
    last = errors.splitlines()[-1]
    assert re.fullmatch(
        r"tf_rnn train: error: the gradient's norm is inf, of a loss of \S+, at update \d+ \(epoch \d\); "
        r"by lag, with the weights after update 0, it was largest at lag \d \([^;]+\); "
        r"limit the gradient's norm with --clip-norm, or lower --learning-rate",
        last,
    ), last
    assert "Traceback" not in errors
    assert [path.name for path in checkpoints(folder)] == ["checkpoint-000001.npz"]
    assert np.isfinite(load(folder).evaluator().loss)
    gentle = ["--learning-rate", "0.01", "--clip-norm", "1", "--epochs", "2"]
    succeeds(["train", "--resume", str(folder), *gentle], capsys)
    assert [line["epoch"] for line in metrics(folder)] == [1, 2]
    config = load(folder, "last").config["graph"]
    assert (config["learning_rate"], config["clip_norm"]) == (0.01, 1.0)
