"""Checkpoints: there as a whole or not at all, and never taken for what they are not."""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import io
import itertools
import json
import math
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from helpers import assert_close, new_session
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError
from tf_rnn.training import CurvePoint, Place, checkpoints
from tf_rnn.training.checkpoints import (
    Best,
    Checkpoint,
    Checkpoints,
    DamagedError,
    Snapshot,
    read_checkpoint,
)
from tf_rnn.training.record import Average, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CONFIG: dict[str, Any] = {
    "cell": [{"cell": "lstm", "state_size": 5}],
    "graph": {"num_steps": 4, "batch_size": 3, "clip_norm": None},
    "task": {"name": "text", "options": {"data": "cats.txt"}},
    "training": {"budget": {"kind": "epochs", "amount": 3}},
}
RECORD = Record(
    updates=7,
    tokens=84,
    epochs=1,
    epoch_updates=2,
    epoch_tokens=24,
    seconds=0.1 + 0.2,
    largest_norm=math.pi,
    since_point=Average(1 / 3, 2),
    curve=[CurvePoint(0, 0, 0.0, math.nan, 0.75, 0), CurvePoint(5, 60, 0.25, 2 / 3, 0.625, 1)],
)
STATE = [np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5), np.zeros((3, 5), np.float32)]
PLACE = Place(1, 4, 2, 12, STATE, (np.array([1.5, 0.1], np.float32), np.array([1e-300, np.pi])))
SNAPSHOT = Snapshot(
    CONFIG, RECORD, PLACE, [array + 1 for array in STATE], None, ("a", "\n", "é", "\U0001f600")
)
FILES = ("arrays.npz", "manifest.json", "run.json", "variables.data", "variables.index", "vocabulary.json")


def save_variables(path: str) -> None:
    """What TensorFlow does, as far as a folder can tell."""
    Path(f"{path}.index").write_bytes(b"index of the variables")
    Path(f"{path}.data").write_bytes(bytes(range(256)))


def write(made: Checkpoints, **changes: Any) -> str:
    name = made.next_name
    made.write(name, dataclasses.replace(SNAPSHOT, **changes), save_variables)
    return name


def written(folder: Path, count: int, **changes: Any) -> Checkpoints:
    made = Checkpoints(folder)
    for _ in range(count):
        write(made, **changes)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in paths}


def newest(made: Checkpoints) -> tuple[str | None, list[str]]:
    """The newest one's name, and what was told."""
    told: list[str] = []
    found = made.newest(told.append)
    return (found.path.name if found else None), told


def seal(folder: Path) -> None:
    """Makes the manifest fit the files, as somebody would who knows how."""
    files = [path for path in folder.iterdir() if path.name != "manifest.json"]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "manifest.json").write_text(json.dumps(digests), encoding="utf-8")


# --- what is in one ------------------------------------------------------------------------------


def bits(arrays: Any) -> list[Any]:
    return [
        array if array is None else (array.shape, array.dtype, array.tobytes())
        for array in tf.nest.flatten(arrays)
    ]


def assert_same(found: Snapshot, expected: Snapshot) -> None:
    assert found.config == expected.config
    assert found.record.to_json() == expected.record.to_json()
    assert found.place[:4] == expected.place[:4]
    for part in ("state", "measured"):
        assert bits(getattr(found.place, part)) == bits(getattr(expected.place, part)), part
    assert bits(found.final_state) == bits(expected.final_state)
    assert found.best == expected.best
    assert found.vocabulary == expected.vocabulary


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocabulary": None},
        {"vocabulary": ()},
        {"best": Best("checkpoint-000001", 0.1 + 0.2)},
        {"place": Place(), "final_state": None},
        {"place": Place(epoch=3), "record": Record()},
        {"record": dataclasses.replace(RECORD, largest_norm=math.inf)},
        {"final_state": [np.array([[1e-320, -0.0, np.inf, np.nan]]), np.zeros((0, 3), np.float32)]},
        {"config": CONFIG | {"more": [None, True, 1e-320, "é\ud800"]}},
    ],
    ids="-".join,
)
def test_what_is_read_is_what_was_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    write(Checkpoints(tmp_path), **changes)
    found = read_checkpoint(tmp_path / "checkpoint-000001")
    assert_same(found.snapshot, dataclasses.replace(SNAPSHOT, **changes))
    assert found.variables == str(tmp_path / "checkpoint-000001" / "variables")


def test_a_checkpoint_is_a_folder_of_files_with_their_digests(tmp_path: Path) -> None:
    written(tmp_path, 1)
    folder = tmp_path / "checkpoint-000001"
    assert sorted(path.name for path in folder.iterdir()) == list(FILES)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest}
    assert manifest == digests
    assert set(manifest) == set(FILES) - {"manifest.json"}
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["format"] == 1


def test_what_is_kept_is_standard_json(tmp_path: Path) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    written(tmp_path, 1, record=dataclasses.replace(RECORD, largest_norm=math.inf, seconds=math.nan))
    for name in ("run.json", "manifest.json", "vocabulary.json"):
        text = (tmp_path / "checkpoint-000001" / name).read_text(encoding="utf-8")
        json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", ["plain", "with spaces", "[1]", "a*b?", "back\\slash", "ü", "{x}"])
def test_variables_come_back_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    """TensorFlow by itself takes some names for patterns, and then finds nothing."""
    values = {"layer_0/W": STATE[0], "readout/b_p": np.array([5.0, 6.0])}
    with tf.Graph().as_default(), new_session() as session:
        variables = {key: tf.get_variable(key, initializer=value) for key, value in values.items()}
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(variables, max_to_keep=None)
        made = Checkpoints(tmp_path / name)
        save = functools.partial(saver.save, session, write_meta_graph=False, write_state=False)
        made.write(made.next_name, SNAPSHOT, save)
        session.run([tf.assign(variable, 0 * variable) for variable in variables.values()])
        found = made.newest(pytest.fail)
        assert found is not None
        found.restore(saver, session, variables)
        assert_close(session.run(variables), values, 0, "variables")


# --- which there are -----------------------------------------------------------------------------


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    made = Checkpoints(tmp_path / "none")
    assert (made.names, made.next_name, newest(made)) == ([], "checkpoint-000001", (None, []))
    assert made.best(pytest.fail) is None
    assert list(tmp_path.iterdir()) == []


def test_names_are_in_the_order_of_numbers_and_strange_ones_are_none(tmp_path: Path) -> None:
    numbered = ["checkpoint-000002", "checkpoint-000010", "checkpoint-999999", "checkpoint-1000000"]
    strange = [
        "checkpoint-000012.partial", "checkpoint-12", "checkpoint-00000x", "checkpoint-000013 ",
        "checkpoint-", "Checkpoint-000014", "a checkpoint-000015", "checkpoint-000016\n",
        "checkpoint--000017", ".", "notes",
    ]  # fmt: skip
    for name in [*numbered, *strange]:
        (tmp_path / name).mkdir(exist_ok=True)
    made = Checkpoints(tmp_path)
    assert made.names == numbered[::-1]
    assert made.next_name == "checkpoint-1000001"


def test_strange_entries_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "checkpoint-12").mkdir()
    (tmp_path / "checkpoint-000007.txt").write_text("mine", encoding="utf-8")
    before = contents(tmp_path)
    made = written(tmp_path, 3)
    assert newest(made) == ("checkpoint-000003", [])
    assert {name: content for name, content in contents(tmp_path).items() if name in before} == before


def test_a_file_that_is_called_like_a_checkpoint_is_a_damaged_one(tmp_path: Path) -> None:
    made = written(tmp_path, 1)
    (tmp_path / "checkpoint-000009").write_text("mine", encoding="utf-8")
    found, told = newest(made)
    assert (found, len(told)) == ("checkpoint-000001", 1)
    assert told[0] == "checkpoint-000009 is damaged (Not a directory); the one before it is used"
    assert write(made) == "checkpoint-000010"


# --- which are kept ------------------------------------------------------------------------------


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    made = Checkpoints(tmp_path)
    kept, best = [], None
    for number, loss in enumerate((0.75, 0.5, 0.625, 0.625, 0.5, 0.25), start=1):
        if best is None or loss < best.valid_loss:
            best = Best(f"checkpoint-{number:06d}", loss)
        write(made, best=best)
        kept.append([int(name[-6:]) for name in made.names])
    assert kept == [[1], [2, 1], [3, 2], [4, 3, 2], [5, 4, 2], [6, 5]]
    assert newest(made) == ("checkpoint-000006", [])


def test_a_run_that_was_never_evaluated_keeps_two(tmp_path: Path) -> None:
    made = written(tmp_path, 4)
    assert made.names == ["checkpoint-000004", "checkpoint-000003"]
    best = made.best(pytest.fail)
    assert best is not None
    assert best.path.name == "checkpoint-000004", "the newest where none was evaluated"


def test_what_a_run_goes_on_from_is_kept_until_there_are_two_newer(tmp_path: Path) -> None:
    """A damaged one does not count as one of the last two."""
    written(tmp_path, 3)
    (tmp_path / "checkpoint-000003" / "run.json").unlink()
    start = Checkpoints(tmp_path).newest(list[str]().append)
    assert start is not None
    assert start.path.name == "checkpoint-000002"
    made = Checkpoints(tmp_path, start)
    assert write(made) == "checkpoint-000004"
    assert made.names == ["checkpoint-000004", "checkpoint-000002"]
    write(made)
    assert made.names == ["checkpoint-000005", "checkpoint-000004"]


def test_the_best_is_the_one_with_the_lowest_loss_while_it_is_undamaged(tmp_path: Path) -> None:
    made = written(tmp_path, 1)
    for _ in range(3):
        write(made, best=Best("checkpoint-000001", 0.5))
    assert made.names == ["checkpoint-000004", "checkpoint-000003", "checkpoint-000001"]
    best = made.best(pytest.fail)
    assert best is not None
    assert best.path.name == "checkpoint-000001"
    (tmp_path / "checkpoint-000001" / "variables.data").write_bytes(b"")
    told: list[str] = []
    best = made.best(told.append)
    assert best is not None
    assert best.path.name == "checkpoint-000004"
    assert len(told) == 1
    assert told[0] == (
        "checkpoint-000001 is damaged (variables.data is not as it was written); "
        "checkpoint-000004, the newest, is used"
    )
    shutil.rmtree(tmp_path / "checkpoint-000001")
    told.clear()
    best = made.best(told.append)
    assert best is not None
    assert best.path.name == "checkpoint-000004"
    assert len(told) == 1


def test_the_newest_may_be_the_best(tmp_path: Path) -> None:
    made = written(tmp_path, 2, best=Best("checkpoint-000002", 0.5))
    best = made.best(pytest.fail)
    assert best is not None
    assert best.path.name == "checkpoint-000002"


# --- read while a run goes on --------------------------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], Any]) -> None:
    """Something happens just when a checkpoint is about to be read for the first time."""
    original, acts = checkpoints.read_checkpoint, iter([act])

    def read(path: Path) -> Checkpoint:
        if path.name == name:
            next(acts, lambda: None)()
        return original(path)

    monkeypatch.setattr(checkpoints, "read_checkpoint", read)


def test_what_a_run_clears_away_while_it_is_read_was_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then there is a newer one, and nothing to be told."""
    made = written(tmp_path, 2)
    meanwhile(monkeypatch, "checkpoint-000002", lambda: written(tmp_path, 2))
    assert newest(made) == ("checkpoint-000004", [])


def test_a_best_that_is_cleared_away_while_it_is_read_has_been_bettered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = written(tmp_path, 1)
    write(made, best=Best("checkpoint-000001", 0.5))

    def better() -> None:
        write(made, best=Best("checkpoint-000003", 0.25))
        write(made, best=Best("checkpoint-000003", 0.25))
        write(made, best=Best("checkpoint-000003", 0.25))

    meanwhile(monkeypatch, "checkpoint-000001", better)
    best = made.best(pytest.fail)
    assert best is not None
    assert best.path.name == "checkpoint-000003"


def test_a_missing_best_is_told_once_and_not_waited_for(tmp_path: Path) -> None:
    made = written(tmp_path, 2, best=Best("checkpoint-000001", 0.5))
    shutil.rmtree(tmp_path / "checkpoint-000001")
    (tmp_path / "checkpoint-000007").mkdir()
    told: list[str] = []
    best = made.best(told.append)
    assert best is not None
    assert best.path.name == "checkpoint-000002"
    assert told[1:] == ["checkpoint-000001 is missing; checkpoint-000002, the newest, is used"]
    assert told[0].startswith("checkpoint-000007 is damaged (")


def test_a_reader_never_sees_half_of_what_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has lost its name before the first of its files goes."""
    cleared: list[str] = []
    remove = shutil.rmtree

    def watch(path: Path, *arguments: Any, **options: Any) -> None:
        cleared.append(path.name)
        remove(path, *arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", watch)
    made = written(tmp_path, 4)
    assert made.names == ["checkpoint-000004", "checkpoint-000003"]
    assert set(cleared) == {f"checkpoint-00000{number}.partial" for number in (1, 2, 3, 4)}
    assert sorted(path.name for path in tmp_path.iterdir()) == made.names[::-1]


# --- writing that fails --------------------------------------------------------------------------


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_of_tensorflow(*_: Any) -> Any:
    raise tf.errors.ResourceExhaustedError(None, None, "/tmp/x; No space left on device\nmore lines")


def half(path: str) -> None:
    save_variables(path)
    full()


class Failure(NamedTuple):
    """What fails: saving the variables, or the call of this number of something else."""

    save: Callable[[str], None] = save_variables
    place: Any = None
    attribute: str = ""
    number: int = 1


FAILURES = {
    "folder": Failure(place=Path, attribute="mkdir"),
    "variables": Failure(full),
    "variables, half of them": Failure(half),
    "variables, by TensorFlow": Failure(full_of_tensorflow),
    "arrays": Failure(place=np, attribute="savez"),
    "run.json": Failure(place=checkpoints, attribute="_write_json"),
    "vocabulary.json": Failure(place=checkpoints, attribute="_write_json", number=2),
    "manifest.json": Failure(place=checkpoints, attribute="_write_json", number=3),
    "digest": Failure(place=checkpoints, attribute="_digest", number=4),
    "seal": Failure(place=checkpoints, attribute="_seal"),
    "first synchronisation": Failure(place=os, attribute="fsync"),
    "last synchronisation": Failure(place=os, attribute="fsync", number=len(FILES)),
    "rename": Failure(place=Path, attribute="rename"),
}


def failing(failure: Failure) -> Callable[..., Any]:
    """The original, but for one call."""
    original = getattr(failure.place, failure.attribute)
    numbers = itertools.count(1)

    def call(*arguments: Any, **options: Any) -> Any:
        return full() if next(numbers) == failure.number else original(*arguments, **options)

    return call


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("before", [0, 2])
def test_a_checkpoint_that_cannot_be_written_leaves_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: int
) -> None:
    folder = tmp_path / "checkpoints"
    made = written(folder, before)
    kept = contents(tmp_path)
    failure = FAILURES[name]
    with monkeypatch.context() as patched:
        if failure.place is not None:
            patched.setattr(failure.place, failure.attribute, failing(failure))
        with pytest.raises(OptionError) as caught:
            made.write(made.next_name, SNAPSHOT, failure.save)
    partial = str(folder / f"checkpoint-{before + 1:06d}.partial")
    reason = "/tmp/x; No space left on device" if "TensorFlow" in name else "No space left on device"
    assert str(caught.value) == f"out could not be written: {reason} ({partial!r})"
    assert caught.value.option == "out"
    found = contents(tmp_path)
    found.pop("checkpoints", None)  # an empty folder is no harm
    kept.pop("checkpoints", None)
    assert found == kept, f"{sorted(found)}, not {sorted(kept)}"
    assert write(made) == f"checkpoint-{before + 1:06d}"
    assert newest(made) == (f"checkpoint-{before + 1:06d}", [])


def test_a_folder_that_cannot_be_synchronised_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems do not let a folder be opened; its files are safe all the same."""
    opened = os.open

    def only_files(path: Any, *arguments: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", only_files)
    assert newest(written(tmp_path, 1)) == ("checkpoint-000001", [])


def test_until_it_is_complete_a_checkpoint_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are on the disk before the name is."""
    made = written(tmp_path, 1)
    events: list[Any] = []
    synchronised, renamed = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        events.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        assert made.names == ["checkpoint-000001"] or events[-1][1] == tmp_path.name
        synchronised(descriptor)

    def rename(path: Path, target: Path) -> Path:
        events.append(("rename", path.name, target.name))
        return renamed(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    write(made)
    partial, name = "checkpoint-000002.partial", "checkpoint-000002"
    files = [event for event in events if event[0] == "fsync"]
    assert {event[1] for event in files} == {*FILES, partial, tmp_path.name}
    assert events[-2:] == [("rename", partial, name), ("fsync", tmp_path.name)]


def test_what_was_left_by_a_process_that_was_killed_is_cleared_away(tmp_path: Path) -> None:
    made = written(tmp_path, 1)
    kept = contents(tmp_path)

    def die(path: str) -> None:
        save_variables(path)
        raise SystemExit

    with pytest.raises(SystemExit):
        made.write(made.next_name, SNAPSHOT, die)
    assert (tmp_path / "checkpoint-000002.partial" / "variables.data").exists()
    (tmp_path / "checkpoint-000009.partial").mkdir()
    assert newest(made) == ("checkpoint-000001", [])
    assert {name: content for name, content in contents(tmp_path).items() if name in kept} == kept
    assert write(made) == "checkpoint-000002"
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-000001", "checkpoint-000002"}


# --- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With checkpoints 1 to 3, the first being the best."""
    folder = tmp_path_factory.mktemp("checkpoints")
    written(folder, 3, best=Best("checkpoint-000001", 0.5))
    return folder


@pytest.fixture
def last(folder: Path) -> Iterator[Path]:
    """The newest of them, which is as it was again after the test."""
    path = folder / "checkpoint-000003"
    kept = contents(path)
    yield path
    shutil.rmtree(path)
    path.mkdir()
    for name, content in kept.items():
        (path / name).write_bytes(content)


def assert_passed_over(path: Path, reason: str | None = None, what: Any = "") -> None:
    """The one before is used, and one line says so."""
    found, told = newest(Checkpoints(path.parent))
    assert found == "checkpoint-000002", f"{what}: {found} was used"
    assert len(told) == 1, f"{what}: {told}"
    start, end = "checkpoint-000003 is damaged (", "); the one before it is used"
    assert told[0].startswith(start), f"{what}: {told[0]}"
    assert told[0].endswith(end), f"{what}: {told[0]}"
    assert told[0].isprintable(), f"{what}: {told[0]!r}"
    found_reason = told[0].removeprefix(start).removesuffix(end)
    assert found_reason, f"{what}: no reason"
    assert reason is None or found_reason == reason, f"{what}: {found_reason}, not {reason}"


def test_a_bit_that_has_changed_is_noticed(last: Path) -> None:
    assert newest(Checkpoints(last.parent)) == ("checkpoint-000003", [])
    for name in FILES:
        path = last / name
        content = path.read_bytes()
        for place in {0, 1, len(content) // 3, len(content) // 2, len(content) - 2, len(content) - 1}:
            for bit in (0, 3, 7):
                flipped = bytearray(content)
                flipped[place] ^= 1 << bit
                path.write_bytes(bytes(flipped))
                assert_passed_over(last, what=f"{name}, byte {place}, bit {bit}")
        path.write_bytes(content)
    assert newest(Checkpoints(last.parent)) == ("checkpoint-000003", [])


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_short_or_longer_or_gone_is_noticed(last: Path, name: str) -> None:
    path = last / name
    content = path.read_bytes()
    reason = None if name == "manifest.json" else f"{name} is not as it was written"
    for length in (0, 1, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:length])
        assert_passed_over(last, reason, f"{length} bytes")
    path.write_bytes(content + b"\0")
    assert_passed_over(last, reason, "a byte more")
    path.unlink()
    missing = "No such file or directory" if reason is None else "its files are not those of its manifest"
    assert_passed_over(last, missing, "gone")
    path.mkdir()
    assert_passed_over(last, "Is a directory", "a folder")


def test_a_file_more_is_noticed(last: Path) -> None:
    (last / "more.txt").write_text("", encoding="utf-8")
    assert_passed_over(last, "its files are not those of its manifest")


def test_an_empty_folder_is_no_checkpoint(last: Path) -> None:
    shutil.rmtree(last)
    last.mkdir()
    assert_passed_over(last, "No such file or directory")


@pytest.mark.parametrize(
    "manifest",
    [
        b"", b" ", b"{", b"[]", b"{}", b"3", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b"NaN",
        b'{"run.json": 3}', json.dumps(sorted(FILES)).encode(), b'{"../../x": "0"}',
    ],
    ids=lambda manifest: repr(manifest[:12]),
)  # fmt: skip
def test_a_manifest_that_is_none_is_noticed(last: Path, manifest: bytes) -> None:
    (last / "manifest.json").write_bytes(manifest)
    assert_passed_over(last)


@pytest.mark.parametrize("value", [None, 3, "", "0" * 64, [], {}, True])
def test_a_digest_that_is_none_is_noticed(last: Path, value: Any) -> None:
    manifest = json.loads((last / "manifest.json").read_text(encoding="utf-8"))
    text = json.dumps(manifest | {"run.json": value})
    (last / "manifest.json").write_text(text, encoding="utf-8")
    assert_passed_over(last, "run.json is not as it was written")


def test_several_damaged_ones_are_told_one_by_one(last: Path) -> None:
    (last / "run.json").unlink()
    before = last.parent / "checkpoint-000002" / "run.json"
    content = before.read_bytes()
    before.write_bytes(content[:-5])
    found, told = newest(Checkpoints(last.parent))
    before.write_bytes(content)
    assert found == "checkpoint-000001"
    assert [line.partition(" ")[0] for line in told] == ["checkpoint-000003", "checkpoint-000002"]


def test_where_all_are_damaged_there_is_none(tmp_path: Path) -> None:
    made = written(tmp_path, 2)
    for name in made.names:
        (tmp_path / name / "arrays.npz").write_bytes(b"")
    found, told = newest(made)
    assert (found, len(told)) == (None, 2)
    assert made.best(told.append) is None


# --- what is sealed, but is no checkpoint --------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def replace_run(path: Path, value: Any) -> None:
    (path / "run.json").write_text(json.dumps(value), encoding="utf-8")
    seal(path)


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newest checkpoint that tests may spoil again and again."""
    folder = tmp_path_factory.mktemp("spare")
    written(folder, 3, best=Best("checkpoint-000001", 0.5))
    return folder / "checkpoint-000003"


@settings(deadline=None)
@given(value=JSON)
def test_any_json_in_place_of_a_run_is_noticed(spare: Path, value: Any) -> None:
    replace_run(spare, value)
    assert_passed_over(spare, what=value)


def parts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where all parts of nested JSON are."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, part in inner for place in parts(part, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_json_in_place_of_a_part_of_a_run_is_noticed_or_does_no_harm(
    spare: Path, data: st.DataObject
) -> None:
    """Counts are counts and numbers are numbers in what is read."""
    run = json.loads((spare.parent / "checkpoint-000002" / "run.json").read_text(encoding="utf-8"))
    place = data.draw(st.sampled_from(parts(run)))
    replace_run(spare, replaced(run, place, data.draw(JSON)))
    found, told = newest(Checkpoints(spare.parent))
    if found == "checkpoint-000002":
        assert_passed_over(spare, what=place)
        return
    assert (found, told) == ("checkpoint-000003", [])
    snapshot = read_checkpoint(spare).snapshot
    record = snapshot.record
    counts = [record.updates, record.tokens, record.epochs, record.epoch_updates, record.epoch_tokens]
    counts += [record.since_point.count, *snapshot.place[:4]]
    numbers = [record.seconds, record.largest_norm, record.since_point.total]
    for point in record.curve:
        counts += [point.updates, point.tokens, point.epoch]
        numbers += [point.seconds, point.train_loss, point.valid_loss]
    if snapshot.best is not None:
        numbers.append(snapshot.best.valid_loss)
        assert Path(snapshot.best.name).name == snapshot.best.name
    assert {type(count) for count in counts} == {int}, counts
    assert min(counts) >= 0, counts
    assert {type(number) for number in numbers} == {float}, numbers
    assert isinstance(snapshot.config, dict)


@pytest.mark.parametrize(
    "name",
    ["../../x", "checkpoint-000001/../../x", "/etc", "", ".", "checkpoint-000001\n", "checkpoint-1", 3, None],
)
def test_the_best_is_no_path_to_somewhere_else(last: Path, name: Any) -> None:
    run = json.loads((last / "run.json").read_text(encoding="utf-8"))
    replace_run(last, run | {"best": {"name": name, "valid_loss": 0.5}})
    assert_passed_over(last)


@pytest.mark.parametrize(
    ("number", "reason"), [(2, "its format is 2, not 1"), ("1", "its format is '1', not 1")]
)
def test_another_format_is_not_read(last: Path, number: Any, reason: str) -> None:
    run = json.loads((last / "run.json").read_text(encoding="utf-8"))
    replace_run(last, run | {"format": number})
    assert_passed_over(last, reason)


def test_a_part_that_is_missing_is_named(last: Path) -> None:
    run = json.loads((last / "run.json").read_text(encoding="utf-8"))
    del run["record"]["tokens"]
    replace_run(last, run)
    assert_passed_over(last, "'tokens' is missing")


@pytest.mark.parametrize("tokens", [{"a": 1}, "abc", 3, [1, 2], ["a", None], None])
def test_a_vocabulary_is_a_list_of_tokens(last: Path, tokens: Any) -> None:
    (last / "vocabulary.json").write_text(json.dumps(tokens), encoding="utf-8")
    seal(last)
    assert_passed_over(last, "its vocabulary is no list of tokens")


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def as_object_array(path: Path, trap: Trap) -> None:
    np.savez(path, state_0=np.array([trap], object), state_1=STATE[1])


def as_pickle(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps(trap))


def as_pickle_within(path: Path, trap: Trap) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("state_0.npy", pickle.dumps(trap))


def as_plain_array(path: Path, trap: Trap) -> None:
    made = io.BytesIO()
    np.save(made, STATE[0])
    path.write_bytes(made.getvalue())


def as_no_archive(path: Path, trap: Trap) -> None:
    path.write_bytes(b"PK\x03\x04 but no archive")


def as_empty(path: Path, trap: Trap) -> None:
    path.write_bytes(b"")


def as_part(path: Path, trap: Trap) -> None:
    np.savez(path, state_0=STATE[0])


def as_huge(path: Path, trap: Trap) -> None:
    """A header that promises more than there is, or than anybody has."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807,), }"
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("state_0.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def as_spoilt(path: Path, trap: Trap) -> None:
    np.savez_compressed(path, state_0=np.random.default_rng(0).normal(size=99), state_1=STATE[1])
    content = bytearray(path.read_bytes())
    content[200:220] = bytes(20)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "make",
    [
        as_object_array,
        as_pickle,
        as_pickle_within,
        as_plain_array,
        as_no_archive,
        as_empty,
        as_part,
        as_huge,
        as_spoilt,
    ],
)
def test_arrays_that_are_none_are_noticed_and_nothing_is_unpickled(
    last: Path, tmp_path: Path, make: Callable[[Path, Trap], None]
) -> None:
    trap = tmp_path / "unpickled"
    make(last / "arrays.npz", Trap(trap))
    seal(last)
    assert_passed_over(last)
    assert not trap.exists()


def test_reading_says_what_is_wrong(last: Path) -> None:
    (last / "run.json").unlink()
    with pytest.raises(DamagedError, match=r"^its files are not those of its manifest$"):
        read_checkpoint(last)


def test_a_checkpoint_is_where_its_variables_are(last: Path) -> None:
    found = read_checkpoint(last)
    assert found == Checkpoint(last, found.snapshot)
    assert Path(f"{found.variables}.index").exists()


@pytest.mark.parametrize("name", [*FILES, "."])
def test_a_link_out_of_a_checkpoint_is_noticed(folder: Path, last: Path, name: str) -> None:
    """Even to a file with the right content: what is in a checkpoint is in its folder."""
    path = last if name == "." else last / name
    elsewhere = folder / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    reason = f"{path.name} is a link to somewhere else, or no file"
    assert_passed_over(last, reason)
    path.unlink()
    elsewhere.rename(path)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.npz"])
def test_a_pipe_in_a_checkpoint_is_not_waited_for(last: Path, name: str) -> None:
    (last / name).unlink()
    os.mkfifo(last / name)
    assert_passed_over(last, f"{name} is a link to somewhere else, or no file")
