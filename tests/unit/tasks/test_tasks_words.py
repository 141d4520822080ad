"""The words task: its vocabulary counted again, words there and back, and its errors."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf_rnn.tasks import Words

if TYPE_CHECKING:
    from pathlib import Path

THIRDS: dict[str, Any] = {"valid_fraction": 1 / 3, "test_fraction": 1 / 3}


def write(folder: Path, text: str) -> Path:
    path = folder / "text.txt"
    path.write_bytes(text.encode())
    return path


def words_of(text: str) -> list[str]:
    return re.sub("\r\n|[\r\n]", " <eos> ", text).split()


def words_of_splits(task: Words) -> dict[str, list[str]]:
    """The words of each split's text, put together again from its stream."""
    found = {}
    for split in task.splits:
        inputs, targets = task.stream(split)
        np.testing.assert_array_equal(inputs[1:], targets[:-1])
        found[split] = [task.vocabulary[index] for index in (*inputs, targets[-1])]
    return found


def test_vocabulary_by_hand(tmp_path: Path) -> None:
    # In the split train: b 4, a 3, c 2, B 2, <eos> 1, ж 1; "far" and "off" come later.
    path = write(tmp_path, "b a b a b a b c\nc B B ж far far far off off off")
    for size, vocabulary in {
        2: ("<unk>", "<eos>"),
        3: ("<unk>", "b", "<eos>"),
        4: ("<unk>", "b", "a", "<eos>"),  # <unk> stands for c, c, B, B and ж
        5: ("b", "<unk>", "a", "B", "<eos>"),  # of two words that occur twice, the first
        6: ("b", "a", "B", "c", "<eos>", "<unk>"),
        7: ("b", "a", "B", "c", "<eos>", "ж", "<unk>"),
        10_000: ("b", "a", "B", "c", "<eos>", "ж", "<unk>"),
    }.items():
        task = Words(path, valid_fraction=0.2, test_fraction=0.1, vocabulary_size=size)
        assert task.vocabulary == vocabulary, size
        assert [len(task.stream(split).targets) for split in task.splits] == [12, 3, 1]
        unknown = task.vocabulary.index("<unk>")
        assert task.stream("valid").targets.tolist() == [unknown] * 3


WORDS = st.sampled_from(["a", "b", "B", "да", "\U0001f600", "<unk>", "\n", "\r\n", "\t", "\u2003", "x,"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(WORDS, min_size=9, max_size=60), size=st.integers(2, 10))
def test_any_vocabulary_counted_again(tmp_path: Path, parts: list[str], size: int) -> None:
    text = "a b a b a b " + " ".join(parts)
    task = Words(write(tmp_path, text), **THIRDS, vocabulary_size=size)
    words = words_of(text)
    third = round(len(words) / 3)
    borders = [0, len(words) - 2 * third, len(words) - third, len(words)]
    splits = [words[start:end] for start, end in itertools.pairwise(borders)]
    # What is kept occurs in train at least as often as what is not.
    special = {"<unk>", "<eos>"}
    counts = Counter(splits[0])
    kept = set(task.vocabulary) - special
    dropped = set(splits[0]) - special - kept
    assert special <= set(task.vocabulary)
    assert all((-counts[a], a) < (-counts[b], b) for a in kept for b in dropped)
    assert 0 not in {counts[word] for word in kept}
    assert len(task.vocabulary) == min(size, len(set(splits[0]) | special))
    # The streams are the words, <unk> where they are not kept; and class indices go by frequency.
    expected = [[word if word in kept | special else "<unk>" for word in split] for split in splits]
    assert list(words_of_splits(task).values()) == expected
    shown = Counter(expected[0])
    order = [(-shown[word], word) for word in task.vocabulary]
    assert order == sorted(set(order))


def one_blank_between_words(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in re.split("\r\n|[\r\n]", text))


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="<")))
def test_any_text_comes_back_but_for_blanks(text: str) -> None:
    vocabulary = sorted({"<unk>", "<eos>", *text.split()})
    task = Words(vocabulary=vocabulary)
    indices = task.encode(text)
    assert indices.tolist() == [vocabulary.index(word) for word in words_of(text)]
    assert (indices.dtype, indices.shape) == (np.dtype(np.int32), (len(words_of(text)),))
    shown = task.decode(indices)
    assert shown == one_blank_between_words(text)
    pieces = list(task.pieces(indices))
    assert len(pieces) == len(indices)
    assert "".join(pieces) == shown


def test_pieces_come_as_words_do(tmp_path: Path) -> None:
    task = Words(write(tmp_path, "a b\n" * 9), **THIRDS)
    a, b, end = task.encode("a b\n")
    assert list(task.pieces([a, b, end, end, b, a, end])) == ["a", " b", "\n", "\n", "b", " a", "\n"]
    endless = task.pieces(itertools.cycle([end, a, b]))
    assert list(itertools.islice(endless, 4)) == ["\n", "a", " b", "\n"]


def test_words_are_not_changed_and_carriage_returns_are_blanks(tmp_path: Path) -> None:
    task = Words(write(tmp_path, "Да, да\r\nThe the.\r\n" * 3), **THIRDS)
    assert set(task.vocabulary) == {"<eos>", "<unk>", "Да,", "да", "The", "the."}
    assert task.decode(task.encode("the. Да,\r\n\r\nThe DA")) == "the. Да,\n\nThe <unk>"


def test_baselines_by_hand(tmp_path: Path) -> None:
    # Train: "a a b \n", so that with one added a is 3, b 2, <eos> 2 and <unk> 1 of 8. Valid: "b z \n a".
    task = Words(write(tmp_path, "a a b\nb z\na a a a\n"), **THIRDS)
    expected = {"uniform": math.log(4), "unigram": -(math.log(1 / 8) + math.log(2 / 8) + math.log(3 / 8)) / 3}
    assert task.baselines() == pytest.approx(expected, rel=1e-12)
    assert list(task.baselines()) == ["uniform", "unigram"]


def test_a_given_vocabulary_is_used_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "c a b c\na c z z")
    vocabulary = ["z", "c", "<unk>", "b"]
    task = Words(path, 0.3, 0.2, vocabulary=vocabulary, vocabulary_size=2)
    assert task.vocabulary == tuple(vocabulary)
    assert [task.stream(split).inputs.tolist() for split in task.splits] == [[1, 2, 3], [2, 2], [0]]
    assert task.options()["vocabulary"] == vocabulary
    assert Words(**task.options()).vocabulary == task.vocabulary
