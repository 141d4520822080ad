"""Results on disk: what is saved comes back, and what is not theirs to change stays as it is."""

from __future__ import annotations

import json
import os
import re
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from comparison_helpers import (
    diverged_run,
    made_up_cost,
    made_up_results,
    made_up_run,
    make_comparison,
)

from tf_rnn.comparison import Results, RunKey
from tf_rnn.files import write_json, write_text
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNS = [made_up_run(4), made_up_run(1, "reset", seed=1), diverged_run(1)]
KEYS = [RunKey(1, "carry", 0, 0.1), RunKey(1, "reset", 1, 0.1), RunKey(4, "carry", 0, 0.1)]


def open_results(folder: Path, **changes: Any) -> Results:
    comparison = make_comparison(**changes)
    return Results(folder, comparison.identity(comparison.make_task()))


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = made_up_results(None, RUNS)
    results.save(verdict=None)
    assert list(tmp_path.iterdir()) == []
    assert [run["num_steps"] for run in results.records] == [1, 1, 4]


def key_of(run: dict[str, Any]) -> RunKey:
    return RunKey(*(run[name] for name in RunKey._fields))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the results of three runs."""
    made = tmp_path / "results"
    made_up_results(made, RUNS).save(verdict=None, optimum=0.25)
    return made


def saved(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_what_is_saved_comes_back(folder: Path) -> None:
    results = open_results(folder)
    assert list(results.runs) == KEYS
    for run in RUNS:
        found = results.runs[key_of(run)]
        assert {name: found[name] for name in run} == run
    assert results.costs == {1: made_up_cost(1), 4: made_up_cost(4)}


def test_saving_again_changes_nothing(folder: Path) -> None:
    before = files(folder)
    open_results(folder).save(verdict=None, optimum=0.25)
    assert files(folder) == before
    assert list(before) == ["config.json", "results.json"]


def test_keys_of_the_file(folder: Path) -> None:
    found = saved(folder)
    parts = ["task", "cell", "budget", "config", "costs", "runs", "failed", "parts", "verdict", "optimum"]
    assert list(found) == parts
    assert (found["task"], found["cell"]) == ("echo", "vanilla")
    assert found["budget"] == {"kind": "tokens", "amount": 1500}
    comparison = make_comparison()
    assert found["config"] == comparison.identity(comparison.make_task())
    assert found["config"] == json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert [cost["num_steps"] for cost in found["costs"]] == [1, 4]
    order = [(run["num_steps"], run["state"], run["seed"]) for run in found["runs"]]
    assert order == [(1, "carry", 0), (1, "reset", 1), (4, "carry", 0)]


def test_a_run_has_its_costs_too(folder: Path) -> None:
    for run in saved(folder)["runs"]:
        cost = made_up_cost(run["num_steps"])
        assert {name: run[name] for name in cost} == cost


def test_missing_runs(folder: Path) -> None:
    comparison = make_comparison(num_steps=(1, 4), state=("carry",), seeds=2)
    assert open_results(folder).missing(comparison.keys) == [
        RunKey(1, "carry", 1, 0.1),
        RunKey(4, "carry", 1, 0.1),
    ]


def test_new_runs_join_those_that_are_there(folder: Path) -> None:
    results = open_results(folder)
    results.add_run(made_up_run(9))
    results.add_costs([made_up_cost(9)])
    results.save(verdict=None)
    again = open_results(folder)
    assert set(again.runs) == {*KEYS, RunKey(9, "carry", 0, 0.1)}
    assert set(again.costs) == {1, 4, 9}


def test_a_learning_rate_of_its_own_makes_another_run(folder: Path) -> None:
    results = open_results(folder, learning_rate=(0.2, 0.3))
    results.add_run(made_up_run(4, learning_rate=0.2))
    results.save(verdict=None)
    assert list(open_results(folder).runs) == [*KEYS, RunKey(4, "carry", 0, 0.2)]


KEY = RunKey(4, "carry", 0, 0.1)


def part(fraction: float, **changes: Any) -> dict[str, Any]:
    return (
        made_up_run(4, fraction=fraction, updates=int(64 * fraction), tokens=int(1792 * fraction)) | changes
    )


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
    assert saved(folder)["parts"] == []
    older = saved(folder)
    del older["parts"]
    write_json(folder / "results.json", older)
    assert open_results(folder).parts == {}


@pytest.mark.parametrize("reached", [1.0, 0.5])
def test_a_run_after_a_fraction_of_its_budget(reached: float) -> None:
    results = made_up_results(None, [])
    assert results.after(KEY, 1 / 8) is None
    whole = part(reached)
    if reached == 1:
        results.add_run(whole)
    else:
        results.add_part(whole)
    assert results.after(KEY, reached) == whole
    assert results.after(KEY, 1 / 8) == whole | {
        "loss": 0.5625 if reached == 1 else 0.5,
        "curve": [point for point in whole["curve"] if point["updates"] <= 8],
        "updates": 8,
        "tokens": 224,
        "seconds": 0.375 / 8 / reached,
    }
    assert (results.after(KEY, 1.0) is None) == (reached < 1)


def test_a_run_that_diverged_has_done_so_after_any_fraction() -> None:
    results = made_up_results(None, [diverged_run(4)])
    assert results.after(KEY, 1 / 8) == results.after(KEY, 1.0) == diverged_run(4)


def test_the_folder_is_made_with_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    results = open_results(folder)
    assert list(files(folder)) == ["config.json"]
    assert (results.runs, results.costs) == ({}, {})


def without(name: str, *path: str | int) -> Callable[[Any], Any]:
    """A change: the file without a key."""

    def change(value: Any) -> Any:
        inner = value
        for step in path:
            inner = inner[step]
        del inner[name]
        return value

    return change


def changed(new: Any, *path: str | int) -> Callable[[Any], Any]:
    """A change: the file with another value at a place."""

    def change(value: Any) -> Any:
        inner = value
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = new
        return value

    return change


# Runs in the file: 0 diverged, 1 and 2 finished.
DAMAGES: dict[str, Callable[[Any], Any]] = {
    "a list": lambda value: [value],
    "no runs": without("runs"),
    "no config": without("config"),
    "config is a list": changed([1, 2], "config"),
    "runs is a string": changed("runs", "runs"),
    "a run is null": changed(None, "runs", 1),
    "a run without a width": without("num_steps", "runs", 1),
    "a run without an error of the loss": without("standard_error", "runs", 1),
    "a run without scores": without("dependency_scores", "runs", 1),
    "a width between": changed(1.5, "runs", 2, "num_steps"),
    "an unknown state": changed("keep", "runs", 1, "state"),
    "a seed below 0": changed(-1, "runs", 1, "seed"),
    "a loss in words": changed("0.5", "runs", 1, "loss"),
    "a rate of 0": changed(0, "runs", 1, "learning_rate"),
    "a run without a rate": without("learning_rate", "runs", 1),
    "parts is a number": changed(3, "parts"),
    "a part without a fraction": changed([made_up_run(4)], "parts"),
    "a part of more than all": changed([made_up_run(4, fraction=2)], "parts"),
    "seconds that are null": changed(None, "runs", 1, "seconds"),
    "a score in words": changed("high", "runs", 1, "dependency_scores", "2"),
    "a width without costs": lambda value: value | {"costs": value["costs"][:1]},
    "a cost without a time": without("step_milliseconds", "costs", 0),
    "a cost of nothing": changed(0, "costs", 0, "step_milliseconds"),
    "operations between": changed(7.5, "costs", 0, "operations"),
}


def assert_refused(folder: Path, name: str) -> None:
    """The error names the damaged file, and no file in the folder changes."""
    before = files(folder)
    message = f"out must hold undamaged results, {str(folder / name)!r} cannot be read; choose another folder"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        open_results(folder)
    assert files(folder) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_results_are_refused(folder: Path, damage: str) -> None:
    value = DAMAGES[damage](saved(folder))
    (folder / "results.json").write_text(json.dumps(value), encoding="utf-8")
    assert_refused(folder, "results.json")


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode())

    return change


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "one byte cut off": lambda content: content.rstrip()[:-1],
    "no text": lambda content: b"\xff\xfe" + content,
    "something behind": lambda content: content + b"}",
    "not a number": replaced('"loss": 0.5,', '"loss": NaN,'),
    "infinite": replaced('"loss": 0.5,', '"loss": 1e999,'),
    "not a number in passing": replaced('"train_loss": 0.53125', '"train_loss": -Infinity'),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_files_that_are_no_json_are_refused(folder: Path, damage: str) -> None:
    path = folder / "results.json"
    path.write_bytes(BROKEN[damage](path.read_bytes()))
    assert_refused(folder, "results.json")


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_a_damaged_configuration_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    assert_refused(folder, "config.json")


def test_a_folder_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "results.json").unlink()
    (folder / "results.json").mkdir()
    message = f"{str(folder / 'results.json')!r} cannot be read"
    with pytest.raises(OptionError, match=re.escape(message)):
        open_results(folder)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"cell": "gru"}, "cell is 'vanilla', here 'gru'"),
        ({"batch_size": 8}, "batch_size is 7, here 8"),
        ({"clip_norm": 0.5}, "clip_norm is None, here 0.5"),
        ({"amount": 1501}, "amount is 1500, here 1501"),
    ],
)
@pytest.mark.parametrize("lost", [None, "config.json", "results.json"])
def test_another_configuration_is_refused(
    folder: Path, changes: dict[str, Any], difference: str, lost: str | None
) -> None:
    if lost:
        (folder / lost).unlink()
    before = files(folder)
    message = (
        f"out must hold results of the same configuration; in {str(folder)!r} {difference}; "
        "choose another folder"
    )
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        open_results(folder, **changes)
    assert files(folder) == before


def test_another_task_option_is_refused(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(OptionError, match=r"task_options is \{.*'effects': \[0.3, -0.15\].*, here \{"):
        open_results(folder, task_options={"lags": [2, 5], "effects": [0.3, -0.1]})
    assert files(folder) == before


@pytest.mark.parametrize("inside", [(), ("deeper",), ("deeper", "still")])
def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, inside: tuple[str, ...]) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine", encoding="utf-8")
    folder = file.joinpath(*inside)
    message = f"out must be a folder that can be written, got {str(folder)!r} ("
    with pytest.raises(OptionError, match=f"^{re.escape(message)}") as caught:
        open_results(folder)
    assert caught.value.option == "out"
    assert files(tmp_path) == {"notes.txt": b"mine"}


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where one may look into a folder but not write; whoever runs the tests may write anywhere."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    message = f"out must be a folder that can be written, got {str(tmp_path)!r} (Permission denied)"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        open_results(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the disk is full, or the machine stops in the middle."""
    before = files(folder)
    results = open_results(folder)
    results.add_run(made_up_run(9))
    results.add_costs([made_up_cost(9)])

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OptionError, match="No space left"):
        results.save(verdict=None)
    after = files(folder)
    assert {name: after[name] for name in before} == before
    monkeypatch.undo()
    assert list(open_results(folder).runs) == KEYS
    results.save(verdict=None)
    assert list(files(folder)) == ["config.json", "results.json"]


def test_what_json_cannot_say_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"loss": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"loss": 0.5}
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "± ü\n")
    assert files(tmp_path) == {"a.txt": "± ü\n".encode()}
