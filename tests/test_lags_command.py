"""`python -m tf_rnn lags`, typed as a person types it."""

from __future__ import annotations

import csv
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import (
    assert_bad_input,
    assert_fails,
    assert_refused,
    files,
    finished,
    run_main,
    succeeds,
)

from tf_rnn.analysis.study import study_lags
from tf_rnn.setup import Setup
from tf_rnn.tasks import make_task

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

MODEL = ["--state-size", "3", "--batch-size", "20"]
TINY = [*MODEL, "--num-steps", "4", "--tokens", "2000"]
FILES = ["config.json", "lags.csv", "lags.json", "lags.png", "report.md"]


def lags(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return finished(["lags", *words, "--out", str(folder)], folder.parent)


def load(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / "lags.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lags") / "out"


@pytest.fixture(scope="module")
def done(place: Path) -> subprocess.CompletedProcess[str]:
    """One tiny run, which most tests look at."""
    return lags(place, *TINY)


@pytest.fixture(scope="module")
def found(place: Path, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return load(place)


def test_it_writes_its_files_and_names_them(place: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert sorted(files(place)) == FILES
    written = done.stdout.rstrip().splitlines()[-1].removeprefix("written: ").split(", ")
    assert sorted(path.removeprefix(f"{place}/") for path in written) == FILES[1:]
    assert (place / "lags.png").read_bytes().startswith(b"\x89PNG")


def test_keys_that_other_programs_rely_on(found: dict[str, Any]) -> None:
    assert (found["task"], found["cell"]) == ("echo", "vanilla")
    assert found["lags"] == [0, 1, 2, 3]
    assert found["truncations"] == [1, 2, 3, 4]
    for key in ("gradient_norm", "relative_bias", "cosine", "block_bias"):
        assert len(found[key]) == 4, key
        assert all(type(value) is float for value in found[key]), key
    assert all(norm > 0 for norm in found["gradient_norm"])
    assert found["relative_bias"][-1] == 0
    assert type(found["decay"]) is type(found["half_life"]) is type(found["bound"]) is float
    assert found["half_life"] == pytest.approx(math.log(0.5) / math.log(found["decay"]), rel=1e-12)
    assert found["trend"] in ("vanishes", "explodes", "holds")
    assert found["positions"] == 100
    assert type(found["loss"]) is float


def test_it_is_the_study_of_the_library(found: dict[str, Any]) -> None:
    setup = Setup(task="echo", state_size=3, batch_size=20)
    study = study_lags(setup, make_task("echo"), 4, tokens=2000, callbacks=())
    assert study.trained is not None
    assert study.evaluation is not None
    assert found["gradient_norm"] == pytest.approx(study.trained.gradient_norm, rel=1e-6)
    assert found["relative_bias"] == pytest.approx(study.trained.relative_bias, rel=1e-5)
    assert found["untrained"]["gradient_norm"] == pytest.approx(study.untrained.gradient_norm, rel=1e-6)
    assert found["loss"] == pytest.approx(study.evaluation.loss, rel=1e-6)


def test_it_prints_what_becomes_of_the_gradient(
    place: Path, done: subprocess.CompletedProcess[str], found: dict[str, Any]
) -> None:
    page = (place / "report.md").read_text(encoding="utf-8")
    lines = done.stdout.splitlines()
    for line, name, analysis in zip(
        lines, ("untrained", "trained"), (found["untrained"], found), strict=False
    ):
        assert line.startswith(f"{name}: the gradient {analysis['trend']}; its norm ")
        assert line.endswith(
            f" over 4 steps, a factor of {analysis['decay']:.3f} per step (bound {analysis['bound']:.3f})."
        )
        assert f"- {line}" in page
    assert f"python -m tf_rnn lags {' '.join(TINY)} --out" in page
    assert f"| 3 | {found['gradient_norm'][3]:.3g} | {found['relative_bias'][2]:.1%} |" in page


def test_csv_agrees_with_json(place: Path, found: dict[str, Any]) -> None:
    with (place / "lags.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["weights"], int(row["lag"]), int(row["truncation"])) for row in rows] == [
        (weights, lag, lag + 1) for weights in ("untrained", "trained") for lag in range(4)
    ]
    for weights, analysis in (("untrained", found["untrained"]), ("trained", found)):
        mine = [row for row in rows if row["weights"] == weights]
        for key in ("gradient_norm", "relative_bias", "block_bias", "cosine"):
            assert [float(row[key]) for row in mine] == analysis[key], (weights, key)


def test_repeated_it_gives_the_same(
    place: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Over the results that are there, and in another process, this one."""
    before = files(place)
    succeeds(["lags", *TINY, "--out", str(place)], capsys)
    after = files(place)
    same = [name for name in FILES if name.endswith((".json", ".csv"))]
    assert [name for name in same if after[name] != before[name]] == []
    assert sorted(after) == FILES


def test_without_training_there_is_nothing_trained(
    tmp_path: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    words = [*MODEL, "--num-steps", "4", "--tokens", "0"]
    shown, errors = succeeds(["lags", *words, "--out", str(folder)], capsys)
    assert errors == []
    assert [line.split(":")[0] for line in shown.splitlines()] == ["untrained", "written"]
    untrained = load(folder)
    assert untrained["loss"] is None
    assert {key: untrained[key] for key in untrained["untrained"]} == untrained["untrained"]
    assert untrained["gradient_norm"] == pytest.approx(found["untrained"]["gradient_norm"], rel=1e-6)
    rows = (folder / "lags.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["weights", *["untrained"] * 4]


RELU = ["--task", "adding", "--cell", "vanilla", "--activation", "relu", "--recurrent-init", "identity"]
EXPLOSIVE = [*RELU, "--recurrent-gain", "1.5"]


def test_an_explosion_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    words = ["lags", *EXPLOSIVE, "--tokens", "0", "--out", str(folder)]
    shown, _ = succeeds(words, capsys)
    found = load(folder)
    assert (found["trend"], len(found["lags"])) == ("explodes", 50)
    assert 1.49 < found["decay"] <= found["bound"] == 1.5, (found["decay"], found["bound"])
    assert shown.splitlines()[0] == (
        "untrained: the gradient explodes; its norm doubles every 1.7 steps over 50 steps, "
        f"a factor of {found['decay']:.3f} per step (bound 1.500)."
    )
    norms = np.array(found["gradient_norm"])
    assert norms[-1] / norms[0] > 1e8, norms[[0, -1]]
    assert np.all(norms <= norms[0] * 1.5 ** np.arange(50) * 1.001)


def test_an_explosion_in_training_ends_with_one_line_that_names_clip_norm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*EXPLOSIVE, "--optimizer", "sgd", "--learning-rate", "0.1", "--state", "reset"]
    status, shown, errors = run_main(["lags", *words, "--out", str(tmp_path / "out")], capsys)
    assert (status, shown) == (1, "")
    *progress, line = errors.splitlines()
    assert all(re.match(r"epoch 1/1 · step \d+/400 · ", other) for other in progress), errors
    assert re.fullmatch(
        r"tf_rnn lags: error: the gradient's norm is (inf|nan), of a loss of \S+, at update \d+ \(epoch 1\); "
        r"by lag, with the weights after update 0, it was largest at lag 49 \(\S+, and \S+ at lag 0\); "
        r"limit the gradient's norm with --clip-norm, or lower --learning-rate",
        line,
    ), line


@pytest.mark.parametrize(
    ("words", "lag", "block"),
    [
        # 16^40 is more than float32 can hold the square of.
        ([*RELU, "--recurrent-gain", "16", "--span", "40", "--num-steps", "40"], r"\d+ of 40", "1"),
        # The state is carried from block to block, and grows by 1.5^10 in each.
        ([*RELU[2:], "--recurrent-gain", "1.5", "--num-steps", "10"], "0 of 10", r"\d+"),
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


@pytest.mark.parametrize("words", [["--cell", "vanilla"], ["--cell", "lstm"]])  # with a bound and without
def test_a_gradient_of_nothing_is_drawn_too(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """float32 has no smaller number than 1.4e-45 but 0: all weights are 0, and so are all gradients."""
    folder = tmp_path / "out"
    succeeds(["lags", *words, "--init-scale", "1e-320", "--tokens", "0", "--out", str(folder)], capsys)
    assert set(load(folder)["gradient_norm"]) == {0.0}
    assert sorted(files(folder)) == FILES


@pytest.mark.parametrize(
    "words",
    [
        ["--task", "adding", "--span", "5", "--num-steps", "7"],
        ["--task", "copy", "--delay", "3", "--num-steps", "2", "--style", "full", "--batch-size", "8000"],
        ["--task", "memory", "--lag", "2", "--num-steps", "3", "--cell", "gru", "--num-layers", "2"],
        ["--task", "influence", "--num-steps", "6"],
        ["--num-steps", "1"],
    ],
)
def test_every_task(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    model = [] if "influence" in words else ["--state-size", "3"]
    shown, _ = succeeds(["lags", *words, *model, "--tokens", "10", "--out", str(folder)], capsys)
    num_steps = int(words[words.index("--num-steps") + 1])
    found = load(folder)
    assert len(found["lags"]) == num_steps
    assert (found["half_life"] is None) == (num_steps == 1)
    assert "nan" not in shown
    assert sorted(files(folder)) == FILES


# --- bad input -----------------------------------------------------------------------------------


BAD: dict[str, tuple[list[str], str]] = {
    "two widths": (["--num-steps", "2", "4"], "unrecognized arguments: 4"),
    "stride beyond the width": (
        ["--style", "sliding", "--stride", "5", "--num-steps", "3"],
        "--stride must be from 1 to num_steps (3), got 5",
    ),
    "nothing to adapt": (
        ["--style", "adaptive", "--num-steps", "1"],
        "--num-steps must be at least 2 for the style adaptive, got 1",
    ),
    "style for losses at some steps": (
        ["--task", "adding", "--style", "random"],
        "--style must be block or full where not every step has a target, got 'random'",
    ),
    "activation of another cell": (
        ["--cell", "lstm", "--activation", "relu"],
        "--activation must be left out unless cell is vanilla, got 'lstm'",
    ),
    "task of another cell": (
        ["--cell", "influence"],
        "--cell must be vanilla or gru or lstm for the task echo, got 'influence'",
    ),
    "a cell without layers": (
        ["--task", "influence", "--num-layers", "2"],
        "--num-layers must be left out where cell is influence, got 2",
    ),
    "a cell without gain": (
        ["--task", "influence", "--recurrent-gain", "1.5"],
        "--recurrent-gain must be left out where cell is influence, got 1.5",
    ),
    "option of another task": (["--span", "5"], "--span must be left out unless task is adding"),
    "span 1": (["--task", "adding", "--span", "1"], "--span must be a whole number of at least 2, got 1"),
    "width larger than a row": (
        ["--num-steps", "5001"],
        "--num-steps must be at most 5000 (the 1000000 tokens of split 'train' cut into 200 rows), got 5001",
    ),
    "width larger than a row held out": (
        ["--num-steps", "1001"],
        "--num-steps must be at most 1000 (the 200000 tokens of split 'valid' cut into 200 rows), got 1001",
    ),
    "a rate that float32 does not have": (
        ["--learning-rate", "1e39", "--num-steps", "2"],
        "--learning-rate must be a number that float32 has, got 1e+39",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_the_option(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, message = BAD[case]
    assert_bad_input("lags", words, message, tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "1"], "seed is 0, here 1"),
        (["--cell", "gru"], "cell is 'vanilla', here 'gru'"),
        (["--tokens", "0"], "tokens is 2000.0, here 0.0"),
        (["--recurrent-gain", "1.5"], "cell_options is {}, here {'recurrent_gain': 1.5}"),
        (["--lags", "1", "2"], "task_options is "),
    ],
)
def test_results_of_another_configuration_are_not_overwritten(
    place: Path,
    found: dict[str, Any],
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files(place)
    message = f"--out must hold results of the same configuration; in {str(place)!r} {message}"
    assert_refused(["lags", *TINY, *words, "--out", str(place)], message, capsys)
    assert files(place) == before
