"""Runs in mixed_bfloat16: typed, resumed in another precision, compared, used and exported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_refused, little_data, said, succeeds, workers_here
from helpers import assert_close
from model_helpers import keep_run, made_up_text

from tf_rnn import processor
from tf_rnn.cells import VanillaCell
from tf_rnn.experiment import Experiment
from tf_rnn.inference import load
from tf_rnn.inference.exporting import export
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text
from tf_rnn.training.run_folder import saved_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIXED = "mixed_bfloat16"
LINE = f"this processor has no bfloat16 instructions: {MIXED} works, and is slower than float32"
MODEL = ["--cell", "vanilla", "--state-size", "5", "--batch-size", "20"]
TRAIN = ["train", *MODEL, "--num-steps", "3", "--threads", "1"]


@pytest.fixture(autouse=True)
def _without_instructions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    with little_data():
        yield


def precision_of(folder: Path) -> Any:
    return saved_config(folder)["graph"]["precision"]


def test_a_run_is_typed_and_resumed_in_another_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is slow, that is said once, of the rest too."""
    folder = tmp_path / "out"
    _, begun = succeeds([*TRAIN, "--updates", "6", "--precision", MIXED, "--out", str(folder)], capsys)
    assert (begun.count(LINE), precision_of(folder)) == (1, MIXED), begun
    resumed = ["train", "--resume", str(folder), "--updates"]
    assert succeeds([*resumed, "8"], capsys)[1].count(LINE) == 1
    _, plain = succeeds([*resumed, "10", "--precision", "float32"], capsys)
    assert (plain.count(LINE), precision_of(folder)) == (0, "float32"), plain


def test_nothing_is_said_where_the_processor_has_them_or_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = Experiment("echo", state_size=3, batch_size=20, precision=MIXED)
    for has in (None, True):
        monkeypatch.setattr(processor, "has_bfloat16", lambda has=has: has)
        experiment.train(2, updates=1)
        assert LINE not in capsys.readouterr().err


def test_whatever_compares_says_it_once_and_is_another_comparison(tmp_path: Path) -> None:
    words = ["--num-steps", "1", "2", "--seeds", "1", "--state", "carry", "--amount", "200", *MODEL]
    with workers_here():
        found = said("compare", tmp_path / "a", *words, "--precision", MIXED)
    assert found.errors.count(LINE) == 1, found.errors
    results = json.loads((tmp_path / "a" / "results.json").read_text(encoding="utf-8"))
    assert results["config"]["precision"] == MIXED
    assert f"precision {MIXED}" in (tmp_path / "a" / "report.md").read_text(encoding="utf-8")
    with pytest.raises(OptionError, match=r"^out must hold results of the same .* precision is"):
        Experiment("echo", cell="vanilla", state_size=5, batch_size=20).compare(
            [1, 2], state=["carry"], seeds=1, amount=200, out=tmp_path / "a"
        )


def test_lags_trains_in_it(tmp_path: Path) -> None:
    words = ["--num-steps", "3", "--tokens", "500", *MODEL, "--precision", MIXED]
    assert said("lags", tmp_path / "out", *words).errors.count(LINE) == 1


def test_cells_that_do_their_own_products_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--task", "influence", "--precision", MIXED, "--updates", "2", "--out"]
    message = f"--precision must be left out where --cell is influence, got {MIXED!r}"
    assert_refused([*words, str(tmp_path / "out")], message, capsys)
    assert not (tmp_path / "out").exists()


def test_a_trained_network_is_the_same_whatever_it_was_trained_in(tmp_path: Path) -> None:
    """Weights as they were, predictions, evaluation and the files of an export, bit for bit."""
    path = tmp_path / "text.txt"
    path.write_text(made_up_text(200), encoding="utf-8")
    task, found, written = Text(path), [], []
    for precision in (MIXED, "float32"):
        folder = keep_run(tmp_path / precision, task, VanillaCell(4), precision=precision)
        assert precision_of(folder) == precision
        model = load(folder)
        assert model.graph.options.precision == "float32"
        found.append([model.stepper.step([2]), model.evaluator().loss, *model.weights.values()])
        export(model, tmp_path / f"{precision} exported")
        written.append((tmp_path / f"{precision} exported" / "model.safetensors").read_bytes())
    assert_close(found[0], found[1], 0, "prediction, loss and weights")
    assert written[0] == written[1]
