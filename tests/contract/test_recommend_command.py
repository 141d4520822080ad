"""`python -m tf_rnn recommend`, typed as a person types it."""

from __future__ import annotations

import csv
import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import printed, run_main, succeeds, workers_here

from tf_rnn.analysis.advice import needed_width
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = ["--num-steps", "6", "--seeds", "2", "--tokens", "2000", "--state-size", "3", "--batch-size", "20"]
TINY += ["--workers", "1"]


def load(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / "recommendation.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module", autouse=True)
def _workers() -> Iterator[None]:
    with workers_here():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recommend") / "out"


@pytest.fixture(scope="module")
def done(place: Path) -> list[str]:
    """One tiny run, which most tests look at: what it prints."""
    return printed(["recommend", *TINY, "--out", str(place)])


@pytest.fixture(scope="module")
def found(place: Path, done: list[str]) -> dict[str, Any]:
    return load(place)


def test_what_is_found(found: dict[str, Any]) -> None:
    assert (found["task"], found["cell"], found["tolerance"]) == ("echo", "vanilla", 0.1)
    assert type(found["num_steps"]) is int
    assert 1 <= found["num_steps"] == max(found["needed"]) <= 6
    assert len(found["needed"]) == 2
    assert f"Use num_steps {found['num_steps']}: " in found["reason"]
    assert len(found["relative_bias"]) == 6
    assert found["relative_bias"][-1] == 0
    assert type(found["sure"]) is bool
    assert found["verification"] is None
    by_width = {cost["num_steps"]: cost for cost in found["costs"]}
    width = found["num_steps"]
    assert set(by_width) == {max(1, width // 2), width, 2 * width, 6}
    assert found["step_milliseconds"] == by_width[width]["step_milliseconds"] > 0


def test_it_says_which_width_and_why(place: Path, done: list[str], found: dict[str, Any]) -> None:
    page = (place / "report.md").read_text(encoding="utf-8")
    assert done[0] == found["reason"]
    assert found["reason"] in page
    assert f"python -m tf_rnn recommend {' '.join(TINY)} --out" in page
    assert "Verified" not in "\n".join(done) + page
    for cost in found["costs"]:
        assert f"| {cost['num_steps']} | {cost['step_milliseconds']:.3f} |" in page


def test_csv_has_the_bias_of_every_seed(place: Path, found: dict[str, Any]) -> None:
    with (place / "recommendation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["truncation", "relative_bias_seed_0", "relative_bias_seed_1"]
    assert [int(row["truncation"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    seeds = [[float(row[f"relative_bias_seed_{seed}"]) for row in rows] for seed in (0, 1)]
    assert found["relative_bias"] == pytest.approx(
        [(a + b) / 2 for a, b in zip(*seeds, strict=True)], rel=1e-15
    )
    assert found["needed"] == [needed_width(bias, 0.1) for bias in seeds]


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison of echo trains for 4000 tokens."""
    monkeypatch.setattr(Echo, "defaults", dataclasses.replace(Echo.defaults, tokens=4000))


@pytest.mark.usefixtures("brief")
def test_verify_trains_at_the_width_its_half_and_its_double(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    words = ["--num-steps", "4", "--seeds", "1", "--tolerance", "0.99", "--verify", "--workers", "1"]
    words += ["--state-size", "3", "--batch-size", "20"]
    shown, _ = succeeds(["recommend", *words, "--out", str(folder)], capsys)
    found = load(folder)
    width = found["num_steps"]
    assert found["config"]["tokens"] == 800
    compared = json.loads((folder / "verify" / "results.json").read_text(encoding="utf-8"))
    widths = sorted({max(1, width // 2), width, 2 * width})
    assert [(run["num_steps"], run["state"], run["seed"]) for run in compared["runs"]] == [
        (each, "carry", 0) for each in widths
    ]
    assert compared["budget"] == {"kind": "tokens", "amount": 4000}
    losses = ", ".join(f"{run['loss']:.4f} at {run['num_steps']}" for run in compared["runs"])
    assert found["verification"].startswith("Verified: the advice ")
    assert f"Held-out loss {losses} (nats)" in found["verification"]
    lines = shown.splitlines()
    assert lines[:2] == [found["reason"], found["verification"]]
    assert found["verification"] in (folder / "report.md").read_text(encoding="utf-8")


def test_a_short_text_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of 10 characters held out; the advice prices the double of 9 nonetheless."""
    path = tmp_path / "cats.txt"
    path.write_text("a cat sat on a mat, so.\n" * 46, encoding="utf-8")
    words = ["--task", "text", "--data", str(path), "--num-steps", "9", "--seeds", "1", "--tokens", "500"]
    words += ["--valid-fraction", "0.1"]
    words += ["--cell", "vanilla", "--state-size", "3", "--batch-size", "10", "--tolerance", "0.001"]
    succeeds(["recommend", *words, "--out", str(tmp_path / "out")], capsys)
    found = load(tmp_path / "out")
    assert (found["num_steps"], found["sure"]) == (9, False)
    assert [cost["num_steps"] for cost in found["costs"]] == [4, 9, 18]


def test_training_that_diverges_ends_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, "--optimizer", "sgd", "--learning-rate", "3e38", "--out", str(tmp_path / "out")]
    status, shown, errors = run_main(["recommend", *words], capsys)
    assert (status, shown) == (1, "")
    line = errors.splitlines()[-1]
    assert line.startswith("tf_rnn recommend: error: the loss is "), line
    assert line.endswith("; limit the gradient's norm with --clip-norm, or lower --learning-rate"), line
