"""The same seed gives the same in a new process, bit for bit in one thread."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from command_helpers import finished
from crashes import outcome, without_seconds
from model_helpers import made_up_text

if TYPE_CHECKING:
    from pathlib import Path

HASH_SEEDS = ("1", "2")  # in which order sets are gone through must not matter


def run_twice(words: list[str], place: Path) -> None:
    """Runs the command in new processes, once for each hash seed, in folders of these names."""
    for seed in HASH_SEEDS:
        folder = place / seed
        folder.mkdir()
        finished(words, folder, env=os.environ | {"PYTHONHASHSEED": seed})


@pytest.mark.slow
def test_a_run_and_what_it_writes_are_the_same_in_a_new_process(tmp_path: Path) -> None:
    """Every style of chance is in it: initial weights, dropout, random truncation."""
    text = tmp_path / "text.txt"
    text.write_text(made_up_text(900, letters="ab cd\n"), encoding="utf-8")
    words = ["train", "--task", "words", "--data", str(text), "--cell", "lstm", "--state-size", "6"]
    words += ["--num-layers", "2", "--dropout", "0.3", "--style", "random", "--batch-size", "3"]
    words += ["--num-steps", "4", "--epochs", "2", "--seed", "3", "--threads", "1", "--out", "run"]
    run_twice(words, tmp_path)
    one, other = (outcome(tmp_path / seed / "run") for seed in HASH_SEEDS)
    for name, value in one.items():
        assert other[name] == value, name


@pytest.mark.slow
def test_a_comparison_is_the_same_in_a_new_process(tmp_path: Path) -> None:
    words = ["compare", "--num-steps", "2", "3", "--seeds", "1", "--amount", "3000", "--batch-size", "20"]
    words += ["--state-size", "3", "--style", "sliding", "--workers", "1", "--out", "out"]
    run_twice(words, tmp_path)
    one, other = (
        json.loads((tmp_path / seed / "out" / "results.json").read_text(encoding="utf-8"))["runs"]
        for seed in HASH_SEEDS
    )
    kept = "num_steps state seed loss train_loss standard_error dependency_scores curve"
    assert len(one) == 4
    for first, second in zip(one, other, strict=True):
        for name in kept.split():
            assert without_seconds(first[name]) == without_seconds(second[name]), name
