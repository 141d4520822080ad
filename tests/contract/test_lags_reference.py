"""`python -m tf_rnn lags --reference infinite`, typed as a person types it."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import little_data, succeeds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = ["lags", "--state-size", "3", "--batch-size", "20", "--num-steps", "4", "--tokens", "2000"]
SENTENCE = (
    r"(un)?trained: to keep 90% of the gradient over the whole past takes (more than )?\d+ steps? "
    r"followed back, or blocks of ((more than|about) )?\d+ steps?; truncation after 4 "
    r"steps loses \d+\.\d\d% of it \({how}\); Lyapunov exponent -?\d+\.\d{4} ± \d\.\d{4} per step\."
)
ALONG = r"what is older estimated along 50 random directions, its square ± 20%"


@pytest.fixture(autouse=True)
def _little_data() -> Iterator[None]:
    with little_data():
        yield


@pytest.mark.parametrize(
    ("words", "how", "directions"),
    [
        (["--cell", "gru"], "exact", 0),
        pytest.param(["--cell", "lstm", "--state-size", "48"], ALONG, 50, marks=pytest.mark.slow),
    ],
)
def test_it_says_how_much_of_the_whole_past_is_needed(
    words: list[str], how: str, directions: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    shown, _ = succeeds([*TINY, *words, "--reference", "infinite", "--out", str(folder)], capsys)
    page = (folder / "report.md").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads((folder / "lags.json").read_text(encoding="utf-8"))
    sentences = shown.splitlines()[2:4]
    for line in sentences:
        assert re.fullmatch(SENTENCE.replace("{how}", how), line), line
        assert f"- {line}" in page
    assert f"Lyapunov exponent {found['lyapunov']:.4f} ± {found['lyapunov_error']:.4f} per" in sentences[1]
    assert (found["reference"], found["directions"]) == ("infinite", directions)
    assert "**the whole past**" in page
    with (folder / "lags.csv").open(encoding="utf-8", newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["weights"] == "trained"]
    for key in ("relative_bias", "block_bias", "mean_bias", "mean_block_bias"):
        assert [float(row[key]) if row[key] else None for row in rows] == found[key], key
    assert found["relative_bias"][-1] > 0, "some of the past is older than 4 steps"


def test_of_examples_there_is_no_exponent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    task = ["--task", "copy", "--delay", "3", "--num-recalled", "2", "--cell", "vanilla"]
    shown, _ = succeeds([*TINY, *task, "--reference", "infinite", "--out", str(folder)], capsys)
    assert shown.splitlines()[3].endswith(" of it (exact).")
    assert json.loads((folder / "lags.json").read_text(encoding="utf-8"))["lyapunov"] is None
