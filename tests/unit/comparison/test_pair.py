"""Two finished comparisons beside each other: differences by pairs of seeds, and who is better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_refused, files, succeeds
from comparison_helpers import TASK_OPTIONS, made_up_cost, made_up_run, make_comparison

from tf_rnn.comparison import Results, Sweep, pair_sweeps
from tf_rnn.comparison.sweep import save
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TASK = Echo(**TASK_OPTIONS)
WANTED = "FOLDER must be two folders of finished comparisons"


def finished(folder: Path, losses: Mapping[int, Sequence[float]], **changes: Any) -> Path:
    """A comparison with a state carried whose runs ended with these losses, by width and seed."""
    changes = {"seeds": len(next(iter(losses.values()))), "state": ("carry",)} | changes
    comparison = make_comparison(num_steps=tuple(losses), **changes)
    task = comparison.make_task()
    folder.mkdir()
    results = Results(folder, comparison.identity(task))
    results.add_costs([made_up_cost(width) for width in losses])
    for key in comparison.keys:
        results.add_run(made_up_run(*key, loss=losses[key.num_steps][key.seed], tokens=1500))
    sweep = Sweep(comparison, task, results)
    save(results, task, sweep.answer)
    assert sweep.answer is not None
    assert sweep.answer.num_steps is not None, sweep.answer.sentence
    return folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two folders that differ in the cell: B is better at each width that both have."""
    monkeypatch.chdir(tmp_path)
    finished(Path("lstm"), {1: (0.625, 0.75), 4: (0.375, 0.5)}, cell="lstm")
    finished(Path("gru"), {4: (0.25, 0.4375, 0.3125), 6: (0.5, 0.5, 0.5)}, cell="gru", amount=3e6)
    return "lstm", "gru"


def seconds(num_steps: int) -> float:
    return 1500 / float(made_up_cost(num_steps)["tokens_per_second"])


def test_a_row_for_each_width_and_differences_by_pairs_of_seeds(places: tuple[str, str]) -> None:
    found = pair_sweeps(*places)
    none: dict[str, Any] = {"loss_a": None, "loss_b": None, "difference": None, "pairs": 0, "seconds_a": None}
    none |= {"state": "carry", "seconds_b": None}
    assert found.records == [
        none | {"num_steps": 1, "loss_a": 0.6875, "seconds_a": seconds(1)},
        # Of seeds 0 and 1 alone: (0.25 - 0.375 + 0.4375 - 0.5) / 2.
        none
        | {"num_steps": 4, "loss_a": 0.4375, "loss_b": 0.34375, "difference": -0.09375, "pairs": 2}
        | {"seconds_a": seconds(4), "seconds_b": seconds(4)},
        none | {"num_steps": 6, "loss_b": 0.5, "seconds_b": seconds(6)},
    ]
    table = found.table()
    assert table.title == "A is lstm, B is gru"
    time = f"{seconds(4):.3g} s"
    assert table.rows[1] == ["4", "carry", "2", "0.4375", "0.3438", "-0.0938", time, time]


def test_the_better_one_is_named_with_what_differs(places: tuple[str, str]) -> None:
    found = pair_sweeps(*places)
    margin = max(found.a.margin, found.b.margin)
    assert found.difference == -0.09375
    assert found.sentence == (
        "B is better by 0.0938 nats: 0.4375 nats at num_steps 4 (carry) in A, 0.3438 nats at num_steps 4 "
        f"(carry) in B; differences up to {margin:.4f} count as equal. The training steps take "
        f"{seconds(4):.3g} s in A, {seconds(4):.3g} s in B. Their options differ in "
        "amount (1500, 3,000,000), cell (lstm, gru), num_steps (1 4, 4 6), seed (0 1, 0 1 2)."
    )
    assert pair_sweeps(*places[::-1]).sentence.startswith("A is better by 0.0938 nats: ")


def test_small_differences_are_none(tmp_path: Path) -> None:
    """At their own best widths; those at which both are good may differ."""
    one = finished(tmp_path / "a", {1: (0.75, 0.75), 4: (0.375, 0.375)})
    other = finished(tmp_path / "b", {1: (0.375, 0.375), 4: (0.40625, 0.40625)}, learning_rate=(0.1, 0.2))
    found = pair_sweeps(one, other)
    assert found.sentence.startswith(
        "A and B are equally good: 0.3750 nats at num_steps 4 (carry) in A, 0.3750 nats at num_steps 1 "
    ), found.sentence
    assert found.sentence.endswith(" Their options differ in learning_rate (0.1, 0.1 0.2).")
    assert pair_sweeps(one, one).sentence.endswith(" Their options are the same.")


def test_without_an_answer_the_lowest_loss_is_taken(places: tuple[str, str]) -> None:
    path = Path("gru", "results.json")
    saved = json.loads(path.read_text(encoding="utf-8"))
    saved["verdict"] |= {"num_steps": None, "state": None}
    path.write_text(json.dumps(saved), encoding="utf-8")
    sentence = pair_sweeps(*places).sentence
    assert "0.3438 nats at num_steps 4 (carry) in B" in sentence
    assert " B named no width; the one with the lowest loss is taken. " in sentence


def test_the_command_prints_and_writes_nothing(
    places: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    shown, errors = succeeds(["compare", *places], capsys)
    assert (files(tmp_path), errors) == (before, [])
    assert shown.splitlines()[-1] == pair_sweeps(*places).sentence


def test_what_is_refused(places: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = places
    finished(Path("other"), {4: (0.25, 0.25)}, task_options=TASK_OPTIONS | {"lags": [2, 4]})
    finished(Path("units"), {4: (0.25, 0.25)})
    Path("empty").mkdir()
    Path("begun").mkdir()
    saved = json.loads(Path(one, "results.json").read_text(encoding="utf-8"))
    for name, content in {
        "begun": json.dumps(saved | {"verdict": None}),
        "units": json.dumps(saved | {"unit": "squared error"}),
        "damaged": json.dumps(saved)[:-9],
        "strange": json.dumps(saved | {"verdict": {"num_steps": 4}}),
    }.items():
        Path(name).mkdir(exist_ok=True)
        Path(name, "config.json").write_text(Path(one, "config.json").read_text(encoding="utf-8"))
        Path(name, "results.json").write_text(content, encoding="utf-8")
    before = files(tmp_path)
    same = "FOLDER must be two comparisons of the same task and data; "
    for words, message in {
        (one,): f"{WANTED}, got 1",
        (one, other, one): f"{WANTED}, got 3",
        (one, "empty"): f"{WANTED}, 'empty' has no results.json",
        ("missing", one): f"{WANTED}, 'missing' has no results.json",
        (one, "a" * 300): f"{WANTED}, ",
        (one, "damaged"): f"{WANTED}, 'damaged/results.json' cannot be read",
        (one, "strange"): f"{WANTED}, 'strange/results.json' cannot be read",
        (
            one,
            "begun",
        ): f"{WANTED}, 'begun' has no answer: it is not finished, is of recommend, or all runs diverged",
        (one, "other"): f"{same}lags is [2, 5] in 'lstm' and [2, 4] in 'other'",
        (one, "units"): f"{same}unit is 'nats' in 'lstm' and 'squared error' in 'units'",
        (one, ""): "FOLDER must be the path of a folder, got ''",
        (one, other, "--seeds", "3"): "--seeds must be left out beside folders of finished comparisons",
        (one, other, "--dry-run"): "--dry-run must be left out beside folders of finished comparisons",
    }.items():
        assert_refused(["compare", *words], message, capsys)
    assert files(tmp_path) == before
