"""Files that are there as a whole or not at all, and the folders that hold results of one configuration."""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tf_rnn import files
from tf_rnn.files import (
    claim_folder,
    folder_name,
    make_folder,
    plain,
    read_json,
    require_same,
    write_figure,
    write_json,
    write_text,
)
from tf_rnn.options import OptionError
from tf_rnn.text import loss_text

IDENTITY: dict[str, Any] = {"task": "echo", "cell": "gru", "state_size": 5, "widths": (2, 4)}
IDENTITY["clip_norm"] = None
KEPT = IDENTITY | {"widths": [2, 4]}  # as JSON keeps it


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(problem: str) -> Any:
    """An error for `out` in exactly these words."""
    return pytest.raises(OptionError, match=f"^out {re.escape(problem)}$")


# --- files ---------------------------------------------------------------------------------------


def test_a_text_is_written_in_utf_8(tmp_path: Path) -> None:
    """What it lacks, such as a byte of an argument that is no UTF-8, is escaped."""
    path = tmp_path / "a.txt"
    for text, expected in [
        ("Kätzchen — ∂\n", "Kätzchen — ∂\n".encode()),
        ("x\udcff y\ud800", rb"x\udcff y\ud800"),
        ("", b""),
    ]:
        write_text(path, text)
        assert contents(tmp_path) == {"a.txt": expected}


@pytest.mark.parametrize("old", [None, b"what was there"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.txt"
    if old is not None:
        path.write_bytes(old)
    for place, name in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, fail)
            with refused(f"could not be written: No space left on device ({str(path)!r})"):
                write_text(path, "new")
        assert contents(tmp_path) == ({} if old is None else {"a.txt": old}), name


def test_what_is_written_does_not_go_through_a_link(tmp_path: Path) -> None:
    """A folder made by somebody else may have one in place of the file or of its temporary name."""
    outside, folder = tmp_path / "outside.txt", tmp_path / "folder"
    outside.write_text("mine", encoding="utf-8")
    folder.mkdir()
    links = (".a.txt.partial", "a.txt", ".write-test")
    for name in links:
        (folder / name).symlink_to(outside)
    make_folder("out", folder)
    assert {path.name for path in folder.iterdir() if path.is_symlink()} == {*links}
    write_text(folder / "a.txt", "new")
    assert outside.read_text(encoding="utf-8") == "mine"
    assert [path.name for path in folder.iterdir() if not path.is_symlink()] == ["a.txt"]


def test_until_it_is_complete_a_file_is_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(contents(tmp_path)))
    write_text(path, "new")
    # First the file, then its folder.
    assert seen == [{"a.txt": b"old", ".a.txt.partial": b"new"}, {"a.txt": b"new"}]
    assert contents(tmp_path) == {"a.txt": b"new"}


def test_json_is_standard_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, 0.1, None, "ä"]})
    before = path.read_bytes()
    assert json.loads(before) == read_json(path) == {"a": [1, 0.1, None, "ä"]}
    assert before.endswith(b"}\n")
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
            write_json(path, {"a": number})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert contents(tmp_path) == {"a.json": before}


def test_a_figure_is_a_png_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    figure = Figure(figsize=(1, 1))
    write_figure(path, figure)
    before = contents(tmp_path)
    assert list(before) == ["a.png"]
    assert before["a.png"].startswith(b"\x89PNG\r\n")

    def fail(self: Figure, partial: Path, **_: object) -> None:
        partial.write_bytes(b"\x89PN")
        raise ValueError("Axis limits cannot be NaN or Inf")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(ValueError, match=r"^Axis limits"):
        write_figure(path, figure)
    assert contents(tmp_path) == before


# --- reading -------------------------------------------------------------------------------------

DAMAGED = [
    b"",
    b"{",
    b'{"a": 3}}',
    b"[1]",
    b"3",
    b"null",
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": "\xe9"}',
]


@pytest.mark.parametrize("content", [*DAMAGED, None])
def test_damaged_files_are_refused_and_not_overwritten(tmp_path: Path, content: bytes | None) -> None:
    """Nor is a folder in place of a file."""
    path = tmp_path / files.CONFIG
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    problem = f"must hold undamaged results, {str(path)!r} cannot be read; choose another folder"
    with refused(problem):
        read_json(path)
    with refused(problem):
        claim_folder(tmp_path, IDENTITY)
    assert path.is_dir() if content is None else contents(tmp_path) == {files.CONFIG: content}


# --- folders -------------------------------------------------------------------------------------


def test_what_is_no_folder_or_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may write anywhere, so that no permission is refused by itself."""

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.txt"
    path.write_text("mine", encoding="utf-8")
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    for folder, reason in (
        (path, "File exists"),
        (path / "b", "Not a directory"),
        (tmp_path, "Permission denied"),
    ):
        with refused(f"must be a folder that can be written, got {str(folder)!r} ({reason})"):
            make_folder("out", folder)
    assert contents(tmp_path) == {"a.txt": b"mine"}


def test_a_claimed_folder_holds_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "out"
    assert claim_folder(folder, IDENTITY) == KEPT
    before = contents(folder)
    assert {name: json.loads(content) for name, content in before.items()} == {"config.json": KEPT}
    assert claim_folder(folder, IDENTITY) == KEPT  # again: the same configuration
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cell": "lstm"}, "cell is 'gru', here 'lstm'"),
        ({"widths": (2, 5), "seed": 3}, "seed is None, here 3"),
        ({"state_size": 7, "task": "copy"}, "state_size is 5, here 7"),  # the first in the alphabet
    ],
)
def test_another_configuration_is_not_claimed(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    claim_folder(tmp_path, IDENTITY)
    before = contents(tmp_path)
    place = f"in {str(tmp_path)!r} {words}; choose another folder"
    with refused(f"must hold results of the same configuration; {place}"):
        claim_folder(tmp_path, IDENTITY | changes)
    assert contents(tmp_path) == before
    require_same(tmp_path, {"a": 1, "b": None}, {"a": 1.0})  # equal, and None is the same as nothing


def test_numbers_of_other_types_are_written_as_numbers(tmp_path: Path) -> None:
    numbers = {"a": Fraction(1, 10), "b": np.float32(0.5), "c": np.int64(3), "d": np.float64(0.1)}
    plain_numbers = {"a": 0.1, "b": 0.5, "c": 3, "d": 0.1}
    assert claim_folder(tmp_path, numbers) == plain_numbers
    assert claim_folder(tmp_path, plain_numbers) == plain_numbers
    one, other = (folder_name("lags", IDENTITY | made) for made in (numbers, plain_numbers))
    assert one == other
    with pytest.raises(TypeError, match="is not a number"):
        claim_folder(tmp_path / "other", {"a": object()})


def test_folder_names_tell_configurations_apart() -> None:
    name = folder_name("lags", IDENTITY)
    assert re.fullmatch(r"lags-echo-gru-5-[0-9a-f]{6}", name), name
    assert folder_name("lags", dict(reversed(IDENTITY.items()))) == folder_name("lags", KEPT) == name
    others = [IDENTITY | change for change in ({"widths": (2, 5)}, {"clip_norm": 1}, {"seed": 0})]
    assert len({name, *(folder_name("lags", other) for other in others)}) == 4


# --- numbers -------------------------------------------------------------------------------------


def test_plain_has_no_number_that_json_does_not_have() -> None:
    value = {"a": (1.5, math.nan), "b": {"c": [math.inf, [-math.inf, "nan"]]}, "d": True, "e": None, "f": 3}
    assert plain(value) == {"a": [1.5, None], "b": {"c": [None, [None, "nan"]]}, "d": True, "e": None, "f": 3}


def test_losses_for_a_person_to_read() -> None:
    shown = {
        0.0: "0.0000", 0.45445: "0.4545", -0.25: "-0.2500", 1e-3: "0.0010", 9.99e-4: "0.001",
        3.14e-7: "3.1e-07", -3.14e-7: "-3.1e-07", 9999.0: "9999.0000", 1e4: "1e+04", 6.01e15: "6e+15",
        math.inf: "inf", math.nan: "nan",
    }  # fmt: skip
    assert {loss: loss_text(loss, "squared error") for loss in shown} == shown
    # Of nats a ten-thousandth is the last that counts.
    assert [loss_text(loss) for loss in (0.45445, 3.14e-4, -1.1e-4, 1e-6)] == [
        "0.4545", "0.0003", "-0.0001", "0.0000"
    ]  # fmt: skip
