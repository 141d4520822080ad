"""`compare --dry-run` and `recommend --dry-run`: what would be refused is, and nothing is written.

What a folder holds already is left out: see `test_compare_command`.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_helpers import assert_fails, succeeds, workers_here
from workplace import listing

import tf_rnn
from tf_rnn.comparison import worker
from tf_rnn.lock import held
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = ["--amount", "4000", "--batch-size", "20", "--state-size", "3"]
WORDS = ["--num-steps", "2", "12", "--seeds", "2", *MODEL]
TIME = r"(\d+ min )?\d+ s with 1 worker"


@pytest.fixture(autouse=True)
def _workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with workers_here():
        yield


def no_training(*_: object) -> None:
    raise AssertionError("a run was trained")


RACE = f"a race of 6 runs, at most {TIME}, unless wider widths join; most .* earlier\\."


@pytest.mark.parametrize(
    ("verb", "total", "out"),
    [
        ("compare", f"8 runs, about {TIME}\\.", ["--out", "deep/new"]),
        ("recommend", RACE, []),
        ("recommend", RACE, ["--out", "empty"]),
    ],
)
def test_runs_are_printed_and_nothing_is_written(
    verb: str,
    total: str,
    out: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Echo reaches back 8 steps, so that width 9 is in the race, too."""
    for name in ("train_part",):
        monkeypatch.setattr(worker, name, no_training)
    (tmp_path / "empty").mkdir()
    before = listing(tmp_path)
    shown, errors = succeeds([verb, *WORDS, *out, "--dry-run"], capsys)
    assert listing(tmp_path) == before
    widths = 2 if verb == "compare" else 3
    assert errors == [f"measuring the cost of {widths} widths, one at a time"]
    lines = shown.rstrip().splitlines()
    assert re.fullmatch(total, lines[-1]), f"{lines[-1]!r}, not {total!r}"
    states = ("carry", "reset") if verb == "compare" else ("carry",)
    wanted = [
        [str(width), state, "2"] for width in (2, 9, 12) if width != 9 or widths == 3 for state in states
    ]
    rows = [line.split()[:3] for line in lines if re.match(r" *\d+  ", line)]
    assert rows == wanted, f"{rows}, not {wanted}"


REFUSED = {
    "a width that the data are too short for": ["--num-steps", "60000"],
    "an option of another task": ["--delay", "3"],
    "another configuration": ["--out", "other"],
    "somebody's folder": ["--out", "foreign"],
    "a file": ["--out", "file"],
    "damaged results": ["--out", "damaged"],
    "no scheduler": ["--scheduler", "tcp://127.0.0.1:1"],
    "a folder in use": ["--out", "used"],
}


@pytest.mark.parametrize(
    ("case", "verb"), [*zip(REFUSED, itertools.cycle(["compare", "recommend"]), strict=False)]
)
def test_what_is_refused_is_refused_in_the_same_words(
    verb: str,
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tf_rnn.comparison.dask.CONNECT_SECONDS", 0.5)
    for name in ("other", "foreign", "used", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"cell": "gru"}), encoding="utf-8")
    (tmp_path / "foreign" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    (tmp_path / "damaged" / "config.json").write_text("{", encoding="utf-8")
    words = [verb, "--state-size", "3", *REFUSED[case]]
    with held("out", Path("used")):
        before = listing(tmp_path)
        dry = assert_fails([*words, "--dry-run"], 2, capsys)
        assert listing(tmp_path) == before
        real = assert_fails(words, 2, capsys)
    assert dry == real, f"{dry!r}, not {real!r}"


def test_a_plan_in_python() -> None:
    experiment = tf_rnn.Experiment("echo", state_size=3, batch_size=20)
    plan = experiment.plan("compare", [2, 4], seeds=2, amount=4000, state=["carry"])
    assert (plan.runs, plan.finished, plan.workers, plan.is_race) == (4, 0, 1, False)
    assert [record["num_steps"] for record in plan.records] == [2, 4]
    assert experiment.plan("recommend", [2], amount=4000, verify=True).verifies
    with pytest.raises(OptionError, match=r"^verb must be one of compare, recommend; got 'train'$"):
        experiment.plan("train")
    with pytest.raises(OptionError, match=r"^seeds must be a whole number of at least 1, got 0$"):
        experiment.plan(seeds=0)
    with pytest.raises(TypeError):
        experiment.plan(epochs=2)
