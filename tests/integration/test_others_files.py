"""Links and other people's files are refused before anything is written, and stay as they are."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_fails, files, little_data, succeeds
from model_helpers import keep_run, write_splits

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.files import write_json
from tf_rnn.inference import export, load
from tf_rnn.lock import LOCK, held
from tf_rnn.options import OptionError
from tf_rnn.reporting.folder import results_folder
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import TrainingResult, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = ["--batch-size", "5", "--state-size", "3", "--num-steps", "4"]
TO_FOLDERS = {
    "train": [*SMALL, "--updates", "1"],
    "compare": [*SMALL],
    "lags": [*SMALL, "--tokens", "0"],
    "recommend": [*SMALL, "--amount", "40", "--seeds", "1"],
}


@pytest.fixture(autouse=True)
def _little_data() -> Iterator[None]:
    with little_data():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    return keep_run(place / "run", Text(write_splits(place / "texts")), VanillaCell(4))


def state(folder: Path) -> dict[str, Any]:
    """All files with their content, and the time at which the folder itself was changed."""
    return {**files(folder), "": folder.stat().st_mtime_ns}


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def dangling(path: Path, target: Path) -> None:
    path.symlink_to(target.with_name("nothing"))


def hard_link(path: Path, target: Path) -> None:
    path.hardlink_to(target)


def pipe(path: Path, target: Path) -> None:
    os.mkfifo(path)


def other_file(path: Path, target: Path) -> None:
    path.write_text("somebody's", encoding="utf-8")


NO_LOCKS = [link, dangling, hard_link, pipe, other_file]


@pytest.mark.parametrize("make", NO_LOCKS)
def test_what_is_no_lock_is_neither_written_nor_removed(
    make: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    target, folder = tmp_path / "precious", tmp_path / "folder"
    target.write_text("precious", encoding="utf-8")
    folder.mkdir()
    make(folder / LOCK, target)
    before = state(tmp_path), (folder / LOCK).lstat()
    message = (
        f"resume must be a folder with a lock of its own, got {str(folder)!r}: {str(folder / LOCK)!r} "
        "is a link or another file"
    )
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        held("resume", folder).__enter__()
    after = state(tmp_path), (folder / LOCK).lstat()
    assert (after[0], after[1].st_ino, after[1].st_mtime_ns) == (
        before[0],
        before[1].st_ino,
        before[1].st_mtime_ns,
    )


def test_a_lock_that_was_left_by_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    for content in ("", "process 5 on elsewhere, in a long line" + 500 * "."):
        (tmp_path / LOCK).write_text(content, encoding="utf-8")
        with held("out", tmp_path):
            assert (tmp_path / LOCK).read_text(encoding="utf-8").startswith(f"process {os.getpid()} on ")
        assert list(tmp_path.iterdir()) == []


def test_a_lock_is_removed_from_a_folder_that_was_moved_meanwhile(tmp_path: Path) -> None:
    """And one of the same name at its old place, another command's, is not."""
    (tmp_path / "a").mkdir()
    with held("out", tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / LOCK).write_text("process 5", encoding="utf-8")
    assert files(tmp_path) == {f"a/{LOCK}": b"process 5"}


@pytest.mark.parametrize("make", [link, hard_link])
def test_resume_and_export_write_nothing_through_a_link_as_lock(
    make: Callable[[Path, Path], None], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, copy = tmp_path / "precious", tmp_path / "run"
    target.write_text("precious", encoding="utf-8")
    export_out = tmp_path / "OUT"
    copy.mkdir()
    for name, content in files(run).items():
        (copy / name).parent.mkdir(exist_ok=True, parents=True)
        (copy / name).write_bytes(content)
    make(copy / LOCK, target)
    make(tmp_path / f".OUT{LOCK}", target)
    before = files(tmp_path)
    for words, option in (
        (["train", "--resume", str(copy), "--updates", "2"], "--resume"),
        (["export", str(run), str(export_out)], "OUT"),
    ):
        folder = copy if option == "--resume" else export_out
        beginning = f"error: {option} must be a folder with a lock of its own, got {str(folder)!r}"
        assert beginning in assert_fails(words, 2, capsys, after=3 * (option == "--resume"))
    assert files(tmp_path) == before


@pytest.mark.parametrize("command", TO_FOLDERS)
def test_a_folder_with_other_files_is_refused_and_untouched(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A config of something else does not make it ours, nor does a lock of something else become ours."""
    names = "report.md", "results.json", ".profile", "checkpoints/mine", "loss.png"
    other = {"report.md": "mine", LOCK: "mine"}
    cases: list[tuple[str, dict[str, str]]] = [
        *(("must be a new folder", {name: "{}"}) for name in names),
        *(("must ", other | {"config.json": content}) for content in ('{"model": 3}', "no JSON")),
    ]
    for number, (problem, contents) in enumerate(cases):
        folder = tmp_path / f"out-{number}"
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        before = files(folder) if LOCK in contents else state(folder)
        line = assert_fails([command, *TO_FOLDERS[command], "--out", str(folder)], 2, capsys)
        assert f"error: --out {problem}" in line, contents
        assert (files(folder) if LOCK in contents else state(folder)) == before, contents


def test_what_a_killed_process_leaves_before_its_configuration_is_no_obstacle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("train", "lags"):
        folder = tmp_path / command
        folder.mkdir()
        (folder / LOCK).write_text("process 5 on elsewhere", encoding="utf-8")
        (folder / ".config.json.partial").write_text("{", encoding="utf-8")
        succeeds([command, *TO_FOLDERS[command], "--out", str(folder)], capsys)
        assert not (folder / ".config.json.partial").exists()


def test_results_that_are_half_written_stay_ours(tmp_path: Path) -> None:
    """A full disk, say: the same command again continues, another one is refused."""
    for is_written in (False, True):

        def write(folder: Path, is_written: bool = is_written) -> None:
            if is_written:
                write_json(folder / "lags.json", {})
            raise OptionError("out", "could not be written")

        with (
            pytest.raises(OptionError, match="could not be written"),
            results_folder(tmp_path / "out", {"a": 1}) as folder,
        ):
            write(folder)
        assert (tmp_path / "out").exists() == is_written
    with pytest.raises(OptionError, match="must hold results of the same"), results_folder(folder, {"a": 2}):
        pass
    with results_folder(folder, {"a": 1}):
        assert {path.name for path in folder.iterdir()} == {LOCK, "config.json", "lags.json"}


@pytest.fixture(scope="module")
def result() -> TrainingResult:
    graph = tf_rnn.UnrolledGraph(VanillaCell(3), 4, 5, 2, 2)
    return train(graph, Echo(length=900, valid_length=90), updates=2, callbacks=())


def test_a_curve_is_not_written_over_a_report(result: TrainingResult, run: Path, tmp_path: Path) -> None:
    result.write(tmp_path / "out")
    result.write(tmp_path / "out")  # it is its own
    result.write(run)  # a run's folder
    (tmp_path / "report.md").write_text("mine", encoding="utf-8")
    with pytest.raises(OptionError, match=r"^out must be a new folder, an empty one, or one with results"):
        result.write(tmp_path)
    (tmp_path / "config.json").write_text('{"model": 3}', encoding="utf-8")
    with pytest.raises(OptionError, match=r"^out must hold results of the same configuration"):
        result.write(tmp_path)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "mine"


def test_an_export_leaves_other_files_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(OptionError, match=r"^out must be a new folder or an empty one"):
        export(load(run), tmp_path)
    (tmp_path / ".a.partial").symlink_to(tmp_path)
    (tmp_path / ".b.partial").mkdir()
    (tmp_path / ".b.partial" / "mine").write_text("mine", encoding="utf-8")
    (tmp_path / ".c.partial").write_text("mine", encoding="utf-8")
    for name in "abc":
        message = rf"^out could not be written: '.*/\.{name}\.partial' is in the way, and is not of this "
        with pytest.raises(OptionError, match=message):
            export(load(run), tmp_path / name)
    mine = {"mine", ".b.partial/mine", ".c.partial"}
    assert files(tmp_path) == dict.fromkeys(mine, b"mine")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", ".a.partial", ".b.partial", ".c.partial"}
