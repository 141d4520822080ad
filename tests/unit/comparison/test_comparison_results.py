"""Results on disk: what is saved comes back, and what is not theirs to change stays as it is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import files
from comparison_helpers import diverged_run, made_up_cost, made_up_results, made_up_run, make_comparison

from tf_rnn.comparison import Results, RunKey
from tf_rnn.files import write_json
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from pathlib import Path

RUNS = [made_up_run(4), made_up_run(1, "reset", seed=1), diverged_run(1)]
KEY = RunKey(4, "carry", 0, 0.1)
KEYS = [RunKey(1, "carry", 0, 0.1), RunKey(1, "reset", 1, 0.1), KEY]


def open_results(folder: Path, **changes: Any) -> Results:
    comparison = make_comparison(**changes)
    return Results(folder, comparison.identity(comparison.make_task()))


def key_of(run: dict[str, Any]) -> RunKey:
    return RunKey(*(run[name] for name in RunKey._fields))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the results of three runs."""
    made = tmp_path / "results"
    made_up_results(made, RUNS).save(verdict=None, optimum=0.25)
    return made


def saved(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = made_up_results(None, RUNS)
    results.save(verdict=None)
    assert list(tmp_path.iterdir()) == []
    assert [run["num_steps"] for run in results.records] == [1, 1, 4]


def test_what_is_saved_comes_back_and_saving_it_again_changes_nothing(folder: Path) -> None:
    results, before = open_results(folder), files(folder)
    assert list(results.runs) == KEYS
    for run in RUNS:
        found = results.runs[key_of(run)]
        assert {name: found[name] for name in run} == run
    assert results.costs == {1: made_up_cost(1), 4: made_up_cost(4)}
    results.save(verdict=None, optimum=0.25)
    assert files(folder) == before
    assert list(before) == ["config.json", "results.json"]


def test_keys_of_the_file(folder: Path) -> None:
    found, comparison = saved(folder), make_comparison()
    parts = ["task", "cell", "budget", "config", "costs", "runs", "failed", "parts", "verdict", "optimum"]
    assert list(found) == parts
    assert (found["task"], found["cell"]) == ("echo", "vanilla")
    assert found["budget"] == {"kind": "tokens", "amount": 1500}
    assert found["config"] == comparison.identity(comparison.make_task())
    assert found["config"] == json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert [cost["num_steps"] for cost in found["costs"]] == [1, 4]
    assert [key_of(run) for run in found["runs"]] == KEYS
    for run in found["runs"]:
        cost = made_up_cost(run["num_steps"])
        assert {name: run[name] for name in cost} == cost, "a run has the costs of its width"


def test_new_runs_join_those_that_are_there(folder: Path) -> None:
    """Of another width, or another learning rate; what is not there is missing."""
    results = open_results(folder, learning_rate=(0.2, 0.3))
    results.add_run(made_up_run(9))
    results.add_run(made_up_run(4, learning_rate=0.2))
    results.add_costs([made_up_cost(9)])
    results.save(verdict=None)
    again = open_results(folder)
    assert list(again.runs) == [*KEYS, RunKey(4, "carry", 0, 0.2), RunKey(9, "carry", 0, 0.1)]
    assert set(again.costs) == {1, 4, 9}
    seeds = make_comparison(num_steps=(1, 4), state=("carry",), seeds=2).keys
    assert again.missing(seeds) == [RunKey(1, "carry", 1, 0.1), RunKey(4, "carry", 1, 0.1)]


def part(fraction: float) -> dict[str, Any]:
    """A run of width 4 after a part of its budget."""
    return made_up_run(4, fraction=fraction, updates=int(64 * fraction), tokens=int(1792 * fraction))


def test_parts_of_runs_come_back_and_give_way_to_more(folder: Path) -> None:
    results = open_results(folder)
    results.runs.pop(KEY)
    for fraction in (1 / 4, 1 / 2, 1 / 8):
        results.add_part(part(fraction))
    results.save(verdict=None)
    again = open_results(folder)
    assert again.parts == {KEY: part(1 / 2)}
    assert again.missing([KEY]) == [KEY], "it is not finished"
    again.add_run(made_up_run(4))
    again.add_part(part(1 / 2))
    assert again.parts == {}
    again.save(verdict=None)
    older = saved(folder)
    assert older.pop("parts") == []
    write_json(folder / "results.json", older)
    assert open_results(folder).parts == {}, "files of an earlier version have none"


@pytest.mark.parametrize("reached", [1.0, 0.5])
def test_a_run_after_a_fraction_of_its_budget(reached: float) -> None:
    results, whole = made_up_results(None, []), part(reached)
    assert results.after(KEY, 1 / 8) is None
    (results.add_run if reached == 1 else results.add_part)(whole)
    assert results.after(KEY, reached) == whole
    assert results.after(KEY, 1 / 8) == whole | {
        "loss": 0.5625 if reached == 1 else 0.5,
        "curve": [point for point in whole["curve"] if point["updates"] <= 8],
        "updates": 8,
        "tokens": 224,
        "seconds": 0.375 / 8 / reached,
    }
    assert (results.after(KEY, 1.0) is None) == (reached < 1)


def test_the_loss_is_that_of_the_best_point_so_far(folder: Path) -> None:
    """It falls to a quarter, then rises; earlier versions kept the loss of the end."""
    losses = {8: 0.5, 16: 0.25, 32: 0.375, 64: 0.75}
    more = {"tokens": 0, "seconds": 0.0, "train_loss": 0.5}
    curve = [{"updates": updates, "valid_loss": loss} | more for updates, loss in losses.items()]
    run = made_up_run(4, loss=0.75, updates=64, curve=curve)
    results = open_results(folder)
    results.add_run(run)
    found = [results.after(KEY, fraction) for fraction in (1 / 8, 1 / 4, 1 / 2)]
    assert [each and each["loss"] for each in found] == [0.5, 0.25, 0.25]
    results.save(verdict=None)
    assert open_results(folder).runs[KEY]["loss"] == 0.25


def test_a_run_that_diverged_has_done_so_after_any_fraction() -> None:
    results = made_up_results(None, [diverged_run(4)])
    assert results.after(KEY, 1 / 8) == results.after(KEY, 1.0) == diverged_run(4)


# --- what is refused -----------------------------------------------------------------------------

ABSENT = object()
LOSSES: dict[str, Any] = {"fresh": [0.5], "carried": [0.5], "errors": [None], "steps": 3}
GRADIENT: dict[str, Any] = {"block_bias": [None], "relative_bias": [0.5], "half_life": None}
# Places in the file and what is there instead; of its runs 0 diverged, 1 and 2 finished.
DAMAGES: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "no runs": (("runs",), ABSENT),
    "no config": (("config",), ABSENT),
    "config is a list": (("config",), [1, 2]),
    "runs is a string": (("runs",), "runs"),
    "a run is null": (("runs", 1), None),
    "a run without a width": (("runs", 1, "num_steps"), ABSENT),
    "a run without an error of the loss": (("runs", 1, "standard_error"), ABSENT),
    "a run without scores": (("runs", 1, "dependency_scores"), ABSENT),
    "a width between": (("runs", 2, "num_steps"), 1.5),
    "an unknown state": (("runs", 1, "state"), "keep"),
    "a seed below 0": (("runs", 1, "seed"), -1),
    "a loss in words": (("runs", 1, "loss"), "0.5"),
    "a loss beyond all numbers": (("runs", 1, "loss"), 1e999),
    "a rate of 0": (("runs", 1, "learning_rate"), 0),
    "a run without a rate": (("runs", 1, "learning_rate"), ABSENT),
    "seconds that are null": (("runs", 1, "seconds"), None),
    "a score in words": (("runs", 1, "dependency_scores", "2"), "high"),
    "parts is a number": (("parts",), 3),
    "a part without a fraction": (("parts",), [made_up_run(4)]),
    "a part of more than all": (("parts",), [made_up_run(4, fraction=2)]),
    "losses by position in words": (("runs", 1, "by_position"), {"fresh": "0.5"}),
    "more fresh than carried": (("runs", 1, "by_position"), LOSSES | {"fresh": [0.5, 0.5]}),
    "a gradient without a half-life": (("runs", 1, "gradient"), {"block_bias": [], "relative_bias": []}),
    "a gradient in words": (("runs", 1, "gradient"), GRADIENT | {"block_bias": ["0.5"]}),
    "a width without costs": (("costs", 0), ABSENT),
    "a cost without a time": (("costs", 0, "step_milliseconds"), ABSENT),
    "a cost of nothing": (("costs", 0, "step_milliseconds"), 0),
    "operations between": (("costs", 0, "operations"), 7.5),
}


def test_what_was_measured_of_a_network_comes_back(folder: Path) -> None:
    """Runs without it are those of an earlier version, or of another width than the answer's."""
    value = saved(folder)
    value["runs"][1] |= {"by_position": LOSSES, "gradient": GRADIENT}
    value["runs"][2]["gradient"] = None  # it was too large
    (folder / "results.json").write_text(json.dumps(value), encoding="utf-8")
    _, first, second = open_results(folder).records
    assert (first["by_position"], first["gradient"], second["gradient"]) == (LOSSES, GRADIENT, None)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_results_are_refused_and_stay(folder: Path, damage: str) -> None:
    (*above, last), value = DAMAGES[damage]
    content = inner = saved(folder)
    for step in above:
        inner = inner[step]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    path = folder / "results.json"
    path.write_text(json.dumps(content).replace("Infinity", "1e999"), encoding="utf-8")
    before = files(folder)
    message = f"out must hold undamaged results, {str(path)!r} cannot be read; choose another folder"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        open_results(folder)
    assert files(folder) == before


@pytest.mark.parametrize("lost", [None, "config.json", "results.json"])
def test_another_configuration_is_refused(folder: Path, lost: str | None) -> None:
    """Each of the two files says whose results they are."""
    if lost:
        (folder / lost).unlink()
    before = files(folder)
    for changes, words in (
        ({"cell": "gru"}, "cell is 'vanilla', here 'gru'"),
        ({"amount": 1501}, "amount is 1500, here 1501"),
    ):
        message = f"out must hold results of the same configuration; in {str(folder)!r} {words}; "
        with pytest.raises(OptionError, match=f"^{re.escape(message)}choose another folder$"):
            open_results(folder, **changes)
    with pytest.raises(OptionError, match=r"task_options is \{.*'effects': \[0.3, -0.15\].*, here \{"):
        open_results(folder, task_options={"lags": [2, 5], "effects": [0.3, -0.1]})
    assert files(folder) == before
