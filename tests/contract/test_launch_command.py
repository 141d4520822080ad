"""`python -m tf_rnn launch`: what cannot be launched is one line, starts no process and leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from command_helpers import assert_refused

from tf_rnn.cli import launch, train
from tf_rnn.cli.cluster import agreement, restarted
from tf_rnn.parallel.launcher import RESTART

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_TRAIN = "the command after -- must be train and its options, got"
REFUSED: dict[str, tuple[list[str], str]] = {
    "nothing": ([], f"{NO_TRAIN} ''"),
    "another command": (["--", "compare", "--task", "echo"], f"{NO_TRAIN} 'compare --task echo'"),
    "an unknown option": (["--", "train", "--no-such"], "unrecognized arguments: --no-such"),
    "a bad value": (["--", "train", "--num-steps", "0"], "--num-steps must be a whole number"),
    "no worker": (["--workers", "0", "--", "train"], "--workers must be a whole number of at least 1, got 0"),
    "a cluster": (["--", "train", "--task-index", "1"], "--task-index must be left out with launch, got 1"),
    "rows": (
        ["--workers", "3", "--", "train", "--batch-size", "7"],
        "--batch-size must be a multiple of the number of workers (3), got 7",
    ),
    "a style": (
        ["--", "train", "--style", "sliding"],
        "--style must be block with several workers, got 'sliding'",
    ),
    "data": (
        ["--", "train", "--task", "text", "--data", "missing.txt"],
        "--data must be the path of a text file",
    ),
    "no run": (["--", "train", "--resume", "missing"], "--resume must be the folder of a training run"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_launched_is_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(["launch", *words], message, capsys)
    assert list(tmp_path.iterdir()) == []


class Launcher:
    """Takes the place of the launcher, and starts nothing."""

    commands: list[list[str]]

    def __init__(self, workers: int, command: Iterable[str], restarts: int) -> None:
        self.commands.append([str(workers), *list(command)[3:], str(restarts)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self) -> int:
        return 0


def test_all_workers_get_the_same_folder_and_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "Launcher", Launcher)
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    Launcher.commands = []
    launch.run({"words": ["--", "train", "--epochs", "1"]}, [])
    launch.run({"workers": 4, "restarts": 0, "words": ["train", "--threads", "3", "--out", "mine"]}, [])
    named, mine = Launcher.commands
    assert named[:4] == ["2", "train", "--epochs", "1"]
    assert named[4] == "--out"
    assert Path(named[5]).name.startswith("train-")
    assert named[6:] == ["--threads", "2", "3"]
    assert mine == ["4", "train", "--threads", "3", "--out", "mine", "0"]


def test_a_new_run_that_is_started_again_is_resumed_if_it_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"out": tmp_path / "run", "epochs": 2.0}
    for count in ("", "0", "1", "x"):
        monkeypatch.setenv(RESTART, count)
        assert restarted(given) == given
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    assert restarted(given) == given
    monkeypatch.setenv(RESTART, "1")
    assert restarted(given) == {"resume": tmp_path / "run", "epochs": 2.0}
    assert restarted({"resume": Path("a")}) == {"resume": Path("a")}


def test_workers_agree_on_options_and_data_but_not_on_places(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc" * 100, encoding="utf-8")
    (tmp_path / "b.txt").write_text("abc" * 100, encoding="utf-8")
    (tmp_path / "c.txt").write_text("abd" * 100, encoding="utf-8")

    def of(name: str, **more: Any) -> str:
        options = {"task": "text", "data": str(tmp_path / name), "batch_size": 2, "num_steps": 5}
        given = options | {"out": None} | more
        return agreement(given, train.prepare(given))

    one = of("a.txt", epochs=1.0)
    assert one == of("b.txt", epochs=1.0)
    assert one == of("a.txt", epochs=1.0, threads=1, task_index=1, out=tmp_path / "new")
    assert len({one, of("c.txt", epochs=1.0), of("a.txt", epochs=2.0), of("a.txt", epochs=1.0, seed=1)}) == 4
