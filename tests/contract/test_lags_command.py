"""`python -m tf_rnn lags`, typed as a person types it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import assert_fails, files, little_data, printed, succeeds

from tf_rnn.analysis.study import study_lags
from tf_rnn.setup import Setup
from tf_rnn.tasks import make_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = ["--state-size", "3", "--batch-size", "20"]
TINY = [*MODEL, "--num-steps", "4", "--tokens", "2000"]
FILES = ["config.json", "lags.csv", "lags.json", "lags.png", "report.html", "report.md", "run.toml"]


def load(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / "lags.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module", autouse=True)
def _little_data() -> Iterator[None]:
    with little_data():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lags") / "out"


@pytest.fixture(scope="module")
def done(place: Path) -> list[str]:
    """One tiny run, which most tests look at: what it prints."""
    return printed(["lags", *TINY, "--out", str(place)])


@pytest.fixture(scope="module")
def found(place: Path, done: list[str]) -> dict[str, Any]:
    return load(place)


def test_it_is_the_study_of_the_library(found: dict[str, Any]) -> None:
    setup = Setup(task="echo", state_size=3, batch_size=20)
    study = study_lags(setup, make_task("echo"), 4, tokens=2000, callbacks=())
    assert study.trained is not None
    assert study.evaluation is not None
    assert found["gradient_norm"] == pytest.approx(study.trained.gradient_norm, rel=1e-6)
    assert found["relative_bias"] == pytest.approx(study.trained.relative_bias, rel=1e-5)
    assert found["untrained"]["gradient_norm"] == pytest.approx(study.untrained.gradient_norm, rel=1e-6)
    assert found["loss"] == pytest.approx(study.evaluation.loss, rel=1e-6)


def test_it_prints_what_becomes_of_the_gradient(place: Path, done: list[str], found: dict[str, Any]) -> None:
    page = (place / "report.md").read_text(encoding="utf-8")
    for line, name, analysis in zip(
        done, ("untrained", "trained"), (found["untrained"], found), strict=False
    ):
        assert line.startswith(f"{name}: the gradient {analysis['trend']}; its norm ")
        assert line.endswith(
            f" over 4 steps, a factor of {analysis['decay']:.3f} per step (bound {analysis['bound']:.3f})."
        )
        assert f"- {line}" in page
    assert f"python -m tf_rnn lags {' '.join(TINY)} --out" in page
    assert f"| 3 | {found['gradient_norm'][3]:.3g} | {found['relative_bias'][2]:.1%} |" in page


def test_without_training_there_is_nothing_trained(
    tmp_path: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    words = [*MODEL, "--num-steps", "4", "--tokens", "0"]
    shown, errors = succeeds(["lags", *words, "--out", str(folder)], capsys)
    assert errors == []
    assert [line.split(":")[0] for line in shown.splitlines()][:2] == ["untrained", "written"]
    untrained = load(folder)
    assert untrained["loss"] is None
    assert {key: untrained[key] for key in untrained["untrained"]} == untrained["untrained"]
    assert untrained["gradient_norm"] == pytest.approx(found["untrained"]["gradient_norm"], rel=1e-6)
    rows = (folder / "lags.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["weights", *["untrained"] * 4]


def test_a_folder_is_of_one_reference(
    place: Path, done: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = assert_fails(["lags", *TINY, "--reference", "infinite", "--out", str(place)], 2, capsys)
    assert "--out" in line, line
    words = ["lags", *TINY, "--reference", "longest", "--out", str(tmp_path / "new")]
    line = assert_fails(words, 2, capsys)
    assert line.endswith("error: --reference must be one of widest, infinite; got 'longest'"), line
    assert not (tmp_path / "new").exists()


RELU = ["--task", "adding", "--cell", "vanilla", "--activation", "relu", "--recurrent-init", "identity"]
EXPLOSIVE = [*RELU, "--recurrent-gain", "1.5"]


def test_an_explosion_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    words = ["lags", *EXPLOSIVE, "--span", "30", "--num-steps", "30", "--tokens", "0", "--out", str(folder)]
    shown, _ = succeeds(words, capsys)
    found = load(folder)
    assert (found["trend"], len(found["lags"])) == ("explodes", 30)
    assert 1.49 < found["decay"] <= found["bound"] == 1.5, (found["decay"], found["bound"])
    assert shown.splitlines()[0] == (
        "untrained: the gradient explodes; its norm doubles every 1.7 steps over 30 steps, "
        f"a factor of {found['decay']:.3f} per step (bound 1.500)."
    )
    norms = np.array(found["gradient_norm"])
    assert norms[-1] / norms[0] > 1e4, norms[[0, -1]]
    assert np.all(norms <= norms[0] * 1.5 ** np.arange(30) * 1.001)


@pytest.mark.parametrize(
    ("words", "lag", "block"),
    [
        # 65536^10 is more than float32 can hold.
        ([*RELU, "--recurrent-gain", "65536", "--span", "10", "--num-steps", "10"], r"\d+ of 10", "1"),
        # The state is carried from block to block, and grows by 1.5^10 in each.
        ([*RELU[2:], "--recurrent-gain", "1.5", "--num-steps", "10", "--batch-size", "2"], "0 of 10", r"\d+"),
    ],
)
def test_numbers_beyond_all_bounds_end_with_one_line(
    words: list[str], lag: str, block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    line = assert_fails(["lags", *words, "--tokens", "0", "--out", str(folder)], 1, capsys)
    assert re.fullmatch(
        f"tf_rnn lags: error: the gradient's norm is (inf|nan) at lag {lag}, in block {block} of the data: "
        "it explodes, or the state does; lower --recurrent-gain, or look less far back with --num-steps",
        line,
    ), line


def test_a_gradient_of_nothing_is_drawn_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """float32 has no smaller number than 1.4e-45 but 0: all weights are 0, and so are all gradients."""
    folder = tmp_path / "out"
    words = ["lags", "--cell", "lstm", "--init-scale", "1e-320", "--tokens", "0", *MODEL, "--num-steps", "3"]
    succeeds([*words, "--out", str(folder)], capsys)
    assert set(load(folder)["gradient_norm"]) == {0.0}
    assert sorted(files(folder)) == FILES


@pytest.mark.parametrize(
    "words",
    [
        ["--task", "memory", "--lag", "2", "--num-steps", "3", "--cell", "vanilla", "--num-layers", "2"],
        ["--num-steps", "1"],
    ],
)
def test_other_tasks(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    shown, _ = succeeds(["lags", *words, "--state-size", "3", "--tokens", "10", "--out", str(folder)], capsys)
    num_steps = int(words[words.index("--num-steps") + 1])
    found = load(folder)
    assert len(found["lags"]) == num_steps
    assert (found["half_life"] is None) == (num_steps == 1)
    assert "nan" not in shown
    assert sorted(files(folder)) == FILES
