"""Sliding windows against blocks: what is held equal, and that the stored report is of the stored runs."""

from __future__ import annotations

import csv
import math
import statistics
from pathlib import Path

import pytest
from command_helpers import workers_here
from model_helpers import made_up_text

import benchmarks
from benchmarks.styles import __main__ as command
from benchmarks.styles.sweeps import COLUMNS, STYLES

STORED = Path(benchmarks.__file__).parent / "styles"
ROWS, TOKENS = 4, 300


def runs(folder: Path) -> list[dict[str, str]]:
    with (folder / "styles.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a tiny run of the command."""
    place = tmp_path_factory.mktemp("styles")
    (place / "words.txt").write_text(made_up_text(6000), encoding="utf-8")
    words = ["--data", str(place / "words.txt"), "--vocabulary-size", "11", "--state-size", "3"]
    words += ["--batch-size", str(ROWS), "--num-steps", "2", "5", "--learning-rate", "0.1"]
    words += ["--seeds", "1", "--tokens", str(TOKENS), "--workers", "1", "--out", str(place / "out")]
    with workers_here():
        assert command.main(words) == 0
    return place / "out"


@pytest.mark.slow
def test_every_run_learns_from_the_same_words(folder: Path) -> None:
    """Blocks of n make an update every n words of a row, sliding windows one every word."""
    found = runs(folder)
    assert list(found[0]) == list(COLUMNS)
    assert len(found) == len(STYLES) * 2
    for run in found:
        width, updates = int(run["num_steps"]), int(run["updates"])
        each = ROWS * (width if run["style"] == "block" else 1)
        assert abs(int(run["tokens"]) - TOKENS) <= ROWS * width, run
        assert abs(updates - TOKENS / each) <= width, run
    assert len({run["parameters"] for run in found}) == 1


@pytest.mark.slow
def test_the_report_has_the_command_and_the_picture(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "\n```\npython -m benchmarks.styles --data " in text
    assert "![Perplexity against width, and against updates](styles.png)" in text
    assert (folder / "styles.png").read_bytes().startswith(b"\x89PNG")


def best_losses(found: list[dict[str, str]], style: str, width: str) -> list[float]:
    """The losses of the seeds at the best of the learning rates."""
    by_rate: dict[str, list[float]] = {}
    for run in found:
        if (run["style"], run["num_steps"]) == (style, width):
            by_rate.setdefault(run["learning_rate"], []).append(float(run["loss"]))
    return min(by_rate.values(), key=statistics.fmean)


def test_the_stored_report_is_that_of_the_stored_runs() -> None:
    found, text = runs(STORED), (STORED / "report.md").read_text(encoding="utf-8")
    widths = list(dict.fromkeys(run["num_steps"] for run in found))
    assert len(widths) > 2
    for width in widths:
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {width} |"))
        for style in STYLES:
            losses = best_losses(found, style, width)
            assert len(losses) == 3
            mean = statistics.fmean(losses)
            shown = f"| {mean:.3f} ± {statistics.stdev(losses):.3f} | {math.exp(mean):.1f} |"
            assert shown in row, f"{style}, width {width}: {row!r} lacks {shown!r}"
