"""Checkpoints: replaced as a whole, exact, and never mistaken for something else."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import math
import os
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.options import OptionError
from tf_rnn.training import CurvePoint, History, StreamPosition, TrainingState
from tf_rnn.training.checkpoints import Checkpoints, DamagedError, read_checkpoint
from tf_rnn.training.state import Best

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG: dict[str, Any] = {"graph": {"num_steps": 4, "clip_norm": None}, "task": {"name": "é\ud800"}}
START, POINT = CurvePoint(0, 0, 0.0, math.nan, 0.75, 0), CurvePoint(5, 60, 0.25, 2 / 3, 0.625, 1)
HISTORY = History(7, 84, 1, 2, 24, 0.1 + 0.2, math.pi, 1 / 3, 2, [START, POINT])
STRANGE = History(
    2**53, 2**53, 0, 0, 0, 1e-320, math.inf, math.nan, 1, [CurvePoint(2**53, 1, -0.0, 1e308, 1e308, 0)]
)
CARRIED = [np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5), np.zeros((3, 5), np.float32)]
VARIABLES = {"layer_0/W": CARRIED[0] + 1, "layer_0/W/m": CARRIED[0] + 2, "theta": np.array(0.1)}
POSITION = StreamPosition(1, 4, 2, 12, (np.array([1.5, 0.1], np.float32), np.array([1e-300, np.pi])))
STATE = TrainingState(CONFIG, VARIABLES, CARRIED, POSITION, HISTORY, None, ("a", "\n", "\U0001f600"))


def make(folder: Path) -> Checkpoints:
    return Checkpoints(folder, "resume")


def write(made: Checkpoints, **changes: Any) -> int:
    number = made.next_number
    made.write(number, dataclasses.replace(STATE, **changes))
    return number


def written(folder: Path, count: int, **changes: Any) -> Checkpoints:
    made = make(folder)
    for _ in range(count):
        write(made, **changes)
    return made


def newest(made: Checkpoints) -> tuple[int | None, list[str]]:
    """The number of the newest, and the warnings."""
    warnings: list[str] = []
    found = made.newest(warnings.append)
    return (found.number if found else None), warnings


def best(made: Checkpoints, warn: Callable[[str], None] = pytest.fail) -> int:
    found = made.best(warn)
    assert found is not None
    return found.number


def bits(value: Any) -> Any:
    """Equal if and only if every bit is; the type of a container does not matter."""
    if dataclasses.is_dataclass(value):
        return {field.name: bits(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: bits(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [bits(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    return repr(value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vocabulary": None},
        {"vocabulary": (), "best": Best(1, 0.1 + 0.2), "history": STRANGE},
        {"position": StreamPosition(), "carried": None, "history": History()},
        {"variables": {"x": np.array([[1e-320, -0.0, np.inf, np.nan]]), "y": np.zeros((0, 3), np.float32)}},
        {"config": {"more": [None, True, 1e-320, "é\ud800"]}},
        {"carried": [np.full(2, number, np.float64) for number in range(12)]},  # 10 comes after 9
    ],
    ids="-".join,
)
def test_what_is_read_is_what_was_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    written(tmp_path, 1, **changes)
    found = read_checkpoint(tmp_path / "checkpoint-000001.npz")
    assert bits(found) == bits(dataclasses.replace(STATE, **changes))
    assert type(found.history.curve) is list
    assert all(type(point) is CurvePoint for point in found.history.curve)


def test_it_can_be_read_with_numpy_alone(tmp_path: Path) -> None:
    written(tmp_path, 1)
    with np.load(tmp_path / "checkpoint-000001.npz", allow_pickle=False) as arrays:
        assert arrays["format"] == 2
        np.testing.assert_array_equal(arrays["variables/layer_0/W"], VARIABLES["layer_0/W"], strict=True)
        assert json.loads(arrays["config"].tobytes()) == CONFIG


# --- which exist, and which are kept -------------------------------------------------------------


def test_other_files_are_neither_checkpoints_nor_deleted(tmp_path: Path) -> None:
    none = make(tmp_path / "none")
    assert (none.numbers, none.next_number, newest(none), none.best()) == ([], 1, (None, []), None)
    assert list(tmp_path.iterdir()) == []
    names = ["checkpoint-12.npz", "checkpoint-00000x.npz", "Checkpoint-000014.npz", "checkpoint-000016.npz\n"]
    for name in (*names, "checkpoint-000018.txt", "mine.npz.partial", "notes"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    before = set(tmp_path.iterdir())
    made = written(tmp_path, 3)
    assert made.numbers == [3, 2]
    assert before < set(tmp_path.iterdir())
    (tmp_path / "checkpoint-999999.npz").touch()
    (tmp_path / "checkpoint-1000000.npz").touch()
    assert made.numbers == [1000000, 999999, 3, 2]


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    made = make(tmp_path)
    kept, lowest = [], None
    for number, loss in enumerate((0.75, 0.5, 0.625, 0.625, 0.5, 0.25), start=1):
        if lowest is None or loss < lowest.valid_loss:
            lowest = Best(number, loss)
        write(made, best=lowest)
        kept.append(made.numbers)
    assert kept == [[1], [2, 1], [3, 2], [4, 3, 2], [5, 4, 2], [6, 5]]


def test_a_checkpoint_that_a_run_was_resumed_from_is_kept_until_there_are_two_newer(tmp_path: Path) -> None:
    """A damaged one does not count as one of the last two; what a killed process left is deleted."""
    written(tmp_path, 3)
    (tmp_path / "checkpoint-000003.npz").write_bytes(b"")
    made = Checkpoints(tmp_path, "resume", start=2)
    for number in (4, 9):
        (tmp_path / f".checkpoint-{number:06d}.npz.partial").write_bytes(b"half of it")
    assert write(made) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-000002.npz", "checkpoint-000004.npz"}
    write(made)
    assert made.numbers == [5, 4]


def test_the_best_is_the_one_with_the_lowest_loss_while_it_is_undamaged(tmp_path: Path) -> None:
    made = written(tmp_path, 1)
    assert best(made) == 1, "the newest where none was evaluated"
    for _ in range(3):
        write(made, best=Best(1, 0.5))
    assert (made.numbers, best(made)) == ([4, 3, 1], 1)
    path, warnings = tmp_path / "checkpoint-000001.npz", list[str]()
    path.write_bytes(b"")
    assert best(made, warnings.append) == 4
    path.unlink()
    assert best(made, warnings.append) == 4
    assert warnings == [
        f"{path.name} is {what}; checkpoint-000004.npz, the newest, is used"
        for what in ("damaged (File is not a zip file)", "missing")
    ]


def test_checkpoints_of_an_earlier_version_are_reported(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-000002").mkdir()
    with pytest.raises(OptionError, match=r"^resume must hold checkpoints of this version, "):
        make(tmp_path).newest()


@pytest.mark.parametrize("find", ["newest", "best"])
def test_a_checkpoint_that_is_deleted_while_it_is_read_has_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, find: str
) -> None:
    """There is nothing to warn of."""
    made = written(tmp_path, 1)
    write(made, best=Best(1, 0.5))
    read, acts = Path.read_bytes, iter([1])

    def read_late(path: Path) -> bytes:
        if path.name == ("checkpoint-000002.npz" if find == "newest" else "checkpoint-000001.npz"):
            for _ in acts:
                written(tmp_path, 3, best=Best(4, 0.25))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_late)
    found = getattr(made, find)(pytest.fail)
    assert found.number == {"newest": 5, "best": 4}[find]


# --- damage --------------------------------------------------------------------------------------


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The newest of three checkpoints."""
    position, variables = StreamPosition(measured=(np.ones(2),)), {"readout/U": np.ones((2, 3))}
    written(tmp_path, 3, best=Best(1, 0.5), carried=None, position=position, variables=variables)
    return tmp_path / "checkpoint-000003.npz"


def assert_skipped(path: Path, reason: str | None = None, what: Any = "") -> None:
    """The one before is used, and one line says so."""
    found, warnings = newest(make(path.parent))
    assert found == 2, f"{what}: {found} was used"
    assert len(warnings) == 1, f"{what}: {warnings}"
    begin, end = f"{path.name} is damaged (", "); the one before it is used"
    found_reason = warnings[0].removeprefix(begin).removesuffix(end)
    assert warnings[0] == f"{begin}{found_reason}{end}", f"{what}: {warnings[0]}"
    assert warnings[0].isprintable(), f"{what}: {warnings[0]!r}"
    assert found_reason, f"{what}: no reason"
    assert reason is None or found_reason == reason, f"{what}: {found_reason}, not {reason}"


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 23])
def test_every_byte_of_data_is_verified(last: Path, every: int) -> None:
    """A flipped bit anywhere is noticed, or does not change what is read: a date in the archive, say."""
    content, harmless = last.read_bytes(), 0
    data = set[int]()
    with zipfile.ZipFile(last) as archive:
        for entry in archive.infolist():
            head = content[entry.header_offset : entry.header_offset + 30]
            names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            begin = entry.header_offset + 30 + names
            data |= set(range(begin, begin + entry.file_size))
    assert len(data) > len(content) / 3
    expected = bits(read_checkpoint(last))
    for place in range(0, len(content), every):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        last.write_bytes(bytes(flipped))
        try:
            found = read_checkpoint(last)
        except DamagedError:
            continue
        harmless += 1
        assert place not in data, f"byte {place} of {len(content)}"
        assert bits(found) == expected, f"byte {place} of {len(content)}"
    assert harmless < len(content) / every / 3


def test_what_is_no_file_is_skipped_and_so_is_every_damaged_one(last: Path) -> None:
    """That any damage is noticed is in test_crashes and test_damaged_folders."""
    for content in (b"", b"PK\x03\x04 but no archive", pickle.dumps({}), b"\x93NUMPY\x01\x00"):
        last.write_bytes(content)
        assert_skipped(last, what=content)
    for replace in (Path.mkdir, os.mkfifo, lambda path: path.symlink_to("checkpoint-000001.npz")):
        last.rmdir() if last.is_dir() else last.unlink()
        replace(last)
        assert_skipped(last, "it is a link, or no file")
    last.with_name("checkpoint-000002.npz").write_bytes(b"")
    found, warnings = newest(make(last.parent))
    assert found == 1
    assert [line.partition(".")[0] for line in warnings] == ["checkpoint-000003", "checkpoint-000002"]
    last.with_name("checkpoint-000001.npz").write_bytes(b"")
    assert newest(make(last.parent))[0] is None


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def made_up(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Archives with the right checksums that are not checkpoints."""
    with np.load(path) as arrays:
        good = dict(arrays)
    for name in good:
        yield f"without {name}", {key: value for key, value in good.items() if key != name}
    yield "with more", good | {"more": np.zeros(3)}
    strange = np.array(3.5), np.zeros(2, np.int32), np.array(["a"]), np.full(6, -1), np.zeros((1, 1))
    for name in ("counts", "numbers", "position", "curve", "best", "config", "vocabulary", "format"):
        for value in strange:
            yield f"{name} is {value!r}", good | {name: value}
    for text in ("", "[", "3", "[3]", "null"):
        for name in ("config", "vocabulary"):
            yield f"{name} is {text!r}", good | {name: np.frombuffer(text.encode(), np.uint8)}
    for name in ("counts", "position"):
        yield f"a negative part of {name}", good | {name: -good[name] - 1}
    yield "a count is not whole", good | {"curve": good["curve"] * np.nan}


def test_archives_that_are_not_checkpoints_are_noticed(last: Path, tmp_path: Path) -> None:
    """Nothing is unpickled, nor made as large as it claims to be."""
    for what, arrays in made_up(last):
        np.savez(last, **arrays)
        assert_skipped(last, what=what)
    np.savez(last, format=np.array(3))
    assert_skipped(last, "its format is 3, not 2")
    trap = Trap(tmp_path / "unpickled")
    np.savez(last, format=np.array([trap], object))
    assert_skipped(last)
    for content in (pickle.dumps(trap), b"not an array"):
        with zipfile.ZipFile(last, "w") as archive:
            archive.writestr("format.npy", content)
        assert_skipped(last)
    assert not trap.path.exists()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, format=np.zeros(10**6))
    last.write_bytes(buffer.getvalue())
    assert_skipped(last, "it is compressed")


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Denied"), OSError(errno.EIO, "I/O")])
@pytest.mark.parametrize("find", ["newest", "best"])
def test_a_checkpoint_that_cannot_be_read_is_not_damaged(
    last: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, find: str
) -> None:
    """It is reported, not skipped, and nothing is deleted; nor where memory is short."""
    before = {path.name for path in last.parent.iterdir()}

    def fail(*_: Any, **__: Any) -> Any:
        raise failures.pop()

    failures: list[Exception] = [MemoryError(), error]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", fail)
        with pytest.raises(OptionError) as caught:
            getattr(make(last.parent), find)(pytest.fail)
    assert str(caught.value) == f"resume could not be read: {error.strerror} ({str(last)!r})"
    with monkeypatch.context() as patched:
        patched.setattr(np, "load", fail)
        with pytest.raises(MemoryError):
            getattr(make(last.parent), find)(pytest.fail)
    assert {path.name for path in last.parent.iterdir()} == before
