"""The text task: characters there and back, the held-out tail, its baselines, and its errors."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf_rnn.config import OptionError
from tf_rnn.tasks import Text


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "text.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_targets_are_the_next_characters_of_each_split(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "The cat sat."), valid_fraction=0.34)  # 4.08 of 12 characters
    for split, inputs, targets in [("train", "The cat", "he cat "), ("valid", "sat", "at.")]:
        stream = task.stream(split)
        assert (task.decode(stream.inputs), task.decode(stream.targets)) == (inputs, targets)
        assert {array.dtype for array in stream} == {np.dtype(np.int32)}


def test_vocabulary_is_sorted_and_of_the_whole_text(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "bababa\U0001f600é"), valid_fraction=0.25)
    assert task.vocabulary == ("a", "b", "é", "\U0001f600")
    assert task.encode("é\U0001f600ab").tolist() == [2, 3, 0, 1]
    assert (task.input_size, task.num_classes, task.input_kind) == (4, 4, "classes")


def test_epochs_are_the_same_text_and_cannot_be_written_to(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "abcdefgh"), valid_fraction=0.25)
    np.testing.assert_array_equal(task.stream(epoch=0).inputs, task.stream(epoch=7).inputs)
    with pytest.raises(ValueError, match="read-only"):
        task.stream().inputs[0] = 1


def test_blocks_continue_each_other(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "abcdefghijklmnopq"), valid_fraction=0.12)
    blocks = [
        ["".join(task.decode(row)) for row in inputs] for inputs, _ in task.blocks(batch_size=2, num_steps=3)
    ]
    assert blocks == [["abc", "hij"], ["def", "klm"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=4), fraction=st.floats(0.4, 0.6))
def test_any_text_comes_back(tmp_path: Path, text: str, fraction: float) -> None:
    path = write(tmp_path, "x" + text)  # an x, so that no byte order mark stands first
    task = Text(path, fraction)
    characters = "x" + text
    assert task.decode(task.encode(characters)) == characters
    train, valid = task.stream("train"), task.stream("valid")
    pieces = [train.inputs, train.targets[-1:], valid.inputs, valid.targets[-1:]]
    assert task.decode(np.concatenate(pieces)) == characters
    assert len(train.inputs) + len(valid.inputs) == len(characters) - 2
    assert task.vocabulary == tuple(sorted(set(characters)))


def test_newlines_stay_and_a_byte_order_mark_goes(tmp_path: Path) -> None:
    text = "a\r\nb\nc\rd\ufeff"
    task = Text(write(tmp_path, b"\xef\xbb\xbf" + text.encode()), valid_fraction=0.5)
    assert task.decode(task.encode(text)) == text
    assert len(task.stream().inputs) + len(task.stream("valid").inputs) == len(text) - 2
    assert task.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_baselines_by_hand(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "aaab" + "bca"), valid_fraction=3 / 7)
    # Counts in "aaab", each plus one: a 4, b 2, c 1 of 7. Held-out targets: "ca".
    expected = {"uniform": math.log(3), "unigram": (math.log(7) + math.log(7 / 4)) / 2}
    assert task.baselines() == pytest.approx(expected, rel=1e-12)
    assert list(task.baselines()) == ["uniform", "unigram"]
    assert task.optimum() is None
    assert task.floor(5) is None
    assert task.lags == ()


def test_the_text_without_a_file_is_in_every_python() -> None:
    task = Text()
    train, valid = task.stream(), task.stream("valid")
    total = len(train.inputs) + len(valid.inputs) + 2
    assert total > 300_000
    assert len(valid.inputs) + 1 == round(total / 10)
    assert "statement" in task.decode(train.inputs[:50_000])
    assert task.options() == {"data": None, "valid_fraction": 0.1}
    assert Text(**task.options()).sha256 == task.sha256
    uniform, unigram = task.baselines().values()
    assert 2 < unigram < uniform == math.log(task.num_classes)


@pytest.mark.parametrize("as_type", [str, Path])
def test_options_make_an_equal_task(tmp_path: Path, as_type: type) -> None:
    task = Text(as_type(write(tmp_path, "some text")), valid_fraction=0.3)
    options = json.loads(json.dumps(task.options()))
    assert options == {"data": str(tmp_path / "text.txt"), "valid_fraction": 0.3}
    again = Text(**options)
    assert (again.sha256, again.vocabulary) == (task.sha256, task.vocabulary)
    assert len(again.stream().inputs) == len(task.stream().inputs)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must hold text, but the file {path!r} is empty"),
        (b"\xef\xbb\xbf", "must hold text, but the file {path!r} is empty"),
        (
            b"abc\xffdef",
            "must be UTF-8 text, but {path!r} has the byte 0xff at position 3: invalid start byte",
        ),
        (
            b"\xef\xbb\xbfab\xc3",
            ("must be UTF-8 text, but {path!r} has the byte 0xc3 at position 5: unexpected end of data"),
        ),
        (
            b"abcdefghijklm",
            (
                "must leave at least 2 characters for each split, got 12 for 'train' and "
                "1 for 'valid' (valid_fraction 0.1)"
            ),
        ),
    ],
)
def test_what_a_file_must_hold(tmp_path: Path, content: bytes, problem: str) -> None:
    path = write(tmp_path, content)
    message = "data " + problem.format(path=str(path))
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Text(path)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path, "some text")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    message = f"data could not be read from {str(path)!r}: Permission denied"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Text(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    missing = os.fspath(tmp_path / "none.txt")
    cases: list[tuple[Any, str]] = [
        (missing, f"must be a text file, but there is none at {missing!r}"),
        (tmp_path, f"must be a text file, got the directory {str(tmp_path)!r}"),
        (3, "must be the path of a text file, got 3"),
    ]
    for data, problem in cases:
        with pytest.raises(OptionError, match=f"^{re.escape('data ' + problem)}$"):
            Text(data)
    for data in ("a\0b", "x" * 5000):
        with pytest.raises(OptionError, match=r"^data must be "):
            Text(data)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, math.nan, "much", None])
def test_what_is_no_fraction(fraction: Any) -> None:
    message = f"valid_fraction must be a number above 0 and below 1, got {fraction!r}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Text(valid_fraction=fraction)


def test_what_the_methods_refuse(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "abcabcabc"), valid_fraction=0.25)
    for text, character, position in [("abd", "d", 2), ("\udc80a", "\udc80", 0)]:
        message = (
            f"text must hold only the 3 characters of the vocabulary, "
            f"got {character!r} at position {position}"
        )
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            task.encode(text)
    for index in (-1, 3):
        with pytest.raises(OptionError, match=f"^indices must be from 0 to 2, got {index}$"):
            task.decode([0, index])
    assert task.encode("").shape == (0,)
    assert task.decode([]) == ""
    with pytest.raises(OptionError, match=r"^split must be one of train, valid; got 'test'$"):
        task.stream("test")
    with pytest.raises(OptionError, match=r"^epoch must be a whole number of at least 0, got -1$"):
        task.stream(epoch=-1)
