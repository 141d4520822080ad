"""`python -m tf_rnn evaluate`, typed as a person types it."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import succeeds
from model_helpers import keep_run, made_up_text, write_splits

from tf_rnn.cells import VanillaCell
from tf_rnn.inference import ModelEvaluator, load
from tf_rnn.tasks import Adding, Text
from tf_rnn.training import Evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.inference import Model


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on three splits of 401, 101 and 83 tokens."""
    folder = tmp_path_factory.mktemp("evaluate")
    return keep_run(folder / "out", Text(write_splits(folder / "splits")), VanillaCell(4))


@pytest.fixture(scope="module")
def model(kept: Path) -> Model:
    return load(kept)


def record(folder: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line of JSON on standard output, as strict readers read it."""
    shown, errors = succeeds(["evaluate", str(folder), *words, "--json"], capsys)
    assert errors == []
    (line,) = shown.splitlines()

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not in the JSON standard")

    value = json.loads(line, parse_constant=refuse)
    assert isinstance(value, dict)
    return value


# --- what it tells ---------------------------------------------------------------------------------


def test_json_is_what_the_library_gives(kept: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    """The loss to the digits of float32, whatever the width: that of the API is another here."""
    cases: list[tuple[str, dict[str, Any]]] = [
        ("", {}),
        ("--split all --num-steps 7 --checkpoint last", {"split": "all"}),
        ("--context 5 --num-steps 50 --split test", {"context": 5, "split": "test"}),
    ]
    for words, options in cases:
        found = record(kept, *words.split(), capsys=capsys)
        expected = model.evaluator(num_steps=11, **options)
        assert (found["split"], found["tokens"]) == (options.get("split", "valid"), expected.tokens)
        assert abs(found["loss"] - expected.loss) < 1e-6, f"{found['loss']}, not {expected.loss}"
        assert found["perplexity"] == math.exp(found["loss"])
        assert found["bits"] == found["loss"] / math.log(2)


def test_one_line_for_a_person(kept: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = succeeds(["evaluate", str(kept), "--split", "train"], capsys)
    loss, error, tokens, _ = model.evaluator("train")
    assert errors == []
    assert shown == (
        f"train: {loss:.3f} ({math.exp(loss):.4g} ppl, {loss / math.log(2):.2f} bits) "
        f"± {error:.2g} nats, {tokens:,} tokens\n"
    )


def test_the_options_reach_the_library(
    kept: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those, too, that change nothing of the result but how quickly it comes."""
    asked: list[Any] = []

    def evaluate(_: ModelEvaluator, *arguments: Any, **options: Any) -> Evaluation:
        asked.append((arguments, options))
        return Evaluation(1.0, 0.5, 3, {})

    monkeypatch.setattr(ModelEvaluator, "on", evaluate)
    monkeypatch.setattr(ModelEvaluator, "task", lambda _, *data: SimpleNamespace(unit="nats", given=data))
    words = ["--split", "test", "--data", "a", "--num-steps", "7", "--batch-size", "3", "--context", "2"]
    words += ["--encoding", "cp1252"]
    succeeds(["evaluate", str(kept), *words], capsys)
    succeeds(["evaluate", str(kept)], capsys)
    assert [(task.given, *more, options) for (task, *more), options in asked] == [
        (("a", "cp1252"), "test", {"num_steps": 7, "batch_size": 3, "context": 2}),
        ((None, None), "valid", {"num_steps": 50, "batch_size": 1, "context": None}),
    ]


def test_other_data_are_read_as_a_whole(
    kept: Path, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless a split is asked for."""
    path = tmp_path / "other.txt"
    path.write_text(made_up_text(1234, 7), encoding="utf-8")
    found = record(kept, "--data", str(path), capsys=capsys)
    assert (found["split"], found["tokens"]) == ("all", 1233)
    assert abs(found["loss"] - model.evaluator("all", path).loss) < 1e-6
    assert record(kept, "--data", str(path), "--split", "test", capsys=capsys)["tokens"] == 61
    shown, _ = succeeds(["evaluate", str(kept), "--data", str(path)], capsys)
    assert shown.startswith("all: ")
    assert shown.endswith(" nats, 1,233 tokens\n")


def test_squared_errors_are_no_entropies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = keep_run(tmp_path / "out", Adding(5, length=60, valid_length=50), VanillaCell(3))
    expected = load(folder).evaluator()
    found = record(folder, capsys=capsys)
    none = {"perplexity": None, "bits": None}
    assert found == {"split": "valid", "loss": expected.loss, **none, "tokens": 10}
    shown, _ = succeeds(["evaluate", str(folder)], capsys)
    assert shown == f"valid: {expected.loss:.4f} ± {expected.standard_error:.2g} squared error, 10 tokens\n"
