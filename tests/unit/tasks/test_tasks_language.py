"""What tasks of language read: one file cut into splits, a directory of three, and what is neither."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.options import OptionError
from tf_rnn.tasks import Language, Text, Words

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = (Text, Words)
SPLITS = {"train": "a b c\na b\n", "valid": "c b a\n", "test": "a d\n"}
OTHER = "; name another with encoding"
MISSING = "must be the path of a text file or a directory, or one of shakespeare, ptb; there is nothing at"
DIRECTORY = (
    "must have train.txt, valid.txt and test.txt where it is a directory "
    "(or these with one prefix, as in ptb.train.txt), but"
)


def write(folder: Path, texts: dict[str, str | bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def directory(folder: Path, prefix: str = "", **changed: Any) -> Path:
    """A directory of the three splits, some of them changed."""
    return write(folder, {f"{prefix}{split}.txt": text for split, text in (SPLITS | changed).items()})


def text_of(task: Language, split: str) -> str:
    inputs, targets = task.stream(split)
    return task.decode(np.append(inputs, targets[-1:]))


def refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "ptb.", "a.b."])
def test_a_directory_has_a_file_for_each_split(tmp_path: Path, kind: type[Language], prefix: str) -> None:
    task = kind(directory(tmp_path / "data", prefix))
    assert task.splits == ("train", "valid", "test")
    unknown = {"test": "a <unk>\n"} if kind is Words else {}  # the word d is not in the split train
    for split, text in (SPLITS | unknown).items():
        assert text_of(task, split) == text
    assert task.sha256 == hashlib.sha256("".join(SPLITS.values()).encode()).hexdigest()
    assert task.num_classes == {Text: 6, Words: 5}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_order_mark_goes_from_each_file(tmp_path: Path, kind: type[Language]) -> None:
    marked: dict[str, Any] = {split: b"\xef\xbb\xbf" + text.encode() for split, text in SPLITS.items()}
    plain, without = kind(directory(tmp_path / "plain")), kind(directory(tmp_path / "marked", **marked))
    assert (without.sha256, without.vocabulary) == (plain.sha256, plain.vocabulary)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_a_text_in_another_encoding_is_the_same_text(
    tmp_path: Path, kind: type[Language], encoding: str
) -> None:
    """Its name is that which Python has for it, so that other names are no other task."""
    other = {split: f"é {text}" for split, text in SPLITS.items()}
    coded: dict[str, Any] = {split: text.encode(encoding) for split, text in other.items()}
    folder = directory(tmp_path / "coded", **coded)
    plain, task = kind(directory(tmp_path / "plain", **other)), kind(folder, encoding=encoding)
    assert (task.sha256, task.vocabulary) == (plain.sha256, plain.vocabulary)
    assert task.options()["encoding"] == {"latin-1": "iso8859-1"}.get(encoding, encoding)
    assert kind(**task.options()).sha256 == plain.sha256
    with pytest.raises(OptionError, match=rf"^data must be utf-8 text, but .* at position \d .*{OTHER}$"):
        kind(folder)
    for data in (None, "ptb"):
        refused(
            functools.partial(kind, data, encoding="utf-16"),
            "encoding must be left out unless data is a file, got 'utf-16'",
        )


def test_which_file_a_directory_lacks_or_has_twice(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for files, lacks in (
        ((), "no train.txt, no valid.txt, no test.txt"),
        (("ptb.train.txt", "valid.txt", "._ptb.train.txt"), "no ptb.valid.txt, no ptb.test.txt"),
        (("train.txt",), "no test.txt"),
    ):
        write(folder, dict.fromkeys(files, "ab"))
        refused(lambda: Text(folder), f"data {DIRECTORY} {str(folder)!r} has {lacks}")
    (folder / "test.txt").mkdir()
    refused(lambda: Words(folder), f"data {DIRECTORY} {str(folder)!r} has no test.txt")
    both = directory(directory(tmp_path / "both", "b."), "a.")
    message = f"data must have one file for the split train, but {str(both)!r} has a.train.txt, b.train.txt"
    refused(lambda: Text(both), message)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", list(SPLITS))
def test_each_file_of_a_directory_is_looked_at(tmp_path: Path, kind: type[Language], split: str) -> None:
    folder = tmp_path / "data"
    path = str(folder / f"{split}.txt")
    for content, problem in [
        (b"", f"hold text, but the file {path!r} is empty"),
        (b"a", f"hold at least 2 {kind.token}s, but the file {path!r} holds 1"),
        (
            b"ab\xff",
            f"be utf-8 text, but {path!r} has the byte 0xff at position 2 (invalid start byte){OTHER}",
        ),
    ]:
        changed: dict[str, Any] = {split: content}
        directory(folder, **changed)
        refused(lambda: kind(folder), f"data must {problem}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("option", ["valid_fraction", "test_fraction"])
def test_a_directory_is_not_cut(tmp_path: Path, kind: type[Language], option: str) -> None:
    folder = directory(tmp_path / "data")
    given: dict[str, Any] = {option: 0.2}
    usual: dict[str, Any] = {option: 0.05}
    refused(lambda: kind(folder, **given), f"{option} must be left out where data is a directory, got 0.2")
    assert text_of(kind(folder, **usual), "valid") == SPLITS["valid"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("is_directory", "as_type"), [(False, str), (True, Path)])
def test_options_make_an_equal_task(
    tmp_path: Path, kind: type[Language], as_type: type, *, is_directory: bool
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("some text of some words\n" * 4, encoding="utf-8")
    data = directory(tmp_path / "data") if is_directory else path
    cut: tuple[float, float] = (0.05, 0.05) if is_directory else (0.3, 0.2)
    given: dict[str, Any] = {"valid_fraction": cut[0], "test_fraction": cut[1]}
    given |= {"vocabulary_size": 4} if kind is Words else {}
    task = kind(as_type(data), **given)
    options = json.loads(json.dumps(task.options()))
    assert options == {"data": str(data), "vocabulary": None, "encoding": "utf-8", **given}
    again, saved = kind(**options), kind(**options | {"vocabulary": list(task.vocabulary)})
    assert (again.sha256, again.vocabulary) == (task.sha256, task.vocabulary)
    assert again.summary() == task.summary()
    for split in task.splits:
        for other in (again, saved):
            np.testing.assert_array_equal(other.stream(split).targets, task.stream(split).targets)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xef\xbb\xbf", "hold text, but the file {!r} is empty"),
        (
            b"\xef\xbb\xbfab\xc3",
            "be utf-8 text, but {!r} has the byte 0xc3 at position 5 (unexpected end of data)" + OTHER,
        ),
    ],
)
def test_a_byte_order_mark_is_no_text_but_has_bytes(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    refused(lambda: Words(path), "data must " + problem.format(str(path)))


@pytest.mark.parametrize(("kind", "blank"), [(Text, ""), (Words, " ")])
def test_each_split_needs_two_tokens(tmp_path: Path, kind: type[Language], blank: str) -> None:
    path = tmp_path / "text.txt"
    for size, fractions, sizes in [
        (29, (0.05, 0.1), "25 for 'train', 1 for 'valid' and 3 for 'test'"),
        (29, (0.1, 0.05), "25 for 'train', 3 for 'valid' and 1 for 'test'"),
        (9, (0.5, 0.4), "1 for 'train', 4 for 'valid' and 4 for 'test'"),
        (1, (0.05, 0.05), "1 for 'train', 0 for 'valid' and 0 for 'test'"),
    ]:
        path.write_text(blank.join("a" * size), encoding="utf-8")
        message = (
            f"data must leave at least 2 {kind.token}s for each split, but the file {str(path)!r} leaves "
            f"{sizes} (valid_fraction {fractions[0]}, test_fraction {fractions[1]})"
        )
        refused(lambda: kind(path, *fractions), message)  # noqa: B023 -- called at once
    path.write_text(blank.join("a" * 6), encoding="utf-8")
    assert [len(text_of(kind(path, 0.3, 0.3), split)) for split in SPLITS] == [2 + len(blank)] * 3


@pytest.mark.parametrize(("kind", "blank"), [(Text, ""), (Words, " ")])
def test_with_a_vocabulary_a_text_may_be_too_short(tmp_path: Path, kind: type[Language], blank: str) -> None:
    """Nothing is learnt from it; a split is refused when it is asked for."""
    path = tmp_path / "text.txt"
    path.write_text(blank.join("a" * 9), encoding="utf-8")
    vocabulary = kind(directory(tmp_path / "data")).vocabulary
    task = kind(path, vocabulary=vocabulary)
    assert len(task.stream("all").targets) == 8
    message = f"data must leave at least 2 {kind.token}s for each split, but the file {str(path)!r} leaves "
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        task.stream("valid")
    path.write_text("a", encoding="utf-8")
    if kind is Text:
        message = f"data must hold at least 2 characters, but the file {str(path)!r} holds 1"
        refused(lambda: Text(path, vocabulary=vocabulary).stream("all"), message)


def test_what_is_no_file_or_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (os.fspath(tmp_path / "none.txt"), "./ptb"):
        refused(functools.partial(Text, path), f"data {MISSING} {path!r}")
    no_path: Any = 3
    refused(lambda: Words(no_path), "data must be the path of a text file or a directory, got 3")
    # A device is read until the memory is full, and a pipe that nobody writes to waited for.
    os.mkfifo(tmp_path / "pipe")
    for endless in ("/dev/zero", str(tmp_path / "pipe")):
        neither = f"data must be the path of a text file or a directory, {endless!r} is neither"
        refused(functools.partial(Text, endless), neither)
    for data in ("a\0b", "x" * 5000):
        with pytest.raises(OptionError, match=r"^data must be "):
            Text(data)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    there = tmp_path / "text.txt"
    there.touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    refused(lambda: Text(there), f"data could not be read from {str(there)!r}: Permission denied")
    left = "test_fraction must be below 0.5, what valid_fraction leaves, got 0.5"
    refused(lambda: Words(None, 0.5, 0.5), left)


def test_all_is_the_splits_in_a_row(tmp_path: Path) -> None:
    """With the steps from one split to the next, which no split has by itself."""
    path = tmp_path / "text.txt"
    path.write_text("abcdefghijklmnopqrstu", encoding="utf-8")
    task = Text(path, valid_fraction=0.3, test_fraction=0.2)
    whole = task.stream("all")
    assert task.decode(whole.inputs) == "abcdefghijklmnopqrst"
    assert task.decode(whole.targets) == "bcdefghijklmnopqrstu"
    assert [len(task.stream(split).targets) for split in task.splits] == [10, 5, 3]


def test_a_text_is_current_while_its_files_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the process is by then: a task keeps the absolute path of its data."""
    monkeypatch.chdir(tmp_path)
    folder = directory(Path("data"), "ptb.")
    os.utime(folder, ns=(1, 1))
    task = Text(folder)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir("other")
    assert task.options()["data"] == str(tmp_path / "data")
    assert Text(**task.options()).sha256 == task.sha256
    assert task.is_current()
    directory(tmp_path / "data", test="a a\n")  # without a prefix they come first
    assert not task.is_current()
    changed = Text(tmp_path / "data")
    assert (text_of(changed, "test"), changed.is_current()) == ("a a\n", True)
    os.utime(tmp_path / "data" / "valid.txt", ns=(1, 1))
    assert not changed.is_current()


def test_what_cannot_be_read_twice_is_never_current() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"ab" * 9)
    os.close(writer)
    task = Text(f"/dev/fd/{reader}", valid_fraction=0.3, test_fraction=0.3)
    os.close(reader)
    assert task.checked_stream().inputs.tolist()[:3] == [0, 1, 0]
    assert not task.is_current()


def test_a_task_of_a_text_can_be_sent_to_another_process(tmp_path: Path) -> None:
    task = Text(directory(tmp_path / "data"))
    again = pickle.loads(pickle.dumps(task))
    assert (again.sha256, again.vocabulary, again.is_current()) == (task.sha256, task.vocabulary, True)
    np.testing.assert_array_equal(again.stream("test").inputs, task.stream("test").inputs)
