"""A run folder that is moved during the run, a process that changes its directory, a damaged config."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import workers_here
from comparison_helpers import TASK_OPTIONS, make_comparison
from model_helpers import checkpoints, metrics
from rich.console import Console

import tf_rnn
from tf_rnn.comparison import compare, recommend
from tf_rnn.comparison.screen import Screen
from tf_rnn.options import OptionError
from tf_rnn.training import Callback
from tf_rnn.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.comparison import Recommendation, Sweep
    from tf_rnn.training.state import CurvePoint
    from tf_rnn.training_run import Run

EXPERIMENT: dict[str, Any] = {
    "task": tf_rnn.tasks.Echo(length=200, valid_length=20),
    "state_size": 3,
    "batch_size": 5,
}


class At(Callback):
    """Does something at an evaluation."""

    def __init__(self, updates: int, do: Callable[[], object]) -> None:
        self._updates, self._do = updates, do

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        if point.updates == self._updates:
            self._do()


def train(out: Any, *callbacks: Callback) -> Run:
    experiment = tf_rnn.Experiment(**EXPERIMENT)
    return experiment.train(2, updates=8, evaluations=4, out=out, callbacks=callbacks)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


def tree(folder: Path) -> set[str]:
    """What is in a folder, event files by the beginning of their names."""
    return {str(path.relative_to(folder)).partition("events.")[0] for path in folder.rglob("*")}


@pytest.mark.parametrize("updates", [2, 4])
def test_a_run_whose_folder_is_moved_ends_and_can_be_resumed(
    tmp_path: Path, whole: Path, updates: int
) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved"
    message = f"^out must stay where it is until the run ends, {str(folder)!r} has been moved or deleted; "
    with pytest.raises(OptionError, match=message):
        train(folder, At(updates, lambda: folder.rename(moved)))
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]
    assert not (moved / ".lock").exists()
    resumed = tf_rnn.resume(moved, callbacks=())
    assert resumed.result.updates == 8
    assert [line["valid_loss"] for line in metrics(moved)] == pytest.approx(
        [line["valid_loss"] for line in metrics(whole)], rel=1e-5
    )


@pytest.mark.parametrize("step", ["write", "_prune"])
def test_a_folder_that_is_moved_while_a_checkpoint_is_written(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its file is there, and after."""
    folder, carry_out = tmp_path / "run", getattr(Checkpoints, step)

    def moved_first(*arguments: Any) -> None:
        folder.rename(tmp_path / "moved")
        carry_out(*arguments)

    monkeypatch.setattr(Checkpoints, step, moved_first)
    with pytest.raises(OptionError, match=r"^out must stay where it is .* has been moved or deleted; "):
        train(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


def test_another_folder_in_its_place_is_not_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def replace() -> None:
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        (folder / "mine").touch()

    with pytest.raises(OptionError, match="has been moved or deleted"):
        train(folder, At(4, replace))
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_process_may_change_its_directory(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    train("run", At(2, lambda: os.chdir(tmp_path / "b")))
    assert tree(tmp_path / "a" / "run") == tree(whole)
    assert list((tmp_path / "b").iterdir()) == []


class Leaving(Screen):
    """Changes the directory of the process when the costs are measured."""

    def __init__(self, place: Path) -> None:
        super().__init__(Console(quiet=True))
        self._place = place

    def say_costs(self, widths: int) -> None:
        os.chdir(self._place)


def compared(verb: Callable[..., Sweep | Recommendation], place: Path) -> list[Path]:
    little = TASK_OPTIONS | {"length": 100}
    runs: dict[str, Any] = {"num_steps": (4,), "seeds": 1, "state": ("carry",), "amount": 100}
    settings = make_comparison(batch_size=20, task_options=little, **runs)  # rows of 5 steps
    with workers_here():
        return list(verb(settings, out="results", workers=1, screen=Leaving(place)).files)


def studied(place: Path) -> list[Path]:
    leaving = [At(10, lambda: os.chdir(place))]
    return list(tf_rnn.Experiment(**EXPERIMENT).lags(3, tokens=150, out="results", callbacks=leaving).files)


WRITING: dict[str, Callable[[Path], list[Path]]] = {
    "compare": functools.partial(compared, compare),
    "recommend": functools.partial(compared, recommend),
    "lags": studied,
}


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_results_go_where_they_were_meant_to_go(
    write: Callable[[Path], list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of the files are those that the user gave, relative to where the user was."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    files = write(tmp_path / "b")
    assert Path.cwd() == tmp_path / "b", "the process did not change its directory"
    assert list((tmp_path / "b").iterdir()) == []
    assert {file.parent for file in files} == {Path("results")}
    assert all((tmp_path / "a" / file).is_file() for file in files)
    assert not (tmp_path / "a" / "results" / ".lock").exists()


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_results_whose_folder_is_moved_are_not_written_elsewhere(
    write: Callable[[Path], list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "chdir", lambda place: Path("results").rename(place))
    message = (
        f"^out must stay where it is until the run ends, '{tmp_path}/results' has been moved or deleted; "
    )
    with pytest.raises(OptionError, match=message):
        write(tmp_path / "moved")
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


@pytest.mark.parametrize("damage", ['{"cell": 3}', None])
def test_a_damaged_config_is_restored_from_a_checkpoint(
    damage: str | None, tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    config = (tmp_path / "config.json").read_bytes()
    if damage is None:
        (tmp_path / "config.json").unlink()
    else:
        (tmp_path / "config.json").write_text(damage, encoding="utf-8")
    with pytest.raises(OptionError, match=r"^state_size must stay 3 in a resumed run, got 4"):
        tf_rnn.resume(tmp_path, state_size=4)
    assert tf_rnn.resume(tmp_path, updates=9, callbacks=()).result.updates == 9
    assert (tmp_path / "config.json").read_bytes() == config
    assert "config.json was damaged; it is that of the last checkpoint again\n" in capsys.readouterr().err
    for path in checkpoints(tmp_path):
        path.unlink()
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(OptionError, match=r"^resume must hold undamaged results, "):
        tf_rnn.resume(tmp_path, updates=10)


def test_a_run_finds_its_text_from_elsewhere_or_says_whose_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    text, folder = here / "cats.txt", tmp_path / "run"
    text.write_text("a cat sat on a mat. " * 30, encoding="utf-8")
    monkeypatch.chdir(here)
    experiment = tf_rnn.Experiment("text", data="cats.txt", cell="vanilla", state_size=3, batch_size=2)
    run = experiment.train(3, updates=4, out=folder, callbacks=())
    monkeypatch.chdir(elsewhere)
    found, trained = tf_rnn.load(folder, "last").evaluator(batch_size=1).loss, run.evaluation.loss
    assert found == pytest.approx(trained, rel=0.1)
    assert tf_rnn.resume(folder, updates=6, callbacks=()).new_updates == 2

    text.rename(elsewhere / "moved.txt")
    why = f"was trained on {str(text)!r}, where there is nothing now"
    for missing, whose in (
        (lambda: tf_rnn.load(folder).evaluator(), "the model"),
        (lambda: tf_rnn.resume(folder, updates=8), f"the run in {str(folder)!r}"),
    ):
        with pytest.raises(OptionError) as raised:
            missing()
        assert str(raised.value) == f"data must be given: {whose} {why}"
    assert tf_rnn.resume(folder, updates=8, data="moved.txt", callbacks=()).new_updates == 2
    assert tf_rnn.load(folder).evaluator().tokens == 29
