"""What a text has and a model does not: unknown words, a literal <eos>, other ends of lines, encodings."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING

import pytest
from command_helpers import ended, succeeds
from model_helpers import keep_run

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.cli.train import data_lines
from tf_rnn.tasks import Text, Words
from tf_rnn.tasks.vocabulary import WordVocabulary
from tf_rnn.training_run import PreparedRun

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "the cat sat\nthe end é\n" * 20


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    return keep_run(folder / "run", Words(folder / "text.txt"), VanillaCell(3), embedding_size=3)


def test_evaluate_says_how_many_words_are_unknown(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the targets, which are all words but the first."""
    other = tmp_path / "other.txt"
    other.write_text("the 狗 坐 end\n" * 3, encoding="utf-8")
    words = ["evaluate", str(kept), "--data", str(other)]
    assert succeeds(words, capsys)[0].endswith(" nats, 14 tokens, 42.9% of them <unk>\n")
    assert json.loads(succeeds([*words, "--json"], capsys)[0])["unknown"] == 6 / 14
    assert succeeds(["evaluate", str(kept)], capsys)[0].endswith("tokens, 0.0% of them <unk>\n")


def test_lags_of_a_model_say_how_many_words_are_unknown(kept: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("the 狗 坐 end\n" * 60, encoding="utf-8")
    study = tf_rnn.lags(kept, None, 3, data=other, batch_size=1)
    assert re.fullmatch(
        r"unknown words, read as <unk>: 40\.\d% of train, (\d\d\.\d)% of valid, .*% of test\.",
        study.sentences[-1],
    ), study.sentences


def test_train_says_how_many_words_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a a a a b c <eos> a\n" * 10 + "a\r<eos>\rx<eos>\n", encoding="utf-8")
    task = Words(path, 0.2, 0.2, vocabulary_size=3)
    lines = data_lines(PreparedRun(task, None, 0, 1, "block", {}, lambda _: NotImplemented))
    shares = {split: task.unknown_share(split) for split in task.splits}
    unknown = task.vocabulary.index("<unk>")
    for split, share in shares.items():
        targets = task.stream(split).targets.tolist()
        assert share == targets.count(unknown) / len(targets) > 0
    assert lines[1:3] == [
        "the text has 11 times the word <eos>, read as the end of a line",
        "unknown words, read as <unk>: "
        + ", ".join(f"{share:.1%} of {split}" for split, share in shares.items()),
    ]
    characters = Text(path, 0.2, 0.2)
    assert (characters.notes(), characters.unknown_share()) == ([], None)


def test_a_sample_keeps_the_users_own_words(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", str(kept), "--length", "3", "--seed", "1", "--prime", "the  dög\nsat \x1b[31m dög"]
    shown, errors = succeeds(words, capsys)
    assert shown.startswith("the dög\nsat \x1b[31m dög")
    assert errors == [r"not in the vocabulary, read as <unk>: dög, \x1b[31m"]
    same, errors = succeeds([*words[:-1], "the <unk>\nsat <unk> <unk>"], capsys)
    assert errors == []
    assert same.removeprefix("the <unk>\nsat <unk> <unk>") == shown.removeprefix("the dög\nsat \x1b[31m dög")


def test_all_ends_of_lines_are_ends_of_lines(tmp_path: Path) -> None:
    tasks = list[Words]()
    for end in ("\n", "\r\n", "\r"):
        path = tmp_path / f"{len(tasks)}.txt"
        path.write_bytes(TEXT.replace("\n", end).encode())
        tasks.append(Words(path))
    plain, *others = tasks
    for task in others:
        assert task.vocabulary == plain.vocabulary
        assert task.stream("all").targets.tolist() == plain.stream("all").targets.tolist()


def test_a_text_is_continued_as_it_stands() -> None:
    vocabulary = WordVocabulary(["a", "<eos>", "<unk>"])
    assert "".join(vocabulary.continued("a x\na", [0, 1, 2])) == "a x\na a\n<unk>"
    assert vocabulary.unknown("a x y\nx") == ["x", "y"]
    assert "".join(vocabulary.continued("", [0])) == "a"


def test_files_and_pipes_get_utf_8_whatever_the_locale(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, file in written.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(file, encoding="ascii"))
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert ended(["sample", str(kept), "--length", "0", "--prime=é 中"]) == 0
    sys.stderr.flush()
    assert written["stdout"].getvalue().decode().startswith("é 中")
    assert written["stderr"].getvalue().decode() == "not in the vocabulary, read as <unk>: 中\n"
