"""The text task: characters there and back, its vocabulary, its baselines, and its errors."""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf_rnn.options import OptionError
from tf_rnn.tasks import Text, make_task
from tf_rnn.tasks.text import document_starts

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "text.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def whole(task: Text) -> str:
    """The text of all splits, put together again from their streams."""
    streams = [task.stream(split) for split in task.splits]
    return task.decode(np.concatenate([part for s in streams for part in (s.inputs, s.targets[-1:])]))


def test_targets_are_the_next_characters_of_each_split(tmp_path: Path) -> None:
    # Of 17 characters 0.28 are 4.76 and 0.2 are 3.4.
    task = Text(write(tmp_path, "The cat sat here."), valid_fraction=0.28, test_fraction=0.2)
    for split, inputs, targets in [
        ("train", "The cat ", "he cat s"),
        ("valid", "at h", "t he"),
        ("test", "re", "e."),
    ]:
        stream = task.stream(split)
        assert (task.decode(stream.inputs), task.decode(stream.targets)) == (inputs, targets), split
        assert {array.dtype for array in stream} == {np.dtype(np.int32)}
        with pytest.raises(ValueError, match="read-only"):
            stream.inputs[0] = 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=6), valid=st.floats(0.3, 0.35), test=st.floats(0.3, 0.35))
def test_any_text_comes_back(tmp_path: Path, text: str, valid: float, test: float) -> None:
    characters = "x" + text  # an x, so that no byte order mark stands first
    task = Text(write(tmp_path, characters), valid, test)
    assert task.decode(task.encode(characters)) == characters
    assert list(task.pieces(task.encode(characters))) == list(characters)
    assert whole(task) == characters
    sizes = [len(task.stream(split).targets) + 1 for split in task.splits]
    assert sizes[1:] == [round(len(characters) * valid), round(len(characters) * test)]
    assert task.vocabulary == tuple(sorted(set(characters)))
    assert (task.input_size, task.num_classes) == (len(task.vocabulary),) * 2


def test_newlines_stay_and_a_byte_order_mark_goes(tmp_path: Path) -> None:
    text = "a\r\nb\nc\rd\ufeff"
    task = Text(write(tmp_path, b"\xef\xbb\xbf" + text.encode()), valid_fraction=0.3, test_fraction=0.3)
    assert task.decode(task.encode(text)) == text
    assert whole(task) == text
    assert task.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_text_is_begun_with_a_new_line(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "\tab\nab\nab\n"), valid_fraction=0.2, test_fraction=0.2)
    assert (task.opening, task.vocabulary[task.opening]) == (1, "\n")
    task = Text(write(tmp_path, "one line"), valid_fraction=0.3, test_fraction=0.3)
    assert (task.opening, task.vocabulary[0]) == (0, " ")


def test_baselines_by_hand(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "aaab" + "bca" + "ccc"), valid_fraction=0.3, test_fraction=0.3)
    # Counts in "aaab", each plus one: a 4, b 2, c 1 of 7. Targets of "valid": "ca".
    expected = {"uniform": math.log(3), "unigram": (math.log(7) + math.log(7 / 4)) / 2}
    assert task.baselines() == pytest.approx(expected, rel=1e-12)
    assert list(task.baselines()) == ["uniform", "unigram"]
    assert task.optimum() is None
    assert task.floor(5) is None
    assert task.lags == ()


def test_the_text_without_a_file_is_in_every_python() -> None:
    task = Text()
    text = whole(task)
    assert len(text) > 300_000
    sizes = {split: len(task.stream(split).targets) + 1 for split in task.splits}
    held_out = round(len(text) / 20)
    assert sizes == {"train": len(text) - 2 * held_out, "valid": held_out, "test": held_out}
    assert "statement" in text[:50_000]
    assert task.sha256 == hashlib.sha256(text.encode()).hexdigest()
    uniform, unigram = task.baselines().values()
    assert 2 < unigram < uniform == math.log(task.num_classes)


def test_a_given_vocabulary_is_used_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "cabcabcab")
    for vocabulary in ("zcab", ["z", "c", "a", "b"]):
        task = Text(path, 0.3, 0.3, vocabulary=vocabulary)
        assert task.vocabulary == ("z", "c", "a", "b")
        assert task.stream().inputs.tolist() == [1, 2]
        assert (task.input_size, task.num_classes) == (4, 4)
        assert task.options()["vocabulary"] == ["z", "c", "a", "b"]
        assert Text(**task.options()).vocabulary == task.vocabulary
    counts = np.array([1, 2, 2, 2])  # of "z", "c", "a", "b" in "cab", one added to each
    loss = -np.log(counts / counts.sum())[task.stream("valid").targets].mean()
    assert task.baselines() == pytest.approx({"uniform": math.log(4), "unigram": loss}, rel=1e-12)


def test_characters_beyond_the_vocabulary_are_named_and_counted(tmp_path: Path) -> None:
    task = Text(write(tmp_path, "abcabcabc"), valid_fraction=0.25, test_fraction=0.25)
    for text, named in [
        ("abжcж", "'ж', 2 in all, the first at position 2"),
        ("aaa\U0001f600", "'\U0001f600' at position 3"),
        ("\ra", "'\\r' at position 0"),
        ("azbyxyc", "'z', 'y', 'x', 4 in all, the first at position 1"),
        ("zyxwvutz", "'z', 'y', 'x', 'w', 'v' and 2 others, 8 in all, the first at position 0"),
    ]:
        found = f"must hold only the 3 characters of the vocabulary, got {named}"
        with pytest.raises(OptionError, match=f"^{re.escape('text ' + found)}$"):
            task.encode(text)
        path = write(tmp_path, text)
        message = f"data {found} of the file {str(path)!r}"
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            Text(path, vocabulary="abc")
    with pytest.raises(OptionError, match=r"got '\\udc80' at position 0$"):
        task.encode("\udc80a")
    for index in (-1, 3):
        with pytest.raises(OptionError, match=f"^indices must be from 0 to 2, got {index}$"):
            task.decode([0, index])
    assert task.encode("").shape == (0,)
    assert task.decode([]) == ""


@given(text=st.text("ab\n", min_size=1, max_size=30), separator=st.sampled_from(["\n", "\n\n", "ab", "aba"]))
def test_a_document_starts_after_each_separator(text: str, separator: str) -> None:
    """From left to right; what has been read as part of a separator is not part of another."""
    expected, at = [], 0
    while (found := text.find(separator, at)) >= 0:
        at = found + len(separator)
        expected.append(at)
    starts = document_starts(text, separator)
    assert starts.shape == (len(text),)
    assert np.flatnonzero(starts).tolist() == [each for each in expected if each < len(text)]


def test_documents_in_the_splits_of_a_text(tmp_path: Path) -> None:
    """Of 18, 7 and 4 characters. The first one of a split is a start where a separator stands before it."""
    text = "one\n\ntwo\n\nthree\n\n\n\nfour\n\nfive"
    task = Text(write(tmp_path, text), 0.25, 0.125, document_separator="\n\n")
    assert task.has_starts
    assert not Text(write(tmp_path, text), 0.25, 0.125).has_starts
    found = []
    for split in (*task.splits, "all"):
        stream = task.checked_stream(split)
        assert stream.starts is not None
        pieces = np.split(stream.inputs, np.flatnonzero(stream.starts))
        found.append([task.decode(piece) for piece in pieces])
    assert found == [
        ["one\n\n", "two\n\n", "three\n\n"],
        ["\n", "four\n"],
        ["", "fiv"],
        ["one\n\n", "two\n\n", "three\n\n", "\n\n", "four\n\n", "fiv"],
    ], found
    assert task.options()["document_separator"] == "\n\n"
    again = make_task("text", **task.options())
    found_again, expected = again.stream().starts, task.stream().starts
    assert found_again is not None
    assert expected is not None
    np.testing.assert_array_equal(found_again, expected)


def test_a_separator_that_is_not_in_the_text_is_refused(tmp_path: Path) -> None:
    """Unless the vocabulary is given: a model's own, which may read any other text."""
    path = write(tmp_path, "one text, no other; " * 9)
    with pytest.raises(OptionError, match=r"^document_separator must be in the text, got '\\n\\n'$"):
        Text(path, document_separator="\n\n")
    task = Text(path, vocabulary="onetxhr,; \n", document_separator="\n\n")
    starts = task.checked_stream().starts
    assert starts is not None
    assert not starts.any()
